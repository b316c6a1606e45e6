# SPDX-License-Identifier: MIT
"""Tasks: joining, cancelling, deadlines, retries, queues. Each test is a Lua body that runs as a
task of a real server and asserts by itself; the server's exit code says whether it came to its end."""
import unittest

from tiny_server import ServerCase

PASSED = 42
SCRIPT = """
  local seen = {{}}
  local function cancelled(fn, ...)
    local ok, err = pcall(fn, ...)
    return not ok and err == tiny.cancelled
  end
  local function body(self)
    {body}
  end
  function S:on_start()
    tiny.go(function()
      local ok, trace = xpcall(body, debug.traceback, self)
      if not ok then self:err("%s", trace) end
      self:close(0, ok and {passed} or 1)
    end)
  end
  function S:on_except(err, trace) seen[#seen + 1] = {{err = err, trace = trace}} return true end
"""


class TaskCase(ServerCase):
    def passes(self, body, conf=None):
        """Runs the body, which sees 'cancelled' and what on_except has 'seen'; returns the ended server."""
        server = self.launch(self.project(SCRIPT.format(body=body, passed=PASSED), conf))
        self.assert_closed(server, PASSED)
        return server


class Join(TaskCase):
    def test_gives_all_results_to_each_who_joins_before_or_after_the_end(self):
        self.passes("""
          local t = tiny.go(function(a, b) tiny.sleep(0.02) return a, nil, b, nil end, 1, 2)
          local other = tiny.go(function() return select("#", t:join()), t:join() end)
          assert(not t:done())
          local function check(...) assert(select("#", ...) == 4) local a, b, c = ... assert(a == 1 and b == nil and c == 2) end
          check(t:join())
          assert(t:done())
          check(t:join())
          local count, first = other:join()
          assert(count == 4 and first == 1)""")

    def test_raises_the_error_of_the_task_as_it_is(self):
        self.passes("""
          local boom = {}
          local t = tiny.go(function() tiny.sleep(0.01) error(boom) end)
          for _ = 1, 2 do
            local ok, err = pcall(t.join, t)
            assert(not ok and err == boom)
          end
          tiny.sleep(0.02)
          assert(#seen == 0)""")

    def test_passes_hundreds_of_values(self):
        self.passes("""
          local many = {}
          for i = 1, 1000 do many[i] = i end
          local t = tiny.go(function(...) tiny.sleep(0.01) return ... end, unpack(many))
          local results = {t:join()}
          assert(#results == 1000 and results[1000] == 1000)""")

    def test_of_more_results_than_lua_can_take_is_an_error_before_and_after_the_end(self):
        self.passes("""
          local t = tiny.go(function() tiny.sleep(0.01) return unpack({}, 1, 7999) end)
          for _ = 1, 2 do
            local ok, err = pcall(t.join, t)
            assert(not ok and err:find("too many results"))
          end""")

    def test_of_itself_is_refused(self):
        self.passes("""
          local t
          t = tiny.go(function() return pcall(t.join, t) end)
          local ok, err = t:join()
          assert(not ok and err:find("cannot join itself"), err)""")

    def test_of_a_cancelled_task_raises_tiny_cancelled_which_is_no_error_for_on_except(self):
        self.passes("""
          local t = tiny.go(tiny.sleep, 60)
          t:cancel()
          assert(cancelled(t.join, t))
          tiny.go(function() t:join() end)
          tiny.sleep(0.02)
          assert(#seen == 0)""")


class Errors(TaskCase):
    def test_of_a_task_that_nobody_joins_reach_on_except_with_both_places(self):
        self.passes("""
          local function deep() error("lost") end
          tiny.go(function() tiny.sleep(0.01) deep() end)
          tiny.sleep(0.05)
          assert(#seen == 1)
          assert(seen[1].err:find("main.lua:%d+: lost$"), seen[1].err)
          assert(seen[1].trace:find("in function 'deep'"), seen[1].trace)
          assert(seen[1].trace:find("task started at:%s+[^\\n]*main.lua:%d+"), seen[1].trace)""")

    def test_keep_their_traceback_through_timeout_and_parallel_and_join(self):
        self.passes("""
          local function deep() error("lost") end
          tiny.go(function() tiny.timeout(5, function() deep() end) end)
          tiny.go(function() tiny.parallel {function() deep() end} end)
          tiny.go(function() local t = tiny.go(function() deep() end) t:join() end)
          tiny.sleep(0.05)
          assert(#seen == 3, #seen)
          for _, except in ipairs(seen) do assert(except.trace:find("in function 'deep'"), except.trace) end""")

    def test_in_one_task_leave_the_others_alone(self):
        self.passes("""
          local n = 0
          for i = 1, 100 do tiny.go(function() tiny.sleep(0.001 * i) if i % 2 == 0 then error(i) end n = n + 1 end) end
          tiny.sleep(0.3)
          assert(n == 50 and #seen == 50)""")

    def test_by_a_stray_yield_are_told(self):
        self.passes("""
          tiny.go(function() coroutine.yield() end)
          tiny.sleep(0.02)
          assert(#seen == 1 and seen[1].err:find("coroutine.yield outside of a coroutine"), seen[1].err)""")


class Cancel(TaskCase):
    def test_is_raised_at_the_wait_and_at_each_later_one(self):
        self.passes("""
          local log = {}
          local t = tiny.go(function()
            for i = 1, 3 do log[i] = cancelled(tiny.sleep, 60) end
            log[4] = cancelled(tiny.sleep, 0)
            log[5] = cancelled(tiny.queue().get, tiny.queue())
            tiny.sleep(60)
          end)
          tiny.sleep(0.01)
          t:cancel()
          assert(cancelled(t.join, t))
          for i = 1, 5 do assert(log[i], i) end
          assert(#seen == 0)""")

    def test_before_it_has_begun_means_that_it_never_does(self):
        self.passes("""
          local ran
          local t = tiny.go(function() ran = true end)
          t:cancel()
          assert(cancelled(t.join, t))
          assert(not ran)""")

    def test_runs_clean_up(self):
        self.passes("""
          local cleaned
          local t = tiny.go(function()
            local ok, err = pcall(tiny.sleep, 60)
            cleaned = true
            error(err, 0)
          end)
          tiny.sleep(0.01)
          t:cancel()
          pcall(t.join, t)
          assert(cleaned)""")

    def test_of_an_ended_task_and_twice_does_nothing(self):
        self.passes("""
          local t = tiny.go(function() return 5 end)
          assert(t:join() == 5)
          t:cancel()
          assert(t:join() == 5)
          local u = tiny.go(function() pcall(tiny.sleep, 60) return 6 end)
          tiny.sleep(0.01)
          u:cancel() u:cancel()
          assert(u:join() == 6)""")

    def test_of_oneself_takes_effect_at_the_next_wait(self):
        self.passes("""
          local after
          local t
          t = tiny.go(function() t:cancel() after = true tiny.sleep(1) after = false end)
          assert(cancelled(t.join, t))
          assert(after)""")

    def test_that_is_swallowed_in_a_loop_does_not_hold_others_up(self):
        self.passes("""
          local stop
          local t = tiny.go(function() while not stop do pcall(tiny.sleep, 60) end end)
          tiny.sleep(0.01)
          t:cancel()
          for _ = 1, 100 do tiny.sleep(0) end
          stop = true
          t:join()""")

    def test_reaches_a_join_and_a_queue(self):
        self.passes("""
          local q, t = tiny.queue(1), tiny.go(tiny.sleep, 60)
          q:put(1)
          local waits = {tiny.go(function() t:join() end), tiny.go(function() q:put(2) end),
            tiny.go(function() tiny.queue():get() end)}
          tiny.sleep(0.01)
          for _, wait in ipairs(waits) do wait:cancel() end
          for _, wait in ipairs(waits) do assert(cancelled(wait.join, wait)) end
          assert(q:get() == 1 and q:count() == 0)
          assert(not t:done())
          t:cancel()""")


class Timeout(TaskCase):
    def test_returns_results_in_time_and_what_happened_otherwise(self):
        self.passes("""
          local function check(...) assert(select("#", ...) == 3) local a, b, c = ... assert(a == 1 and b == nil and c == 3) end
          check(tiny.timeout(5, function(...) tiny.sleep(0.001) return ... end, 1, nil, 3))
          local t0 = tiny.now()
          local value, why = tiny.timeout(0.05, tiny.sleep, 60)
          assert(value == nil and why == "timeout")
          assert(tiny.now() - t0 >= 0.05)
          assert(select("#", tiny.timeout(1, function() end)) == 0)""")

    def test_hands_errors_on(self):
        self.passes("""
          local boom = {}
          local ok, err = pcall(tiny.timeout, 5, function() tiny.sleep(0.001) error(boom) end)
          assert(not ok and err == boom)""")

    def test_cancels_what_it_calls_and_nothing_swallows_that(self):
        self.passes("""
          local waits = 0
          local value, why = tiny.timeout(0.02, function()
            for _ = 1, 3 do if cancelled(tiny.sleep, 60) then waits = waits + 1 end end
            return "swallowed"
          end)
          assert(value == nil and why == "timeout" and waits == 3)
          tiny.sleep(0.001) -- but we are not cancelled""")

    def test_an_error_in_its_clean_up_is_an_error(self):
        self.passes("""
          local ok, err = pcall(tiny.timeout, 0.01, function() pcall(tiny.sleep, 60) error("spilt", 0) end)
          assert(not ok and err == "spilt")""")

    def test_what_has_ended_just_in_time_is_not_late(self):
        self.passes("""
          local value = tiny.timeout(0.001, function()
            local t0 = tiny.now()
            while tiny.now() - t0 < 0.05 do end
            return "done"
          end)
          assert(value == "done")
          local q = tiny.queue()
          tiny.go(function()
            tiny.sleep(0.005)
            q:put("in time")
            local t0 = tiny.now()
            while tiny.now() - t0 < 0.05 do end -- both come up in one turn
          end)
          assert(tiny.timeout(0.03, q.get, q) == "in time")""")

    def test_nests_the_outer_one_going_first(self):
        self.passes("""
          local inner
          local value, why = tiny.timeout(0.03, function()
            inner = {pcall(tiny.timeout, 60, tiny.sleep, 60)}
            return "swallowed"
          end)
          assert(value == nil and why == "timeout")
          assert(inner[1] == false and inner[2] == tiny.cancelled)""")

    def test_nests_the_inner_one_going_first(self):
        self.passes("""
          local inner
          local value = tiny.timeout(60, function()
            inner = {tiny.timeout(0.01, tiny.sleep, 60)}
            tiny.sleep(0.001)
            return "went on"
          end)
          assert(value == "went on" and inner[1] == nil and inner[2] == "timeout")""")

    def test_both_at_once(self):
        self.passes("""
          local inner
          local value, why = tiny.timeout(0.02, function()
            local t0 = tiny.now()
            inner = {tiny.timeout(0.02, function() while tiny.now() - t0 < 0.05 do end tiny.sleep(60) end)}
            return "swallowed"
          end)
          assert(value == nil and why == "timeout")
          assert(inner == nil or inner[2] == "timeout")""")

    def test_a_cancelled_task_is_cancelled_through_it(self):
        self.passes("""
          local result
          local t = tiny.go(function() result = {pcall(tiny.timeout, 60, tiny.sleep, 60)} tiny.sleep(1) end)
          tiny.sleep(0.01)
          t:cancel()
          assert(cancelled(t.join, t))
          assert(result[1] == false and result[2] == tiny.cancelled)""")

    def test_leaves_no_timers_behind(self):
        server = self.start("""
          function S:on_start()
            for _ = 1, 1000 do tiny.timeout(3600, function() end) tiny.timeout(3600, tiny.sleep, 0) end
          end""", {"svr.timer.summary_output_time_point": False})
        self.assertEqual(server.info()["timers"], 0)
        self.assertEqual(server.close(), 0)

    def test_refuses_what_is_no_time(self):
        self.passes("""
          for _, bad in ipairs {-1, 0 / 0, "x", {}} do assert(not pcall(tiny.timeout, bad, print)) end""")


class Misuse(TaskCase):
    def test_is_told_where_it_is(self):
        self.passes("""
          local calls = {
            function() local _ = tiny.sleep(-1) end, function() local _ = tiny.sleep() end,
            function() local _ = tiny.timeout(1) end, function() local _ = tiny.timeout("x", print) end,
            function() local _ = tiny.retry({tims = 5}, print) end,
            function() local _ = tiny.retry({times = "5"}, print) end,
            function() local _ = tiny.retry({}) end, function() local _ = tiny.parallel({1}) end,
            function() local _ = tiny.parallel({print}, 0) end, function() local _ = tiny.parallel() end,
          }
          for i, call in ipairs(calls) do
            local ok, why = pcall(call)
            local first = debug.getinfo(call, "S").linedefined
            assert(not ok and why:find("main.lua:" .. first .. ": tiny.", 1, true), i .. " " .. tostring(why))
          end""")


class Retry(TaskCase):
    def test_calls_until_it_goes_well(self):
        self.passes("""
          local calls, told = 0, {}
          local a, b, c = tiny.retry({delay = 0.001, on = function(err, attempt) told[attempt] = err end}, function(x, y)
            calls = calls + 1
            if calls == 1 then error("raised", 0) end
            if calls == 2 then return nil, "returned" end
            return x, nil, y
          end, "x", "y")
          assert(a == "x" and b == nil and c == "y" and calls == 3)
          assert(#told == 2 and told[1] == "raised" and told[2] == "returned")""")

    def test_gives_up_with_the_last_error(self):
        self.passes("""
          local calls = 0
          local value, err = tiny.retry({times = 3, delay = 0.001}, function() calls = calls + 1 error({calls}) end)
          assert(value == nil and err[1] == 3 and calls == 3)""")

    def test_pauses_grow_up_to_a_limit(self):
        self.passes("""
          local at = {}
          tiny.retry({times = 5, delay = 0.02, factor = 2, max_delay = 0.05, jitter = false}, function()
            at[#at + 1] = tiny.now()
            error("no")
          end)
          local least = {0.02, 0.04, 0.05, 0.05}
          for i, pause in ipairs(least) do assert(at[i + 1] - at[i] >= pause, i) end""")

    def test_nothing_is_a_result(self):
        self.passes("""
          local calls = 0
          assert(select("#", tiny.retry(nil, function() calls = calls + 1 end)) == 0)
          assert(tiny.retry({}, function() calls = calls + 1 return false, "x" end) == false)
          assert(calls == 2)""")

    def test_does_not_outlive_its_task_or_deadline(self):
        self.passes("""
          local calls = 0
          local function fail() calls = calls + 1 tiny.sleep(0.005) error("no") end
          local value, why = tiny.timeout(0.05, tiny.retry, {times = 1e9, delay = 0.001}, fail)
          assert(value == nil and why == "timeout")
          local before = calls
          local t = tiny.go(tiny.retry, {times = 1e9, delay = 0.001}, fail)
          tiny.sleep(0.03)
          t:cancel()
          assert(cancelled(t.join, t))
          assert(calls > before)""")


class Queue(TaskCase):
    def test_hands_values_over_in_order(self):
        self.passes("""
          local q, got = tiny.queue(3), {}
          local putter = tiny.go(function() for i = 1, 100 do q:put(i) assert(q:count() <= 3) end end)
          for i = 1, 100 do got[i] = q:get() if i % 7 == 0 then tiny.sleep(0) end end
          putter:join()
          for i = 1, 100 do assert(got[i] == i) end
          assert(q:count() == 0)""")

    def test_serves_those_who_wait_in_their_order(self):
        self.passes("""
          local q, got = tiny.queue(1), {}
          for i = 1, 5 do tiny.go(function() local v = q:get() got[#got + 1] = i .. "=" .. v end) end
          tiny.sleep(0)
          for i = 1, 5 do q:put(i) end
          tiny.sleep(0.02)
          assert(table.concat(got, " ") == "1=1 2=2 3=3 4=4 5=5", table.concat(got, " "))
          for i = 1, 4 do tiny.go(function() q:put(i) end) end
          tiny.sleep(0)
          for i = 1, 4 do assert(q:get() == i) end""")

    def test_nobody_takes_what_was_promised_to_one_who_waits(self):
        self.passes("""
          local q, got = tiny.queue(1), nil
          local waiter = tiny.go(function() got = q:get() end)
          tiny.sleep(0)
          q:put("a")
          local other = tiny.go(function() return q:get() end)
          waiter:join()
          assert(got == "a")
          q:put("b")
          local putter = tiny.go(function() q:put("c") end)
          assert(other:join() == "b")
          putter:join()
          assert(q:get() == "c" and q:count() == 0)""")

    def test_loses_nothing_when_a_woken_one_is_cancelled(self):
        self.passes("""
          local q, got = tiny.queue(), nil
          local waiter = tiny.go(function() got = q:get() tiny.sleep(60) end)
          tiny.sleep(0)
          q:put("kept")
          waiter:cancel()
          assert(cancelled(waiter.join, waiter))
          assert(got == "kept")""")

    def test_waits_with_a_deadline(self):
        self.passes("""
          local q = tiny.queue(1)
          assert(select(2, tiny.timeout(0.01, q.get, q)) == "timeout")
          q:put(1)
          assert(select(2, tiny.timeout(0.01, q.put, q, 2)) == "timeout")
          assert(q:get() == 1 and q:count() == 0)
          q:put(3)
          assert(q:get() == 3)""")

    def test_many_producers_and_consumers(self):
        self.passes("""
          local q, sum, done = tiny.queue(5), 0, 0
          for p = 1, 20 do tiny.go(function() for i = 1, 50 do q:put(i) if i % 10 == p % 10 then tiny.sleep(0) end end end) end
          local consumers = {}
          for c = 1, 10 do
            consumers[c] = tiny.go(function() for _ = 1, 100 do local v = q:get() sum = sum + v if c % 2 == 0 then tiny.sleep(0) end end end)
          end
          for _, consumer in ipairs(consumers) do consumer:join() end
          assert(sum == 20 * 1275 and q:count() == 0)""")

    def test_refuses_nil_and_bad_limits(self):
        self.passes("""
          assert(not pcall(tiny.queue, 0))
          assert(not pcall(tiny.queue, "5"))
          local q = tiny.queue()
          assert(not pcall(q.put, q, nil))
          q:put(false)
          assert(q:get() == false)""")


class Parallel(TaskCase):
    def test_keeps_the_order_and_the_limit(self):
        self.passes("""
          local running, most, fns = 0, 0, {}
          for i = 1, 20 do
            fns[i] = function()
              running = running + 1
              most = math.max(most, running)
              tiny.sleep(0.001 * (20 - i))
              running = running - 1
              return i ~= 7 and i or nil
            end
          end
          local results = tiny.parallel(fns, 4)
          assert(most == 4 and results.n == 20)
          for i = 1, 20 do assert(results[i] == (i ~= 7 and i or nil)) end
          tiny.parallel(fns)
          assert(most == 20)
          assert(tiny.parallel({}).n == 0)""")

    def test_raises_the_first_error_and_cancels_the_rest(self):
        self.passes("""
          local ended, begun = 0, 0
          local fns = {function() tiny.sleep(0.01) error("first", 0) end}
          for i = 2, 10 do
            fns[i] = function() begun = begun + 1 pcall(tiny.sleep, 60) ended = ended + 1 tiny.sleep(60) end
          end
          local ok, err = pcall(tiny.parallel, fns, 5)
          assert(not ok and err == "first", err)
          assert(begun == 4 and ended == 4)
          tiny.sleep(0.01)
          assert(#seen == 0)""")

    def test_ends_with_its_caller(self):
        self.passes("""
          local ended = 0
          local function wait() pcall(tiny.sleep, 60) ended = ended + 1 end
          local value, why = tiny.timeout(0.02, tiny.parallel, {wait, wait, wait}, 2)
          assert(value == nil and why == "timeout")
          tiny.sleep(0.01)
          assert(ended == 2)""")


class Waits(TaskCase):
    def test_outside_of_a_task_say_what_to_do(self):
        self.passes("""
          local function why(fn) local ok, err = pcall(fn) assert(not ok) return err end
          local co = coroutine.wrap(function() return why(function() tiny.sleep(1) end) end)
          assert(co():find("main.lua:%d+: tiny.sleep in a coroutine that the script made: use tiny.go"))
          local got = why(function() table.sort({1, 2}, function() tiny.sleep(1) end) end)
          assert(got:find("across a C call"), got)
          local in_queue = why(function() ("x"):gsub(".", function() tiny.queue():get() end) end)
          assert(in_queue:find("main.lua:%d+: queue:get across a C call"), in_queue)
          co = coroutine.wrap(function() return why(function() tiny.timeout(1, print) end) end)
          assert(co():find("tiny.timeout in a coroutine"))""")

    def test_sleep_0_lets_everybody_run_in_turn(self):
        self.passes("""
          local order = {}
          local tasks = {}
          for i = 1, 3 do
            tasks[i] = tiny.go(function() for _ = 1, 3 do order[#order + 1] = i tiny.sleep(0) end end)
          end
          for i = 1, 3 do tasks[i]:join() end
          assert(table.concat(order) == "123123123", table.concat(order))
          local spins, stop = 0, false
          local spinner = tiny.go(function() while not stop do spins = spins + 1 tiny.sleep(0) end end)
          tiny.sleep(0.05) -- a timer still comes through
          stop = true
          spinner:join()
          assert(spins > 1)""")

    def test_a_hundred_thousand_tasks_wait_at_once(self):
        server = self.passes("""
          local n, woken = 100000, 0
          local q = tiny.queue()
          for i = 1, n do
            tiny.go(function() if i % 2 == 0 then tiny.sleep(0.5) else q:get() end woken = woken + 1 end)
          end
          tiny.sleep(0.1)
          for _ = 1, n, 2 do q:put(1) end
          while woken < n do tiny.sleep(0.05) end""")
        self.assertEqual(server.lines("ERROR"), [])

    def test_survive_an_aggressive_collector(self):
        self.passes("""
          collectgarbage("setpause", 0)
          collectgarbage("setstepmul", 1000)
          local q, n = tiny.queue(2), 0
          tiny.after(0, function() n = n + 1 end)
          for i = 1, 200 do
            tiny.go(function() tiny.timeout(0.5, q.put, q, {i}) end)
            tiny.go(function() local v = q:get() assert(v[1]) n = n + 1 end)
            local t = tiny.go(tiny.sleep, 60)
            t:cancel()
            if i % 3 == 0 then pcall(t.join, t) end
          end
          tiny.sleep(0.3)
          assert(n == 201, n)
          assert(#seen == 0)""")


if __name__ == "__main__":
    unittest.main()
