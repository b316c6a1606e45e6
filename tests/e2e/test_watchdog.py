# SPDX-License-Identifier: MIT
"""Lua that hangs: it is reported where it is, interrupted, and the server closes; and what only looks
like a hang is left alone."""
import signal
import time
import unittest

from tiny_server import SIGNALS, ServerCase

SPAN = 0.8  # seconds; svr.timer.run_status_check_time_span of all these servers
CONF = {"svr.timer.run_status_check_time_span": SPAN, "svr.close.force_close_delay": 20}
CALLBACKS = """
function S:on_except(err, trace) self:info("on_except %s", err) return true end
function S:on_close(reason) self:info("on_close %s", reason) end"""


@unittest.skipUnless(SIGNALS, "ThreadSanitizer holds signals back")
class Hung(ServerCase):
    def hang(self, code, conf=None, script=CALLBACKS):
        """A server whose run hangs in `code`, on line 4 of its script."""
        return self.launch(self.project(f"""function S:run() self:info("hangs")
          {code}
        end{script}""", {**CONF, **(conf or {})}))

    def check_stopped(self, server, line=4):
        self.assertEqual(server.exit_code(), 253, server.output())
        report = server.output().partition("ERROR hung: no sign of life for ")[2]
        self.assertRegex(report.splitlines()[0], r"\A\d+\.\d s\Z")
        self.assertIn(f"main.lua:{line}: in ", report)
        self.assertIn("INFO on_except stopped: hung", report)
        self.assertIn("INFO on_close hung", report)
        self.assertLess(report.index("on_except"), report.index("on_close"))
        self.assert_closed(server, 253)

    def test_a_compiled_loop(self):
        self.check_stopped(self.hang("local x = 0 while true do x = x + 1 end"))

    def test_a_loop_that_catches_everything(self):
        self.check_stopped(self.hang("while true do pcall(function() while true do end end) end"))

    def test_a_loop_in_a_coroutine(self):
        self.check_stopped(self.hang("local co = coroutine.wrap(function() while true do end end) while true do co() end"))

    def test_a_loop_in_a_metamethod(self):
        self.check_stopped(self.hang("local t = setmetatable({}, {__index = function() while true do end end}) return t.x"))

    def test_a_loop_that_allocates(self):
        self.check_stopped(self.hang("while true do local t = {} for i = 1, 100 do t[i] = {i} end end"))

    def test_a_loop_of_system_calls(self):
        self.check_stopped(self.hang(
            "local ffi = require 'ffi' ffi.cdef 'int poll(void *, unsigned long, int)' while true do ffi.C.poll(nil, 0, 5) end"))

    def test_a_loop_in_a_callback_of_c(self):
        self.check_stopped(self.hang("table.sort({3, 2, 1}, function() while true do end end)"))

    def test_a_timer_is_named_by_its_key(self):
        server = self.launch(self.project("""function S:on_start()
          self:add_timer("clean up", tiny.PeriodTimer(function() while true do end end, 0.1))
        end""" + CALLBACKS, CONF))
        self.check_stopped(server)
        self.assertIn('timer "clean up"', server.output())

    def test_a_task_is_named_by_its_origin(self):
        server = self.launch(self.project("""function S:on_start()
          tiny.go(function() tiny.sleep(0.1) while true do end end)
        end""" + CALLBACKS, CONF))
        self.check_stopped(server)
        self.assertRegex(server.output(), r"a task started at .*main.lua:4\n")

    def test_a_reload_that_was_asked_for_before_is_refused(self):
        server = self.hang("self:info('spins') while true do end", {"svr.timer.run_status_check_time_span": 3})
        server.wait_line("spins")
        self.assertEqual(server.project.said("reload"), (1, "refused: hung\n"))
        self.assertEqual(server.exit_code(), 253)
        self.assertTrue(server.lines("ERROR reload refused: hung"))

    def test_it_is_reported_on_time(self):
        server = self.hang("local t = tiny.now() self:info('at %.3f', t) while true do end")
        self.assertEqual(server.exit_code(), 253)
        after = float(server.lines("hung: no sign")[0].split()[-2])
        self.assertGreaterEqual(after, SPAN)
        self.assertLess(after, SPAN + 5)  # the figure is bench/hang's business

    def test_on_except_and_on_close_may_fail(self):
        server = self.hang("while true do end", None, """
          function S:on_except(err) error("oh") end
          function S:on_close() self:info("on_close") error("no") end""")
        self.assertEqual(server.exit_code(), 253)
        self.assertTrue(server.lines("INFO on_close"))

    def test_on_close_that_hangs_is_ended_by_force(self):
        server = self.hang("while true do end", {"svr.close.force_close_delay": 1}, """
          function S:on_close() self:info("on_close") while true do end end""")
        self.assertEqual(server.exit_code(), 253)
        self.assertTrue(server.lines("INFO on_close"))
        self.assertTrue(server.lines("hung: ended by force"))

    def test_without_interrupt_it_only_tells_and_ends(self):
        server = self.hang("while true do end", {"svr.watchdog.interrupt": False})
        self.assertEqual(server.exit_code(), 253)
        self.assertIn("main.lua:4: in ", server.output())
        self.assertEqual(server.lines("on_close"), [])

    def test_a_silent_run_is_told_and_ended_without_interrupt_too(self):
        server = self.hang("tiny.sleep(300)", {"svr.watchdog.interrupt": False})
        self.assertEqual(server.exit_code(), 253)
        self.assertIn("main.lua:4: in function", server.output())
        self.assertEqual(server.lines("on_close") + server.lines("on_except"), [])

    def test_a_run_that_does_not_report_is_shown_where_it_waits(self):
        server = self.hang("tiny.sleep(300)")
        self.assertEqual(server.exit_code(), 253)
        self.assertTrue(server.lines("ERROR hung: run has not returned or reported for "))
        self.assertIn("main.lua:4: in function", server.output())
        self.assertTrue(server.lines("INFO on_except stopped: hung"))
        self.assertTrue(server.lines("INFO on_close hung"))


@unittest.skipUnless(SIGNALS, "ThreadSanitizer holds signals back")
class OutOfReach(ServerCase):
    """Lua that no error can be raised in: the process ends all the same."""

    def hang(self, code, force=1):
        server = self.launch(self.project(f"""function S:run() self:info("hangs")
          {code}
        end{CALLBACKS}""", {**CONF, "svr.close.force_close_delay": force}))
        server.wait_line("hangs")
        return server

    def check_ended(self, server, *words):
        self.assertEqual(server.exit_code(), 253, server.output())
        for word in ("ERROR hung: no sign of life", "ERROR hung: ended by force", *words):
            self.assertIn(word, server.output())
        self.assertEqual(server.lines("on_close"), [])

    def test_a_blocking_c_function_shows_the_c_stack_and_about_the_line(self):
        self.check_ended(self.hang("local x = os.execute('sleep 40')"), "C stack:\n", "wait", "main.lua:4: in ")

    def test_a_string_match_without_end(self):
        self.check_ended(self.hang("local s = ('a'):rep(60) local x = s:find(('a-'):rep(60) .. 'b')"), "C stack:\n",
                         "main.lua:4: in ")

    def test_a_finalizer(self):
        self.check_ended(self.hang("getmetatable(newproxy(true)).__gc = function() while true do end end collectgarbage()"))

    def test_commands_are_answered_while_it_is_hung(self):
        server = self.hang("local x = os.execute('sleep 40')", 6)
        server.wait_line("ERROR hung")
        done = server.project.tiny("status")
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"state +hung for \d+\.\d s")
        self.assertIn("main.lua:4: in ", done.stdout)
        info = server.info()
        self.assertEqual(info["state"], "hung")
        self.assertGreater(info["hung_for"], SPAN)
        self.assertIn("C stack", info["hung_stack"])
        self.assertEqual(server.project.said("reload"), (1, "refused: hung\n"))
        code, text = server.project.said("eval", "1")
        self.assertEqual((code, text[:4]), (1, "busy"))
        code, text = server.project.said("stack")
        self.assertEqual(code, 0)
        self.assertIn("C stack", text)
        self.check_ended(server)

    def test_close_does_not_wait_for_longer(self):
        server = self.hang("local x = os.execute('sleep 40')", 4)
        server.wait_line("ERROR hung")
        code, _ = server.project.said("close")
        self.assertEqual(code, 1)
        self.check_ended(server)


class NoAlarm(ServerCase):
    """Nothing of this is a hang."""

    def server(self, body, conf=None):
        return self.start(body + CALLBACKS, {**CONF, **(conf or {})})

    def check_alive(self, server, seconds=SPAN * 2.5):
        time.sleep(seconds)
        self.assertEqual(server.lines("hung"), [])
        self.assertEqual(server.state(), "running")
        self.assertEqual(server.close(), 0)

    def test_nothing_to_do(self):
        self.check_alive(self.server(""))

    def test_a_run_that_waits_in_between(self):
        self.check_alive(self.server(f"function S:run() tiny.sleep({SPAN / 3}) end"))

    def test_a_run_that_reports(self):
        self.check_alive(self.server(f"""function S:run()
          for i = 1, 50 do tiny.sleep({SPAN / 4}) self:running_report() end
        end"""), SPAN * 4)

    def test_a_long_on_start(self):
        server = self.launch(self.project(f"""function S:on_start()
          local t = tiny.now() while tiny.now() < t + {SPAN * 2} do end
          tiny.sleep({SPAN * 2})
        end""" + CALLBACKS, CONF))
        server.wait_ready()
        self.check_alive(server)

    def test_switched_off(self):
        server = self.server(f"""function S:on_start()
          tiny.go(function() local t = tiny.now() while tiny.now() < t + {SPAN * 3} do end self:info("through") end)
        end""", {"svr.timer.run_status_check_time_span": 0})
        server.wait_line("through")
        self.check_alive(server, 0)

    def test_a_process_that_is_stopped_while_it_computes(self):
        server = self.server(f"""function S:on_start()
          tiny.go(function()
            self:info("computes")
            local ran = os.clock() while os.clock() < ran + {SPAN / 8} do end
            self:info("through")
          end)
        end""")
        server.wait_line("computes")
        server.signal(signal.SIGSTOP)
        time.sleep(SPAN * 3)
        server.signal(signal.SIGCONT)
        server.wait_line("through")
        self.check_alive(server)

    def test_a_process_that_is_stopped_again_and_again(self):
        server = self.server(f"function S:run() tiny.sleep({SPAN / 10}) end")
        for _ in range(4):
            server.signal(signal.SIGSTOP)
            time.sleep(SPAN * 1.5)
            server.signal(signal.SIGCONT)
            time.sleep(SPAN / 4)
        self.check_alive(server)

    def test_a_reload_that_takes_long(self):
        server = self.server(f"""function S:on_start()
          if self.generation > 1 then tiny.sleep({SPAN * 2}) end
        end""")
        self.assert_reloaded(server.project)
        self.check_alive(server)


@unittest.skipUnless(SIGNALS, "ThreadSanitizer holds signals back")
class Slices(ServerCase):
    CONF = {"svr.watchdog.slice": 0.1}

    def test_a_runaway_run_starts_again(self):
        server = self.start("""function S:run()
          self.context.times = (self.context.times or 0) + 1
          self:info("run %d", self.context.times)
          while true do pcall(function() while true do end end) end
        end
        function S:on_except(err, trace) self:info("on_except %s\\n%s", err, trace) return true end""", self.CONF)
        server.wait_line("run 4")
        server.wait_line("on_except stopped: ran longer than svr.watchdog.slice", times=3)
        self.assertIn("main.lua:6: in ", server.output())
        self.assertEqual(server.state(), "running")
        self.assertEqual(server.close(), 0)

    def test_a_runaway_task_says_where_it_was_started(self):
        server = self.start("function S:on_start() tiny.go(function() while true do end end) end", self.CONF)
        server.wait_line("task started at:")
        self.assertNotRegex(server.output(), r"\n *\n")

    def test_a_runaway_timer_does_not_take_the_others_along(self):
        server = self.start("""function S:on_start()
          self:add_timer("bad", tiny.PeriodTimer(function() self:info("bad") while true do end end, 0.2))
          self:add_timer("good", tiny.PeriodTimer(function() self:info("good") end, 0.2))
        end""", self.CONF)
        server.wait_line("INFO bad", times=3)
        server.wait_line("INFO good", times=3)
        server.wait_line("svr.watchdog.slice", times=3)
        self.assertEqual(server.state(), "running")

    def test_a_task_that_waits_in_between_is_no_runaway(self):
        server = self.start("""function S:run()
          for i = 1, 20 do
            local t = tiny.now() while tiny.now() < t + 0.01 do end
            tiny.sleep(0.01)
          end
          self:info("through")
        end""", {"svr.watchdog.slice": 5})
        server.wait_line("through", times=2)
        self.assertEqual(server.lines("slice"), [])

    def test_an_on_except_that_runs_away_ends_the_server(self):
        server = self.launch(self.project("""function S:run() tiny.sleep(0.1) error("x") end
        function S:on_except() while true do end end""", self.CONF))
        self.assertEqual(server.exit_code(), 255, server.output())
        self.assertTrue(server.lines("on_except failed: stopped"))

    def test_a_reload_changes_the_slice(self):
        server = self.start("function S:run() tiny.sleep(0.01) end", self.CONF)
        server.project.script("""function S:run()
          local t = tiny.now() while tiny.now() < t + 0.5 do end
          self:info("through") tiny.sleep(0.01)
        end""")
        server.project.conf({"svr.watchdog.slice": 30})
        self.assert_reloaded(server.project)
        server.wait_line("through", times=2)


@unittest.skipUnless(SIGNALS, "ThreadSanitizer holds signals back")
class BusyWhileAsked(ServerCase):
    """Closing and reloading do not wait for Lua that does not come back."""

    BUSY = """function S:run() tiny.sleep(0.1) self:info("busy") while true do pcall(tostring, 1) end end"""

    def busy(self, conf=None):
        server = self.launch(self.project(self.BUSY + CALLBACKS, conf))
        server.wait_line("INFO busy")
        return server

    def test_sigterm_interrupts_after_wait_lock_delay(self):
        server = self.busy({"svr.close.wait_lock_delay": 0.3})
        server.signal(signal.SIGTERM)
        self.assert_closed(server, 0)
        self.assertTrue(server.lines("INFO on_close close"))
        self.assertTrue(server.lines("WARN stopped, as the server closes"))
        self.assertEqual(server.lines("on_except"), [])

    def test_a_second_sigterm_ends_at_once(self):
        server = self.busy({"svr.close.wait_lock_delay": 100, "svr.close.force_close_delay": 100})
        server.signal(signal.SIGTERM)
        time.sleep(0.3)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.exit_code(), 252)
        self.assertTrue(server.lines("ended by force"))

    def test_a_new_on_start_that_does_not_come_back_is_refused(self):
        server = self.start("function S:run() self:info('old runs') tiny.sleep(0.1) end",
                            {"svr.reload_timeout": 0.5})
        server.project.script("function S:on_start() while true do pcall(tostring, 1) end end")
        self.assert_refused(server.project, "on_start", 1)
        before = len(server.lines("old runs"))
        server.wait_line("old runs", times=before + 2)

    def test_an_old_on_close_that_does_not_come_back_is_cut_short(self):
        server = self.start("function S:on_close() while true do pcall(tostring, 1) end end",
                            {"svr.reload_timeout": 0.5})
        server.project.script("function S:run() self:info('new runs') tiny.sleep(0.1) end")
        server.project.said("reload")
        self.assertEqual(server.state(), "running")

    def test_a_script_that_does_not_end_loading_is_refused(self):
        server = self.start("", {"svr.load_timeout": 0.5})
        for code in ("while true do end", "while true do pcall(function() while true do end end) end",
                     "while true do debug.sethook() end",
                     "xpcall(function() while true do end end, function() while true do end end)"):
            server.project.script(code)
            self.assert_refused(server.project, "svr.load_timeout", 1)
        self.assertEqual(server.info()["threads_lost"], 0)


if __name__ == "__main__":
    unittest.main()
