--- Tiny: what a server script sees as `require "tiny"`.
local runtime = require "tiny.core.runtime"
local log = require "tiny.log"
local server = require "tiny.server"
local task = require "tiny.task"
local timer = require "tiny.timer"

---@class tiny
---@field log tiny.Log          the log, without a server at hand
---@field cancelled table        what is raised at the waits of a cancelled task; compare with ==
---@field now fun(): number      seconds of the monotonic clock: for measuring, not for dates
local tiny = {
  Server = server,
  log = log,

  sleep = task.sleep,
  go = task.go,
  timeout = task.timeout,
  retry = task.retry,
  parallel = task.parallel,
  queue = require "tiny.queue",
  cancelled = task.cancelled,

  PeriodTimer = timer.PeriodTimer,
  FixedPeriodTimer = timer.FixedPeriodTimer,
  CronTimer = timer.CronTimer,
  after = timer.after,
  every = timer.every,
  remove_timer = timer.remove,

  now = runtime.now,
}

-- What not every server needs is loaded when it is first used.
local parts = { tcp = "tiny.tcp", exec = "tiny.exec", udp = "tiny.udp", http = "tiny.http", zmq = "tiny.zmq" }

return setmetatable(tiny, {
  __index = function(self, name)
    local part = parts[name] and require(parts[name])
    self[name] = part
    return part
  end,
})
