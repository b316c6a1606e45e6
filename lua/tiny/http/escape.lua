--- Percent-encoding of paths and queries.
local escape = {}

local function byte(hex) return string.char(tonumber(hex, 16)) end

--- Decode "%20" and the like; nil when it is malformed or hides a NUL.
---@param text string
---@return string?
function escape.decode(text)
  if not text:find("%", 1, true) then return text end
  if text:find("%%%X") or text:find("%%.%X") or text:find("%%.?$") or text:find("%%00") then return nil end
  return (text:gsub("%%(%x%x)", byte))
end

--- Decode a part of a query, where "+" is a blank. What is malformed stays as it is.
---@param text string
---@return string
function escape.decode_query(text)
  if text:find("+", 1, true) then text = text:gsub("%+", " ") end
  if text:find("%", 1, true) then text = text:gsub("%%(%x%x)", byte) end
  return text
end

--- Encode all but letters, digits and "-._~".
---@param text string
---@return string
function escape.encode(text)
  return (text:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

--- A query's names and values, decoded. Of a repeated name the last value counts.
---@param query string?
---@return table<string, string>
function escape.query(query)
  local values = {}
  for pair in (query or ""):gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=(.*)$")
    values[escape.decode_query(name or pair)] = escape.decode_query(value or "")
  end
  return values
end

return escape
