--- ZeroMQ sockets, which live through reloads.
local core = require "tiny.core.zmq"
local log = require "tiny.log"
local runtime = require "tiny.core.runtime"
local task = require "tiny.task"

local zmq = {}

local wait = task.wait

---@class tiny.ZmqSocket
local methods = {}

local send_timeouts = setmetatable({}, { __mode = "k" })

--- Send a message of one or more parts; waits as long as the high-water mark is reached.
---@param part string
---@return boolean?
function methods:send(part, ...)
  local seconds = send_timeouts[self]
  if select("#", ...) > 0 then part = { part, ... } end
  return wait(core.send, self, part, seconds and runtime.now() + seconds)
end

--- Wait for a message: its parts.
---@param timeout? number  seconds: nil, "timeout", "ETIMEDOUT" when none has come by then
---@return string? ...
function methods:recv(timeout)
  return wait(core.receive, self, timeout and runtime.now() + timeout)
end

--- Call fn(parts...) for each message, in a task of its own; `at_once` of them at a time, 1 unless
--- given, so that the next one waits until this one is done. Messages come once on_start has ended.
---@param fn fun(...: string)
---@param at_once? integer
function methods:on(fn, at_once)
  if type(fn) ~= "function" then error("zmq:on: a function is expected", 2) end
  core.handle(self, fn, at_once or 1)
end

--- For SUB and XSUB: what else is to come, by the beginning of its first part.
---@param topic string
function methods:subscribe(topic)
  return core.subscribe(self, topic, true)
end

---@param topic string
function methods:unsubscribe(topic)
  return core.subscribe(self, topic, false)
end

--- The endpoint that was bound last, with the port that the kernel chose for "*".
---@return string
function methods:endpoint()
  return core.endpoint(self)
end

--- Let go of it; during a reload it stays open until the new generation has started.
function methods:close()
  core.close(self)
end

core.handle_type.__index = methods

-- -- opening -----------------------------------------------------------------

local types = {
  PAIR = true, PUB = true, SUB = true, REQ = true, REP = true, DEALER = true, ROUTER = true, PULL = true,
  PUSH = true, XPUB = true, XSUB = true,
}

local kinds = {
  bind = "strings", connect = "strings", subscribe = "strings", name = "string", hwm = "number",
  send_hwm = "number", recv_hwm = "number", linger = "number", heartbeat = "number", max_size = "number",
  identity = "string", send_timeout = "number", curve = "table",
}

local curve_kinds = { public_key = "string", secret_key = "string", server_key = "string", clients = "strings" }

local function is_kind(value, kind)
  if kind ~= "strings" then return type(value) == kind end
  if type(value) == "string" then return true end
  if type(value) ~= "table" then return false end
  for _, text in ipairs(value) do
    if type(text) ~= "string" then return false end
  end
  return true
end

local function problem_of(options, known)
  for name, value in pairs(options) do
    if not known[name] then return "unknown option " .. tostring(name) end
    if not is_kind(value, known[name]) then
      local kind = known[name] == "strings" and "string or a list of them" or known[name]
      return ("%s is a %s"):format(name, kind)
    end
  end
end

local function check(type_name, options)
  if not types[type_name] then return "a type such as \"PULL\" is expected, got " .. tostring(type_name) end
  if type(options) ~= "table" then return "a table with bind or connect is expected" end
  local problem = problem_of(options, kinds) or problem_of(options.curve or {}, curve_kinds)
  if problem then return problem end
  if not options.bind and not options.connect then return "bind or connect is expected" end
  local curve = options.curve
  if curve and not (curve.secret_key and (curve.clients or curve.public_key and curve.server_key)) then
    return "curve has a secret_key, and the clients of a server or the public_key and server_key of a client"
  end
end

local function list_of(value)
  if type(value) == "string" then return { value } end
  return value
end

local function order_of(type_name, options)
  local curve = options.curve or {}
  return {
    type = type_name, bind = list_of(options.bind), connect = list_of(options.connect),
    send_hwm = options.send_hwm or options.hwm, recv_hwm = options.recv_hwm or options.hwm,
    linger = options.linger or 1, heartbeat = options.heartbeat, max_size = options.max_size,
    identity = options.identity, public_key = curve.public_key, secret_key = curve.secret_key,
    server_key = curve.server_key, clients = list_of(curve.clients),
  }
end

-- What a socket is known by to the next generation.
local function key_of(order, name)
  local binds, connects = table.concat(order.bind or {}, " "), table.concat(order.connect or {}, " ")
  return table.concat({ order.type, binds, connects, name or "" }, "\n")
end

---@class tiny.Zmq
---@field bind? string|string[]       endpoints: "tcp://127.0.0.1:5555", "ipc://path", "inproc://name"
---@field connect? string|string[]
---@field subscribe? string|string[]  topics, for SUB and XSUB
---@field name? string        tells sockets of the same type and endpoints apart
---@field hwm? integer        messages that may wait, each way: 1000; send_hwm and recv_hwm for one way
---@field linger? number      seconds that closing gives to what is unsent: 1
---@field send_timeout? number  seconds: nil, "timeout", "ETIMEDOUT"
---@field heartbeat? number   seconds between signs of life
---@field max_size? integer   bytes of a part; who sends more is disconnected
---@field identity? string    that a ROUTER sees
---@field curve? table        {secret_key=, clients={...}} of a server, {secret_key=, public_key=, server_key=} of a client

--- Open a socket, or take over the one that the generation before had of that type, with these
--- endpoints and that name: no message is lost.
---@param type_name string
---@param options tiny.Zmq
---@return tiny.ZmqSocket?, string?, string?
function zmq.socket(type_name, options)
  runtime.acting("tiny.zmq.socket")
  local problem = check(type_name, options)
  if problem then error("tiny.zmq.socket: " .. problem, 2) end
  local order = order_of(type_name, options)
  local socket, message, name = core.open(order, key_of(order, options.name))
  if not socket then
    log.err("tiny.zmq.socket: %s", message)
    return nil, message, name
  end
  local topics = list_of(options.subscribe) or {}
  core.keep(socket, topics)
  for _, topic in ipairs(topics) do socket:subscribe(topic) end
  send_timeouts[socket] = options.send_timeout
  return socket
end

return zmq
