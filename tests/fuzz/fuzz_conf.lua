-- SPDX-License-Identifier: MIT
-- fuzz_conf.lua -- values of conf.lua, given as JSON: refused with a message of printable lines, or taken,
-- and then C takes them too, and taking them once more changes nothing.
local cjson = require "cjson"
local conf = require "tiny.conf"
local accept = debug.getregistry().accept -- of lua_target.c

-- Of a conf that is good, but for what the input says.
local function values_of(bytes)
  local ok, given = pcall(cjson.decode, bytes)
  if not ok or type(given) ~= "table" then return nil end
  local values = {["svr.name"] = "demo", ["svr.script"] = "demo.lua"}
  for key, value in pairs(given) do values[key] = value end
  return values
end

local function check_refusal(message)
  assert(type(message) == "string" and message ~= "", "refused without a reason")
  assert(not message:find("[%z\1-\9\11-\31\127]"), "the message holds control characters")
end

-- NaN, which cjson reads, is like itself here.
local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b or (a ~= a and b ~= b) end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- What a key of the server's own holds may be nested one table deeper than C takes it together with the
-- configuration's: that is refused there, with a reason.
local function is_own(key) return not (key:find("^svr%.") or key:find("^log%.")) end

local function without_own(values)
  local result = {}
  for key, value in pairs(values) do
    if not is_own(key) then result[key] = value end
  end
  return result
end

return function(bytes)
  local values = values_of(bytes)
  if not values then return end
  local result, message = conf.check(values, "conf.lua", "")
  if not result then return check_refusal(message) end
  local again = assert(conf.check(result, "conf.lua", ""), "its own result is refused")
  assert(same(result, again), "checking twice changes something")
  local refused = accept(without_own(result))
  assert(not refused, refused)
  assert(accept(result) ~= "", "refused without a reason")
end
