-- generate.lua -- docs/lua-api.md from the annotations in lua/, docs/c-api.md from runtime/tiny.h.
-- Run in the repository: luajit docs/generate.lua [FOLDER]; a test holds the pages and their sources together.
local to = arg[1] or "docs"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function write(name, lines)
  local file = assert(io.open(to .. "/" .. name, "w"))
  file:write(table.concat(lines, "\n"), "\n")
  assert(file:close())
end

-- -- Lua -------------------------------------------------------------------------

-- What tiny.lua shows under which name: {["task.sleep"] = "tiny.sleep"}.
local function exported()
  local names = {}
  for name, from in read("lua/tiny.lua"):gmatch("\n  ([%w_]+) = ([%w_]+%.[%w_]+)") do
    names[from] = "tiny." .. name
  end
  return names
end

-- The pages' chapters: title, file, what its tables are called outside, and the function that it returns.
local chapters = {
  {"Everywhere", "../tiny", {}},
  {"The log", "log", {}},
  {"The server", "server", {Server = "self"}},
  {"Tasks", "task", {task = true, methods = "task"}},
  {"Queues", "queue", {Queue = "queue"}, "tiny.queue"},
  {"Timers", "timer", {timer = true}},
  {"TCP and unix sockets", "tcp", {tcp = "tiny.tcp"}},
  {"Listeners", "listen", {Listener = "listener"}},
  {"Streams", "stream", {methods = "stream"}},
  {"UDP", "udp", {udp = "tiny.udp", methods = "udp"}},
  {"Other programs", "exec", {}, "tiny.exec"},
  {"TLS", "tls", {}},
  {"HTTP server", "http/server", {server = "tiny.http"}},
  {"HTTP requests", "http/request", {methods = "req", Response = "response", Events = "events"}},
  {"HTTP routes", "http/router", {Router = "router"}, "tiny.http.router"},
  {"HTTP client", "http/client", {Answer = "answer"}, "tiny.http.request"},
  {"ZeroMQ", "zmq", {zmq = "tiny.zmq", methods = "socket"}},
  {"Specs", "spec", {spec = "spec"}},
}

-- One comment's lines -> text, parameters, results and fields.
local function parse(comment)
  local doc = {text = {}, params = {}, returns = {}, fields = {}}
  for line in comment:gmatch("%-%-%-? ?([^\n]*)") do
    local tag, rest = line:match("^@(%w+)%s*(.*)")
    if tag == "param" then
      doc.params[#doc.params + 1] = rest
    elseif tag == "return" then
      doc.returns[#doc.returns + 1] = "`" .. rest:gsub("  +", "` (", 1) .. (rest:find("  ") and ")" or "`")
    elseif tag == "field" then
      doc.fields[#doc.fields + 1] = rest
    elseif tag == "class" then
      doc.class = rest
    elseif not tag then
      doc.text[#doc.text + 1] = line
    end
  end
  return doc
end

-- "name? type  text" as an item; a type may hold spaces inside of brackets.
local function item(text)
  local name, rest = text:match("^(%S+)%s+(.*)$")
  local depth, at = 0, #rest + 1
  for i = 1, #rest do
    local c = rest:sub(i, i)
    if c:find("[({<]") then depth = depth + 1 elseif c:find("[)}>]") then depth = depth - 1 end
    if c == " " and depth == 0 and not rest:sub(1, i - 1):find("[:,|]$") then at = i break end
  end
  local kind, more = rest:sub(1, at - 1), rest:sub(at + 1):match("^%s*(.-)%s*$")
  return ("- `%s` (`%s`)%s"):format(name, kind, more == "" and "" or ": " .. more)
end

local function public_name(outside, from, owner, sep, name)
  local known = outside[owner]
  if known == true then return from[owner .. "." .. name] end
  return known and (known .. sep .. name)
end

local function entry(out, name, arguments, doc)
  out[#out + 1] = ("### `%s(%s)`\n"):format(name, arguments)
  out[#out + 1] = table.concat(doc.text, "\n") .. "\n"
  for _, param in ipairs(doc.params) do out[#out + 1] = item(param) end
  if #doc.returns > 0 then out[#out + 1] = "- returns " .. table.concat(doc.returns, ", ") end
  if #doc.params + #doc.returns > 0 then out[#out + 1] = "" end
end

local function fields(out, doc)
  out[#out + 1] = ("### `%s`\n"):format(doc.class)
  if #doc.text > 0 then out[#out + 1] = table.concat(doc.text, "\n") .. "\n" end
  for _, field in ipairs(doc.fields) do out[#out + 1] = item(field) end
  out[#out + 1] = ""
end

local function chapter(out, title, path, outside, from, own)
  local file = io.open(path, "rb")
  if not file then return end
  file:close()
  out[#out + 1] = "## " .. title .. "\n"
  local comment = ""
  for line in read(path):gmatch("([^\n]*)\n") do
    local owner, sep, name, arguments = line:match("^function ([%w_]+)([.:])([%w_]+)%((.-)%)")
    if not owner then owner, name, arguments = line:match("^([%w_]+)%.([%w_]+) = [%w_.]+$") sep = "." end
    local known = owner and public_name(outside, from, owner, sep, name)
    if not owner then
      arguments = line:match("^return function%((.-)%)") or line:match("^local function %w+%((.-)%)")
      known = arguments and own
    end
    if line:find("^%-%-") then
      comment = comment .. line .. "\n"
    else
      local doc = comment:find("^%-%-%-") and parse(comment)
      if doc and #doc.fields > 0 then fields(out, doc) end
      if doc and known and not known:find("__", 1, true) then
        entry(out, known, arguments or comment:match("@type fun%((.-)%)") or "...", doc)
      end
      comment = ""
    end
  end
end

local function lua_api()
  local out = {
    "# Lua API", "",
    "Made from the annotations in `lua/tiny/` by `docs/generate.lua`. Types as the Lua language server writes",
    "them; `?` may be left out. What fails in the world returns `nil, message, NAME`; what is wrong in the",
    "script raises.", "",
  }
  local from = exported()
  for _, c in ipairs(chapters) do chapter(out, c[1], "lua/tiny/" .. c[2] .. ".lua", c[3], from, c[4]) end
  while out[#out]:find("^%s*$") do out[#out] = nil end
  out[#out] = out[#out]:gsub("%s+$", "")
  return out
end

-- -- C -----------------------------------------------------------------------------

local function uncomment(text)
  return (text:gsub("^/%* ?", ""):gsub("%s*%*/%s*$", ""):gsub("\n ?%* ?", "\n"))
end

local function put_code(out, code)
  local text = table.concat(code, "\n"):gsub("TINY_API ", ""):gsub("^%s+", ""):gsub("%s+$", "")
  if text ~= "" then out[#out + 1] = "    " .. text:gsub("\n", "\n    "):gsub("\n +\n", "\n\n") .. "\n" end
end

local function put_comment(out, comment)
  local title = comment:match("^/%* %-%- (.-) %-%-+ %*/$")
  out[#out + 1] = (title and "## " .. title:sub(1, 1):upper() .. title:sub(2) or uncomment(comment)) .. "\n"
end

-- Comments that begin a line are text, what stands between them is code.
local function c_api()
  local text = read("runtime/tiny.h")
  local intro = text:match("tiny%.h %-%- (.-)%s*%*/")
  local out = {"# C API", "", "Made from `runtime/tiny.h` by `docs/generate.lua`.", "",
    (uncomment(intro):gsub("^.-\n\n", ""):gsub("\n  (%-E%u+) +", "\n- `%1`: ")) .. "\n"}
  local code, comment = {}, nil
  for line in text:match("typedef struct tiny tiny;\n(.*)#ifdef __cplusplus"):gmatch("([^\n]*)\n") do
    if line:find("^/%*") then
      put_code(out, code)
      code, comment = {}, line
    elseif comment then
      comment = comment .. "\n" .. line
    else
      code[#code + 1] = line
    end
    if comment and line:find("%*/$") then
      put_comment(out, comment)
      comment = nil
    end
  end
  put_code(out, code)
  out[#out] = out[#out]:gsub("%s+$", "")
  return out
end

write("lua-api.md", lua_api())
write("c-api.md", c_api())
