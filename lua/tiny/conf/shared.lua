-- SPDX-License-Identifier: MIT
-- shared.lua -- the keys of conf.lua that etcd has for all members of a cluster:
-- {prefix=, version=, keys={[key]={value=} or, where it is no JSON, {text=}}}; nil where there are none.
local shared = {}

-- What makes a member the one that it is stays in its own conf.lua.
local own = {}
for _, name in ipairs {"name", "script", "run_dir", "user", "group"} do own["svr." .. name] = true end

local function is_own(key) return own[key] or key:find("^svr%.cluster%.") end

-- Where a key of etcd's stands, for messages; nil when it is conf.lua's.
function shared.place(given, key)
  return given and key and given.keys[key] and "etcd " .. given.prefix .. key
end

-- What conf.lua returned with the keys of etcd in the place of its own, a new table.
function shared.lay_over(values, given, reporter_of, add)
  if not given then return values end
  local result = {}
  for key, value in next, values do result[key] = value end
  for key, entry in pairs(given.keys) do
    if is_own(key) then
      add(key, key .. ": each member has its own, expected in conf.lua only")
    elseif entry.value == nil then
      reporter_of(key, add)(key, entry.text, 'JSON, such as 5, true or "text"')
    else
      result[key] = entry.value
    end
  end
  return result
end

return shared
