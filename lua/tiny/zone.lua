-- SPDX-License-Identifier: MIT
-- tiny.zone -- how far local time is ahead of UTC at some moment: for the process's own zone,
-- and for any other by its name, from the system's time zone files (RFC 8536), because the C
-- library can only be in one zone at a time.
-- All times are whole seconds since 1970-01-01 00:00 UTC.
local civil = require "tiny.civil"

local zone = {}
zone.__index = zone

local DAY = 86400

-- The rules of a POSIX TZ text such as "CET-1CEST,M3.5.0,M10.5.0/3": two offsets, and when in
-- the year to go from one to the other. Its offsets count westwards and its times may leave the day.

local function take_seconds(text, at)
  local sign, h, m, s, past = text:match("^([+-]?)(%d%d?%d?):?(%d?%d?):?(%d?%d?)()", at)
  if not sign then return nil, at end
  local seconds = tonumber(h) * 3600 + (tonumber(m) or 0) * 60 + (tonumber(s) or 0)
  return sign == "-" and -seconds or seconds, past
end

local function take_name(text, at)
  local past = text:match("^<[%w+-]+>()", at) or text:match("^%a%a%a+()", at)
  return past ~= nil, past or at
end

-- Functions of the year that return the day since 1970 which a rule means.
local function last_or_nth(month, week, weekday)
  return function(year)
    local first = civil.days(year, month, 1)
    local day = (weekday - civil.weekday(first)) % 7 + (week - 1) * 7
    if day >= civil.month_days(year, month) then day = day - 7 end
    return first + day
  end
end

local function day_of_year(day, skips_leap_day)
  return function(year)
    local first = civil.days(year, 1, 1)
    if skips_leap_day and day > 59 and civil.month_days(year, 2) == 29 then return first + day end
    return first + day - (skips_leap_day and 1 or 0)
  end
end

-- A function of the year, or nil when there is no such day.
local function take_day(text, at)
  local m, w, d, past = text:match("^,M(%d%d?)%.([1-5])%.([0-6])()", at)
  m = tonumber(m)
  if m then return m >= 1 and m <= 12 and last_or_nth(m, tonumber(w), tonumber(d)), past end
  m, d, past = text:match("^,(J?)(%d%d?%d?)()", at)
  d = tonumber(d)
  return d and d <= 365 and day_of_year(d, m == "J"), past
end

local function take_change(text, at)
  local day, past = take_day(text, at)
  local change = day and {seconds = 2 * 3600, day = day}
  if not change then return nil, at end
  if text:sub(past, past) == "/" then change.seconds, past = take_seconds(text, past + 1) end
  return change.seconds and change, past
end

-- Returns the rule, or nil when the text is none.
local function posix_rule(text)
  local named, at = take_name(text, 1)
  local west, summer
  west, at = take_seconds(text, at)
  if not (named and west) then return nil end
  local rule = {standard = -west, summer = -west}
  summer, at = take_name(text, at)
  if summer then
    west, at = take_seconds(text, at)
    rule.summer = west and -west or rule.standard + 3600
    if at > #text then text = text .. ",M3.2.0,M11.1.0" end
    rule.start, at = take_change(text, at)
    rule.stop, at = take_change(text, at)
    if not (rule.start and rule.stop) then return nil end
  end
  return at > #text and rule or nil
end

local function rule_offset(rule, time)
  if not rule.start then return rule.standard end
  local year = civil.date(math.floor((time + rule.standard) / DAY))
  local start = rule.start.day(year) * DAY + rule.start.seconds - rule.standard
  local stop = rule.stop.day(year) * DAY + rule.stop.seconds - rule.summer
  local inside
  if start < stop then inside = time >= start and time < stop else inside = time >= start or time < stop end
  return inside and rule.summer or rule.standard
end

-- Time zone files: tables of moments and the offsets that hold from them on; for what comes
-- after the last one a rule.

-- A signed number of so many bytes, the highest first.
local function number(data, at, size)
  local value = data:byte(at)
  if value > 127 then value = value - 256 end
  for i = at + 1, at + size - 1 do value = value * 256 + data:byte(i) end
  return value
end

-- What the header at 'at' counts, and where its block begins and ends.
local function header(data, at, time_size)
  if data:sub(at, at + 3) ~= "TZif" or #data < at + 43 then return nil end
  local function count(i) return number(data, at + 16 + 4 * i, 4) end
  local isut, isstd, leap, times, types, chars = count(1), count(2), count(3), count(4), count(5), count(6)
  local size = times * (time_size + 1) + types * 6 + chars + leap * (time_size + 4) + isstd + isut
  if math.min(isut, isstd, leap, times, chars) < 0 or types < 1 or #data < at + 43 + size then return nil end
  return {leap = leap, times = times, types = types, begin = at + 44, past = at + 44 + size}
end

-- Returns nil when a moment has a kind that is not there.
local function read_tables(data, head, size)
  local self = {times = {}, offsets = {}}
  local kinds_at = head.begin + head.times * size
  local types_at = kinds_at + head.times
  local function offset_of(kind) return number(data, types_at + 6 * kind, 4) end
  for i = 1, head.times do
    local kind = data:byte(kinds_at + i - 1)
    if kind >= head.types then return nil end
    self.times[i] = number(data, head.begin + (i - 1) * size, size)
    self.offsets[i] = offset_of(kind)
  end
  self.first = offset_of(0)
  return self
end

local function parse(data)
  local size, head = 4, header(data, 1, 4)
  if head and data:byte(5) >= 50 then -- version "2" or later has the same again with 64 bits
    size, head = 8, header(data, head.past, 8)
  end
  local self = head and read_tables(data, head, size)
  if not self then return nil, "is not a time zone file" end
  if head.leap > 0 then return nil, "counts leap seconds, which the system's clock does not" end
  self.rule = posix_rule(data:match("^\n([^\n]*)\n", head.past) or "")
  return self
end

function zone:offset(time)
  local times, low, high = self.times, 0, #self.times
  if self.rule and time >= (times[high] or -math.huge) then return rule_offset(self.rule, time) end
  while low < high do -- the last one that is not after 'time'
    local middle = math.ceil((low + high) / 2)
    if times[middle] <= time then low = middle else high = middle - 1 end
  end
  return low == 0 and self.first or self.offsets[low]
end

local function read(name, folder)
  if not name:match("^[%w][%w_+/-]*$") then return nil, "is not a time zone's name" end
  local file = io.open(folder .. "/" .. name, "rb")
  local data = file and file:read("*a")
  if file then file:close() end
  if not data then return nil, "is not in " .. folder .. " (is tzdata installed?)" end
  return parse(data)
end

-- The zone of that name, as in "Europe/Zurich", or nil and what is wrong with it. 'folder'
-- holds the files; by default that which the C library uses.
function zone.load(name, folder)
  local self, why = read(name, folder or os.getenv("TZDIR") or "/usr/share/zoneinfo")
  if not self then return nil, ("time zone %q %s"):format(name, why) end
  return setmetatable(self, zone)
end

-- The zone that the process is in: TZ, or the system's.
zone.here = {}

function zone.here.offset(_, time)
  local t = os.date("*t", time)
  return civil.days(t.year, t.month, t.day) * DAY + t.hour * 3600 + t.min * 60 + t.sec - time
end

return zone
