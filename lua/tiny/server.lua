--- The class that a server script extends. What its methods do is the runtime's;
--- the callbacks are the script's: on_start, on_reload, on_close(reason),
--- on_except(err, trace), get_summary, run, on_done(key, result), on_active(token),
--- on_standby(reason).
local log = require "tiny.log"
local problem_of = require "tiny.options"
local runtime = require "tiny.core.runtime"
local saver = require "tiny.core.saver"
local task = require "tiny.task"
local timer = require "tiny.timer"

---@class tiny.Server
---@field name string            svr.name
---@field conf table             the configuration, this generation's copy
---@field context table          plain data that lives on across reloads
---@field args string[]          what followed the script on the command line
---@field generation integer     1, 2, ...
---@field token? integer         the fencing token of this term as the active; nil without svr.cluster.etcd
---@field on_start? fun(self)    acquire: open, listen, add timers
---@field on_reload? fun(self)   after a reload, before on_start
---@field on_close? fun(self, reason: string)  release; "close", "reload", "error", "hung" or "standby"
---@field on_active? fun(self, token: integer)  elected: before on_start
---@field on_standby? fun(self, reason: string)  not the active any more: after on_close("standby")
---@field on_except? fun(self, err: any, trace: string): boolean?  true: go on
---@field get_summary? fun(self): string|table
---@field run? fun(self)         called again and again; may wait, must not spin
---@field on_done? fun(self, key: string, result: any)  a thread timer's result
---@field debug fun(self, fmt: any, ...)  log string.format(fmt, ...), or fmt as it is when nothing follows
---@field info fun(self, fmt: any, ...)
---@field warn fun(self, fmt: any, ...)
---@field err fun(self, fmt: any, ...)
local Server = {}
Server.__index = Server

--- A new class with this one's methods.
---@return tiny.Server
function Server:extend()
  local class = setmetatable({}, { __index = self })
  class.__index = class
  return class
end

Server.debug, Server.info, Server.warn, Server.err = log.methods()

--- Add a timer under a key. False when the key is taken.
---@param key string
---@param what table     PeriodTimer and so on, or a table with run(self, now)
---@param options? {thread: boolean}  a thread and a Lua state of its own: it may block
---@return boolean
function Server:add_timer(key, what, options)
  local problem = options and problem_of(options, { thread = "boolean" })
  if problem then error("add_timer: " .. problem, 2) end
  return timer.add(key, what, options and options.thread and self.conf)
end

--- Remove the timer of that key. False when there is none.
---@param key string
---@return boolean
function Server:remove_timer(key)
  return timer.remove(key)
end

--- A sign of life from a run that takes long.
function Server:running_report()
  runtime.run_sign(true)
end

--- Close the server after `delay` seconds with this exit code.
---@param delay? number   0
---@param code? integer   0
function Server:close(delay, code)
  runtime.close(delay, code)
end

--- Ask for a reload; it begins once this callback has come back or waits.
function Server:reload()
  runtime.reload()
end

--- Save the context, as it is now or a little later, and wait until it is safe on disk.
---@return boolean? ok      true; nil when it could not be done
---@return string? message
---@return string? name     such as "ENOSPC"
function Server:checkpoint()
  if task.pass(saver.save()) then return true end
  return nil, saver.why()
end

--- Show a figure of the server's own in status and feed.
---@param name string
---@param value number
function Server:gauge(name, value)
  runtime.app(name, value, false)
end

--- Count n more (1) of something, shown like a gauge.
---@param name string
---@param n? number
function Server:count(name, n)
  runtime.app(name, n or 1, true)
end

return Server
