-- SPDX-License-Identifier: MIT
package.path = "spec/?.lua;" .. package.path
local civil = require "tiny.civil"
local fake = require "fake_timers"

local clock, timer, began
local function fresh(kept)
  clock = fake.new(kept)
  timer = clock.timer
  began = clock.mono
end
before_each(function() fresh() end)

-- Seconds since the test began, to the microsecond.
local function now() return math.floor((clock.mono - began) / 1e3 + 0.5) / 1e6 end

-- A function that notes when it is called, and a list of these times.
local function noting(and_then)
  local times = {}
  return function(...)
    times[#times + 1] = now()
    if and_then then return and_then(#times, ...) end
  end, times
end

describe("a period timer", function()
  it("is called every interval", function()
    local fn, times = noting()
    timer.add("a", timer.PeriodTimer(fn, 0.5))
    clock:advance(2.2)
    assert.same({0.5, 1, 1.5, 2}, times)
  end)

  it("does not drift over a million calls", function()
    local calls = 0
    timer.add("a", timer.PeriodTimer(function() calls = calls + 1 end, 0.01))
    clock:advance(10000)
    assert.equal(1e6, calls)
    assert.equal(0, clock.mono - began - 10000e9)
  end)

  it("runs max_run_count times", function()
    local fn, times = noting()
    timer.add("a", timer.PeriodTimer(fn, 1, 3))
    clock:advance(10)
    assert.same({1, 2, 3}, times)
    assert.equal(0, clock:pending())
    assert.is_true(timer.add("a", timer.PeriodTimer(fn, 1)))
  end)

  it("keeps its phase when its function takes long, and is told what it missed", function()
    local missed_list = {}
    local fn, times = noting(function(count, missed)
      missed_list[count] = missed
      if count == 2 then fake.sleep(3.3) end
    end)
    timer.add("a", timer.PeriodTimer(fn, 1))
    clock:advance(8)
    assert.same({1, 2, 5.3, 6, 7, 8}, times)
    assert.same({0, 0, 2, 0, 0, 0}, missed_list)
  end)

  it("runs once, at once, when the process was away", function()
    local missed_list = {}
    local fn, times = noting(function(count, missed) missed_list[count] = missed end)
    timer.add("a", timer.PeriodTimer(fn, 1))
    clock:advance(1)
    clock:freeze(100.5)
    clock:advance(1)
    assert.same({1, 101.5, 102}, times)
    assert.same({0, 99, 0}, missed_list)
  end)

  it("stays when its function raises", function()
    local fn, times = noting(function(count) if count == 2 then error("no", 0) end end)
    timer.add("a", timer.PeriodTimer(fn, 1, 4))
    clock:advance(9)
    assert.same({1, 2, 3, 4}, times)
    assert.same({"no"}, clock.errors)
  end)

  it("refuses bad arguments where it is made", function()
    local bad = {{nil, 1}, {print}, {print, 0}, {print, -1}, {print, "1"}, {print, 0 / 0}, {print, 1, 0}}
    for _, args in ipairs(bad) do
      local ok, why = pcall(timer.PeriodTimer, unpack(args, 1, 3))
      assert.is_false(ok)
      assert.matches("PeriodTimer: ", why)
    end
    local _, why = pcall(function() timer.PeriodTimer(print, -1) end)
    assert.matches("spec/timer_spec.lua:%d+: ", why)
  end)
end)

describe("timers", function()
  it("run one after the other, their waits included", function()
    local log = {}
    local function slow(name)
      return function()
        log[#log + 1] = name .. " begins " .. now()
        fake.sleep(0.4)
        log[#log + 1] = name .. " ends " .. now()
      end
    end
    timer.add("a", timer.PeriodTimer(slow("a"), 1, 1))
    timer.add("b", timer.PeriodTimer(slow("b"), 1.1, 1))
    timer.after(1.2, slow("c"))
    clock:advance(3)
    assert.same({"a begins 1", "a ends 1.4", "b begins 1.4", "b ends 1.8", "c begins 1.8", "c ends 2.2"}, log)
  end)

  it("have keys of their own", function()
    local fn = noting()
    assert.is_true(timer.add("a", timer.PeriodTimer(fn, 1)))
    assert.is_false(timer.add("a", timer.PeriodTimer(fn, 1)))
    assert.is_true(timer.remove("a"))
    assert.is_false(timer.remove("a"))
    assert.is_true(timer.add("a", timer.PeriodTimer(fn, 1)))
    assert.is_false(timer.remove("b"))
    assert.is_false(timer.remove(12345))
    assert.is_false(timer.remove(nil))
  end)

  it("may be removed and added again by their own function", function()
    local fn, times = noting()
    local function again()
      fn()
      assert.is_true(timer.remove("a"))
      if #times < 3 then assert.is_true(timer.add("a", timer.PeriodTimer(again, #times + 1))) end
    end
    timer.add("a", timer.PeriodTimer(again, 1))
    clock:advance(20)
    assert.same({1, 3, 6}, times)
    assert.equal(0, clock:pending())
  end)

  it("may be removed while they wait for their turn", function()
    local fn, times = noting()
    timer.add("a", timer.PeriodTimer(function() timer.remove("b") end, 1))
    timer.add("b", timer.PeriodTimer(fn, 1))
    clock:advance(5)
    assert.same({}, times)
  end)

  it("refuse what is none", function()
    for _, args in ipairs {{nil, {run = print}}, {"a"}, {"a", {}}, {"a", print}, {0 / 0, {run = print}}} do
      local ok, why = pcall(timer.add, unpack(args, 1, 2))
      assert.is_false(ok)
      assert.matches("add_timer: a ", why)
    end
  end)

  it("share one object without sharing their counts", function()
    local fn, times = noting()
    local what = timer.PeriodTimer(fn, 1, 2)
    timer.add("a", what)
    timer.add("b", what)
    clock:advance(5)
    assert.same({1, 1, 2, 2}, times)
  end)
end)

describe("a timer of the script's own", function()
  it("is called with the wall time every second by default, as long as it returns true", function()
    local seen = {}
    local own = {run = function(self, wall)
      seen[#seen + 1] = wall - 1.6e9
      self.count = (self.count or 0) + 1
      return self.count < 3
    end}
    timer.add("own", own)
    clock:advance(10)
    assert.same({1, 2, 3}, seen)
    assert.is_true(timer.add("own", own))
  end)

  it("may have fields of any name", function()
    local fn, times = noting()
    timer.add("own", {fn = error, rule = 5, max_run_count = 1, run = function() fn() return true end})
    clock:advance(3)
    assert.same({1, 2, 3}, times)
  end)

  it("may change its interval", function()
    local fn, times = noting()
    timer.add("own", {interval = 1, run = function(self)
      fn()
      self.interval = self.interval * 2
      return true
    end})
    clock:advance(20)
    assert.same({1, 3, 7, 15}, times)
  end)

  it("takes one second for an interval that is none", function()
    local fn, times = noting()
    timer.add("own", {interval = 0.5, run = function(self)
      fn()
      self.interval = ({"x", -1, 0 / 0, 0})[#times]
      return #times < 5
    end})
    clock:advance(20)
    assert.same({0.5, 1.5, 2.5, 3.5, 4.5}, times)
  end)

  it("stays when it raises", function()
    local fn, times = noting(function(count) if count < 3 then error("no", 0) end end)
    timer.add("own", {run = function() fn() return false end})
    clock:advance(9)
    assert.same({1, 2, 3}, times)
  end)
end)

describe("after and every", function()
  it("call a function once, and again and again", function()
    local once, times = noting()
    local often, often_times = noting()
    timer.after(1.5, once)
    timer.after(0, once)
    timer.every(1, often)
    clock:advance(3)
    assert.same({0, 1.5}, times)
    assert.same({1, 2, 3}, often_times)
  end)

  it("return what remove takes", function()
    local fn, times = noting()
    local a, b = timer.after(1, fn), timer.every(1, fn)
    assert.is_true(timer.remove(a))
    assert.is_true(timer.remove(b))
    assert.is_false(timer.remove(a))
    clock:advance(3)
    assert.same({}, times)
  end)

  it("go on after an error", function()
    local fn, times = noting()
    timer.after(1, function() error("no", 0) end)
    timer.after(1, fn)
    clock:advance(2)
    assert.same({1}, times)
    assert.same({"no"}, clock.errors)
  end)

  it("refuse bad arguments", function()
    for _, args in ipairs {{-1, print}, {"1", print}, {0 / 0, print}, {1}} do
      assert.is_false((pcall(timer.after, unpack(args, 1, 2))))
      assert.is_false((pcall(timer.every, unpack(args, 1, 2))))
    end
  end)
end)

-- The wall clock of a test, in UTC.
local function set_clock(...)
  local year, month, day, hour, minute, second = ...
  clock.wall = civil.days(year, month, day) * 86400 + (hour or 0) * 3600 + (minute or 0) * 60 + (second or 0)
end

local function clock_text(time) return os.date("!%d %H:%M:%S", math.floor(time)) end

-- A cron timer that notes when it ran, for which point, and what it missed.
local function cron(line, tz)
  local list = {}
  timer.add("cron", timer.CronTimer(function(missed, due)
    list[#list + 1] = ("%s for %s missed %d"):format(clock_text(clock.wall), clock_text(due), missed)
  end, line, {tz = tz or "UTC"}))
  return list
end

describe("a calendar timer", function()
  it("is called when the wall clock suits it", function()
    set_clock(2026, 5, 1, 11, 59, 30.25)
    local list = cron("*/2 * * * *")
    clock:advance(300)
    assert.same({"01 12:00:00 for 01 12:00:00 missed 0", "01 12:02:00 for 01 12:02:00 missed 0",
      "01 12:04:00 for 01 12:04:00 missed 0"}, list)
  end)

  it("comes at each full minute, hour and day", function()
    for span, expected in pairs {M = 26 * 60, H = 26, D = 1} do
      fresh()
      set_clock(2026, 5, 1, 23, 0, 30) -- full hours are full hours of the specs' own zone, too
      local count = 0
      timer.add("f", timer.FixedPeriodTimer(function() count = count + 1 end, span))
      clock:advance(26 * 3600)
      assert(count == expected or span == "D" and count == 2, span .. count)
    end
  end)

  it("runs max_run_count times", function()
    local count = 0
    timer.add("m", timer.FixedPeriodTimer(function() count = count + 1 end, "M", 2))
    timer.add("c", timer.CronTimer(function() count = count + 1 end, "* * * * *", {max_run_count = 3}))
    clock:advance(600)
    assert.equal(5, count)
  end)

  it("runs once, at once, when points were missed, and is told how many", function()
    set_clock(2026, 5, 1, 11, 59, 0)
    local list = cron("*/10 * * * *")
    clock:advance(90)
    clock:freeze(35 * 60)
    clock:advance(240)
    assert.same({"01 12:00:00 for 01 12:00:00 missed 0", "01 12:35:30 for 01 12:30:00 missed 2"}, list)
  end)

  it("runs what a step forward has jumped over once", function()
    set_clock(2026, 5, 1, 11, 59, 0)
    local list = cron("0 * * * *")
    clock:advance(90)
    clock.wall = clock.wall + 2 * 3600
    clock:advance(3600)
    assert.same({"01 12:00:00 for 01 12:00:00 missed 0", "01 14:00:31 for 01 14:00:00 missed 1",
      "01 15:00:00 for 01 15:00:00 missed 0"}, list)
  end)

  it("does not run again what a step back repeats", function()
    set_clock(2026, 5, 1, 11, 59, 0)
    local list = cron("*/30 * * * *")
    clock:advance(90)
    clock.wall = clock.wall - 2 * 3600
    clock:advance(3 * 3600)
    assert.same({"01 12:00:00 for 01 12:00:00 missed 0", "01 12:30:00 for 01 12:30:00 missed 0",
      "01 13:00:00 for 01 13:00:00 missed 0"}, list)
  end)

  it("runs what comes again after a step back if it had not run yet", function()
    set_clock(2026, 5, 1, 12, 1, 0)
    local list = cron("0 12 * * *")
    clock:advance(10)
    clock.wall = clock.wall - 2 * 3600
    clock:advance(3 * 3600)
    assert.same({"01 12:00:00 for 01 12:00:00 missed 0"}, list)
  end)

  it("takes a step back by more than three hours for the mending of a wrong clock", function()
    set_clock(2036, 5, 1, 11, 59, 0)
    local list = cron("0 * * * *")
    clock:advance(90)
    set_clock(2026, 5, 1, 11, 0, 30)
    clock:advance(3600)
    assert.same({"01 12:00:00 for 01 12:00:00 missed 0", "01 12:00:00 for 01 12:00:00 missed 0"}, list)
  end)

  it("survives a clock that jumps by half a century", function()
    set_clock(1970, 1, 1, 0, 0, 30)
    local list = cron("* * * * *")
    clock:advance(60)
    set_clock(2026, 5, 1, 12, 0, 30)
    clock:advance(60)
    assert.equal(3, #list)
    assert.matches("^01 12:00:31 for .* missed 10000$", list[2])
    assert.equal("01 12:01:00 for 01 12:01:00 missed 0", list[3])
  end)

  it("says what is wrong with a line or a zone where it is made", function()
    local _, why = pcall(function() timer.CronTimer(print, "61 * * * *") end)
    assert.matches('spec/timer_spec.lua:%d+: CronTimer: cron line "61 [^:]*: minute: 61 is not', why)
    _, why = pcall(function() timer.CronTimer(print, "* * * * *", {tz = "Mars/Olympus"}) end)
    assert.matches('CronTimer: time zone "Mars/Olympus"', why)
    for _, args in ipairs {{print, "X"}, {print}, {nil, "M"}, {print, "M", 0}} do
      assert.is_false((pcall(timer.FixedPeriodTimer, unpack(args, 1, 3))))
    end
    assert.is_false((pcall(timer.CronTimer, print, 5)))
    _, why = pcall(function() timer.CronTimer(print, "* * * * *", {timezone = "UTC"}) end)
    assert.matches("spec/timer_spec.lua:%d+: CronTimer: unknown option timezone", why)
  end)
end)

-- What one generation leaves to the next.
local function reload(seconds)
  timer.stop()
  local kept, mono, wall, first = clock.kept, clock.mono, clock.wall, began
  fresh(kept)
  clock.mono, clock.wall, began = mono, wall, first
  clock:freeze(seconds)
end

describe("a reload", function()
  it("keeps the phase of a timer with the same key, kind and interval", function()
    local fn, times = noting()
    timer.add("a", timer.PeriodTimer(fn, 1))
    clock:advance(2.3)
    reload(0.1)
    timer.add("a", timer.PeriodTimer(fn, 1))
    timer.serve()
    clock:advance(2)
    assert.same({1, 2, 3, 4}, times)
  end)

  it("runs at once what it has missed itself", function()
    local missed_list = {}
    local fn, times = noting(function(count, missed) missed_list[count] = missed end)
    timer.add("a", timer.PeriodTimer(fn, 1))
    clock:advance(2.3)
    reload(2)
    timer.add("a", timer.PeriodTimer(fn, 1))
    timer.serve()
    clock:advance(1)
    assert.same({1, 2, 4.3, 5}, times)
    assert.same({0, 0, 1, 0}, missed_list)
  end)

  it("lets a timer begin anew that has another interval or kind", function()
    local fn, times = noting()
    timer.add("a", timer.PeriodTimer(fn, 10))
    timer.add("b", timer.PeriodTimer(fn, 1))
    clock:advance(0.3)
    reload(0)
    timer.add("a", timer.PeriodTimer(fn, 1))
    timer.add("b", {interval = 1, run = fn})
    timer.serve()
    clock:advance(1)
    assert.same({1.3, 1.3}, times)
  end)

  it("lets a timer begin anew that was removed and added again", function()
    local fn, times = noting()
    timer.add("a", timer.PeriodTimer(fn, 1))
    clock:advance(0.3)
    reload(0)
    timer.add("a", timer.PeriodTimer(fn, 1))
    timer.remove("a")
    timer.add("a", timer.PeriodTimer(fn, 1))
    clock:advance(1.5)
    assert.same({1.3}, times)
  end)

  it("keeps the phase of one that is added later, without making up for the time between", function()
    local fn, times = noting()
    timer.add("a", timer.PeriodTimer(fn, 1))
    clock:advance(0.3)
    reload(0)
    timer.serve()
    clock:advance(5.5)
    timer.add("a", timer.PeriodTimer(fn, 1))
    clock:advance(1)
    assert.same({6}, times)
  end)

  it("neither loses nor repeats a point of the calendar", function()
    set_clock(2026, 5, 1, 11, 59, 58)
    local list = cron("* * * * *")
    clock:advance(3)
    reload(0)
    assert.equal(1, #list)
    list = cron("* * * * *")
    timer.serve()
    clock:advance(50)
    assert.same({}, list)
    reload(20)
    list = cron("* * * * *")
    timer.serve()
    clock:advance(10)
    assert.same({"01 12:01:12 for 01 12:01:00 missed 0"}, list)
  end)

  it("may come together with the mending of the clock", function()
    set_clock(2036, 5, 1, 11, 59, 58)
    cron("0 * * * *")
    clock:advance(3)
    timer.stop()
    fresh(clock.kept)
    set_clock(2026, 5, 1, 11, 59, 58)
    local list = cron("0 * * * *")
    clock:advance(3)
    assert.same({"01 12:00:00 for 01 12:00:00 missed 0"}, list)
  end)

  it("stops timers for good, also one that is being run", function()
    local fn, times = noting(function() fake.sleep(1) end)
    timer.add("a", timer.PeriodTimer(fn, 1))
    timer.after(3, fn)
    clock:advance(1.5)
    timer.stop()
    clock:advance(10)
    assert.same({1}, times)
    assert.is_nil(timer.after(1, fn))
    assert.is_true(timer.add("a", timer.PeriodTimer(fn, 1)))
    clock:advance(10)
    assert.same({1}, times)
  end)
end)

describe("a thread timer", function()
  it("asks for a call, and for the next one when that has come back", function()
    timer.add("t", timer.PeriodTimer("my.module.step", 1), {["svr.name"] = "x"})
    assert.equal("t", clock.opened.key)
    assert.equal("my.module.step", clock.opened.setup.call)
    assert.equal(package.path, clock.opened.setup.path)
    clock:advance(3.5)
    assert.same({{7, 0}}, clock.calls)
    timer.returned("t", 7)
    clock:advance(1)
    assert.same({{7, 0}, {7, 1}}, clock.calls)
    timer.returned("t", 6) -- another one's, of an older generation
    clock:advance(5)
    assert.equal(2, #clock.calls)
    timer.remove("t")
    assert.equal(7, clock.closed)
    timer.returned("t", 7)
    clock:advance(5)
    assert.equal(2, #clock.calls)
  end)

  it("names its function, and others do not", function()
    local conf = {}
    local named = timer.PeriodTimer("a.b", 1)
    for _, args in ipairs {{"t", timer.PeriodTimer(print, 1), conf}, {"t", named}, {"t", {run = print}, conf},
      {1, named, conf}, {"t", timer.PeriodTimer("a", 1), conf}} do
      local ok, why = pcall(timer.add, unpack(args, 1, 3))
      assert.is_false(ok)
      assert.matches("add_timer: ", why)
    end
  end)
end)
