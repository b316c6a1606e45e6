--- The driver: how the runtime's C side works a generation. Each function here is
--- one thing that C asks for; the steps of start, reload and close are C's.
local conf = require "tiny.conf"
local log = require "tiny.log"
local show = require "tiny.log.show"
local runtime = require "tiny.core.runtime"
local Server = require "tiny.server"
local task = require "tiny.task"
local timer = require "tiny.timer"
local traces = require "tiny.trace"

local driver = {}

local values   -- the checked configuration
local source   -- conf.lua's path
local folder   -- and its folder, with a slash at its end
local script   -- the script's path
local class    -- what the script returned
local server   -- the one instance

-- -- loading -----------------------------------------------------------------

-- require looks into the folder of that file before all others.
local function search_beside(path)
  local place = path:match("^(.*/)[^/]*$") or "./"
  local first = place .. "?.lua;" .. place .. "?/init.lua;"
  if package.path:sub(1, #first) == first then return end
  package.path = first .. package.path
  package.cpath = place .. "?.so;" .. package.cpath
end

--- Evaluate and check conf.lua, with what etcd has of it -> configuration, or nil and the reason.
function driver.load_conf(path, shared)
  source, folder = path, path:match("^(.*/)[^/]*$") or ""
  search_beside(path)
  local why
  values, why = conf.load(path, shared)
  return values, why
end

local callbacks = {
  "on_start", "on_reload", "on_close", "on_except", "get_summary", "run", "on_done", "on_active", "on_standby",
}

local function check_class(result)
  if type(result) ~= "table" then
    return nil, ("%s: the script returned %s; it must return its server class, made with tiny.Server:extend()")
      :format(script, result == nil and "nothing" or "a " .. type(result))
  end
  for _, name in ipairs(callbacks) do
    local callback = result[name]
    if callback ~= nil and type(callback) ~= "function" then
      return nil, ("%s: %s is a %s, a function is expected"):format(script, name, type(callback))
    end
  end
  return true
end

--- Run the script; `override` is a path from the command line or nil -> true, or nil and the reason.
function driver.load_script(override)
  script = override or values["svr.script"]
  if not override and script:sub(1, 1) ~= "/" then script = folder .. script end
  search_beside(script)
  local chunk, why = loadfile(script)
  if not chunk then return nil, why end
  local ok, result = xpcall(chunk, function(err)
    local text = driver.text_of(err)
    -- Without a place of its own the error has to show where it came from.
    return text:find(":%d+: ") and text or debug.traceback(text, 2)
  end)
  if not ok then return nil, tostring(result) end
  class = result
  return check_class(result)
end

-- -- the instance ------------------------------------------------------------

local function index_of(result)
  if rawget(result, "__index") == result then return result end
  return function(_, key)
    local value = result[key]
    if value == nil then value = Server[key] end
    return value
  end
end

--- Make the server and return it. The token is nil outside of a cluster.
function driver.enter(context, number, args, token)
  server = setmetatable({
    name = values["svr.name"],
    conf = values,
    context = context,
    args = args,
    generation = number,
    token = token,
  }, { __index = index_of(class) })
  -- Found at once, not in the class of its class: a call whose level is off costs next to nothing then.
  for _, name in ipairs { "debug", "info", "warn", "err" } do server[name] = server[name] end
  return server
end

function driver.context()
  return server.context
end

-- -- errors ------------------------------------------------------------------

local function shown(err)
  local ok, text = pcall(tostring, err)
  if not ok then return "(an error whose __tostring raises)" end
  if type(err) ~= "table" or getmetatable(err) then return text end
  local parts = {}
  for key, value in pairs(err) do parts[#parts + 1] = tostring(key) .. "=" .. tostring(value) end
  table.sort(parts)
  return "{" .. table.concat(parts, ", ") .. "}"
end

--- An error value as text: tables are shown, nil is said to be nil.
function driver.text_of(err)
  if type(err) == "string" then return err end
  return "error value is a " .. type(err) .. (err == nil and "" or ": " .. shown(err))
end

--- What a dead coroutine died of -> first line, traceback; `stopped_at` is the stack where it was stopped.
function driver.describe(co, err, started_at, stopped_at)
  local text = driver.text_of(err)
  local stack = stopped_at and stopped_at:gsub("%s+$", "") or traces.dead(co, text)
  local trace = text .. traces.after(traces.of(err, co), stack)
  if started_at then trace = trace .. "\ntask started at:\n\t" .. started_at end
  return text, trace
end

-- on_except decides: true goes on, anything else ends the server.
local function ask_on_except(err, trace)
  local failure
  local ok, accepted = xpcall(server.on_except, function(e)
    failure = debug.traceback(driver.text_of(e), 2)
    return e
  end, server, err, trace)
  if not ok then
    log.err("on_except failed: %s", failure or driver.text_of(accepted))
    log.err("it was asked about: %s", trace)
    runtime.fail(255)
  elseif accepted ~= true then
    log.err("%s", trace)
    runtime.fail(254)
  end
end

--- Every error that the script did not catch comes here.
function driver.report(err, trace)
  if type(err) == "string" and err:find("not enough memory", 1, true) then collectgarbage() end
  runtime.error(driver.text_of(err), trace)
  if server.on_except then
    runtime.step(ask_on_except, err, trace)
  else
    log.err("%s", trace)
  end
end

local function guarded(fn, ...)
  local trace
  local ok, err = xpcall(fn, function(e)
    local stack = debug.traceback("", 2):gsub("^\nstack traceback:\n", "")
    trace = driver.text_of(e) .. traces.after(traces.of(e), stack)
    return e
  end, ...)
  if ok then return true end
  if err ~= task.cancelled then driver.report(err, trace or driver.text_of(err)) end
  return false
end

-- -- running -----------------------------------------------------------------

--- on_reload after a reload ("reload"), on_active after an election ("active"), then on_start. A
--- step: its error is the outcome.
function driver.on_start(after)
  timer.start()
  if after == "reload" and server.on_reload then
    runtime.named("on_reload")
    server:on_reload()
  elseif after == "active" and server.on_active then
    runtime.named("on_active")
    server:on_active(server.token)
  end
  runtime.named("on_start")
  if server.on_start then server:on_start() end
end

--- A step: its error is logged and nothing more.
function driver.on_close(reason)
  driver.summary()
  if server.on_close then server:on_close(reason) end
end

--- A step, like on_close.
function driver.on_standby(reason)
  if server.on_standby then server:on_standby(reason) end
end

local pause = 0.1 -- seconds, after the next error in run

local function pause_run()
  task.sleep(pause)
  pause = math.min(pause * 2, 5)
end

local function run()
  while true do
    runtime.run_sign(true)
    if guarded(server.run, server) then
      pause = 0.1
      task.sleep(0)
    else
      pause_run()
    end
  end
end

--- Run was stopped, and with it the task that called it.
function driver.run_again()
  runtime.start("run", function()
    pause_run()
    run()
  end)
end

local function summary_text()
  local summary = server:get_summary()
  if type(summary) ~= "table" then return tostring(summary) end
  local parts = {}
  for key, value in pairs(summary) do parts[#parts + 1] = tostring(key) .. "=" .. show.text(value) end
  table.sort(parts)
  return table.concat(parts, " ")
end

--- Log the summary and show it in status and feed.
function driver.summary()
  if not server.get_summary then return end
  guarded(function()
    local text = summary_text()
    runtime.summary(text)
    log.info("summary: %s", text)
  end)
end

local function add_summary()
  local point = values["svr.timer.summary_output_time_point"]
  if point and server.get_summary then timer.add(driver.summary, timer.CronTimer(driver.summary, point)) end
end

-- What a change of which shows only after a reload.
local function loaded_files()
  local files = { source, script }
  for name in pairs(package.loaded) do
    files[#files + 1] = package.searchpath(name, package.path)
  end
  return files
end

--- Watch the files that make it up, if svr.watch is on.
function driver.watch()
  runtime.watch(values["svr.watch"] and loaded_files() or {})
end

--- Begin what goes on by itself: run, the summaries, the watch on the files.
function driver.serve()
  driver.watch()
  timer.serve()
  add_summary()
  if server.run then runtime.start("run", run) end
end

--- A thread timer's call has come back (runtime/vm/worker.c): on_done gets what it returned.
function driver.worker_done(key, id, result, why)
  local loaded = result and result.loaded
  if not loaded then timer.returned(key, id) end
  if not result or result.err then
    local where = ("thread timer %q: "):format(key)
    local err = where .. (result and result.err or why)
    driver.report(err, result and result.trace and where .. result.trace or err)
  elseif server.on_done and not loaded then
    server:on_done(key, result.value)
  end
end

--- What an executor of timers does (runtime/vm/api_timer.c).
driver.run_timers = timer.execute

--- No timer fires any more; run's silence is no hang.
function driver.stop()
  timer.stop()
  runtime.run_sign(false)
end

local SHOWN = 65536 -- bytes of the results

local function cut(text)
  text = text:gsub("%z", "\\0")
  if #text <= SHOWN then return text end
  return ("%s\n... (%d bytes in all)"):format(text:sub(1, SHOWN), #text)
end

--- Run a chunk with `self` as the server, for so many seconds at most -> its results as text.
function driver.eval(text, seconds)
  local chunk, why = loadstring("local self = ...; return select(1, " .. text .. "\n)", "=eval") -- no tail call
  if not chunk then chunk, why = loadstring("local self = ...; " .. text, "=eval") end
  if not chunk then error(why, 0) end
  local results = { n = 0 }
  local function collect(...) results = { n = select("#", ...), ... } end
  collect(task.timeout(seconds, function() return true, chunk(server) end))
  if not results[1] then error("stopped: ran longer than its limit", 0) end
  for i = 2, results.n do results[i] = show.text(results[i]) end
  return cut(table.concat(results, "\t", 2, results.n))
end

-- -- the process is the runtime's --------------------------------------------

--- os.exit closes the server as self:close does; the caller ends at once.
function os.exit(code) -- luacheck: ignore 122
  runtime.exit(code)
  require("tiny.core.task").cancel_self()
  error(task.cancelled, 0)
end

return driver
