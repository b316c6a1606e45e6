--- Tasks: coroutines run by the loop. Each wait lets everything else go on.
local core = require "tiny.core.task"

local task = {}

--- Raised at the waits of a cancelled task; compare with ==.
task.cancelled = setmetatable({}, { __tostring = function() return "cancelled" end })

-- A wait's first result is what has to be raised at it, or nil.
local function pass(raise, ...)
  if raise ~= nil then error(raise, 0) end
  return ...
end
task.pass = pass

--- Wait for so many seconds, fractions allowed; 0 lets the others run once.
---@param seconds number
function task.sleep(seconds)
  return pass(core.sleep(seconds))
end

--- Start fn(...) as a task of its own. It begins in the next turn of the loop.
---@type fun(fn: function, ...): tiny.Task
task.go = core.go

---@class tiny.Task
local methods = {}

local function joined(ok, ...)
  if not ok then error((...), 0) end
  return ...
end

--- Wait for the task's end: its results, or its error raised here.
function methods:join()
  return joined(pass(core.join(self)))
end

--- Raise tiny.cancelled at the task's present wait and at each later one.
function methods:cancel()
  return core.cancel(self)
end

--- Whether the task has ended.
---@return boolean
function methods:done()
  return core.done(self)
end

core.methods.__index = methods

return task
