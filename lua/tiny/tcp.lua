--- TCP and unix sockets: listeners that live through reloads, connections out.
local acceptor = require "tiny.core.acceptor"
local address = require "tiny.address"
local core = require "tiny.core.stream"
local listen = require "tiny.listen"
local problem_of = require "tiny.options"
local runtime = require "tiny.core.runtime"
local task = require "tiny.task"
local tls = require "tiny.tls"
require "tiny.stream" -- the methods of connections

local tcp = {}

local function check_options(what, opts, kinds)
  local problem = problem_of(opts, kinds)
  if problem then error(("%s: %s"):format(what, problem), 3) end
end

local function shake(connection, settings, expected, deadline)
  return task.wait(tls.shake, connection, settings, expected, deadline)
end

-- -- listening ---------------------------------------------------------------

---@class tiny.Listen
---@field limit? integer    connections at a time, others wait in the kernel; no limit unless given
---@field timeout? number   seconds for each wait of a connection; no limit unless given
---@field backlog? integer  connections that may wait in the kernel: 4096
---@field tls? tiny.Tls     speak TLS

local listen_kinds = { limit = "positive", timeout = "positive", backlog = "positive", tls = "table" }

--- Call on_connection(stream), in a task of its own, for each connection to the address. A handler
--- that raises has its stream closed. Connections come once on_start has ended.
---@param text string
---@param on_connection fun(stream: tiny.Stream)
---@param opts? tiny.Listen
---@return tiny.Listener?, string?, string?
function tcp.listen(text, on_connection, opts)
  runtime.acting("tiny.tcp.listen")
  opts = opts or {}
  address.check(text, "tiny.tcp.listen")
  if type(on_connection) ~= "function" then
    error("tiny.tcp.listen: a function is expected for connections", 2)
  end
  check_options("tiny.tcp.listen", opts, listen_kinds)
  tls.check("tiny.tcp.listen", opts.tls, true)
  local function make(settings)
    local function handle(connection)
      if opts.timeout then connection:timeout(opts.timeout) end
      if not settings or shake(connection, settings, nil, runtime.now() + (opts.timeout or 10)) then
        return on_connection(connection)
      end
      connection:close()
    end
    return acceptor.new(handle, opts.limit or math.huge, settings)
  end
  return listen("tiny.tcp.listen", text, make, opts)
end

-- -- connecting --------------------------------------------------------------

-- The end of one attempt: when others are left, a dead one may not use up all of the time.
local function share(deadline, left)
  local now = runtime.now()
  return now + (deadline - now) / left
end

local function connect_one(endpoint, deadline, settings, expected)
  local connection, code = core.open(endpoint)
  if not connection then return nil, task.failure(code) end
  local ok, message, name = task.wait(core.connected, connection, deadline)
  if ok and settings then ok, message, name = shake(connection, settings, expected, deadline) end
  if ok then return connection end
  connection:close()
  return nil, message, name
end

local function connect_any(text, deadline, settings, expected)
  local endpoints, why, name = address.resolve(text, deadline)
  if not endpoints then return nil, why, name end
  if not endpoints[1] then return nil, text .. ": a passed descriptor is for listening", "EINVAL" end
  local message
  for i, endpoint in ipairs(endpoints) do
    local connection
    connection, message, name = connect_one(endpoint, share(deadline, #endpoints - i + 1), settings, expected)
    if connection then return connection end
  end
  return nil, ("%s: %s"):format(text, message), name
end

-- Whom TLS expects there: a unix socket's path is nobody's name.
local function expected_of(text, options)
  local expected = options.name or text:match("^%[(.*)%]:%d+$") or text:match("^([^:]*):%d+$")
  if not expected and not options.insecure then error("tiny.tcp.connect: tls: name is missing", 3) end
  return expected
end

local connect_kinds = { timeout = "positive", tls = "table" }

--- Connect to an address; one of several that a name has. `timeout` is for all of it (10 s). With
--- `tls`, {} or more, the stream is encrypted, and the peer is who it says or it is an error.
---@param text string
---@param opts? {timeout: number, tls: tiny.Tls}
---@return tiny.Stream?, string?, string?
function tcp.connect(text, opts)
  runtime.acting("tiny.tcp.connect")
  address.check(text, "tiny.tcp.connect")
  opts = opts or {}
  check_options("tiny.tcp.connect", opts, connect_kinds)
  local options = opts.tls
  tls.check("tiny.tcp.connect", options)
  local expected = options and expected_of(text, options)
  local deadline = runtime.now() + (opts.timeout or 10)
  return tls.connection(options, function(settings) return connect_any(text, deadline, settings, expected) end)
end

return tcp
