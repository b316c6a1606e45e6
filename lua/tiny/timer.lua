--- Timers: one executor task runs them one after the other.
local core = require "tiny.core.task"
local runtime = require "tiny.core.runtime"
local task = require "tiny.task"

local timer = {}

---@class tiny.PeriodTimer
local PeriodTimer = {}
PeriodTimer.__index = PeriodTimer

--- Calls fn every `interval` seconds, `max_run_count` times at most.
---@param fn function
---@param interval number
---@param max_run_count? integer
function timer.PeriodTimer(fn, interval, max_run_count)
  assert(type(fn) == "function", "PeriodTimer: a function is expected")
  assert(type(interval) == "number" and interval > 0, "PeriodTimer: the interval must be above 0 seconds")
  return setmetatable({ fn = fn, interval = interval, left = max_run_count or math.huge }, PeriodTimer)
end

function PeriodTimer:run(now)
  self.fn(now)
  self.left = self.left - 1
  return self.left > 0
end

local rows, running, on_error = {}, false, nil
local firing -- the row whose timer runs

local function earliest()
  local first
  for key, row in pairs(rows) do
    if not first or row.due < rows[first].due then first = key end
  end
  return first, first and rows[first]
end

local function fire(key, row, now)
  local trace
  firing = row
  local ok, stay = xpcall(row.timer.run, function(err)
    trace = debug.traceback(tostring(err), 2)
    return err
  end, row.timer, now)
  if not ok then on_error(stay, trace) end
  if ok and not stay and rows[key] == row then rows[key] = nil end
  local missed = math.ceil((runtime.now() - row.due) / row.timer.interval)
  row.due = row.due + row.timer.interval * math.max(1, missed)
end

local function execute()
  while running do
    local key, row = earliest()
    if not key then break end
    local wait = row.due - runtime.now()
    if wait > 0 then
      task.sleep(math.min(wait, 0.05))
    else
      fire(key, row, runtime.now())
    end
  end
  running = false
end

function timer.add(key, what)
  if rows[key] then return false end
  rows[key] = { timer = what, due = runtime.now() + (what.interval or 1) }
  if not running then
    running = true
    runtime.start("timer", execute)
  end
  return true
end

function timer.remove(key)
  local had = rows[key] ~= nil
  rows[key] = nil
  return had
end

function timer.after(seconds, fn)
  return core.go(function() task.sleep(seconds) fn() end)
end

function timer.every(seconds, fn)
  local key = {}
  timer.add(key, timer.PeriodTimer(fn, seconds))
  return key
end

--- The executor was stopped in the middle of a timer.
function timer.again()
  firing.due = runtime.now() + firing.timer.interval
  runtime.start("timer", execute)
end

function timer.stop()
  running = false
  rows = {}
end

function timer.on_error(fn)
  on_error = fn
end

return timer
