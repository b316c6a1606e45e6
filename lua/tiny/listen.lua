--- Listeners: what TCP and HTTP servers have in common. They live through reloads.
local acceptor = require "tiny.core.acceptor"
local address = require "tiny.address"
local log = require "tiny.log"
local task = require "tiny.task"

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
    local at, code = acceptor.listen(handle, endpoint, backlog)
    if at then
      bound[#bound + 1] = at
    else
      message, name = task.failure(code)
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

local function open(text, make, backlog)
  local endpoints, why, name = address.resolve(text)
  if not endpoints then return nil, why, name end
  local handle = make()
  local bound
  if name then
    bound, why, name = adopt_each(handle, name)
  else
    bound, why, name = listen_each(handle, endpoints, backlog)
  end
  if bound then return setmetatable({ acceptor = handle, addresses = bound }, Listener) end
  acceptor.close(handle)
  return nil, ("%s: %s"):format(text, why), name
end

--- Listen on an address for the acceptor that make() returns. `what` is the public function; a
--- failure is logged too, since many do not look at what it returns.
---@param what string
---@param text string
---@param make fun(): userdata
---@param backlog? integer
---@return tiny.Listener?, string?, string?
return function(what, text, make, backlog)
  local listener, message, name = open(text, make, backlog or 4096)
  if not listener then log.err("%s: %s", what, message) end
  return listener, message, name
end
