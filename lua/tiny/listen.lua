--- Listeners: what TCP and HTTP servers have in common. They live through reloads.
local acceptor = require "tiny.core.acceptor"
local address = require "tiny.address"
local log = require "tiny.log"
local task = require "tiny.task"
local tls = require "tiny.tls"

---@class tiny.Listener
local Listener = {}
Listener.__index = Listener

--- Let go of the port. During a reload it stays open until the new generation has started, so
--- that closing it in on_close costs nobody a connection.
function Listener:close()
  acceptor.close(self.acceptor)
end

--- Where it is bound: the first of its addresses, with the port that the kernel chose for 0.
---@return string
function Listener:address()
  return self.addresses[1]
end

-- Some machines have no IPv6: a name is served on the addresses that there are.
local absent = { EADDRNOTAVAIL = true, EAFNOSUPPORT = true }

local function listen_each(handle, endpoints, backlog)
  local bound, message, name = {}, nil, nil
  for _, endpoint in ipairs(endpoints) do
    local at, code, why = acceptor.listen(handle, endpoint, backlog)
    if at then
      bound[#bound + 1] = at
    else
      message, name = task.failure(code)
      message = why or message
      if not absent[name] then return nil, message, name end
    end
  end
  if #bound == 0 then return nil, message, name end
  return bound
end

local function adopt_each(handle, passed)
  local bound = {}
  repeat
    local at = acceptor.adopt(handle, passed, #bound)
    bound[#bound + 1] = at
  until not at
  if #bound == 0 then return nil, "no listening socket of that name was passed to the server", "ENOENT" end
  return bound
end

local function bind(handle, endpoints, passed, backlog)
  if passed then return adopt_each(handle, passed) end
  return listen_each(handle, endpoints, backlog)
end

local function open(text, make, opts)
  local endpoints, why, passed = address.resolve(text)
  if not endpoints then return nil, why, passed end
  local settings, problem = nil, nil
  if opts.tls then settings, problem = tls.listener(opts.tls) end
  if problem then return nil, ("%s: %s"):format(text, problem), "EINVAL" end
  local handle = make(settings)
  local bound, name
  bound, why, name = bind(handle, endpoints, passed, opts.backlog or 4096)
  if bound then return setmetatable({ acceptor = handle, addresses = bound }, Listener) end
  acceptor.close(handle)
  return nil, ("%s: %s"):format(text, why), name
end

--- Listen on an address for the acceptor that make(TLS settings) returns. `what` is the public function; a
--- failure is logged too, since many do not look at what it returns.
---@param what string
---@param text string
---@param make fun(settings?: userdata): userdata
---@param opts {backlog: integer, tls: tiny.Tls}
---@return tiny.Listener?, string?, string?
return function(what, text, make, opts)
  local listener, message, name = open(text, make, opts)
  if not listener then log.err("%s: %s", what, message) end
  return listener, message, name
end
