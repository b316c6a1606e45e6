-- SPDX-License-Identifier: MIT
-- worker.lua -- what runs in the state of a thread timer: one function of one module.
local worker = {}

local conf, named, fn

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
  if ok then result = { value = result } end
  result.loaded = missed < 0
  return result
end

-- The process is the runtime's, and runs on another thread.
function os.exit() -- luacheck: ignore 122
  error("os.exit in a thread timer: have its on_done close the server", 2)
end

return worker
