-- SPDX-License-Identifier: MIT
-- source.lua -- where in the text of conf.lua a key stands, for messages.
local source = {}

local function escape(text) return (text:gsub("%W", "%%%0")) end

-- The ways to write a key: ["key"] =, key =, and any other mention in quotes; surest first.
local function patterns(key)
  local name = escape(key)
  return {
    "%[%s*([\"'])" .. name .. "%1%s*%]%s*=",
    "%f[%w_]()" .. name .. "%s*=[^=]",
    "([\"'])" .. name .. "%1",
  }
end

-- Line number of `key` in `text`, or nil. Of several the last counts, as it does in Lua.
function source.line(text, key)
  for _, pattern in ipairs(patterns(key)) do
    local number, found = 0, nil
    for line in (text .. "\n"):gmatch("(.-)\n") do
      number = number + 1
      if line:gsub("%-%-.*", ""):find(pattern) then found = number end
    end
    if found then return found end
  end
end

return source
