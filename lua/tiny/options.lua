-- SPDX-License-Identifier: MIT
-- options.lua -- the tables of options that functions take.

local function is_positive(value)
  return type(value) == "number" and value > 0
end

--- What is wrong with them, or nil. `kinds` has the type of each option; "positive" is a number above 0.
---@param given any
---@param kinds table<string, string>
---@return string?
return function(given, kinds)
  if type(given) ~= "table" then return "a table of options is expected, got " .. type(given) end
  for name, value in pairs(given) do
    local kind = kinds[name]
    if not kind then return "unknown option " .. tostring(name) end
    if kind == "positive" then
      if not is_positive(value) then
        return ("%s: a number above 0 is expected, got %s"):format(name, tostring(value))
      end
    elseif type(value) ~= kind then
      return ("%s is a %s, not a %s"):format(name, kind, type(value))
    end
  end
end
