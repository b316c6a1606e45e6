-- SPDX-License-Identifier: MIT
-- tiny.civil -- dates of the Gregorian calendar as numbers of days, without any time zone.
-- The years begin in March here, so that the leap day is the last of one.
local floor = math.floor

local civil = {}

-- Days from 1970-01-01 to a date.
function civil.days(year, month, day)
  if month < 3 then year, month = year - 1, month + 12 end
  local leaps = floor(year / 4) - floor(year / 100) + floor(year / 400)
  return 365 * year + leaps + floor((153 * (month - 3) + 2) / 5) + day - 719469
end

-- year, month, day of the date that many days after 1970-01-01. 146097 days are 400 years.
function civil.date(days)
  local era = floor((days + 719468) / 146097)
  local rest = days + 719468 - era * 146097
  local year = floor((rest - floor(rest / 1460) + floor(rest / 36524) - floor(rest / 146096)) / 365)
  local day = rest - (365 * year + floor(year / 4) - floor(year / 100))
  local month = floor((5 * day + 2) / 153)
  day = day - floor((153 * month + 2) / 5) + 1
  year = year + 400 * era
  if month < 10 then return year, month + 3, day end
  return year + 1, month - 9, day
end

-- 0 is Sunday.
function civil.weekday(days) return (days + 4) % 7 end

function civil.month_days(year, month)
  if month == 12 then return 31 end
  return civil.days(year, month + 1, 1) - civil.days(year, month, 1)
end

return civil
