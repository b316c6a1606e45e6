--- TCP and unix sockets: listeners that live through reloads, connections out.
local acceptor = require "tiny.core.acceptor"
local address = require "tiny.address"
local core = require "tiny.core.stream"
local listen = require "tiny.listen"
local runtime = require "tiny.core.runtime"
local task = require "tiny.task"
require "tiny.stream" -- the methods of connections

local tcp = {}

-- -- listening ---------------------------------------------------------------

--- Call on_connection(stream), in a task of its own, for each connection to the address. A handler
--- that raises has its stream closed. Connections come once on_start has ended.
---@param text string
---@param on_connection fun(stream: tiny.Stream)
---@param opts? {backlog: integer, limit: integer, timeout: number}  limit: connections at a time;
--- timeout: of each wait
---@return tiny.Listener?, string?, string?
function tcp.listen(text, on_connection, opts)
  runtime.acting("tiny.tcp.listen")
  opts = opts or {}
  address.check(text, "tiny.tcp.listen")
  if type(on_connection) ~= "function" then
    error("tiny.tcp.listen: a function is expected for connections", 2)
  end
  local function handle(connection)
    if opts.timeout then connection:timeout(opts.timeout) end
    return on_connection(connection)
  end
  local function make() return acceptor.new(handle, opts.limit or math.huge) end
  return listen("tiny.tcp.listen", text, make, opts.backlog)
end

-- -- connecting --------------------------------------------------------------

-- The end of one attempt: when others are left, a dead one may not use up all of the time.
local function share(deadline, left)
  local now = runtime.now()
  return now + (deadline - now) / left
end

local function connect_one(endpoint, deadline)
  local connection, code = core.open(endpoint)
  if not connection then return nil, task.failure(code) end
  local ok, message, name = task.wait(core.connected, connection, deadline)
  if ok then return connection end
  connection:close()
  return nil, message, name
end

--- Connect to an address; one of several that a name has. `timeout` is for all of it (10 s).
---@param text string
---@param opts? {timeout: number}
---@return tiny.Stream?, string?, string?
function tcp.connect(text, opts)
  runtime.acting("tiny.tcp.connect")
  address.check(text, "tiny.tcp.connect")
  local deadline = runtime.now() + (opts and opts.timeout or 10)
  local endpoints, why, name = address.resolve(text, deadline)
  if not endpoints then return nil, why, name end
  local message = "a passed descriptor is for listening"
  for i, endpoint in ipairs(endpoints) do
    local connection
    connection, message, name = connect_one(endpoint, share(deadline, #endpoints - i + 1))
    if connection then return connection end
  end
  return nil, ("%s: %s"):format(text, message), name
end

return tcp
