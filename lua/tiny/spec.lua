--- What specs have besides busted: `tiny spec` runs them inside the runtime, with all that scripts can
--- use, and here is a server to test and a clock to turn.
local conf = require "tiny.conf"
local core = require "tiny.core.timer"
local Server = require "tiny.server"
local task = require "tiny.task"
local tasks = require "tiny.core.task"
local timer = require "tiny.timer"

local spec = {}

-- The project's conf.lua; `tiny spec` says which.
local path = "conf.lua"

-- -- a server ------------------------------------------------------------------

---@class tiny.SpecOptions
---@field conf? table     goes over the keys of the project's conf.lua
---@field context? table  {}
---@field args? string[]  {}

local function checked_conf(more)
  local values, why = conf.load(path)
  if not values then error(why, 3) end
  for key, value in pairs(more or {}) do values[key] = value end
  values, why = conf.check(values, path)
  if not values then error(why, 3) end
  return values
end

--- An instance of a server class as the runtime would make it, with none of its callbacks called. The
--- timers of the one before are gone.
---@param class table  what the server script returns
---@param options? tiny.SpecOptions
---@return tiny.Server
function spec.server(class, options)
  options = options or {}
  local values = checked_conf(options.conf)
  timer.stop()
  timer.start()
  timer.serve()
  local server = { name = values["svr.name"], conf = values, context = options.context or {},
    args = options.args or {}, generation = 1 }
  return setmetatable(server, { __index = function(_, key)
    local value = class[key]
    if value == nil then value = Server[key] end
    return value
  end })
end

-- -- a clock -------------------------------------------------------------------

-- Nanoseconds, while the clock stands; nil: time passes by itself.
local frozen

-- Let everything run that is due or ready, until nothing is.
local function settle()
  repeat
    task.sleep(0)
    local due = core.due()
  until tasks.ready() == 0 and not (due and due <= core.now())
end

--- Stop the clock: timers, sleeps and timeouts wait for spec.advance() from now on.
function spec.freeze()
  frozen = core.now()
  core.freeze(frozen)
end

--- Turn the clock on by so many seconds. What is due meanwhile happens in order and at its time.
---@param seconds number
function spec.advance(seconds)
  if not frozen then spec.freeze() end
  settle()
  local stop = frozen + seconds * 1e9
  for due in core.due do
    if due > stop then break end
    frozen = math.max(due, frozen)
    core.freeze(frozen)
    settle()
  end
  frozen = stop
  core.freeze(frozen)
end

--- Let time pass by itself again.
function spec.thaw()
  frozen = nil
  core.freeze()
end

-- -- running them --------------------------------------------------------------

-- busted ends the process by this; here it only has to come out of it.
local finished = {}

local function busted_exit(code)
  finished.code = code
  error(finished, 0)
end

local function find_beside(conf_path)
  local folder = conf_path:match("^(.*/)[^/]*$") or "./"
  package.path = folder .. "?.lua;" .. folder .. "?/init.lua;" .. package.path
  package.cpath = folder .. "?.so;" .. package.cpath
end

-- Without files it is those of the project, wherever we were called.
local function add_files(arguments, conf_path)
  for _, argument in ipairs(arguments) do
    if argument:sub(1, 1) ~= "-" then return end
  end
  arguments[#arguments + 1] = (conf_path:match("^(.*/)[^/]*$") or "") .. "spec"
end

-- The project's modules are found as its own server would find them.
local function prepare(conf_path)
  path = conf_path
  find_beside(conf_path)
  local values = conf.load(conf_path)
  local script = values and values["svr.script"]
  if script and script:find("/") then
    find_beside(script:sub(1, 1) == "/" and script or (conf_path:match("^(.*/)[^/]*$") or "") .. script)
  end
end

-- Run busted with these arguments -> its exit code. Once only.
local function run(conf_path, arguments)
  prepare(conf_path)
  local ok, compatibility = pcall(require, "busted.compatibility")
  if not ok then
    io.stderr:write("tiny spec: busted is not installed (lua-busted)\n")
    return 1
  end
  compatibility.exit = busted_exit
  add_files(arguments, conf_path)
  _G.arg = arguments
  arguments[0] = "tiny spec"
  local err
  ok, err = xpcall(function() require "busted.runner" { standalone = false } end, function(e)
    return e == finished and e or debug.traceback(tostring(e), 2)
  end)
  spec.thaw()
  if ok then return 0 end
  if err == finished then return finished.code == 0 and 0 or 1 end
  io.stderr:write("tiny spec: ", err, "\n")
  return 1
end

--- The server that `tiny spec` runs: its arguments are conf.lua's path and busted's own.
spec.Runner = Server:extend()

function spec.Runner:run()
  local arguments = {unpack(self.args, 2)}
  self:close(0, run(self.args[1], arguments))
  task.sleep(math.huge)
end

return spec
