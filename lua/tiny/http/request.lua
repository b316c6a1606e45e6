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
  if event.retry then text = line("retry", ("%d"):format(event.retry * 1000)) .. text end
  return self:write(text .. "\n")
end

--- Send something that clients pass over, to see whether they are still there.
---@return boolean?
function Events:ping()
  return self:write(":\n\n")
end

--- Answer with server-sent events.
---@param headers? table
---@return tiny.Events
function methods:events(headers)
  local all = { ["Content-Type"] = "text/event-stream", ["Cache-Control"] = "no-store" }
  for name, value in pairs(headers or {}) do all[name] = value end
  return setmetatable(self:stream(200, all), Events)
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

return Request
