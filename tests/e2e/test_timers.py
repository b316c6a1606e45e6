# SPDX-License-Identifier: MIT
"""Timers of a real server: periods, errors, reloads, the summary, and timers with threads."""
import re
import signal
import time
import unittest
from pathlib import Path

from tiny_server import ServerCase, wait_for

QUIET = {"svr.timer.summary_output_time_point": False}


class Timers(ServerCase):
    def test_a_period_timer_does_not_drift(self):
        server = self.start("""
          function S:on_start()
            local first, calls, passed = nil, 0, 0
            self:add_timer("p", tiny.PeriodTimer(function(missed)
              first, calls, passed = first or tiny.now(), calls + 1, passed + 1 + missed
              if calls == 300 then self:info("off by %f ms", (tiny.now() - first - (passed - 1) * 0.01) * 1e3) end
            end, 0.01, 300))
          end""", QUIET)
        off = float(re.search(r"off by (\S+) ms", server.wait_line("off by"))[1])
        self.assertLess(abs(off), 10)  # one period; a timer that drifts is off by 0.6 ms a call
        wait_for(lambda: server.info()["timers"] == 0, "the timer to be gone")

    def test_errors_reach_on_except_and_the_timer_stays(self):
        server = self.start("""
          function S:on_start()
            local n = 0
            self:add_timer("p", tiny.PeriodTimer(function() n = n + 1 error("mishap " .. n) end, 0.01, 3))
            self:add_timer("own", {interval = 0.01, run = function(t) t.n = (t.n or 0) + 1 error("own " .. t.n) end})
            tiny.after(0.01, function() error("after") end)
          end
          function S:on_except(err, trace)
            self:info("on_except %s, %s", err, trace:find("stack traceback", 1, true) and "traced")
            return true
          end""", QUIET)
        for text in ("mishap 1", "mishap 2", "mishap 3", "own 1", "own 5", "after"):
            self.assertRegex(server.wait_line(text), rf"on_except \S+main.lua:\d+: {text}, traced")
        self.assertEqual(server.lines("mishap 4"), [])

    def test_a_wait_in_one_holds_the_others_back_but_not_run(self):
        server = self.start("""
          local log = {}
          function S:on_start()
            tiny.after(0.02, function() log[#log + 1] = "a" tiny.sleep(0.3) log[#log + 1] = "A" end)
            tiny.after(0.04, function() log[#log + 1] = "b" end)
            self:add_timer("c", tiny.PeriodTimer(function() log[#log + 1] = "c" end, 0.06, 1))
            tiny.after(0.5, function() self:info("order %s", table.concat(log)) end)
          end
          function S:run() log[#log + 1] = "." tiny.sleep(0.1) end""", QUIET)
        order = server.wait_line("order").rsplit(" ", 1)[1]
        self.assertRegex(order, r"^\.a\.+A\.?b\.?c\.+$")

    def test_a_stray_yield_in_one_is_told_and_the_others_go_on(self):
        server = self.start("""
          function S:on_start()
            self:add_timer("odd", tiny.PeriodTimer(function() coroutine.yield() end, 0.01, 2))
            self:add_timer("even", tiny.PeriodTimer(function() self:info("even") end, 0.02))
          end""", QUIET)
        server.wait_line("coroutine.yield outside of a coroutine", times=2)
        server.wait_line("even", times=5)

    def test_timers_fire_while_lua_is_busy_elsewhere_in_small_steps(self):
        server = self.start("""
          function S:on_start() self:add_timer("p", tiny.PeriodTimer(function() self:info("fired") end, 0.01)) end
          function S:run()
            local t0 = tiny.now()
            while tiny.now() - t0 < 0.01 do end
          end""", QUIET)
        server.wait_line("fired", times=10)

    def test_the_precision_is_configured(self):
        server = self.start("""
          function S:on_start()
            local wakes = {}
            for i = 1, 50 do tiny.after(0.1 + i * 0.002, function() wakes[math.floor(tiny.now() * 10)] = true end) end
            tiny.after(0.5, function() local n = 0 for _ in pairs(wakes) do n = n + 1 end self:info("wakes %d", n) end)
          end""", {**QUIET, "svr.timer.min_span": 0.2})
        self.assertLessEqual(int(server.wait_line("wakes").rsplit(" ", 1)[1]), 2)

    def test_nothing_due_wakes_nobody(self):
        server = self.start("function S:on_start() tiny.after(3600, function() end) end", QUIET)
        def switches():
            status = Path(f"/proc/{server.pid}/task/{server.pid}/status").read_text()
            return int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", status)[1])
        time.sleep(0.5)
        before = switches()
        time.sleep(3)
        self.assertLessEqual(switches() - before, 1)


class Reload(ServerCase):
    def test_keeps_the_phase_and_what_is_not_added_again_is_gone(self):
        body = """
          function S:on_start()
            local function tick() self:info("tick %%d %%.3f", self.generation, tiny.now() %% 1) end
            self:add_timer("p", tiny.PeriodTimer(tick, 1))
            %s
          end"""
        server = self.start(body % 'self:add_timer("gone", tiny.PeriodTimer(function() self:info("gone") end, 0.05))', QUIET)
        server.wait_line("tick 1")
        server.project.script(body % "")
        for _ in range(3):
            time.sleep(0.13)
            self.assert_reloaded(server.project)
        gone = len(server.lines("gone"))
        server.wait_line("tick 4", times=2)
        phases = [float(line.rsplit(" ", 1)[1]) for line in server.lines("tick ")]
        apart = [min(abs(phase - phases[0]), 1 - abs(phase - phases[0])) for phase in phases]
        self.assertLess(max(apart), 0.1)  # a new one would have begun 0.13 s later each time
        self.assertEqual(len(server.lines("gone")), gone)

    def test_waits_for_a_function_that_runs_and_no_other_begins(self):
        server = self.start("""
          function S:on_start()
            tiny.after(0.01, function() self:info("begins") tiny.sleep(0.3) self:info("ends") end)
            tiny.after(0.02, function() self:info("never") end)
          end
          function S:on_close() self:info("on_close") end""", QUIET)
        server.wait_line("begins")
        self.assert_reloaded(server.project)
        order = [line.split()[1] for line in server.lines() if re.search(r" (begins|ends|never|on_close)$", line)]
        self.assertEqual(order[:3], ["begins", "ends", "on_close"])

    def test_refused_goes_on_with_the_old_ones_in_their_phase(self):
        server = self.start("""
          function S:on_start()
            self:add_timer("p", tiny.PeriodTimer(function() self:info("tick %.3f", tiny.now() % 1) end, 1))
          end""", QUIET)
        server.wait_line("tick")
        server.project.script('function S:on_start() self:add_timer("p", tiny.PeriodTimer(print, 1)) error("no") end')
        time.sleep(0.3)
        self.assert_refused(server.project, "no", 1)
        server.wait_line("tick", times=3)
        phases = [float(line.rsplit(" ", 1)[1]) for line in server.lines("tick")]
        self.assertLess(max(min(abs(p - phases[0]), 1 - abs(p - phases[0])) for p in phases), 0.15)


class Misuse(ServerCase):
    def test_is_told_where_it_is(self):
        server = self.start("""function S:on_start()
          for _, wrong in ipairs {
            function() self:add_timer("t", { interval = 0, run = print }) end,
            function() self:add_timer("t", { interval = "1", run = print }) end,
            function() self:gauge("g", "high") end,
            function() self:count() end,
            function() self:close("soon") end,
            function() self:close(1, 256) end,
          } do self:info("wrong: %s", select(2, pcall(wrong))) end
        end""")
        server.wait_line("wrong: ", times=6)
        for line, at in zip(server.lines("wrong: "), range(5, 11)):
            self.assertIn(f"main.lua:{at}: ", line)


class Summary(ServerCase):
    def test_comes_at_its_time_and_at_the_end_to_log_and_status(self):
        server = self.start('function S:get_summary() return {runs = 3, state = {"fine"}} end',
                            {"svr.timer.summary_output_time_point": "* * * * *"})
        self.assertEqual(server.close(), 0)
        self.assertEqual([line.split("summary")[1].lstrip(": ") for line in server.lines("summary")],
                         ['runs=3 state=["fine"]'])

    def test_a_bad_time_point_is_refused(self):
        server = self.launch(self.project("", {"svr.timer.summary_output_time_point": "* * * *"}))
        self.assert_closed(server, 1)
        self.assertIn("five fields", server.output())


WORKER = """
local tiny = require "tiny"
local M, n = {}, 0
function M.step(conf, missed)
  n = n + 1
  tiny.log.info("step %d of %s", n, conf["svr.name"])
  return {n = n, list = {1, "two", true}}
end
function M.block() os.execute("sleep 0.4") return "slept" end
function M.stuck() os.execute("sleep 30") return "never" end
function M.fail() local function deep() error("thread mishap") end deep() end
function M.odd() return print end
function M.hoard()
  n = n + 1
  local hoard = {}
  while n % 2 == 1 do hoard[#hoard + 1] = {} end
  return "all well"
end
function M.wait() tiny.sleep(1) end
function M.go() tiny.go(print) end
return M
"""


class Threads(ServerCase):
    def threads(self, body, conf=None):
        project = self.project(body + """
          function S:on_done(key, result) self:info("done %s %s", key, result) end
          function S:on_except(err, trace) self:info("on_except %s\\n%s", err, trace) return true end""",
                               {**QUIET, **(conf or {})})
        project.write("work.lua", WORKER)
        return self.launch(project).wait_ready()

    def add(self, name, interval=0.05, more=""):
        return f"""
          function S:on_start()
            self:add_timer("t", tiny.PeriodTimer("work.{name}", {interval}), {{thread = true}})
            {more}
          end"""

    def test_results_come_back_as_plain_data(self):
        server = self.threads(self.add("step"))
        server.wait_line('done t {"list":[1,"two",true],"n":3}')
        self.assertEqual(len(server.lines("step 1 of test")), 1)

    def test_a_blocking_call_blocks_nobody_else(self):
        server = self.threads(self.add("block", more='self:add_timer("p", tiny.PeriodTimer(function() self:info("tick") end, 0.02))'))
        server.wait_line("done t slept", times=2)
        self.assertGreater(len(server.lines("tick")), 10)

    def test_errors_reach_on_except_with_their_traceback(self):
        server = self.threads(self.add("fail"))
        server.wait_line("thread mishap", times=3)
        self.assertIn("in function 'deep'", server.output())

    def test_errors_are_told_with_whose_they_are(self):
        project = self.project(self.add("fail"), QUIET)
        project.write("work.lua", WORKER)
        server = self.launch(project).wait_ready()
        self.assertRegex(server.wait_line("thread mishap"), r'ERROR thread timer "t": .*thread mishap')

    def test_the_memory_limit_holds_there_too(self):
        server = self.threads(self.add("hoard"), {"svr.lua.memory_limit": "20M"})
        server.wait_line('on_except thread timer "t": not enough memory', times=2)
        server.wait_line("done t all well")

    def test_os_exit_closes_the_server(self):
        project = self.project(self.add("leave") + "\nfunction S:on_close(reason) self:info('on_close %s', reason) end", QUIET)
        project.write("work.lua", "return { leave = function() pcall(os.exit, 300) os.exit(7) end }")
        server = self.launch(project)
        self.assert_closed(server, 7)
        self.assertEqual(server.lines("on_close"), ["INFO on_close close"])

    def test_what_is_no_plain_data_is_refused(self):
        server = self.threads(self.add("odd"))
        self.assertIn("is a function", server.wait_line("on_except"))

    def test_waits_of_tasks_say_that_it_may_block(self):
        for name, what in (("wait", "tiny.sleep"), ("go", "tiny.go")):
            server = self.threads(self.add(name))
            self.assertRegex(server.wait_line("on_except"), rf"work\.lua:\d+: {what} in a thread timer")

    def test_a_function_that_is_not_there_is_told_at_once(self):
        server = self.threads(self.add("missing", 3600))
        self.assertIn('module "work" has no function "missing"', server.wait_line("on_except"))

    def test_a_reload_replaces_the_state_after_the_running_call(self):
        server = self.threads(self.add("block", 0.02))
        server.wait_line("done t slept")
        time.sleep(0.1)
        server.project.write("work.lua", WORKER.replace('return "slept"', 'return "slept anew"'))
        _, pause = self.assert_reloaded(server.project)
        self.assertLess(pause, 300)
        server.wait_line("done t slept anew")
        done = [line.split("done t ")[1] for line in server.lines("done t ")]
        self.assertEqual(done, sorted(done, key=lambda text: text == "slept anew"))

    def test_removing_it_ends_its_thread(self):
        server = self.threads(self.add("step", more="""
          tiny.after(1, function() self:info("removed %s", self:remove_timer("t")) end)"""))
        self.assertIn("timer t", self.thread_names(server))
        server.wait_line("removed true")
        wait_for(lambda: "timer t" not in self.thread_names(server), "the thread to end")

    def thread_names(self, server):
        return [path.read_text().strip() for path in Path(f"/proc/{server.pid}/task").glob("*/comm")]

    def test_close_waits_for_the_running_call_and_its_result(self):
        server = self.threads(self.add("block", 0.05), {"svr.close.wait_lock_delay": 20})
        server.wait_line("done t slept")
        time.sleep(0.15)
        done = len(server.lines("done t slept"))
        self.assertEqual(server.close(), 0)
        self.assertEqual(len(server.lines("done t slept")), done + 1)

    def test_close_tells_whose_call_it_does_not_wait_for(self):
        server = self.threads(self.add("stuck", 0.05), {"svr.close.wait_lock_delay": 0.2})
        time.sleep(0.3)
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.exit_code(), 0)
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(len(server.lines('thread timer "t" has not come back')), 1)
        server.kill()

    def test_a_call_that_takes_too_long_is_told_while_the_server_goes_on(self):
        server = self.threads(self.add("stuck", 0.05, 'self:add_timer("p", tiny.PeriodTimer(function() self:info("tick") end, 0.1))'),
                              {"svr.timer.run_status_check_time_span": 0.5, "svr.close.wait_lock_delay": 0.1})
        server.wait_line('thread timer "t": its call has not come back')
        server.wait_line("tick", times=len(server.lines("tick")) + 3)
        self.assertEqual(server.close(), 0)
        server.kill()


if __name__ == "__main__":
    unittest.main()
