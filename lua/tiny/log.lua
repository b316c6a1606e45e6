--- The log as Lua sees it: tiny.log.debug, info, warn and err, the methods of the same
--- names that a server has, and print.
local core = require "tiny.core.log"
local show = require "tiny.log.show"

local on, put = core.on, core.put   -- on.debug and so on: whether some sink wants the level

---@class tiny.Log
---@field debug fun(fmt: any, ...)  log string.format(fmt, ...), or fmt as it is when nothing follows
---@field info fun(fmt: any, ...)
---@field warn fun(fmt: any, ...)
---@field err fun(fmt: any, ...)
local log = {}

-- A call that no sink wants must compile to nothing, so the check is here in Lua.
-- C shows the file and line of whoever calls these functions: they must call `put`
-- themselves, and not as a tail call.
local function logger(name, level)
  local function call(fmt, ...)
    if on[name] then put(level, fmt, ...) end
  end
  local function method(_, fmt, ...)
    if on[name] then put(level, fmt, ...) end
  end
  return call, method
end

local methods = {}
for level, name in ipairs { "debug", "info", "warn", "err" } do
  log[name], methods[name] = logger(name, level - 1)
end

--- debug, info, warn and err as functions that take self first.
function log.methods()
  return methods.debug, methods.info, methods.warn, methods.err
end

--- What print is replaced by: a line at INFO.
function print(...) -- luacheck: ignore 121
  if not on.info then return end
  local words = { ... }
  for i = 1, select("#", ...) do words[i] = show.text(words[i]) end
  put(1, table.concat(words, "\t"))
end

-- The arguments of a call that C does not format itself.
core.render = show.render

return log
