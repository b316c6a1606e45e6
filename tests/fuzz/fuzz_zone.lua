-- SPDX-License-Identifier: MIT
-- fuzz_zone.lua -- time zone files: refused with a reason, or an offset for any time.
local zone = require "tiny.zone"

local folder = os.tmpname()
os.remove(folder)
assert(os.execute("mkdir " .. folder) == 0)

-- It goes when the state is closed.
local keeper = newproxy(true)
getmetatable(keeper).__gc = function() os.execute("rm -r " .. folder) end

local function check(bytes)
  local file = assert(io.open(folder .. "/Zone", "wb"))
  file:write(bytes)
  file:close()
  local here, why = zone.load("Zone", folder)
  if not here then return assert(type(why) == "string") end
  for _, time in ipairs {-2 ^ 40, -1, 0, 951782400, 1700000000, 4e9, 2 ^ 40} do
    local offset = here:offset(time)
    assert(type(offset) == "number" and offset == math.floor(offset), "an offset is no whole number")
  end
end

return function(bytes) return keeper and check(bytes) end
