--- Addresses: from "localhost:8080" and the like to endpoints, which only C looks into.
local core = require "tiny.core.address"
local task = require "tiny.task"

local address = {}

--- Raise, where the caller of the public function stands, unless text is a string.
function address.check(text, what)
  if type(text) ~= "string" then
    error(("%s: an address is expected, got %s"):format(what, type(text)), 3)
  end
end

--- The endpoints of an address; waits when it is a name. For "fd:NAME" none, and the NAME.
---@return table? endpoints
---@return string? message
---@return string? name
function address.resolve(text, deadline)
  local endpoint, why, passed = core.parse(text)
  if endpoint == false then return nil, why, "EINVAL" end
  if endpoint then return { endpoint } end
  if passed then return {}, nil, passed end
  local lookup, code = core.ask(text)
  if not lookup then return nil, task.failure(code) end
  local endpoints, message, name = task.wait(core.answer, lookup, deadline)
  if not endpoints then return nil, text .. ": " .. message, name end
  return endpoints
end

return address
