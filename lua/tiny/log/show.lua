--- Messages from any arguments: tables are shown as JSON, a table behind what the
--- format asks for becomes the fields of the line.
local show = {}

local DEPTH, BYTES, KEYS = 12, 60000, 5000   -- what is deeper, longer or more is cut

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quote(text)
  return '"' .. text:gsub('[%c"\\\127]', function(c)
    return escapes[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local function is_plain(number)
  return number == number and number ~= math.huge and number ~= -math.huge
end

local function is_array(t)
  local count = 0
  for key in next, t do
    count = count + 1
    if type(key) ~= "number" or rawget(t, count) == nil then return false end
  end
  return count > 0
end

-- Keys as text and in order, so that the same table always looks the same.
local function sorted(t)
  local names, values = {}, {}
  for key, value in next, t do
    local name = tostring(key)
    if values[name] == nil then names[#names + 1] = name end
    values[name] = value
    if #names == KEYS then break end
  end
  table.sort(names)
  return names, values
end

local write

local function write_array(out, t, depth)
  for i = 1, #t do
    out:add(i == 1 and "[" or ",")
    write(out, t[i], depth)
    if out.bytes >= BYTES then break end
  end
  out:add("]")
end

local function write_object(out, t, depth)
  local names, values = sorted(t)
  out:add("{")
  for i, name in ipairs(names) do
    out:add((i == 1 and "" or ",") .. quote(depth == 1 and out.rename[name] or name) .. ":")
    write(out, values[name], depth)
    if out.bytes >= BYTES then break end
  end
  out:add("}")
end

local function write_table(out, t, depth)
  local meta = getmetatable(t)
  if type(meta) == "table" and rawget(meta, "__tostring") then return out:add(quote(tostring(t))) end
  if out.inside[t] then return out:add('"(cycle)"') end
  if depth > DEPTH then return out:add('"..."') end
  out.inside[t] = true
  local write_it = is_array(t) and write_array or write_object
  write_it(out, t, depth)
  out.inside[t] = nil
end

function write(out, value, depth)
  local kind = type(value)
  if kind == "table" then return write_table(out, value, depth + 1) end
  if kind == "number" and is_plain(value) then return out:add(("%.14g"):format(value)) end
  if kind == "boolean" then return out:add(tostring(value)) end
  if value == nil or tostring(value) == "userdata: NULL" then return out:add("null") end
  if kind == "string" and #value > BYTES then value = value:sub(1, BYTES) .. "..." end
  out:add(quote(tostring(value)))
end

local function add(out, piece)
  out[#out + 1] = piece
  out.bytes = out.bytes + #piece
end

local function json(value, rename)
  local out = { add = add, bytes = 0, inside = {}, rename = rename or {} }
  write(out, value, 0)
  return table.concat(out)
end

-- The members that a JSON line has of its own.
local taken = {}
for _, name in ipairs { "time", "level", "name", "pid", "file", "line", "msg" } do
  taken[name] = name .. "_"
end

local function as_fields(value)
  if type(value) ~= "table" then return nil end
  local text = json(value, taken)
  return text:sub(1, 1) == "{" and text or nil
end

--- A value as text: tables as JSON, all else as tostring() has it.
function show.text(value)
  if type(value) ~= "table" then return tostring(value) end
  local meta = getmetatable(value)
  if type(meta) == "table" and rawget(meta, "__tostring") then return tostring(value) end
  return json(value)
end

local function directives(fmt)
  local _, all = fmt:gsub("%%", "")
  local _, escaped = fmt:gsub("%%%%", "")
  return all - 2 * escaped
end

-- A format that does not fit its arguments must not lose the line.
local function unfit(fmt, args, n, why)
  for i = 1, n do args[i] = show.text(args[i]) end
  local reason = tostring(why):match("^bad argument #%d+ to '.-' %((.*)%)$") or tostring(why)
  return ("%s [%s: %s]"):format(fmt, reason, table.concat(args, ", ", 1, n))
end

--- string.format(fmt, ...), or `fmt` shown when nothing follows -> text, fields or nil.
function show.render(fmt, ...)
  local args, n = { ... }, select("#", ...)
  if type(fmt) ~= "string" and n == 0 then
    local fields = as_fields(fmt)
    return fields and "" or show.text(fmt), fields
  end
  fmt = show.text(fmt)
  local fields = n > directives(fmt) and as_fields(args[n]) or nil
  if fields then n = n - 1 end
  for i = 1, n do
    if type(args[i]) == "table" then args[i] = show.text(args[i]) end
  end
  local ok, text = pcall(string.format, fmt, unpack(args, 1, n))
  return ok and text or unfit(fmt, args, n, text), fields
end

return show
