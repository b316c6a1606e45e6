# SPDX-License-Identifier: MIT
"""Closing: asked for by signal, command or the script itself, and forced when Lua does not come back."""
import signal
import subprocess
import time
import unittest

from tiny_server import SIGNALS, TINY, ServerCase, wait_for

ON_CLOSE = 'function S:on_close(reason) self:info("on_close %s", reason) end'
# Backtracking inside one C function: no hook ever runs, so nothing but a forced end helps.
SPIN = """
  function S:run()
    self:info("spinning")
    string.find(("a"):rep(60), ("a-"):rep(30) .. "b")
  end"""


class Asked(ServerCase):
    def test_by_sigterm(self):
        server = self.start(ON_CLOSE)
        server.signal(signal.SIGTERM)
        self.assert_closed(server)
        self.assertEqual(server.lines("on_close"), ["INFO on_close close"])

    def test_by_sigint(self):
        server = self.start(ON_CLOSE)
        server.signal(signal.SIGINT)
        self.assert_closed(server)
        self.assertEqual(server.lines("on_close"), ["INFO on_close close"])

    def test_by_command_which_returns_when_the_process_is_gone(self):
        server = self.start('function S:on_close() tiny.sleep(0.3) self:info("on_close done") end')
        self.assertEqual(server.project.said("close")[0], 0)
        self.assertFalse(server.alive())
        self.assert_closed(server)
        self.assertEqual(len(server.lines("on_close done")), 1)

    def test_by_the_script(self):
        server = self.launch(self.project("function S:run() self:close() tiny.sleep(60) end\n" + ON_CLOSE))
        self.assert_closed(server)
        self.assertEqual(server.lines("on_close"), ["INFO on_close close"])

    def test_by_the_script_later_with_a_code(self):
        server = self.launch(self.project("""
          function S:on_start() self:close(0.4, 7) self:info("asked") end
          function S:run() self:info("tick") tiny.sleep(0.05) end"""))
        server.wait_line("asked")
        began = time.monotonic()
        self.assert_closed(server, 7)
        self.assertGreater(time.monotonic() - began, 0.2)
        self.assertGreater(len(server.lines("tick")), 2)

    def test_by_os_exit(self):
        for call, code in (("os.exit()", 0), ("os.exit(3)", 3), ("os.exit(true)", 0), ("os.exit(false)", 1)):
            with self.subTest(call=call):
                server = self.launch(self.project(f"function S:run() {call} end\n" + ON_CLOSE))
                self.assert_closed(server, code)
                self.assertEqual(server.lines("on_close"), ["INFO on_close close"])

    def test_by_os_exit_while_starting_which_is_no_error(self):
        for wait in ("", "tiny.sleep(0.05)"):
            with self.subTest(wait=wait):
                server = self.launch(self.project(f"function S:on_start() {wait} os.exit(3) end"))
                self.assert_closed(server, 3)
                self.assertEqual((server.lines("ERROR"), len(server.lines("closed while starting"))), ([], 1))

    def test_os_exit_does_not_return(self):
        server = self.launch(self.project('function S:run() os.exit(3) self:info("went on") end'))
        self.assert_closed(server, 3)
        self.assertEqual(server.lines("went on"), [])

    def test_while_starting(self):
        server = self.launch(self.project('function S:on_start() self:info("starting") tiny.sleep(300) end'))
        server.wait_line("starting")
        server.signal(signal.SIGTERM)
        self.assert_closed(server)
        self.assertEqual(server.lines("ERROR"), [])
        self.assertEqual(len(server.lines("closed while starting")), 1)

    def test_while_the_new_on_start_of_a_reload_runs(self):
        server = self.start(ON_CLOSE)
        server.project.script('function S:on_start() self:info("starting") tiny.sleep(300) end')
        asked = subprocess.Popen([TINY, "reload", "-c", str(server.project.dir / "conf.lua")],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        server.wait_line("starting")
        server.signal(signal.SIGTERM)
        self.assert_closed(server)
        self.assertEqual(asked.communicate()[0], "refused: the server is closing; generation 1 goes on\n")

    def test_while_the_old_on_start_of_a_failed_reload_runs(self):
        server = self.start("""
          local again = false
          function S:on_start() if again then self:info("again") tiny.sleep(300) end again = true end""")
        server.project.script('function S:on_start() error("no ink") end')
        server.signal(signal.SIGHUP)
        server.wait_line("again")
        self.assertEqual(server.close(), 0)

    def test_by_several_at_once(self):
        server = self.start(ON_CLOSE + "\nfunction S:run() self:close(5, 9) tiny.sleep(60) end")
        self.assertEqual(server.project.said("close")[0], 0)
        self.assert_closed(server)
        self.assertEqual(len(server.lines("on_close")), 1)


class InOrder(ServerCase):
    def test_run_comes_back_before_on_close(self):
        server = self.start("""
          function S:run()
            self:info("waiting")
            pcall(tiny.sleep, 300)
            self:info("run cleaned up")
          end""" + "\n" + ON_CLOSE)
        server.wait_line("waiting")
        server.close()
        self.assert_closed(server)
        lines = server.lines("INFO ")
        self.assertLess(lines.index("INFO run cleaned up"), lines.index("INFO on_close close"))

    def test_a_stubborn_run_is_waited_for_no_longer_than_wait_lock_delay(self):
        server = self.start("function S:run() while true do pcall(tiny.sleep, 300) end end\n" + ON_CLOSE,
                            {"svr.close.wait_lock_delay": 0.3, "svr.close.force_close_delay": 30})
        began = time.monotonic()
        self.assertEqual(server.close(), 0)
        self.assertGreaterEqual(time.monotonic() - began, 0.3)
        self.assertEqual(server.lines("on_close"), ["INFO on_close close"])

    def test_without_wait_lock_delay_it_is_not_waited_for(self):
        server = self.start("""
          function S:on_start() tiny.every(0.01, function() self:info("tick") end) end
          function S:run() while true do pcall(tiny.sleep, 60) end end
          function S:on_close(reason) self:info("on_close %s", reason) tiny.sleep(0.1) end""",
                            {"svr.close.wait_lock_delay": 0})
        self.assert_reloaded(server.project)
        server.wait_line("tick")
        self.assertEqual(server.close(), 0)
        self.assertNotIn("tick", server.output().partition("on_close close")[2])
        self.assertEqual(len(server.lines("on_close")), 2)

    def test_timers_fire_no_more_once_on_close_has_begun(self):
        server = self.start("""
          function S:on_start() self:add_timer("t", tiny.PeriodTimer(function() self:info("fired") end, 0.01)) end
          function S:on_close() self:info("on_close") tiny.sleep(0.3) end""")
        server.wait_line("fired", times=3)
        self.assertEqual(server.close(), 0)
        output = server.output()
        self.assertNotIn("fired", output[output.index("on_close"):])

    def test_an_error_in_on_close_is_logged_and_nothing_more(self):
        server = self.start('function S:on_close()\n  error("stuck drawer")\nend\n'
                            "function S:on_except() return false end")
        self.assertEqual(server.close(), 0)
        self.assertIn("main.lua:4: stuck drawer", server.wait_line("stuck drawer"))

    def test_the_last_lines_are_written(self):
        server = self.start('function S:on_close() for i = 1, 5000 do self:info("line %d", i) end end')
        self.assertEqual(server.close(), 0)
        self.assertEqual(server.lines("line ")[-1], "INFO line 5000")
        self.assertEqual(len(server.lines("line ")), 5000)

    def test_open_files_and_listeners_of_lua_are_collected(self):
        server = self.start("""
          function S:on_start() self.mark = newproxy(true)
            getmetatable(self.mark).__gc = function() io.stdout:write("collected\\n") io.stdout:flush() end end""")
        self.assertEqual(server.close(), 0)
        self.assertIn("collected", server.output())


class Forced(ServerCase):
    conf = {"svr.close.wait_lock_delay": 0.1, "svr.close.force_close_delay": 0.5}

    def spinning(self, body=SPIN):
        server = self.launch(self.project(body, self.conf))
        server.wait_line("spinning")
        return server

    @unittest.skipUnless(SIGNALS, "ThreadSanitizer holds signals back")
    def test_lua_that_spins_is_ended_with_252(self):
        server = self.spinning()
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.exit_code(), 252)
        self.assertGreaterEqual(time.monotonic() - began, 0.4)
        self.assertFalse(server.left_over())

    def test_an_on_close_that_waits_for_ever_is_ended_with_252(self):
        server = self.start("function S:on_close() tiny.sleep(300) end", self.conf)
        self.assertEqual(server.close(), 252)

    def test_an_on_close_that_spins_is_ended_with_252(self):
        server = self.start("function S:on_close() while true do end end", self.conf)
        self.assertEqual(server.close(), 252)

    def test_the_command_says_so_with_exit_code_1(self):
        server = self.spinning()
        code, text = server.project.said("close")
        self.assertEqual(code, 1, text)
        self.assertIn("forced", text)
        self.assertEqual(server.exit_code(), 252)

    def test_what_was_logged_before_is_written(self):
        server = self.spinning(SPIN.replace("string.find", 'self:warn("last words") string.find', 1))
        self.assertEqual(server.project.said("close")[0], 1)
        self.assertEqual(server.exit_code(), 252)
        server.wait_line("last words")

    def test_its_files_do_not_stop_the_next_start(self):
        server = self.spinning()
        self.assertEqual(server.project.said("close")[0], 1)
        server.project.script("")
        self.launch(server.project).wait_ready()

    @unittest.skipUnless(SIGNALS, "ThreadSanitizer holds signals back")
    def test_a_second_signal_ends_it_at_once(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                project = self.project(SPIN, {"svr.close.force_close_delay": 300, "svr.close.wait_lock_delay": 300})
                server = self.launch(project)
                server.wait_line("spinning")
                server.signal(signal.SIGTERM)
                wait_for(lambda server=server: server.state() == "closing", "the first signal to be taken")
                server.signal(number)
                self.assertEqual(server.exit_code(), 252)

    def test_the_status_tells_that_it_is_closing(self):
        server = self.start('function S:on_close() self:info("on_close") tiny.sleep(0.5) end')
        server.signal(signal.SIGTERM)
        server.wait_line("on_close")
        self.assertEqual(server.state(), "closing")
        self.assert_closed(server)


if __name__ == "__main__":
    unittest.main()
