-- SPDX-License-Identifier: MIT
-- conf.lua -- reading and checking a server's conf.lua: the table it returns becomes the
-- configuration, with defaults filled in and every value in its normal form.
local keys = require "tiny.conf.keys"
local nearest = require "tiny.conf.nearest"
local plain = require "tiny.conf.plain"
local shared_keys = require "tiny.conf.shared"
local source = require "tiny.conf.source"

local conf = {}

-- Messages are read by many: no value of such a key is shown.
local function is_secret(path)
  for _, word in ipairs {"pass", "secret", "token", "key", "log.email.config.from"} do
    if path:lower():find(word, 1, true) then return true end
  end
end

-- What is told goes to terminals and logs.
local function printable(text)
  return (text:gsub("%c", function(c) return ("\\%d"):format(c:byte()) end))
end

local function shown(value, path)
  if type(value) == "table" or type(value) == "function" then return "a " .. type(value) end
  if is_secret(path) then return '"***"' end
  if type(value) ~= "string" then return tostring(value) end
  local text = value:gsub("(://[^/@%s]*:)[^@%s]*@", "%1***@")
  if #text > 80 then text = text:sub(1, 77) .. "..." end
  return '"' .. text .. '"'
end

local most = 20 -- mistakes that are told

-- Collects mistakes; each is told with the line that its key stands on, or the key of etcd that it is in.
local function new_reporter(path, text, shared)
  local mistakes, more = {}, 0
  local function place(key)
    local foreign = shared_keys.place(shared, key)
    local line = key and not foreign and source.line(text, key)
    return foreign or (line and ("%s:%d"):format(path, line) or path), line or math.huge
  end
  local function add(key, message)
    if #mistakes == most then more = more + 1 return end
    local where, line = place(key)
    mistakes[#mistakes + 1] = { line = line, text = printable(where .. ": " .. message) }
  end
  local function message()
    table.sort(mistakes, function(a, b)
      if a.line ~= b.line then return a.line < b.line end
      return a.text < b.text
    end)
    for i, mistake in ipairs(mistakes) do mistakes[i] = mistake.text end
    if more > 0 then mistakes[most + 1] = ("%s: and %d more mistakes"):format(path, more) end
    return table.concat(mistakes, "\n")
  end
  return add, message, mistakes
end

-- The report function of kinds for one key: what stands at `where` is not what was expected.
local function reporter_of(key, add)
  return function(where, value, expected, near)
    if near then
      -- A mistyped "pasword" holds a password.
      local text = shown(value, where .. near)
      add(key, ("%s = %s: unknown key, the nearest known key is %s"):format(where, text, near))
    elseif value == nil then
      add(key, ("%s is missing, expected %s"):format(where, expected))
    else
      add(key, ("%s = %s, expected %s"):format(where, shown(value, where), expected))
    end
  end
end

local function is_runtime(key) return key:find("^svr%.") or key:find("^log%.") end

local function check_key(key, value, add)
  if type(key) ~= "string" then
    return add(nil, ("[%s] = %s, expected a key that is a string"):format(tostring(key), shown(value, "")))
  end
  local report = reporter_of(key, add)
  if not plain.check(value, key, report) or not is_runtime(key) then return value end
  if not keys[key] then return report(key, value, nil, (nearest(key, keys))) end
  return keys[key].kind.check(value, key, report)
end

-- A required key that is not there; perhaps it is there under a mistyped name.
local function add_missing(key, values, add)
  local near, distance = nearest(key, values)
  local hint = near and distance <= 3 and (", is it %s = %s?"):format(near, shown(values[near], near)) or ""
  add(hint ~= "" and near or nil, ("%s is missing, expected %s%s"):format(key, keys[key].kind.expected, hint))
end

local function fill_defaults(result, given, add)
  for key, row in pairs(keys) do
    if given[key] == nil and row.required then add_missing(key, given, add) end
    if given[key] == nil and type(row.default) ~= "function" then result[key] = row.default end
    if row.needs and result[key] and given[row.needs] == nil then
      local expected = keys[row.needs].kind.expected
      add(key, ("%s = %s needs %s, expected %s"):format(key, shown(result[key], key), row.needs, expected))
    end
  end
end

local function fill_derived(result)
  for key, row in pairs(keys) do
    if result[key] == nil and type(row.default) == "function" then result[key] = row.default(result) end
  end
end

local function text_keyed(values)
  local result = {}
  for key, value in next, values do
    if type(key) == "string" then result[key] = value end
  end
  return result
end

-- Check what a conf.lua returned. `path` names it in messages, `text` is its source (for line
-- numbers; read from `path` when not given); what etcd has of it, `shared` (conf/shared.lua), goes over
-- it. Returns the configuration, a new table, or nil and a message with one line for each mistake.
function conf.check(values, path, text, shared)
  if not text then
    local file = io.open(path, "rb")
    text = file and file:read("*a") or ""
    if file then file:close() end
  end
  local add, message, mistakes = new_reporter(path, text, shared)
  if type(values) ~= "table" then
    return nil, ("%s: must return a table of keys, not %s"):format(path, shown(values, ""))
  end
  if debug.getmetatable(values) then return nil, path .. ": the table it returns has a metatable" end
  values = shared_keys.lay_over(values, shared, reporter_of, add)
  local result = {}
  for key, value in next, values do result[key] = check_key(key, value, add) end
  fill_defaults(result, text_keyed(values), add)
  if #mistakes > 0 then return nil, message() end
  fill_derived(result)
  return result
end

local function read(path)
  local file, why = io.open(path, "rb")
  if not file then return nil, why end
  local text, failed = file:read("*a")
  file:close()
  if not text then return nil, path .. ": " .. tostring(failed) end
  return text
end

-- The line that is being run of the file at `path`, or 0; called from a message handler.
local function current_line(path)
  for level = 2, math.huge do
    local info = debug.getinfo(level, "Sl")
    if not info then return 0 end
    if info.source == "@" .. path then return info.currentline end
  end
end

-- An error value as text that says where in the file it was raised; `short` is Lua's name for it.
local function describe(err, path, short)
  local text = type(err) == "string" and err or "the error is " .. tostring(err)
  if text:find(short .. ":", 1, true) then return text end
  return ("%s:%d: %s"):format(path, current_line(path), text)
end

-- Run the conf.lua at `path` and check what it returns, with `shared` over it. Returns the configuration,
-- or nil and a message.
function conf.load(path, shared)
  local text, why = read(path)
  if not text then return nil, why end
  local chunk, bad_syntax = load(text:gsub("^\239\187\191", ""):gsub("^#[^\n]*", ""), "@" .. path, "t")
  if not chunk then return nil, bad_syntax end
  local short = debug.getinfo(chunk, "S").short_src
  local ok, values = xpcall(chunk, function(err) return describe(err, path, short) end)
  if not ok then return nil, values end
  return conf.check(values, path, text, shared)
end

return conf
