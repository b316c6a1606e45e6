-- SPDX-License-Identifier: MIT
-- fuzz_cron.lua -- cron lines: refused with a reason, or due when the clock suits the line, and at
-- no minute before. The first four bytes are a time, the fifth chooses a time zone.
local calendar = require "tiny.calendar"
local civil = require "tiny.civil"

local zones = {"UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"}
local MINUTES = 300 -- looked at one by one

local function shows(rule, time)
  local minute = math.floor(time / 60)
  local days, of_day = math.floor(minute / 1440), minute % 1440
  local _, month = civil.date(days)
  return rule.months[month] and rule:suits(days, select(3, civil.date(days)))
    and rule.hours[math.floor(of_day / 60)] and rule.minutes[of_day % 60]
end

local function check_minutes(rule, time, due)
  assert(shows(rule, due), "due at a time that the line does not name")
  for minute = math.floor(time / 60) + 1, math.min(math.floor(time / 60) + MINUTES, due / 60 - 1) do
    assert(not shows(rule, minute * 60), "a time was passed over")
  end
end

return function(bytes)
  local a, b, c, d, kind = (bytes .. "\0\0\0\0\0"):byte(1, 5)
  local time, line = ((a * 256 + b) * 256 + c) * 256 + d, bytes:sub(6)
  local zone = zones[kind % #zones + 1]
  local rule, why = calendar.parse(line, zone)
  if not rule then return assert(type(why) == "string" and why ~= "") end
  local due = rule:next(time)
  if not due then return end
  assert(due > time and due == math.floor(due), "due in the past")
  assert(rule:next(due - 1) == due, "due at another time when asked later")
  if zone == "UTC" then check_minutes(rule, time, due) end
end
