-- SPDX-License-Identifier: MIT
-- tiny.calendar -- when a calendar timer is due: cron lines and the next wall time they mean.
--
-- What happens when the clock is put forward or back in a time zone:
-- * A line that names its hours means local times, each once. One that is skipped is due at
--   the moment of the jump, one that comes twice is due the first time.
-- * A line whose hour is "*" goes with the hours as they pass: it is due whenever the wall
--   clock shows such a minute, also in the hour that comes twice.
local civil = require "tiny.civil"
local zone = require "tiny.zone"

local calendar = {}
local rule = {}
rule.__index = rule

local DAY = 86400
local floor = math.floor

-- Parsing. A field becomes a table of the numbers that it allows.

local MONTHS = {
  jan = 1, feb = 2, mar = 3, apr = 4, may = 5, jun = 6,
  jul = 7, aug = 8, sep = 9, oct = 10, nov = 11, dec = 12,
}
local DAYS = {sun = 0, mon = 1, tue = 2, wed = 3, thu = 4, fri = 5, sat = 6}
local FIELDS = {
  {key = "minutes", name = "minute", low = 0, high = 59},
  {key = "hours", name = "hour", low = 0, high = 23},
  {key = "days", name = "day of month", low = 1, high = 31},
  {key = "months", name = "month", low = 1, high = 12, words = MONTHS},
  {key = "weekdays", name = "day of week", low = 0, high = 7, words = DAYS},
}
local SHORT = {
  ["@yearly"] = "0 0 1 1 *", ["@annually"] = "0 0 1 1 *", ["@monthly"] = "0 0 1 * *",
  ["@weekly"] = "0 0 * * 0", ["@daily"] = "0 0 * * *", ["@midnight"] = "0 0 * * *",
  ["@hourly"] = "0 * * * *",
  M = "* * * * *", H = "0 * * * *", D = "0 0 * * *",
}

local function bad(field, format, ...) error({field.name .. ": " .. format:format(...)}) end

local function value_of(field, text)
  local value = field.words and field.words[text:lower()] or text:match("^%d+$") and tonumber(text)
  if not value then bad(field, "%q is not a %s", text, field.name) end
  if value < field.low or value > field.high then
    bad(field, "%s is not within %d-%d", text, field.low, field.high)
  end
  return value
end

local function range_of(field, text, stepped)
  if text == "*" then return field.low, field.high end
  local from, to = text:match("^([^-]*)%-(.*)$")
  local low = value_of(field, from or text)
  if not from then return low, stepped and field.high or low end
  local high = value_of(field, to)
  if high == 0 and field.words == DAYS then high = 7 end -- fri-sun
  if high < low then bad(field, "%s runs backwards", text) end
  return low, high
end

local function add_item(field, set, item)
  local range, step = item:match("^([^/]*)/(.*)$")
  local low, high = range_of(field, range or item, step ~= nil)
  local by = tonumber((step or "1"):match("^%d+$")) or 0
  if by < 1 or by > field.high then bad(field, "%q is not a step of 1-%d", step, field.high) end
  for value = low, high, by do set[value] = true end
end

local function field_of(field, text)
  local set = {}
  for item in (text .. ","):gmatch("([^,]*),") do
    if item == "" then bad(field, "an item of %q is empty", text) end
    add_item(field, set, item)
  end
  return set
end

local function parse_fields(line)
  local texts, self = {}, setmetatable({}, rule)
  for text in (SHORT[line] or line):gmatch("%S+") do texts[#texts + 1] = text end
  if #texts ~= 5 then
    error({("expected five fields (minute hour day month weekday), got %d"):format(#texts)})
  end
  for i, field in ipairs(FIELDS) do self[field.key] = field_of(field, texts[i]) end
  self.weekdays[0] = self.weekdays[0] or self.weekdays[7]
  -- As in every cron: a day has to suit both fields when one begins with "*", else either.
  self.either_day = not (texts[3]:find("^%*") or texts[5]:find("^%*"))
  return self
end

local function names_all_hours(self)
  for hour = 0, 23 do
    if not self.hours[hour] then return false end
  end
  return true
end

-- The rule of a cron line, of "@hourly" and its like, or of "M", "H", "D" (each full minute,
-- hour, day), in the named time zone or the process's own; or nil and what is wrong with it.
function calendar.parse(line, zone_name)
  local here, why = zone.here, nil
  if zone_name then here, why = zone.load(zone_name) end
  if not here then return nil, why end
  local ok, self = pcall(parse_fields, line)
  if not ok then return nil, ("cron line %q: %s"):format(line, type(self) == "table" and self[1] or self) end
  self.zone = here
  self.every_hour = names_all_hours(self)
  if not self:match(0) then return nil, ("cron line %q: there is no such day"):format(line) end
  return self
end

-- The next local time that matches, as seconds on the wall clock without any time zone.

function rule:suits(days, day)
  local by_date, by_week = self.days[day], self.weekdays[civil.weekday(days)]
  if self.either_day then return by_date or by_week end
  return by_date and by_week
end

function rule:minute_from(minute)
  for hour = floor(minute / 60), 23 do
    for m = self.hours[hour] and minute % 60 or 60, 59 do
      if self.minutes[m] then return hour * 60 + m end
    end
    minute = 0
  end
end

-- The first match after 'reading'; nil when none comes within a century.
function rule:match(reading)
  local minute = floor(reading / 60) + 1
  local days = floor(minute / 1440)
  local last = days + 36525
  minute = minute % 1440
  while days < last do
    local year, month, day = civil.date(days)
    local found = self.months[month] and self:suits(days, day) and self:minute_from(minute)
    if found then return days * DAY + found * 60 end
    days = self.months[month] and days + 1 or days - day + 1 + civil.month_days(year, month)
    minute = 0
  end
end

-- From local times to moments.

-- The first moment after 'from', not after 'to', with another offset than 'from' has.
local function find_change(here, from, to)
  local offset = here:offset(from)
  while to - from > 1 do
    local middle = floor((from + to) / 2)
    if here:offset(middle) == offset then from = middle else to = middle end
  end
  return to
end

-- What the clock shows at 'time'; in an hour that comes twice, for a rule that takes its
-- local times once: the last that it showed before it was put back.
function rule:reading(time)
  local offset, before = self.zone:offset(time), self.zone:offset(time - DAY)
  if self.every_hour or before <= offset then return time + offset end
  local change = find_change(self.zone, time - DAY, time)
  return math.max(time + offset, change + before - 1)
end

-- The next due time strictly after 'after', in seconds since 1970.
function rule:next(after)
  local time = floor(after)
  local offset, reading = self.zone:offset(time), self:reading(time)
  local found = self:match(reading)
  while found do
    local due = found - offset
    local near = math.min(due, time + DAY)
    local offset_near = self.zone:offset(near)
    if offset_near == offset then
      if near == due then return due end
      time = near
    else
      local change = find_change(self.zone, time, near)
      if not self.every_hour and found < change + offset_near then return change end -- skipped
      if self.every_hour then found = self:match(change + offset_near - 1) end
      time, offset = change, offset_near
    end
  end
end

return calendar
