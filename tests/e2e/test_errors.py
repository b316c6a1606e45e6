# SPDX-License-Identifier: MIT
"""Errors that the script does not catch: on_except, its absence, and what becomes of the server."""
import time
import unittest

from tiny_server import ServerCase, wait_for

ON_CLOSE = '\nfunction S:on_close(reason) self:info("on_close %s", reason) end'


class WithoutOnExcept(ServerCase):
    def test_it_is_logged_with_its_traceback_and_the_server_goes_on(self):
        server = self.start("""
          local function deeper() error("no ink") end
          function S:run() self:info("run") tiny.sleep(0.01) deeper() end""")
        server.wait_line("INFO run", times=2)
        self.assertIn("main.lua:4: no ink", server.output())
        self.assertIn("stack traceback", server.output())
        self.assertIn("main.lua:5:", server.output())
        self.assertEqual(server.close(), 0)

    def test_it_is_logged_as_an_error(self):
        server = self.start('function S:run() tiny.sleep(0.01) error("no ink") end')
        self.assertTrue(server.wait_line("no ink").startswith("ERROR"))

    def test_run_starts_again_with_a_growing_pause(self):
        server = self.start("""function S:run()
          self.context.times = (self.context.times or 0) + 1
          self:info("run %d", self.context.times)
          error("no ink")
        end""")
        server.wait_line("run 1")
        began = time.monotonic()
        server.wait_line("run 5")
        self.assertGreater(time.monotonic() - began, 0.6)  # 0.1 and growing; level would be 0.4

    def test_a_good_run_takes_the_pause_back(self):
        server = self.start("""function S:run()
          self.context.times = (self.context.times or 0) + 1
          self:info("run %d", self.context.times)
          if self.context.times % 2 == 1 then error("no ink") end
          tiny.sleep(0.001)
        end""")
        server.wait_line("run 12")
        self.assertEqual(server.state(), "running")

    def test_an_error_in_a_timer_leaves_the_timer_going(self):
        server = self.start("""function S:on_start()
          self:add_timer("t", tiny.PeriodTimer(function() self:info("fired") error("no ink") end, 0.02))
        end""")
        server.wait_line("fired", times=3)
        server.wait_line("no ink", times=3)

    def test_endless_recursion_is_an_error_like_others(self):
        server = self.start("""
          local function f(x) return 1 + f(x) end
          function S:run() self:info("run") tiny.sleep(0.01) f(1) end""")
        server.wait_line("INFO run", times=2)
        server.wait_line("stack overflow")


class OnExcept(ServerCase):
    def test_true_means_go_on(self):
        server = self.start("""
          function S:run() self:info("run") tiny.sleep(0.01) error("no ink") end
          function S:on_except(err, trace) self:info("got %s / %s", err, trace) return true end""")
        server.wait_line("INFO run", times=2)
        self.assertIn("got ", server.wait_line("got "))
        self.assertIn("main.lua:4: no ink / ", server.output())
        self.assertIn("stack traceback", server.output())
        self.assertEqual(server.close(), 0)

    def test_the_traceback_has_the_line_of_each_frame(self):
        server = self.start("""
          local function deep(t)
            return t.x + 1
          end
          function S:on_start()
            tiny.go(function() deep() end)
            tiny.go(function() tiny.go(deep):join() end)
          end
          function S:on_except(err, trace) self:info("trace %s", trace:gsub("%s+", " ")) return true end""")
        server.wait_line("trace ", times=2)
        for line in server.lines("trace "):
            self.assertRegex(line, r"main\.lua:5: in function ")

    def test_anything_else_closes_with_254(self):
        for answer in ("", "return nil", "return false", "return 1", 'return "true"'):
            with self.subTest(answer=answer):
                server = self.launch(self.project(f"""
                  function S:run() tiny.sleep(0.01) error("no ink") end
                  function S:on_except() {answer} end""" + ON_CLOSE))
                self.assert_closed(server, 254)
                self.assertEqual(server.lines("on_close"), ["INFO on_close error"])
                self.assertIn("no ink", server.output())

    def test_it_is_asked_about_the_last_summary_too(self):
        server = self.start("""
          function S:get_summary() error("no ink") end
          function S:on_except(err) tiny.sleep(0.1) self:info("on_except %s", err) return true end""")
        self.assertEqual(server.close(), 0)
        self.assertEqual(len(server.lines("on_except")), 1, server.output())
        self.assertIn("no ink", server.lines("on_except")[0])

    def test_it_may_wait(self):
        server = self.start("""
          function S:run() self:info("run") tiny.sleep(0.01) error("no ink") end
          function S:on_except() tiny.sleep(0.05) self:info("waited") return true end""")
        server.wait_line("waited", times=2)

    def test_a_table_arrives_as_it_is(self):
        server = self.start("""
          function S:run() tiny.sleep(0.01) error({ code = 7 }) end
          function S:on_except(err, trace) self:info("code %d %s", err.code, type(trace)) return true end""")
        server.wait_line("code 7 string")

    def test_nil_arrives_as_nil(self):
        server = self.start("""
          function S:run() tiny.sleep(0.01) error(nil) end
          function S:on_except(err, trace) self:info("err %s %s", tostring(err), type(trace)) return true end""")
        server.wait_line("err nil string")

    def test_without_it_odd_errors_are_logged_too(self):
        for raised, shown in (("error({ code = 7 })", "code"), ("error(nil)", "nil"), ("error(42)", "42"),
                              ('error(setmetatable({}, { __tostring = function() return "by name" end }))', "by name"),
                              ('error(setmetatable({}, { __tostring = function() error("no") end }))', "ERROR"),
                              ("error(newproxy())", "userdata")):
            with self.subTest(raised=raised):
                server = self.start(f'function S:run() self:info("run") tiny.sleep(0.01) {raised} end')
                server.wait_line("INFO run", times=2)
                wait_for(lambda server=server, shown=shown: any(shown in line for line in server.lines("ERROR")),
                         f"{shown!r} in an ERROR line")
                self.assertEqual(server.close(), 0)

    def test_what_is_passed_on_has_the_stack_that_it_began_on(self):
        server = self.start("""
          local function deeper() error("no ink") end
          function S:on_except(err, trace) self:info("on_except\\n%s", trace) return true end
          function S:get_summary() tiny.timeout(60, deeper) end
          local ways = {
            function() tiny.timeout(60, tiny.timeout, 60, deeper) end,
            function() tiny.go(deeper):join() end,
            function() tiny.timeout(60, function() tiny.go(deeper):join() end) end,
            function() tiny.parallel { deeper } end,
            function() tiny.timeout(60, tiny.parallel, { deeper, function() tiny.sleep(60) end }) end,
          }
          function S:on_start() for _, way in ipairs(ways) do tiny.go(way) end end
          function S:run() tiny.timeout(60, deeper) end""")
        server.wait_line("on_except", times=6)
        self.assertEqual(server.close(), 0)
        reports = server.output().split("on_except\n")[1:]
        self.assertGreater(len(reports), 6)  # the summary at the end is one
        for report in reports:
            self.assertRegex(report.partition("passed on at:")[0], r"main\.lua:4: in function")

    def test_timers_come_there_too(self):
        server = self.start("""
          function S:on_start()
            self:add_timer("t", tiny.PeriodTimer(function() error("late bell") end, 0.02))
            tiny.after(0.02, function() error("once") end)
          end
          function S:on_except(err) self:info("got %s", err) return true end""")
        server.wait_line("late bell", times=2)
        server.wait_line("once")

    def test_coroutines_of_the_scripts_own_come_there_too(self):
        server = self.start("""
          function S:run() tiny.sleep(0.01) coroutine.wrap(function() error("inner") end)() end
          function S:on_except(err) self:info("got %s", err) return true end""")
        server.wait_line("inner")

    def test_an_error_inside_it_is_255(self):
        for raised in ('error("worse")', "error(nil)", "error({})"):
            with self.subTest(raised=raised):
                server = self.launch(self.project(f"""
                  function S:run() tiny.sleep(0.01) error("no ink") end
                  function S:on_except() {raised} end""" + ON_CLOSE))
                self.assert_closed(server, 255)
                self.assertIn("no ink", server.output())
                self.assertEqual(server.lines("on_close"), ["INFO on_close error"])

    def test_on_start_errors_do_not_come_there(self):
        server = self.launch(self.project("""
          function S:on_start() error("no ink") end
          function S:on_except() self:info("on_except") return true end"""))
        self.assert_closed(server, 1)
        self.assertEqual(server.lines("INFO on_except"), [])


class Memory(ServerCase):
    def test_too_much_is_an_error_in_lua_and_not_the_end(self):
        server = self.start("""
          function S:run()
            self:info("run")
            tiny.sleep(0.01)
            local hoard = {}
            for i = 1, 1e6 do hoard[i] = ("x"):rep(1024) .. i end
          end
          function S:on_except(err) self:info("got %s", err) return true end""", {"svr.lua.memory_limit": "32M"})
        server.wait_line("INFO run", times=3)
        server.wait_line("not enough memory", times=2)
        self.assertEqual(server.close(), 0)

    def test_a_script_that_needs_too_much_to_load_is_refused(self):
        server = self.start(conf={"svr.lua.memory_limit": "16M"})
        server.project.script('S.hoard = {} for i = 1, 1e6 do S.hoard[i] = ("x"):rep(1024) .. i end')
        self.assert_refused(server.project, "not enough memory", 1)

    def test_a_context_too_large_for_the_new_limit_is_refused(self):
        server = self.start('function S:on_start() self.context.blob = ("x"):rep(8e6) end')
        server.project.conf({"svr.lua.memory_limit": "4M"})
        self.assert_refused(server.project, "memory", 1)


if __name__ == "__main__":
    unittest.main()
