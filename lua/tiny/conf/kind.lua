-- SPDX-License-Identifier: MIT
-- kind.lua -- the kinds of values that the runtime's keys take.
--
-- A kind is {expected = text, check = f}: f(value, path, report) returns the value in its
-- normal form, or nil after report(path, value, expected) for each mistake in it.
local calendar = require "tiny.calendar"
local nearest = require "tiny.conf.nearest"
local plain = require "tiny.conf.plain"

local kind = {}

-- A kind for anything but tables: normal(value) returns the normal form, or nil and perhaps why not.
local function scalar(expected, normal)
  return {expected = expected, check = function(value, path, report)
    local result, why = normal(value)
    if result == nil then report(path, value, why and expected .. " (" .. why .. ")" or expected) end
    return result
  end}
end

local function matching(expected, good)
  return scalar(expected, function(value)
    if type(value) == "string" and good(value) then return value end
  end)
end

kind.bool = scalar("true or false", function(value)
  if type(value) == "boolean" then return value end
end)

kind.name = matching("1 to 64 of the characters A-Z a-z 0-9 . _ -", function(value)
  return #value <= 64 and value:find("^[%w._-]+$")
end)

kind.text = matching("text", function(value) return value ~= "" and not value:find("%c") end)

kind.path = matching("a path", function(value) return value ~= "" and not value:find("%z") end)

kind.folder = matching('text that ends with "/", such as "/shop/conf/"', function(value)
  return value:find("/$") and not value:find("%c")
end)

kind.address = matching('a mail address, such as "a@x.com"', function(value)
  return value:find("^[^%s%c<>]+@[^%s%c<>@]+$")
end)

kind.url = matching('a URL, such as "http://127.0.0.1:2379"', function(value)
  return value:find("^https?://[^%s%c/]+/?$")
end)

kind.z85 = matching("a CURVE key: 40 characters of Z85", function(value)
  return #value == 40 and not value:find("[^%w.:+=^!/*?&<>()%[%]{}@%%$#-]")
end)

kind.endpoint = matching('an endpoint such as "tcp://127.0.0.1:5558" or "ipc:///run/x.ipc"', function(value)
  local host, port = value:match("^tcp://(.+):([%d*]+)$")
  if not host then return value:find("^ipc://.") and #value <= #"ipc://" + 107 end
  return (host:find("^[^%s%c/:]+$") or host:find("^%[[%w:.%%]+%]$"))
    and (port == "*" or (tonumber(port) or 65536) <= 65535)
end)

-- The one of `words` that is meant, whatever its case.
function kind.choice(...)
  local known, shown = {}, {}
  for i, word in ipairs {...} do
    known[word:lower()], shown[i] = word, ('"%s"'):format(word)
  end
  return scalar("one of " .. table.concat(shown, ", "), function(value)
    return type(value) == "string" and known[value:lower()] or nil
  end)
end

local levels = {DEBUG = "DEBUG", INFO = "INFO", WARN = "WARN", WARNING = "WARN",
  ERR = "ERROR", ERROR = "ERROR", CRITICAL = "ERROR"}

kind.level = scalar('one of "DEBUG", "INFO", "WARN", "ERROR"', function(value)
  return type(value) == "string" and levels[value:upper()] or nil
end)

-- Numbers from `least` to `most`; NaN is neither.
local function range(expected, least, most, good)
  return scalar(expected, function(value)
    if type(value) == "number" and value >= least and value <= most and good(value) then return value end
  end)
end

local longest = 1e9 -- seconds: some thirty years, and in nanoseconds it still fits 64 bits
kind.seconds = range("a number of seconds, 0 or more", 0, longest, function() return true end)
kind.span = range("a number of seconds, more than 0", 0, longest, function(value) return value > 0 end)

function kind.integer(least, most)
  return range(("a whole number from %d to %d"):format(least, most), least, most, function(value)
    return value % 1 == 0
  end)
end

local units = {[""] = 1, K = 2 ^ 10, M = 2 ^ 20, G = 2 ^ 30, T = 2 ^ 40}

-- "512M" in bytes, or nil.
local function bytes(value)
  if type(value) == "number" then return value end
  if type(value) ~= "string" then return nil end
  local number, unit = value:upper():match("^([%d.]+)%s*([KMGT]?)I?B?$")
  number = tonumber(number)
  return number and number * units[unit]
end

local function shown(size)
  local unit = size >= 2 ^ 30 and "G" or size >= 2 ^ 20 and "M" or "K"
  return ("%d%s"):format(size / units[unit], unit)
end

-- Bytes as a number or with a unit, from `least` to `most` bytes.
function kind.size(least, most)
  local expected = ('bytes, such as 1048576 or "1M", from %s to %s'):format(shown(least), shown(most))
  return scalar(expected, function(value)
    local size = bytes(value)
    if size and size >= least and size <= most then return math.floor(size) end
  end)
end

local fields = {asctime = true, levelname = true, name = true, process = true, filename = true,
  lineno = true, funcName = true, threadName = true, message = true}
local numeric = {process = true, lineno = true}

-- What is wrong with one field of a format, the text after its "%".
local function bad_field(rest)
  local name, conversion = rest:match("^%((%w*)%)[-0 +]*%d*%.?%d*(.?)")
  if not name then return 'a lone "%", write "%%" for one' end
  if not fields[name] then
    return ("%%(%s) is no field, the nearest is %%(%s)"):format(name, (nearest(name, fields)))
  end
  if conversion == "s" or (conversion == "d" and numeric[name]) then return nil end
  return ("%%(%s) must end in %s"):format(name, numeric[name] and '"d" or "s"' or '"s"')
end

kind.format = scalar('"json", or text with fields such as %(levelname)s', function(value)
  if type(value) ~= "string" or value == "" then return nil end
  for rest in value:gsub("%%%%", " "):gmatch("%%([^%%]*)") do
    local why = bad_field(rest)
    if why then return nil, why end
  end
  return value
end)

local points = {M = "M", H = "H", D = "D"}

kind.summary = scalar('"M", "H", "D", a cron line or false', function(value)
  if value == false then return false end
  if type(value) ~= "string" then return nil end
  if points[value:upper()] then return value:upper() end
  local rule, why = calendar.parse(value)
  if rule then return value end
  return nil, why
end)

kind.log_file = scalar('a path, or "" for none', function(value)
  if value == false then return "" end
  if type(value) == "string" and not value:find("%z") then return value end
end)

kind.off = scalar("false", function(value)
  if value == false then return value end
end)

-- One of several kinds: `table_kind` for tables, else the first of the others that fits.
function kind.any(table_kind, ...)
  local others, expected = {...}, {}
  for i, other in ipairs(others) do expected[i] = other.expected end
  expected[#expected + 1] = table_kind.expected
  expected = table.concat(expected, ", or ")
  return {expected = expected, check = function(value, path, report)
    if type(value) == "table" then return table_kind.check(value, path, report) end
    for _, other in ipairs(others) do
      local result = other.check(value, path, function() end)
      if result ~= nil then return result end
    end
    report(path, value, expected)
  end}
end

-- A list of at least `least` values, each as `of(index)` says.
local function list(expected, least, most, of)
  return {expected = expected, check = function(value, path, report)
    if type(value) ~= "table" or #value < least or #value > most or type(next(value)) == "string" then
      return report(path, value, expected)
    end
    local result = {}
    for i, inner in ipairs(value) do result[i] = of(i).check(inner, plain.step(path, i), report) end
    return result
  end}
end

-- A list of one or more values of one kind.
function kind.list(of)
  return list("a list, each " .. of.expected, 1, math.huge, function() return of end)
end

-- A list of fixed kinds of which the first `least` must be there.
function kind.tuple(expected, least, ...)
  local kinds = {...}
  return list(expected, least, #kinds, function(i) return kinds[i] end)
end

-- What a record was not given: its defaults, or mistakes.
local function fill(result, given, rows, path, report)
  for field, row in pairs(rows) do
    if given[field] == nil then
      result[field] = row.default
      if row.required then report(path .. "." .. field, nil, row.kind.expected) end
    end
  end
  return result
end

-- A table with the fields of `rows`, {kind=, default=, required=} each.
function kind.record(expected, rows)
  return {expected = expected, check = function(value, path, report)
    if type(value) ~= "table" then return report(path, value, expected) end
    local result = {}
    for field, inner in pairs(value) do
      local where, row = plain.step(path, field), rows[field]
      if row then
        result[field] = row.kind.check(inner, where, report)
      else
        report(where, inner, nil, path .. "." .. nearest(tostring(field), rows))
      end
    end
    return fill(result, value, rows, path, report)
  end}
end

return kind
