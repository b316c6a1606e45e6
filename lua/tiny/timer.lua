--- Timers: functions called when it is time, one after the other in one task (the executor), their
--- waits included. What they are due by is in C (tiny.core.timer); what is due is here.
local calendar = require "tiny.calendar"
local core = require "tiny.core.timer"
local problem_of = require "tiny.options"
local pass = require("tiny.task").pass
local worker = require "tiny.core.worker"

local timer = {}

local BACK = 3 * 3600 -- seconds: a clock put back by more than this was wrong before
local COUNTED = 10000 -- missed points of a calendar that are counted at most

local rows = {}  -- timers by key: timer, way (of its kind), left (runs), point, due, id, worker
local slots = {} -- what is due by the slot that core gave it: a row, or the function of an after()
-- timer.running: the row whose function runs now. A report of a hang looks there.
local starting   -- on_start has not returned yet: what was missed since the last generation is run
local added = {} -- keys that this generation has had: they do not begin where the last one's were

-- -- kinds of timers ---------------------------------------------------------

local Made = {} -- metatable of the timers made here: what a script's own timer has for fields is its business

local function is_made(what)
  return getmetatable(what) == Made
end

local function check(ok, message, level)
  if not ok then error(message, level or 3) end
end

local function check_common(name, fn, max_run_count)
  check(type(fn) == "function" or type(fn) == "string", name .. ": a function is expected", 4)
  check(max_run_count == nil or type(max_run_count) == "number" and max_run_count >= 1,
    name .. ": max_run_count must be a number from 1 on", 4)
end

--- Calls fn(missed) every `interval` seconds, `max_run_count` times at most. `missed` is how many
--- times it was too late to call it, since the last call.
---@param fn function
---@param interval number
---@param max_run_count? integer
function timer.PeriodTimer(fn, interval, max_run_count)
  check_common("PeriodTimer", fn, max_run_count)
  check(type(interval) == "number" and interval > 0, "PeriodTimer: the interval must be above 0 seconds")
  return setmetatable({ fn = fn, interval = interval, max_run_count = max_run_count }, Made)
end

local function calendar_timer(name, fn, line, tz, max_run_count)
  local rule, why = calendar.parse(line, tz)
  if not rule then error(name .. ": " .. why, 2) end -- the maker's own frame is gone: it calls us last
  local kind = line .. " " .. (tz or "")
  return setmetatable({ fn = fn, rule = rule, kind = kind, max_run_count = max_run_count }, Made)
end

--- Calls fn(missed, due) at each full local minute "M", hour "H" or day "D". `due` is the time it was
--- due, in seconds since 1970.
---@param fn function
---@param span "M"|"H"|"D"
---@param max_run_count? integer
function timer.FixedPeriodTimer(fn, span, max_run_count)
  check_common("FixedPeriodTimer", fn, max_run_count)
  check(span == "M" or span == "H" or span == "D", 'FixedPeriodTimer: "M", "H" or "D" is expected')
  return calendar_timer("FixedPeriodTimer", fn, span, nil, max_run_count)
end

--- Calls fn(missed, due) whenever the wall clock, that of the time zone `tz` if given, suits a cron
--- line: minute, hour, day of month, month and day of week, or "@hourly" and the like.
---@param fn function
---@param line string
---@param options? {tz: string, max_run_count: integer}
function timer.CronTimer(fn, line, options)
  options = options or {}
  local problem = problem_of(options, { tz = "string", max_run_count = "positive" })
  check(not problem, "CronTimer: " .. (problem or ""))
  check_common("CronTimer", fn, options.max_run_count)
  check(type(line) == "string", "CronTimer: a cron line is expected")
  return calendar_timer("CronTimer", fn, line, options.tz, options.max_run_count)
end

-- -- due times ---------------------------------------------------------------

local function arm(row, due)
  local slot
  row.id, slot = core.add(due)
  if slot then slots[slot] = row end
end

-- Nanoseconds of a timer's interval; a timer of the script's own may change it at any time.
local function interval_of(what)
  local interval = what.interval
  if type(interval) ~= "number" or interval <= 0 or interval ~= interval then interval = 1 end
  return math.max(math.floor(interval * 1e9 + 0.5), 1)
end

local period = {}

function period.kind(row)
  return (is_made(row.timer) and "period " or "own ") .. interval_of(row.timer)
end

-- row.point is the last point that is over. The first one is one at which others wake up, too.
function period.begin(row, kept)
  row.point = kept or core.round(core.now())
  row.interval = interval_of(row.timer)
  if kept and not starting then
    row.point = kept + math.floor((core.now() - kept) / row.interval) * row.interval
  end
  period.go_on(row)
end

function period.go_on(row)
  row.interval = interval_of(row.timer)
  row.due = row.point + row.interval
  arm(row, row.due)
end

-- How many points were missed before row.point, which is the one that is run.
function period.missed(row)
  local missed = math.max(math.floor((core.now() - row.due) / row.interval), 0)
  row.point = row.due + missed * row.interval
  return missed
end

function period.kept(row) return row.point end

-- A calendar timer looks at the wall clock each full second: that is when it can be due, and no
-- step of the clock goes unnoticed for longer.
local wall = {}

function wall.kind(row) return "calendar " .. row.timer.kind end

-- The clock was put back: what was run before is not run again, unless it had been quite wrong.
local function put_back(row, now)
  if row.point and row.point - now > BACK then row.point = nil end
  row.due = row.timer.rule:next(math.max(row.point or now, now))
end

-- row.point is the last point that was run, row.seen what the clock showed when looked at last.
function wall.begin(row, kept)
  row.point, row.seen = starting and kept or nil, core.wall()
  row.due = row.timer.rule:next(row.point or row.seen)
  if row.point and row.point > row.seen then put_back(row, row.seen) end
  wall.go_on(row)
end

function wall.go_on(row)
  arm(row, core.now() + (1 - core.wall() % 1) * 1e9)
end

function wall.missed(row)
  local now, passed = core.wall(), 0
  if now < row.seen then put_back(row, now) end
  row.seen = now
  while row.due <= now and passed <= COUNTED do
    row.point, passed = row.due, passed + 1
    row.due = row.timer.rule:next(row.point)
  end
  if row.due <= now then row.due = row.timer.rule:next(now) end
  return passed > 0 and passed - 1 or nil
end

function wall.kept(row) return row.point or row.seen end

-- -- calling them ------------------------------------------------------------

local function remove(row)
  rows[row.key] = nil
  if row.worker then worker.close(row.worker) end
  local slot = core.remove(row.id or 0)
  if slot then slots[slot] = nil end
end

-- After its function has returned, or raised. It may have been removed meanwhile.
local function finish(row, stay)
  if rows[row.key] ~= row then return end
  row.left = row.left - 1
  if stay and row.left > 0 then row.way.go_on(row) else remove(row) end
end

local function call(row, missed)
  local what = row.timer
  if not is_made(what) then return what:run(core.wall(), missed) end
  what.fn(missed, what.rule and row.point)
  return true
end

local function fire(row)
  local missed = row.way.missed(row)
  if not missed then return row.way.go_on(row) end
  if row.worker then return worker.call(row.worker, missed) end -- goes on in timer.returned()
  timer.running = row
  local stay = call(row, missed)
  timer.running = nil
  finish(row, stay)
end

-- The executor. What a function raises ends this task, and the next one begins here.
local function execute()
  local row = timer.running
  timer.running = nil
  if row then finish(row, true) end
  for slot in function() return pass(core.next()) end do
    local due = slots[slot]
    slots[slot] = nil
    if type(due) == "function" then due() else fire(due) end
  end
end
timer.execute = execute

-- -- for scripts -------------------------------------------------------------

local function check_timer(key, what, conf)
  check(key ~= nil and key == key, "add_timer: a key is expected", 4)
  check(is_made(what) or type(what) == "table" and what.run,
    "add_timer: a timer is expected: tiny.PeriodTimer and its like, or a table with run(self, now)", 4)
  local named = is_made(what) and type(what.fn) == "string"
  check(named == (conf and true or false), 'add_timer: a function is named, as "module.function", for '
    .. "{thread = true}, and only for it", 4)
  check(not conf or type(key) == "string", "add_timer: the key of a thread timer is a string", 4)
  check(is_made(what) or what.interval == nil or type(what.interval) == "number" and what.interval > 0,
    "add_timer: the interval must be above 0 seconds", 4)
  check(not named or what.fn:find("^.+%.[^.]+$"), 'add_timer: "module.function" is expected', 4)
end

-- A thread of its own for the timer, that looks for modules where we do.
local function open_worker(key, what, conf)
  return worker.open(key, { conf = conf, call = what.fn, path = package.path, cpath = package.cpath })
end

--- Add a timer under a key. False when the key is taken. Given a conf, the timer gets a thread.
---@param key any
---@param what table     PeriodTimer and so on, or a table with run(self, now) and perhaps an interval
---@return boolean
function timer.add(key, what, conf)
  core.acting("add_timer")
  check_timer(key, what, conf)
  if rows[key] then return false end
  local way = is_made(what) and what.rule and wall or period
  local row = { key = key, timer = what, way = way, left = is_made(what) and what.max_run_count or math.huge }
  if conf then row.worker = open_worker(key, what, conf) end
  rows[key] = row
  way.begin(row, type(key) == "string" and not added[key] and core.kept(key, way.kind(row)) or nil)
  added[key] = true
  return true
end

--- Remove the timer of that key, or the one that after() or every() has returned. False when there is none.
---@param key any
---@return boolean
function timer.remove(key)
  local row = rows[key]
  if row then
    remove(row)
  elseif type(key) == "number" then
    local slot = core.remove(key)
    if slot then slots[slot] = nil end
    return slot ~= nil
  end
  return row ~= nil
end

--- Call fn once, `seconds` from now. Returns what remove_timer() takes.
---@param seconds number
---@param fn function
function timer.after(seconds, fn)
  if not (type(seconds) == "number" and seconds >= 0 and type(fn) == "function") then
    error("tiny.after: seconds, a number from 0 on, and a function are expected", 2)
  end
  local id, slot = core.after(seconds)
  if slot then slots[slot] = fn end
  return id
end

--- Call fn(missed) every `seconds`. Returns what remove_timer() takes.
---@param seconds number
---@param fn function
function timer.every(seconds, fn)
  core.acting("tiny.every")
  check(type(seconds) == "number" and seconds > 0 and type(fn) == "function",
    "tiny.every: seconds, a number above 0, and a function are expected")
  local key = {}
  timer.add(key, timer.PeriodTimer(fn, seconds))
  return key
end

-- -- for the driver ----------------------------------------------------------

--- Timers may fire from now on.
function timer.start()
  added, starting = {}, true
  core.start(execute, slots)
end

--- on_start has returned.
function timer.serve()
  starting = false
end

--- The call of a thread timer has come back.
function timer.returned(key, id)
  local row = rows[key]
  if row and row.worker == id then finish(row, true) end
end

--- No timer fires any more. The next generation can ask where these were.
function timer.stop()
  core.forget()
  for key, row in pairs(rows) do
    if type(key) == "string" then core.keep(key, row.way.kind(row), row.way.kept(row)) end
  end
  rows, slots = {}, {}
  core.stop()
end

return timer
