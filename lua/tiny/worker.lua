-- SPDX-License-Identifier: MIT
-- worker.lua -- what runs in the state of a thread timer: one function of one module.
local runtime = require "tiny.core.runtime"
require "tiny.log" -- what print is

local worker = {}

local conf, named, fn
local left = {} -- raised to end a call

-- "module.function", the module being all up to the last point.
local function load_function()
  local module, name = named:match("^(.+)%.([^.]+)$")
  local found = require(module)
  found = type(found) == "table" and found[name]
  if type(found) ~= "function" then error(("module %q has no function %q"):format(module, name), 0) end
  return found
end

local function call(missed)
  fn = fn or load_function()
  if missed >= 0 then return fn(conf, missed) end
end

local function described(err)
  if err == left then return {} end
  local text = type(err) == "string" and err or "error value is a " .. type(err)
  return { err = text, trace = debug.traceback(text, 2) }
end

-- Take a setup, if there is one, and call the function; a negative `missed` only loads it. Returns a
-- table: value, or err and trace; and loaded.
function worker.run(setup, missed)
  if setup then
    conf, named, package.path, package.cpath = setup.conf, setup.call, setup.path, setup.cpath
  end
  local ok, result = xpcall(call, described, missed)
  if ok then
    result = { value = result }
  elseif type(result) ~= "table" then -- out of memory: no handler was called
    collectgarbage()
    result = { err = result, trace = result }
  end
  result.loaded = missed < 0
  return result
end

--- os.exit closes the server, as elsewhere; the call ends at once.
function os.exit(code) -- luacheck: ignore 122
  runtime.exit(code)
  error(left, 0)
end

return worker
