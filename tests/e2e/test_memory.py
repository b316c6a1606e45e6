# SPDX-License-Identifier: MIT
"""svr.lua.memory_limit: too much memory is an error in Lua, and the process lives on."""
import unittest

from tiny_server import ServerCase

EATER = """
function S:run()
  self:info("eats")
  local t = {}
  for i = 1, 1e8 do t[i] = {tostring(i)} end
end
function S:on_except(err) self:info("on_except %s", err) return true end"""


class MemoryLimit(ServerCase):
    CONF = {"svr.lua.memory_limit": "32M"}

    def test_too_much_is_an_error_and_the_server_goes_on(self):
        server = self.start(EATER, self.CONF)
        server.wait_line("INFO eats", times=3)
        server.wait_line("INFO on_except", times=2)
        self.assertIn("not enough memory", server.output())
        info = server.info()
        self.assertEqual(info["state"], "running")
        self.assertLess(info["rss_bytes"], 200e6)
        self.assert_reloaded(server.project)
        server.wait_line("INFO eats", times=5)
        self.assertEqual(server.close(), 0)

    def test_without_on_except_it_is_logged(self):
        server = self.start(EATER.partition("function S:on_except")[0], self.CONF)
        server.wait_line("not enough memory", times=2)
        self.assertEqual(server.close(), 0)

    def test_what_it_catches_by_itself_stays_its_own(self):
        server = self.start("""function S:run()
          local ok, err = pcall(string.rep, "x", 1e9)
          self:info("caught %s", err) tiny.sleep(0.05)
        end""", self.CONF)
        server.wait_line("caught not enough memory", times=3)
        self.assertEqual(server.lines("ERROR"), [])

    def test_much_garbage_is_no_excess(self):
        server = self.start("""function S:run()
          local keep = {}
          for i = 1, 15 * 1024 do keep[i] = ("x"):rep(1000) .. i end
          for i = 1, 3e5 do local junk = {i, {i}} end
          self:info("kept") tiny.sleep(0.01)
        end""", self.CONF)
        server.wait_line("INFO kept", times=5)
        self.assertEqual(server.lines("ERROR"), [])

    def test_timers_and_tasks_go_on_after_one_of_them_was_greedy(self):
        server = self.start("""function S:on_start()
          self:add_timer("greedy", tiny.PeriodTimer(function() local t = {} for i = 1, 1e8 do t[i] = {i} end end, 0.2))
          self:add_timer("modest", tiny.PeriodTimer(function() self:info("modest") end, 0.2))
        end""", self.CONF)
        server.wait_line("not enough memory", times=2)
        server.wait_line("INFO modest", times=5)

    def test_a_script_that_needs_more_to_load_is_refused(self):
        server = self.start("", self.CONF)
        server.project.script("local t = {} for i = 1, 1e8 do t[i] = {i} end")
        self.assert_refused(server.project, "not enough memory", 1)

    def test_a_limit_that_is_too_low_to_begin_with_is_refused(self):
        server = self.start("", self.CONF)
        server.project.conf({"svr.lua.memory_limit": "1M"})
        server.project.said("reload")
        self.assertEqual(server.state(), "running")

    def test_the_jit_is_off_under_a_limit_and_on_without(self):
        limited = self.start("function S:on_start() jit.on() end", self.CONF)
        self.assertEqual(limited.project.said("eval", "(jit.status())"), (0, "false\n"))
        free = self.start("")
        self.assertEqual(free.project.said("eval", "(jit.status())"), (0, "true\n"))


if __name__ == "__main__":
    unittest.main()
