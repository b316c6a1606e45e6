-- SPDX-License-Identifier: MIT
-- plain.lua -- plain data: nil, booleans, numbers, strings, and tables of them that are
-- either a list 1..n or keyed by strings, without cycles and metatables.
local plain = {}

plain.depth = 100 -- tables within tables

-- The path of `key` inside `path`: db.host, db["a b"], db[2].
function plain.step(path, key)
  if type(key) ~= "string" then return ("%s[%s]"):format(path, tostring(key)) end
  if key:find("^[%a_][%w_]*$") then return path .. "." .. key end
  return ("%s[%s]"):format(path, ("%q"):format(key):gsub("\n", "n"))
end

-- cjson.null is what a conf.lua that reads JSON may hold.
local function is_null(value)
  local ok, cjson = pcall(require, "cjson")
  return ok and value == cjson.null
end

local scalar = {["nil"] = true, boolean = true, number = true, string = true}

local function is_list_index(key, length)
  return type(key) == "number" and key >= 1 and key <= length and key % 1 == 0
end

-- What a value should have been instead, or nil when it is plain by itself.
local function expected_instead(value, seen, depth)
  if scalar[type(value)] or (type(value) == "userdata" and is_null(value)) then return nil end
  if type(value) ~= "table" then return "plain data" end
  if debug.getmetatable(value) then return "plain data, but this table has a metatable" end
  if seen[value] == "open" then return "plain data, but this table contains itself" end
  if depth > plain.depth then return ("plain data, at most %d tables deep"):format(plain.depth) end
end

-- How many values a list has; 0 for a table that does not begin as one.
local function list_length(value)
  local count = 0
  if value[1] == nil then return 0 end
  for _ in next, value do count = count + 1 end
  return count
end

-- `seen` tells of each table whether it is "open", being walked, or how its walk ended.
local function walk(value, path, report, seen, depth)
  local expected = expected_instead(value, seen, depth)
  if expected then report(path, value, expected) return false end
  if type(value) ~= "table" then return true end
  if seen[value] ~= nil then return seen[value] end
  local length, good = list_length(value), true
  seen[value] = "open"
  for key, inner in next, value do
    local where = plain.step(path, key)
    if not is_list_index(key, length) and (type(key) ~= "string" or length > 0) then
      report(where, inner, "a key that is a string, or a list's 1, 2, 3 ... without a gap")
      good = false
    end
    good = walk(inner, where, report, seen, depth + 1) and good
  end
  seen[value] = good
  return good
end

-- Whether `value` is plain data; calls report(path, value, expected) for each place where it is not.
function plain.check(value, path, report)
  return walk(value, path, report, {}, 1)
end

return plain
