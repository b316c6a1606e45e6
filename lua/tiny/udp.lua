--- UDP sockets, which live through reloads.
local address = require "tiny.address"
local core = require "tiny.core.udp"
local log = require "tiny.log"
local runtime = require "tiny.core.runtime"
local task = require "tiny.task"

local udp = {}

---@class tiny.Udp
local methods = {}

--- Wait for a datagram: its bytes and the sender's address.
---@param timeout? number  seconds: nil, "timeout", "ETIMEDOUT" when none has come by then
---@return string? data, string? from
function methods:recv(timeout)
  return task.wait(core.recv, self, timeout and runtime.now() + timeout)
end

--- Send a datagram to an address.
---@param data string
---@param to string
---@return boolean?
function methods:send(data, to)
  address.check(to, "udp:send")
  local endpoints, why, name = address.resolve(to)
  if not endpoints then return nil, why, name end
  if not endpoints[1] then return nil, to .. ": a passed descriptor is for listening", "EINVAL" end
  return task.wait(core.send, self, data, endpoints[1])
end

--- Where it is bound.
---@return string?
function methods:address()
  return core.address(self)
end

--- Let go of it; during a reload it stays open until the new generation has started.
function methods:close()
  core.close(self)
end

core.handle.__index = methods

--- Bind a socket to an address, or take over the one that the generation before had there: what has come
--- in between waits in it. On a name's first address.
---@param text string
---@return tiny.Udp?, string?, string?
function udp.bind(text)
  runtime.acting("tiny.udp.bind")
  address.check(text, "tiny.udp.bind")
  local endpoints, why, name = address.resolve(text)
  local socket, code
  if endpoints and endpoints[1] then
    socket, code = core.bind(endpoints[1])
    if socket then return socket end
    why, name = task.failure(code)
    why = text .. ": " .. why
  elseif endpoints then
    why, name = text .. ": expected host:port", "EINVAL"
  end
  log.err("tiny.udp.bind: %s", why)
  return nil, why, name
end

return udp
