-- SPDX-License-Identifier: MIT
local calendar = require "tiny.calendar"
local civil = require "tiny.civil"

local HOUR, DAY = 3600, 86400

local function utc(year, month, day, hour, minute)
  return civil.days(year, month, day) * DAY + (hour or 0) * HOUR + (minute or 0) * 60
end

-- The next due times of a line as "MM-DD hh:mm" on the zone's wall clock, from a moment in UTC.
local function dues(line, zone, from, count)
  local rule = assert(calendar.parse(line, zone))
  local shown = {}
  for i = 1, count do
    from = rule:next(from)
    shown[i] = os.date("!%m-%d %H:%M", from + rule.zone:offset(from))
  end
  return table.concat(shown, ", ")
end

local function why(line) return select(2, calendar.parse(line)) end

describe("a cron line", function()
  it("is due strictly after the given moment", function()
    local rule = calendar.parse("*/5 * * * *", "UTC")
    assert.equal(300, rule:next(0))
    assert.equal(300, rule:next(299.9))
    assert.equal(600, rule:next(300))
    assert.equal(600, rule:next(300.5))
    assert.equal(0, rule:next(-1))
  end)

  it("takes lists, ranges and steps, alone and mixed", function()
    assert.equal("01-01 00:03, 01-01 00:10, 01-01 00:12, 01-01 00:14, 01-01 00:50",
      dues("3,10-15/2,50 * * * *", "UTC", utc(2026, 1, 1), 5))
    assert.equal("01-01 00:20, 01-01 00:40, 01-01 01:00", dues("*/20 * * * *", "UTC", utc(2026, 1, 1), 3))
    assert.equal("01-01 00:50, 01-01 00:55, 01-01 01:50", dues("50/5 * * * *", "UTC", utc(2026, 1, 1), 3))
  end)

  it("takes names of months and days in any case", function()
    assert.equal("02-02 12:00, 02-09 12:00", dues("0 12 * FEB Mon", "UTC", utc(2026, 1, 1), 2))
    assert.equal("01-02 00:00, 01-03 00:00, 01-04 00:00, 01-09 00:00",
      dues("0 0 * * fri-sun", "UTC", utc(2026, 1, 1), 4))
  end)

  it("counts Sunday as 0 and as 7", function()
    assert.equal(dues("0 0 * * 0", "UTC", 0, 3), dues("0 0 * * 7", "UTC", 0, 3))
  end)

  it("suits either the day of month or of week when both are given", function()
    assert.equal("01-02 00:00, 01-05 00:00, 01-12 00:00, 01-13 00:00",
      dues("0 0 2,13 * mon", "UTC", utc(2026, 1, 1), 4))
  end)

  it("must suit both when one of them begins with a star", function()
    assert.equal("01-05 00:00, 01-19 00:00", dues("0 0 */2 * mon", "UTC", utc(2026, 1, 1), 2))
    assert.equal("01-13 00:00, 02-13 00:00", dues("0 0 13 * *", "UTC", utc(2026, 1, 1), 2))
  end)

  it("has short names", function()
    for short, long in pairs {
      ["@yearly"] = "0 0 1 1 *", ["@annually"] = "0 0 1 1 *", ["@monthly"] = "0 0 1 * *",
      ["@weekly"] = "0 0 * * sun", ["@daily"] = "0 0 * * *", ["@midnight"] = "0 0 * * *",
      ["@hourly"] = "0 * * * *", M = "* * * * *", H = "0 * * * *", D = "0 0 * * *",
    } do
      assert.equal(dues(long, "UTC", 12345, 20), dues(short, "UTC", 12345, 20))
    end
  end)

  it("finds leap days, also over a year that has none for a century", function()
    assert.equal("02-29 09:30", dues("30 9 29 2 *", "Asia/Kolkata", utc(2026, 1, 1), 1))
    local rule = calendar.parse("30 9 29 2 *", "Asia/Kolkata")
    local first = rule:next(utc(2096, 1, 1))
    assert.equal(utc(2096, 2, 29, 4, 0), first)
    assert.equal(utc(2104, 2, 29, 4, 0), rule:next(first))
  end)

  it("goes over the ends of months and years", function()
    assert.equal("01-31 23:59, 03-31 23:59, 05-31 23:59", dues("59 23 31 * *", "UTC", utc(2026, 1, 31), 3))
    assert.equal("12-31 23:59, 01-01 00:00", dues("* * * * *", "UTC", utc(2026, 12, 31, 23, 58), 2))
  end)

  it("names the field that is wrong", function()
    assert.equal('cron line "61 * * * *": minute: 61 is not within 0-59', why("61 * * * *"))
    assert.equal('cron line "* 24 * * *": hour: 24 is not within 0-23', why("* 24 * * *"))
    assert.equal('cron line "* * 0 * *": day of month: 0 is not within 1-31', why("* * 0 * *"))
    assert.equal('cron line "* * * foo *": month: "foo" is not a month', why("* * * foo *"))
    assert.equal('cron line "* * * * mon-": day of week: "" is not a day of week', why("* * * * mon-"))
    assert.equal('cron line "5-2 * * * *": minute: 5-2 runs backwards', why("5-2 * * * *"))
    assert.equal('cron line "*/0 * * * *": minute: "0" is not a step of 1-59', why("*/0 * * * *"))
    assert.equal('cron line "*/ * * * *": minute: "" is not a step of 1-59', why("*/ * * * *"))
    assert.equal('cron line "1,,2 * * * *": minute: an item of "1,,2" is empty', why("1,,2 * * * *"))
    assert.equal('cron line "* * * *": expected five fields (minute hour day month weekday), got 4',
      why("* * * *"))
    assert.equal('cron line "@reboot": expected five fields (minute hour day month weekday), got 1',
      why("@reboot"))
    assert.equal('cron line "0 0 31 2,4 *": there is no such day', why("0 0 31 2,4 *"))
  end)
end)

describe("where the clock is put forward", function()
  local zurich = utc(2026, 3, 29) -- 02:00 becomes 03:00, at 01:00 UTC

  it("runs what is skipped once, at the jump", function()
    assert.equal("03-28 02:30, 03-29 03:00, 03-30 02:30",
      dues("30 2 * * *", "Europe/Zurich", zurich - DAY, 3))
    assert.equal(zurich + HOUR, calendar.parse("30 2 * * *", "Europe/Zurich"):next(zurich))
  end)

  it("runs several skipped ones and one at the jump itself together", function()
    assert.equal("03-29 01:40, 03-29 03:00, 03-29 03:20",
      dues("*/20 1-3 * * *", "Europe/Zurich", zurich + 30 * 60, 3))
  end)

  it("goes on hour by hour when the hour is a star", function()
    assert.equal("03-29 01:30, 03-29 03:30, 03-29 04:30", dues("30 * * * *", "Europe/Zurich", zurich, 3))
    assert.equal("03-29 01:59, 03-29 03:00", dues("M", "Europe/Zurich", zurich + 58 * 60, 2))
  end)

  it("runs a midnight that is skipped when the day begins", function()
    assert.equal("11-03 00:00, 11-04 01:00, 11-05 00:00",
      dues("D", "America/Sao_Paulo", utc(2018, 11, 2, 12), 3))
  end)

  it("can skip a whole day", function()
    assert.equal("12-29 08:00, 12-31 00:00, 12-31 08:00",
      dues("0 8 * * *", "Pacific/Apia", utc(2011, 12, 29), 3))
  end)
end)

describe("where the clock is put back", function()
  local zurich = utc(2026, 10, 25) -- 03:00 becomes 02:00, at 01:00 UTC

  it("runs what comes twice the first time", function()
    assert.equal("10-24 02:30, 10-25 02:30, 10-26 02:30",
      dues("30 2 * * *", "Europe/Zurich", zurich - DAY, 3))
    local rule = calendar.parse("30 2 * * *", "Europe/Zurich")
    assert.equal(zurich + 30 * 60, rule:next(zurich))
    for minute = 30, 120 do -- asked from within the second 02 hour
      assert.equal(zurich + DAY + 90 * 60, rule:next(zurich + minute * 60))
    end
  end)

  it("goes on hour by hour when the hour is a star", function()
    local rule = calendar.parse("H", "Europe/Zurich")
    local due = zurich - 2 * HOUR
    for _ = 1, 25 do
      assert.equal(due + HOUR, rule:next(due))
      due = due + HOUR
    end
  end)

  it("does not begin a day twice", function()
    assert.equal("02-16 00:00, 02-17 00:00, 02-18 00:00",
      dues("D", "America/Sao_Paulo", utc(2019, 2, 15, 12), 3))
    assert.equal("02-16 23:30, 02-17 23:30",
      dues("30 23 * * *", "America/Sao_Paulo", utc(2019, 2, 16, 12), 2))
    assert.equal("02-16 23:30, 02-16 23:30, 02-17 00:30",
      dues("30 * 16,17 2 *", "America/Sao_Paulo", utc(2019, 2, 17, 1), 3))
  end)

  it("is not overlooked on the way to a day far off", function()
    assert.equal("02-15 23:30, 02-15 23:30, 02-15 00:30",
      dues("30 * 15 2 *", "America/Sao_Paulo", utc(2014, 2, 16, 1), 3))
  end)
end)

-- The rules once more, as plainly as they can be said: look at each minute that passes.
local function expected(rule, from, to)
  local seen, list, offset = {}, {}, rule.zone:offset(from - DAY - 60)
  for time = from - DAY, to, 60 do
    local now = rule.zone:offset(time)
    local due = false
    for reading = time + math.min(offset, now), time + now, 60 do -- more than one at a jump
      local new = not seen[reading]
      if rule.every_hour then new = reading == time + now end
      due = due or new and rule:match(reading - 1) == reading
      seen[reading] = true
    end
    if due and time > from then list[#list + 1] = time end
    offset = now
  end
  return list
end

describe("around every kind of change", function()
  local changes = {
    {"Europe/Zurich", utc(2026, 3, 29, 1)}, {"Europe/Zurich", utc(2026, 10, 25, 1)},
    {"America/Sao_Paulo", utc(2018, 11, 4, 3)}, {"America/Sao_Paulo", utc(2019, 2, 17, 2)},
    {"Australia/Lord_Howe", utc(2026, 10, 3, 15, 30)}, {"Australia/Lord_Howe", utc(2026, 4, 4, 15)},
    {"Europe/Dublin", utc(2026, 3, 29, 1)}, {"Europe/Dublin", utc(2026, 10, 25, 1)},
    {"Africa/Casablanca", utc(2026, 2, 15, 2)}, {"Africa/Casablanca", utc(2026, 3, 22, 2)},
    {"Pacific/Apia", utc(2011, 12, 30, 10)}, {"Asia/Kolkata", utc(2024, 2, 29)},
    {"America/New_York", utc(2040, 3, 11, 7)}, {"America/New_York", utc(2040, 11, 4, 6)},
  }
  local lines = {
    "*/30 * * * *", "*/30 0-22 * * *", "15,45 1-3 * * *", "0 */2 * * *", "30 0,23 * * *",
    "0 0 * * *", "0 3 * * *", "30 * * * sun", "30 2 * * sat,sun", "59 1 * * *", "1 * 29 * *",
    "0 12 30 * *", "0 2-23 * * *",
  }
  for _, change in ipairs(changes) do
    it(("agrees with looking at each minute: %s %s"):format(change[1], os.date("!%F", change[2])), function()
      for _, line in ipairs(lines) do
        local rule = assert(calendar.parse(line, change[1]))
        local from, to = change[2] - 30 * HOUR, change[2] + 30 * HOUR
        local got, due = {}, rule:next(from)
        while due and due <= to do
          got[#got + 1] = due
          due = rule:next(due)
        end
        assert.same(expected(rule, from, to), got, line)
        for _, ask in ipairs {0, 20, 40, 70, 100} do -- and from any moment, not only from the one before
          local after = change[2] + (ask - 50) * 60
          local first
          for _, time in ipairs(got) do first = first or time > after and time end
          if first then assert.equal(first, rule:next(after), line) end
        end
      end
    end)
  end
end)
