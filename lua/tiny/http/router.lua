--- A router: a tree of path segments. Fixed segments go before ":name", which goes before "*name",
--- the rest of the path. 404 and 405 are answered here.
local escape = require "tiny.http.escape"
local types = require "tiny.http.types"

---@class tiny.Router
local Router = {}
Router.__index = Router

-- A node: fixed = {segment = node}, any = node, rest = row, and row, where row = {METHOD = route}.
local function child(node, segment)
  if segment:find("^:") then
    node.any = node.any or { fixed = {} }
    return node.any
  end
  node.fixed[segment] = node.fixed[segment] or { fixed = {} }
  return node.fixed[segment]
end

local function split(path)
  local segments = {}
  for segment in path:gmatch("/([^/]*)") do segments[#segments + 1] = segment end
  return segments
end

local function check(method, pattern, handler)
  if type(method) ~= "string" or not method:find("^[A-Z]+$") then
    error("router: a method such as \"GET\" is expected", 3)
  end
  if type(pattern) ~= "string" or pattern:sub(1, 1) ~= "/" then
    error("router: a pattern such as \"/users/:id\" is expected", 3)
  end
  if type(handler) ~= "function" then error("router: a function is expected for " .. pattern, 3) end
  if pattern:find("%*[^/]*/") then error("router: \"*name\" stands at the end: " .. pattern, 3) end
end

--- Call handler(req) for requests of that method to paths that fit the pattern: "/users/:id",
--- "/files/*path". What stands for a name is in req.params, decoded. router:get(pattern, handler), post,
--- put, patch, delete, head and options are short for it.
---@param method string
---@param pattern string
---@param handler fun(req: tiny.Request): ...
---@return tiny.Router
function Router:on(method, pattern, handler)
  check(method, pattern, handler)
  local node, names, row = self.root, {}, nil
  for _, segment in ipairs(split(pattern)) do
    names[#names + 1] = segment:match("^[:*](.+)")
    if segment:find("^%*") then
      node.rest = node.rest or {}
      row = node.rest
    else
      node = child(node, segment)
    end
  end
  if not row then
    node.row = node.row or {}
    row = node.row
  end
  row[method] = { handler = handler, names = names }
  return self
end

for _, method in ipairs { "get", "post", "put", "patch", "delete", "head", "options" } do
  Router[method] = function(self, pattern, handler)
    return self:on(method:upper(), pattern, handler)
  end
end

-- -- finding -----------------------------------------------------------------

-- The row for segments[at] and those after it; what stood for names is in `values`.
local function find(node, segments, at, values)
  local segment = segments[at]
  if not segment then return node.row end
  local fixed = node.fixed[segment]
  local row = fixed and find(fixed, segments, at + 1, values)
  if row then return row end
  local count = #values
  if node.any and segment ~= "" then
    values[count + 1] = segment
    row = find(node.any, segments, at + 1, values)
    if row then return row end
    values[count + 1] = nil
  end
  if node.rest then values[count + 1] = table.concat(segments, "/", at) end
  return node.rest
end

local function decoded(path)
  local segments = split(path)
  for i, segment in ipairs(segments) do segments[i] = escape.decode(segment) end
  return segments
end

local function allowed(row)
  local methods = { "OPTIONS" }
  for method in pairs(row) do methods[#methods + 1] = method end
  if row.GET and not row.HEAD then methods[#methods + 1] = "HEAD" end
  table.sort(methods)
  return { Allow = table.concat(methods, ", ") }
end

local function other(req, row)
  if req.method == "OPTIONS" then return 204, nil, allowed(row) end
  return 405, "Method Not Allowed\n", allowed(row)
end

--- Handle a request: a router can stand wherever a handler is expected.
function Router:__call(req)
  local values = {}
  local row = find(self.root, decoded(req.raw_path), 1, values)
  if not row then return 404, "Not Found\n" end
  local route = row[req.method] or req.method == "HEAD" and row.GET
  if not route then return other(req, row) end
  local params = {}
  for i, name in ipairs(route.names) do params[name] = values[i] end
  req.params = params
  return route.handler(req)
end

-- -- files -------------------------------------------------------------------

-- Nothing above the folder, nothing hidden; C sees to symbolic links that lead out.
local function is_safe(path)
  for segment in (path .. "/"):gmatch("([^/]*)/") do
    if segment:find("^%.") and segment ~= ".well-known" then return false end
  end
  return not path:find("//", 1, true) and not path:find("\0", 1, true)
end

--- Serve the files of a folder below a prefix.
---@param prefix string   "/static"
---@param folder string
---@param opts? {index: string, headers: table}  index: of a folder, "index.html" unless given
---@return tiny.Router
function Router:files(prefix, folder, opts)
  local index = opts and opts.index or "index.html"
  local function serve(req)
    local path = req.params.path
    if path == "" or path:sub(-1) == "/" then path = path .. index end
    if not is_safe(path) then return 404, "Not Found\n" end
    local headers = { ["Content-Type"] = types(path) }
    for name, value in pairs(opts and opts.headers or {}) do headers[name] = value end
    return 200, { file = path, root = folder }, headers
  end
  return self:on("GET", prefix:gsub("/$", "") .. "/*path", serve)
end

--- A new router: a handler for tiny.http.serve.
---@return tiny.Router
return function()
  return setmetatable({ root = { fixed = {} } }, Router)
end
