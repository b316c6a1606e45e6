-- What the key-value server lets its clients do. Edit, then kill -HUP.
local kv = require "kv"
local tiny = require "tiny"

local Policy = tiny.Server:extend()

function Policy:on_start()
  self.context.asked = self.context.asked or 0
  self:info("policy %d, %d keys", self.generation, kv.count())
end

--- Called by the program before each request -> the value to go on with (true: as it is), or nil and a reason.
function Policy:admit(op, key, value)
  self.context.asked = self.context.asked + 1
  if key:match("^secret%.") then return nil, "secret" end
  if op ~= "SET" then return true end
  if not value then return nil, "a value is missing" end
  if not kv.get(key) and kv.count() >= self.conf["kv.most"] then return nil, "full" end
  return (value:gsub("%s+$", ""))
end

function Policy:get_summary()
  return { asked = self.context.asked, keys = kv.count() }
end

return Policy
