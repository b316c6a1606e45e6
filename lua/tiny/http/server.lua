--- The HTTP server: a request becomes a task that calls the handler and sends what it returns.
local address = require "tiny.address"
local core = require "tiny.core.http"
local escape = require "tiny.http.escape"
local listen = require "tiny.listen"
local Request = require "tiny.http.request"
local runtime = require "tiny.core.runtime"
local tls = require "tiny.tls"

require "tiny.core.acceptor"

local server = {}

-- -- answers -----------------------------------------------------------------

local function send_file(req, status, file, headers)
  local ok, code = core.answer_file(req.id, status, file.file, headers, file.root)
  if ok then return end
  local message, name = require("tiny.task").failure(code)
  if name == "EMFILE" or name == "ENFILE" then error(("%s: %s"):format(file.file, message), 0) end
  core.answer(req.id, 404, "Not Found\n")
end

-- What a handler returned: status, body, headers; or one table of these; or nothing after a stream.
local function answer(req, status, body, headers)
  if type(status) == "table" then
    local all = status
    status, body, headers = all.status or all[1] or 200, all.body or all[2], all.headers or all[3]
  end
  local response = rawget(req, "response") -- not a field to be found out
  if response then
    response:close()
  elseif status == nil then
    error(("the handler of %s %s returned no status"):format(req.method, req.path), 0)
  elseif type(body) == "table" then
    send_file(req, status, body, headers)
  else
    core.answer(req.id, status, body, headers)
  end
end

-- The constants keep room for the fields: compiled code has lost the keys of values that are not, and the
-- table would grow field by field, which takes a tenth of the CPU of a request.
local function new_request(opts, id, method, path, query)
  local decoded = escape.decode(path)
  if not decoded then return nil end
  local req = { id = 0, method = "", path = "", raw_path = "", query_string = "", opts = false }
  req.id, req.method, req.path = id, method, decoded
  req.raw_path, req.query_string, req.opts = path, query, opts
  return setmetatable(req, Request)
end

local function entry(handler, opts)
  return function(id, method, path, query)
    local req = new_request(opts, id, method, path, query)
    if not req then return core.answer(id, 400, "Bad Request\n") end
    return answer(req, handler(req))
  end
end

-- Who goes on with a stream of events that an earlier generation has begun.
local function carrier(opts)
  return function(id, method, path, query, name, last_id)
    local go_on = opts.events and opts.events[name]
    if not go_on then return nil end
    local req = new_request(opts, id, method, path, query)
    local events = Request.carried(req, name, last_id)
    return function()
      go_on(events, req)
      events:close()
    end
  end
end

-- -- serving -----------------------------------------------------------------

---@class tiny.Serve
---@field limit? integer         connections at a time, others wait in the kernel: 10000
---@field max_head? integer      bytes of a request's line and headers: 16384
---@field max_body? integer      bytes of a body that is read before the handler is called: 1 MB
---@field idle_timeout? number   seconds between requests: 75
---@field head_timeout? number   for a request's head, from its first byte: 10
---@field body_timeout? number   for each 64 KB of its body: 30
---@field write_timeout? number  for each 64 KB of the answer: 30
---@field on_disconnect? "finish"|"cancel"  what happens to a handler that waits when its client goes away
---@field backlog? integer       connections that may wait in the kernel: 4096
---@field tls? tiny.Tls          serve HTTPS
---@field events? table<string, function>  by name, what goes on with streams of events after a reload

local defaults = {
  limit = 10000, max_head = 16384, max_body = 2 ^ 20,
  idle_timeout = 75, head_timeout = 10, body_timeout = 30, write_timeout = 30,
}

local function check_number(name, value)
  if type(value) ~= "number" or not (value > 0 or name == "max_body" and value == 0) then
    error(("tiny.http.serve: %s: a number above 0 is expected, got %s"):format(name, tostring(value)), 4)
  end
end

local others = { backlog = true, on_disconnect = true, tls = true, events = true }

local function is_callable(value)
  return type(value) == "function" or (getmetatable(value) or {}).__call ~= nil
end

local function check_events(events)
  if events == nil then return end
  if type(events) ~= "table" then
    error("tiny.http.serve: events: a table of functions by name is expected", 4)
  end
  for name, go_on in pairs(events) do
    if not is_callable(go_on) then
      error(("tiny.http.serve: events: a function is expected for %s"):format(tostring(name)), 4)
    end
  end
end

local function complete(opts)
  local all = {}
  for name, value in pairs(defaults) do all[name] = value end
  for name, value in pairs(opts or {}) do
    if not defaults[name] and not others[name] then
      error(("tiny.http.serve: unknown option %s"):format(tostring(name)), 3)
    end
    if defaults[name] then check_number(name, value) end
    all[name] = value
  end
  local left = all.on_disconnect
  if left ~= nil and left ~= "cancel" and left ~= "finish" then
    error('tiny.http.serve: on_disconnect: "cancel" or "finish" is expected', 3)
  end
  check_events(all.events)
  return all
end

--- Call handler(req), in a task of its own, for each request to the address. It returns status, body,
--- headers; or one table of these; or nothing after req:stream(). A body is a string, a number or
--- {file = path}. A handler that raises gives 500. Requests come once on_start has ended.
---@param text string
---@param handler fun(req: tiny.Request): integer|table?, string|table?, table?
---@param opts? tiny.Serve
---@return tiny.Listener?, string?, string?
function server.serve(text, handler, opts)
  runtime.acting("tiny.http.serve")
  address.check(text, "tiny.http.serve")
  if not is_callable(handler) then error("tiny.http.serve: a function is expected for requests", 2) end
  opts = complete(opts)
  tls.check("tiny.http.serve", opts.tls, true)
  local function make(settings)
    return core.server(entry(handler, opts), opts.limit, opts.max_head, opts.max_body, opts.idle_timeout,
      opts.head_timeout, opts.body_timeout, opts.write_timeout, opts.on_disconnect == "cancel", settings,
      carrier(opts))
  end
  return listen("tiny.http.serve", text, make, opts)
end

return server
