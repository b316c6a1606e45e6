--- A request, as its handler sees it. What costs something to find out is found out when it is
--- asked for, and only while the request is being handled.
local core = require "tiny.core.http"
local escape = require "tiny.http.escape"
local runtime = require "tiny.core.runtime"
local task = require "tiny.task"

local wait = task.wait

---@class tiny.Request
---@field method string   "GET"
---@field path string     decoded, without the query: "/a b"
---@field target string   as it was sent: "/a%20b?x=1"
---@field query table<string, string>  decoded; of a repeated name the last value
---@field query_string string?
---@field headers table<string, string>  names in any case; repeated ones are one list
---@field body string?    nil when it is larger than max_body: read it
---@field remote string   the client's address
---@field version string  "1.1"
---@field params table<string, string>  of the route (tiny.http.router)
local methods = {}

-- -- the body ----------------------------------------------------------------

--- The next piece of a body that is larger than max_body, `most` bytes of it at most (65536). At the
--- end nil, "end of file", "EOF".
---@param most? integer
---@return string?
function methods:read(most)
  return wait(core.read, self.id, most or 65536, runtime.now() + self.opts.body_timeout)
end

-- -- answers in pieces -------------------------------------------------------

---@class tiny.Response
local Response = {}
Response.__index = Response

--- Send a piece; waits while the client does not keep up.
---@param data string
---@return boolean?
function Response:write(data)
  return wait(core.write, self.id, data, runtime.now() + self.timeout)
end

--- The answer is complete. One that its handler does not close is closed when that returns.
function Response:close()
  core.finish(self.id)
end

--- Answer in pieces.
---@param status? integer   200
---@param headers? table
---@return tiny.Response
function methods:stream(status, headers)
  core.begin(self.id, status or 200, headers)
  self.response = setmetatable({ id = self.id, timeout = self.opts.write_timeout }, Response)
  return self.response
end

---@class tiny.Events : tiny.Response
---@field name string?     by which a later generation may go on with it
---@field last_id string?  of the last event that had one and was sent
local Events = setmetatable({}, { __index = Response })
Events.__index = Events

-- A line end within the text begins another line of the same field.
local function field(name, text)
  text = tostring(text):gsub("\r\n?", "\n")
  return name .. ": " .. text:gsub("\n", "\n" .. name .. ": ") .. "\n"
end

local function line(name, text)
  return name .. ": " .. tostring(text):gsub("[\r\n%z]", " ") .. "\n"
end

--- Send an event: its data, or a table {data=, event=, id=, retry=seconds}.
---@param event string|table
---@return boolean?
function Events:send(event)
  if type(event) ~= "table" then event = { data = event } end
  local text = field("data", event.data or "")
  if event.event then text = line("event", event.event) .. text end
  if event.id then text = line("id", event.id) .. text end
  local retry = event.retry and math.floor(event.retry * 1000)
  if retry then text = line("retry", ("%d"):format(retry)) .. text end
  local ok, message, name = self:write(text .. "\n")
  if ok and (event.id or retry) then
    self.last_id = event.id and tostring(event.id) or self.last_id
    core.sent(self.id, self.last_id, retry)
  end
  return ok, message, name
end

--- Send something that clients pass over, to see whether they are still there.
---@return boolean?
function Events:ping()
  return self:write(":\n\n")
end

--- Answer with server-sent events. With a name, the generation that a reload brings may go on with
--- it (tiny.http.serve's option `events`).
---@param headers? table
---@param name? string
---@return tiny.Events
function methods:events(headers, name)
  local all = { ["Content-Type"] = "text/event-stream", ["Cache-Control"] = "no-store" }
  for field_name, value in pairs(headers or {}) do all[field_name] = value end
  local events = setmetatable(self:stream(200, all), Events)
  events.name = name
  core.events(self.id, name)
  return events
end

-- -- fields ------------------------------------------------------------------

local any_case = {
  __index = function(self, name)
    if type(name) == "string" then return rawget(self, name:lower()) end
  end,
}

local lazy = {
  headers = function(self) return setmetatable(core.headers(self.id), any_case) end,
  query = function(self) return escape.query(self.query_string) end,
  body = function(self) return core.body(self.id) end,
  target = function(self) return core.target(self.id) end,
  version = function(self) return core.version(self.id) end,
  remote = function(self) return core.remote(self.id) end,
}

local Request = {}

function Request:__index(name)
  local make = lazy[name]
  if not make then return methods[name] end
  local value = make(self)
  self[name] = value
  return value
end

-- The events that another generation has begun to answer this request with.
function Request.carried(req, name, last_id)
  local events = { id = req.id, timeout = req.opts.write_timeout, name = name, last_id = last_id }
  req.response = setmetatable(events, Events)
  return req.response
end

return Request
