--- ZeroMQ sockets, which live through reloads.
local core = require "tiny.core.zmq"
local log = require "tiny.log"
local runtime = require "tiny.core.runtime"
local task = require "tiny.task"

local zmq = {}

local wait, offer, next_message = task.wait, core.offer, core.next

---@class tiny.ZmqSocket
local methods = {}

local send_timeouts = setmetatable({}, { __mode = "k" })

local function wait_to_send(self, ...)
  local seconds = send_timeouts[self]
  return wait(core.send, self, { n = select("#", ...), ... }, seconds and runtime.now() + seconds)
end

--- Send a message of one or more parts. Waits while the high-water mark is reached, `send_timeout` at
--- most: nil, "timeout", "ETIMEDOUT" then. PUB and XPUB never wait: who is slow misses messages. A ROUTER's
--- first part says to whom: nil, message, "EHOSTUNREACH" when that one is not there.
---@param ... string
---@return boolean?, string?, string?
function methods:send(...)
  if offer(self, ...) then return true end
  return wait_to_send(self, ...)
end

--- Wait for a message: its parts. It goes to one of the tasks that wait.
---@param timeout? number  seconds: nil, "timeout", "ETIMEDOUT" when none has come by then
---@return string? ...
function methods:recv(timeout)
  return wait(core.receive, self, timeout and runtime.now() + timeout)
end

-- Call the handler with one message after the other.
local function call(holder, fn, ...)
  if not fn then return end
  fn(...)
  return call(holder, next_message(holder))
end

local function pump(holder)
  return call(holder, next_message(holder))
end

--- Call fn(parts...) for each message, in a task; `at_once` of them at a time, 1 unless given, so that
--- the next one waits until this one is done. Messages come once on_start has ended. When
--- the handler of a REP fails before it has answered, an empty message is the answer.
---@param fn fun(...: string)
---@param at_once? integer
function methods:on(fn, at_once)
  if type(fn) ~= "function" then error("zmq:on: a function is expected", 2) end
  at_once = at_once or 1
  if type(at_once) ~= "number" or at_once < 1 then error("zmq:on: a number of at least 1 is expected", 2) end
  core.handle(self, math.min(at_once, 1e6), fn, pump)
end

--- For SUB and XSUB: what else is to come, by the beginning of its first part.
---@param topic string
function methods:subscribe(topic)
  return core.subscribe(self, topic, true)
end

--- What is to come no longer.
---@param topic string
function methods:unsubscribe(topic)
  return core.subscribe(self, topic, false)
end

--- The endpoint that was bound last, with the port that the kernel chose for "*"; "" when none was.
---@return string
function methods:endpoint()
  return core.endpoint(self)
end

--- Let go of it; during a reload it stays open until the new generation has started. What is unsent is
--- sent in the background, for `linger` seconds at most.
function methods:close()
  core.close(self)
end

core.handle_type.__index = methods

-- -- opening -----------------------------------------------------------------

local types = {
  PAIR = true, PUB = true, SUB = true, REQ = true, REP = true, DEALER = true, ROUTER = true, PULL = true,
  PUSH = true, XPUB = true, XSUB = true,
}

local function subscribes(type_name) return type_name == "SUB" or type_name == "XSUB" end

local function is_text(value) return type(value) == "string" end
local function is_amount(value) return type(value) == "number" and value >= 0 end
local function is_table(value) return type(value) == "table" end

local function is_list(value)
  if type(value) == "string" then return true end
  if type(value) ~= "table" then return false end
  for _, text in ipairs(value) do
    if type(text) ~= "string" then return false end
  end
  return true
end

local text = { is_text, "a string" }
local list = { is_list, "a string or a list of them" }
local amount = { is_amount, "a number, 0 or more" }

local options_known = {
  bind = list, connect = list, subscribe = list, name = text, identity = text, hwm = amount,
  send_hwm = amount, recv_hwm = amount, linger = amount, heartbeat = amount, max_size = amount,
  send_timeout = amount, curve = { is_table, "a table" },
}

local curve_known = { public_key = text, secret_key = text, server_key = text, clients = list }

local function problem_of(options, known)
  for name, value in pairs(options) do
    local kind = known[name]
    if not kind then return "unknown option " .. tostring(name) end
    if not kind[1](value) then return ("%s: %s is expected"):format(name, kind[2]) end
  end
end

local function check_curve(curve)
  if curve.secret_key and curve.clients and not curve.server_key then return end
  if curve.secret_key and curve.public_key and curve.server_key and not curve.clients then return end
  return "curve: a server has secret_key and clients, a client secret_key, public_key and server_key"
end

local function check(type_name, options)
  if not types[type_name] then return "a type such as \"PULL\" is expected, got " .. tostring(type_name) end
  if type(options) ~= "table" then return "a table with bind or connect is expected" end
  local problem = problem_of(options, options_known) or problem_of(options.curve or {}, curve_known)
  if problem then return problem end
  if not options.bind and not options.connect then return "bind or connect is expected" end
  if options.subscribe and not subscribes(type_name) then return "only SUB and XSUB subscribe" end
  return options.curve and check_curve(options.curve)
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
    linger = options.linger or subscribes(type_name) and 0 or 1,
    heartbeat = options.heartbeat, max_size = options.max_size,
    identity = options.identity, public_key = curve.public_key, secret_key = curve.secret_key,
    server_key = curve.server_key, clients = list_of(curve.clients),
  }
end

-- What a socket is known by to the next generation. Other keys are another socket: what was opened
-- without them, or with old ones, must not pass for it.
local function key_of(order, name)
  return table.concat({
    order.type, table.concat(order.bind or {}, " "), table.concat(order.connect or {}, " "),
    name or "", order.public_key or "", order.secret_key or "", order.server_key or "",
    order.clients and "guarded" or "",
  }, "\n")
end

-- What an open socket keeps to.
local function fixed_of(order)
  return table.concat({
    order.send_hwm or "", order.recv_hwm or "", order.heartbeat or "", order.max_size or "",
    order.identity or "",
  }, "\n")
end

---@class tiny.Zmq
---@field bind? string|string[]       endpoints: "tcp://127.0.0.1:5555", "ipc://path", "inproc://name"
---@field connect? string|string[]    tried again and again while nobody is there
---@field subscribe? string|string[]  topics, for SUB and XSUB: "" is all
---@field name? string        tells sockets of the same type and endpoints apart
---@field hwm? integer        messages that may wait for a peer, each way: 1000; 0 is no limit
---@field send_hwm? integer   the same one way
---@field recv_hwm? integer
---@field linger? number      seconds that closing gives to what is unsent: 1; 0 for SUB and XSUB
---@field send_timeout? number  seconds that :send() waits at most
---@field heartbeat? number   seconds between signs of life, so that a peer that vanished is noticed
---@field max_size? integer   bytes of a part; who sends more is disconnected
---@field identity? string    that a ROUTER sees
---@field curve? tiny.ZmqCurve

---@class tiny.ZmqCurve
---@field secret_key string   keys are 40 characters: tiny.zmq.keypair()
---@field public_key? string  of a client
---@field server_key? string  a client's server's public key
---@field clients? string[]   the public keys that a server lets in, and no others

--- Open a socket, or take over the one that the generation before had of that type, with these
--- endpoints and that name: no message is lost. An open one takes over linger, subscribe and
--- curve.clients; its other options hold until it is closed. The type may be in lower case.
---@param type_name "PUSH"|"PULL"|"PUB"|"SUB"|"XPUB"|"XSUB"|"REQ"|"REP"|"ROUTER"|"DEALER"|"PAIR"
---@param options tiny.Zmq
---@return tiny.ZmqSocket?, string?, string?
function zmq.socket(type_name, options)
  runtime.acting("tiny.zmq.socket")
  if type(type_name) == "string" then type_name = type_name:upper() end
  local problem = check(type_name, options)
  if problem then error("tiny.zmq.socket: " .. problem, 2) end
  local order = order_of(type_name, options)
  local socket, as_ordered, name = core.open(order, key_of(order, options.name), fixed_of(order))
  if not socket then
    log.err("tiny.zmq.socket: %s", as_ordered)
    return nil, as_ordered, name
  end
  if not as_ordered then
    log.warn("tiny.zmq.socket: %s %s was opened with other options: they hold until it is closed", type_name,
             (order.bind or order.connect)[1])
  end
  if subscribes(type_name) then core.subscribe_only(socket, list_of(options.subscribe) or {}) end
  send_timeouts[socket] = options.send_timeout
  return socket
end

--- A new pair of CURVE keys: public, secret.
---@return string?, string?, string?
function zmq.keypair()
  runtime.acting("tiny.zmq.keypair")
  return core.keypair()
end

return zmq
