--- Tasks: coroutines run by the loop. Each wait lets everything else go on.
local core = require "tiny.core.task"
local limit = require "tiny.core.limit"
local runtime = require "tiny.core.runtime"
local trace = require "tiny.trace"

local task = {}

--- Raised at the waits of a cancelled task; compare with ==.
task.cancelled = setmetatable({}, { __tostring = function() return "cancelled" end })

-- A wait's first result is what has to be raised at it, or nil.
local function pass(raise, ...)
  if raise ~= nil then error(raise, 0) end
  return ...
end
task.pass = pass

--- A failure's code -> message, NAME.
task.failure = core.failure

local settle

--- Call a core function that may wait, until it has its results: it gives nil, true and those, or
-- nil alone to be called again. A failure comes as nil and a code: nil, message, NAME then.
local function wait(fn, a, b, c, d)
  return settle(fn, a, b, c, d, fn(a, b, c, d))
end
task.wait = wait

local function finish(...)
  local value, code = ...
  if value == nil and type(code) == "number" then return nil, core.failure(code) end
  return ...
end

function settle(fn, a, b, c, d, raise, done, ...)
  if raise ~= nil then error(raise, 0) end
  if done then return finish(...) end
  return wait(fn, a, b, c, d)
end

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

local function joined(self, ok, ...)
  if ok then return ... end
  local err = ...
  if err ~= task.cancelled then trace.keep_dead(err, core.origin(self)) end
  error(err, 0)
end
trace.passers[joined] = true

--- Wait for the task's end: its results, or its error raised here.
function methods:join()
  return joined(self, wait(core.join, self))
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

local function check(ok, message)
  if not ok then error(message, 3) end
end

local function in_time(depth, ok, ...)
  local late = limit.finish(depth)
  if not ok and not (late and (...) == task.cancelled) then error((...), 0) end
  if late then return nil, "timeout" end
  return ...
end
trace.passers[in_time] = true

--- Call fn(...) and cancel it when it takes longer: its results, or nil, "timeout". What it catches
--- of that is no way out: each further wait in it raises tiny.cancelled again.
---@param seconds number
---@param fn function
function task.timeout(seconds, fn, ...)
  check(type(seconds) == "number" and seconds >= 0, "tiny.timeout: a number of seconds from 0 on is expected")
  check(fn ~= nil, "tiny.timeout: a function is expected")
  return in_time(limit.begin(seconds), xpcall(fn, trace.keep, ...))
end

local function packed(...)
  return { n = select("#", ...), ... }
end

-- What pcall returned: whether the call went well, and if not the error.
local function judge(results)
  if not results[1] then return false, results[2] end
  return results[2] ~= nil or results[3] == nil, results[3]
end

-- What several callers multiply their pauses by, so that they do not come back all at once. The
-- clock's last digits will do: math.random is the script's, and the same in every process.
local function jitter(options)
  return options.jitter == false and 1 or 0.5 + runtime.now() * 1e6 % 1 / 2
end

local retry_known = { times = "number", delay = "number", factor = "number", max_delay = "number",
  jitter = "boolean", on = "function" }

local function check_retry(options, fn)
  if fn == nil then error("tiny.retry: options and a function are expected", 3) end
  for name, value in pairs(options) do
    local kind = retry_known[name]
    if not kind then error("tiny.retry: unknown option " .. tostring(name), 3) end
    if type(value) ~= kind then error(("tiny.retry: %s is a %s"):format(name, kind), 3) end
  end
end

---@class tiny.Retry
---@field times? integer     calls at most: 5
---@field delay? number      the first pause, in seconds: 0.1
---@field factor? number     how much longer each further one is: 2
---@field max_delay? number  5
---@field jitter? boolean    shorten each pause by up to a half, at random: true
---@field on? fun(err: any, attempt: integer)  told about each failure

--- Call fn(...) until it goes well: its results, or nil and the last error. It goes wrong when it raises
--- or returns nil and an error. Between the calls there are pauses that grow.
---@param options? tiny.Retry
---@param fn function
function task.retry(options, fn, ...)
  options = options or {}
  check_retry(options, fn)
  local args, times, delay = packed(...), options.times or 5, options.delay or 0.1
  local longest, err = options.max_delay or 5, nil
  for attempt = 1, times do
    local results = packed(pcall(fn, unpack(args, 1, args.n)))
    local well
    well, err = judge(results)
    if well then return unpack(results, 2, results.n) end
    if err == task.cancelled then error(err, 0) end
    if options.on then options.on(err, attempt) end
    if attempt < times then task.sleep(math.min(delay, longest) * jitter(options)) end
    delay = delay * (options.factor or 2)
  end
  return nil, err
end

-- A task that calls the functions of a job, one after the other, as long as there are some.
local function work(job)
  while job.next < #job.fns and not job.stopped do
    job.next = job.next + 1
    local at = job.next
    local ok, result = xpcall(job.fns[at], trace.keep)
    if ok then
      job.results[at] = result
    elseif not job.stopped then
      job.stopped, job.failed, job.err, job.trace = true, true, result, trace.of(result)
      for _, worker in ipairs(job.workers) do worker:cancel() end
    end
  end
end

local function pass_on(job)
  trace.put(job.err, job.trace)
  error(job.err, 0)
end
trace.passers[pass_on] = true

local function are_functions(list)
  if type(list) ~= "table" then return false end
  for _, fn in ipairs(list) do
    if type(fn) ~= "function" then return false end
  end
  return true
end

--- Call the functions side by side, `at_once` of them at a time, and wait for all: a table of their first
--- results, in their order. When one raises, the others are cancelled and its error is raised here.
---@param fns function[]
---@param at_once? integer
---@return table
function task.parallel(fns, at_once)
  check(are_functions(fns), "tiny.parallel: a list of functions is expected")
  check(at_once == nil or type(at_once) == "number" and at_once >= 1,
    "tiny.parallel: the limit must be a number from 1 on")
  local job = { fns = fns, next = 0, results = { n = #fns }, workers = {} }
  for i = 1, math.min(at_once or #fns, #fns) do job.workers[i] = task.go(work, job) end
  for _, worker in ipairs(job.workers) do
    local ok, err = pcall(worker.join, worker)
    if not ok and not job.failed then -- we are cancelled ourselves
      job.stopped = true
      for _, other in ipairs(job.workers) do other:cancel() end
      error(err, 0)
    end
  end
  if job.failed then pass_on(job) end
  return job.results
end

return task
