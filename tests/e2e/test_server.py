# SPDX-License-Identifier: MIT
"""The server script's own world: run, waits, timers, logging, what self gives."""
import time
import unittest

from tiny_server import ServerCase


class Run(ServerCase):
    def test_it_is_called_again_and_again(self):
        server = self.start("""function S:run()
          self.context.runs = (self.context.runs or 0) + 1
          self:info("run %d", self.context.runs)
          tiny.sleep(0.01)
        end""")
        server.wait_line("run 10")

    def test_one_that_never_waits_leaves_the_server_answering(self):
        server = self.start("function S:run() self.n = (self.n or 0) + 1 end")
        self.assertEqual(server.state(), "running")
        self.assert_reloaded(server.project)
        self.assertEqual(server.project.said("close")[0], 0)
        self.assert_closed(server)

    def test_without_it_the_server_waits_for_events(self):
        server = self.start()
        before = server.info()["cpu_seconds"]
        time.sleep(0.5)
        self.assertLess(server.info()["cpu_seconds"] - before, 0.2)

    def test_sleep_waits_at_least_as_long_as_asked(self):
        server = self.start("""
          local ffi = require "ffi"
          ffi.cdef "typedef struct { long s, ns; } stamp; int clock_gettime(int, stamp *);"
          local function now()
            local t = ffi.new("stamp")
            ffi.C.clock_gettime(1, t)
            return tonumber(t.s) + tonumber(t.ns) / 1e9
          end
          function S:run() local t = now() tiny.sleep(0.05) self:info("slept %s", now() - t >= 0.05) end""")
        server.wait_line("slept true", times=3)
        self.assertEqual(server.lines("slept false"), [])

    def test_sleep_of_nothing_lets_others_have_their_turn(self):
        server = self.start("""
          function S:on_start() self:add_timer("t", tiny.PeriodTimer(function() self:info("fired") end, 0.01)) end
          function S:run() tiny.sleep(0) end""")
        server.wait_line("fired", times=5)

    def test_on_start_may_wait(self):
        server = self.start('function S:on_start() tiny.sleep(0.05) self:info("awake") end')
        self.assertEqual(len(server.lines("awake")), 1)


class Waits(ServerCase):
    def test_inside_a_coroutine_of_ones_own_they_raise_and_say_what_to_do(self):
        server = self.start("""function S:on_start()
          local ok, err = pcall(coroutine.wrap(function() tiny.sleep(0) end))
          self:info("ok %s: %s", ok, err)
        end""")
        line = server.wait_line("INFO ok ")
        self.assertIn("ok false: ", line)
        self.assertIn("coroutine", line)

    def test_bad_arguments_raise(self):
        server = self.start("""function S:on_start()
          for _, bad in ipairs({ "x", {}, -1, 0/0 }) do
            local ok, err = pcall(tiny.sleep, bad)
            self:info("ok %s: %s", ok, err)
          end
        end""")
        server.wait_line("ok false: ", times=4)


class Timers(ServerCase):
    def test_a_taken_key_is_refused_until_removed(self):
        server = self.start("""function S:on_start()
          local function timer() return tiny.PeriodTimer(function() end, 60) end
          self:info("keys %s %s %s %s %s", self:add_timer("a", timer()), self:add_timer("a", timer()),
                    self:remove_timer("a"), self:remove_timer("a"), self:add_timer("a", timer()))
        end""")
        self.assertTrue(server.wait_line("keys ").endswith("keys true false true false true"))

    def test_max_run_count_is_kept(self):
        server = self.start("""function S:on_start()
          self:add_timer("t", tiny.PeriodTimer(function() self:info("fired") end, 0.01, 3))
          self:add_timer("u", tiny.PeriodTimer(function() self:info("other") end, 0.01))
        end""")
        server.wait_line("other", times=10)
        self.assertEqual(len(server.lines("fired")), 3)

    def test_a_table_with_run_is_a_timer(self):
        server = self.start("""function S:on_start()
          local timer = { interval = 0.01, left = 3 }
          local server = self
          function timer:run(now)
            self.left = self.left - 1
            server:info("left %d %s", self.left, type(now))
            return self.left > 0
          end
          self:add_timer("t", timer)
          self:add_timer("u", tiny.PeriodTimer(function() self:info("other") end, 0.01))
        end""")
        server.wait_line("other", times=10)
        self.assertEqual(server.lines("left"), ["INFO left 2 number", "INFO left 1 number", "INFO left 0 number"])

    def test_they_fire_while_run_waits(self):
        server = self.start("""
          function S:on_start() self:add_timer("t", tiny.PeriodTimer(function() self:info("fired") end, 0.01)) end
          function S:run() tiny.sleep(300) end""")
        server.wait_line("fired", times=5)

    def test_they_are_serial_waits_included(self):
        server = self.start("""function S:on_start()
          local inside = 0
          for key = 1, 3 do
            self:add_timer(key, tiny.PeriodTimer(function()
              inside = inside + 1
              self:info("inside %d", inside)
              tiny.sleep(0.01)
              inside = inside - 1
            end, 0.005))
          end
        end""")
        server.wait_line("inside", times=20)
        self.assertEqual(set(server.lines("inside")), {"INFO inside 1"})


class Logging(ServerCase):
    def test_levels_and_formats(self):
        server = self.start("""function S:on_start()
          self:debug("quiet") self:info("plain 100%") self:warn("n=%d", 3) self:err("%s", "bad")
          tiny.log.info("from a module")
        end""")
        server.wait_line("from a module")
        self.assertEqual([line for line in server.output().splitlines() if "quiet" in line], [])
        for line in ("INFO plain 100%", "WARN n=3", "ERROR bad", "INFO from a module"):
            self.assertIn(line, server.output().splitlines())

    def test_fields_of_the_format(self):
        server = self.start('function S:on_start()\n  self:info("here")\nend', {
            "log.console.format": "%(name)s %(process)d %(levelname)-6s|%(filename)s:%(lineno)d %(funcName)s %(message)s%%"})
        self.assertRegex(server.wait_line("here%"), rf"\Atest {server.pid} INFO  \|main\.lua:4 \S+ here%\Z")

    def test_the_console_may_be_standard_output(self):
        server = self.start('function S:on_start() self:info("here") end', {"log.console.stream": "stdout"})
        server.wait_line("INFO here")


if __name__ == "__main__":
    unittest.main()
