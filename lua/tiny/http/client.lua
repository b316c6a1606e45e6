--- HTTP requests of our own.
local core = require "tiny.core.fetch"
local runtime = require "tiny.core.runtime"
local task = require "tiny.task"
local trace = require "tiny.trace"

local wait = task.wait

---@class tiny.Fetch
---@field url string
---@field method? string      "GET", or "POST" with a body
---@field headers? table<string, string|number|string[]>
---@field body? string|fun(): string?  a function gives it piece by piece, nil at the end
---@field timeout? number     seconds for all of it: 60
---@field connect_timeout? number  10
---@field redirects? integer  how many to follow: 0
---@field max_body? integer   bytes of the answer: 16 MB
---@field stream? boolean     read the answer's body by response:read()
---@field compressed? boolean ask for compression, and undo it
---@field insecure? boolean   do not verify TLS certificates
---@field ca? string          file of the certificates to trust
---@field cert? string        our own certificate's file
---@field key? string         and its key's
---@field proxy? string       its URL; none unless given, whatever the environment says
---@field user? string        "name:password"
---@field unix? string        path of the socket to connect to instead of the URL's host

local kinds = {
  url = "string", method = "string", headers = "table", timeout = "number", connect_timeout = "number",
  redirects = "number", max_body = "number", stream = "boolean", compressed = "boolean", insecure = "boolean",
  ca = "string", cert = "string", key = "string", proxy = "string", user = "string", unix = "string",
}

local token = "^[%w!#$%%&'*+%-.^_`|~]+$"

-- What is wrong with an option, or nil.
local function problem_of(name, value)
  if name == "body" then
    if type(value) ~= "string" and type(value) ~= "function" then return "body is a string or a function" end
  elseif not kinds[name] then
    return "unknown option " .. tostring(name)
  elseif type(value) ~= kinds[name] then
    return ("%s is a %s, not a %s"):format(name, kinds[name], type(value))
  elseif kinds[name] == "string" and value:find("%z") then
    return name .. " holds a NUL"
  elseif name == "method" and not value:find(token) then
    return ("%q is no method"):format(value)
  end
end

local function problem_of_header(name, value)
  if type(name) ~= "string" or not name:find(token) then
    return ("%q is no header's name"):format(tostring(name))
  end
  if type(value) ~= "string" and type(value) ~= "number" then
    return ("header %s is a string or a number, not a %s"):format(name, type(value))
  end
  if tostring(value):find("[%z\r\n]") then return ("header %s holds a line end or a NUL"):format(name) end
end

local function each_value(value)
  return ipairs(type(value) == "table" and value or { value })
end

local function check(options)
  if type(options) ~= "table" or options.url == nil then return "a table with a url is expected" end
  for name, value in pairs(options) do
    local problem = problem_of(name, value)
    if problem then return problem end
  end
  for name, values in pairs(options.headers or {}) do
    for _, value in each_value(values) do
      local problem = problem_of_header(name, value)
      if problem then return problem end
    end
  end
end

-- libcurl would ask for a body by "Expect: 100-continue", and wait for servers that do not know it.
local function header_lines(headers)
  local lines = { "Expect:" }
  for name, values in pairs(headers or {}) do
    for _, value in each_value(values) do -- an empty one is written with a semicolon
      lines[#lines + 1] = value == "" and name .. ";" or name .. ": " .. value
    end
  end
  return lines
end

local function order_of(options)
  local order = { timeout = 60, connect_timeout = 10, redirects = 0, max_body = 16 * 2 ^ 20 }
  for name, value in pairs(options) do order[name] = value end
  order.method = options.method or options.body and "POST" or "GET"
  order.sends_pieces = type(options.body) == "function"
  order.lines = header_lines(options.headers)
  return order
end

-- -- the answer --------------------------------------------------------------

local any_case = {
  __index = function(self, name)
    if type(name) == "string" then return rawget(self, name:lower()) end
  end,
}

local function headers_of(head)
  local headers = {}
  for name, value in head:gmatch("([^\r\n:]+):[ \t]*([^\r\n]*)\r?\n") do
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return setmetatable(headers, any_case)
end

---@class tiny.HttpAnswer
---@field status integer
---@field headers table<string, string>  names in any case; repeated ones are one list
---@field body string?   unless it is read in pieces
---@field url string     where it came from in the end
---@field version string "1.1" or "2"
local Answer = {}
Answer.__index = Answer

--- The next piece of the body, `most` bytes of it at most; nil, "end of file", "EOF" at its end.
---@param most? integer
---@return string?
function Answer:read(most)
  return wait(core.read, self.transfer, most or 65536)
end

--- Let go of the connection; a transfer that is not over is cancelled.
function Answer:close()
  core.close(self.transfer)
end

-- -- the request -------------------------------------------------------------

-- When the server answers before it has read all, the rest is not wanted.
local function send_pieces(transfer, body)
  repeat
    local piece = body()
    if piece == "" then
      task.sleep(0)
    elseif not wait(core.feed, transfer, piece) then
      return
    end
  until piece == nil
end

local function answer_of(transfer, options)
  if type(options.body) == "function" then send_pieces(transfer, options.body) end
  local status, head, url = wait(core.head, transfer)
  if not status then return nil, head, url end
  local answer = setmetatable({
    status = status, headers = headers_of(head), url = url, version = head:match("^HTTP/([%d.]+)"),
    transfer = transfer,
  }, Answer)
  if options.stream then return answer end
  local message, name
  answer.body, message, name = wait(core.body, transfer)
  if not answer.body then return nil, message, name end
  return answer
end

local function finish(transfer, ok, answer, message, name)
  if not (ok and answer and answer.body == nil) then core.close(transfer) end
  if not ok then error(answer, 0) end
  return answer, message, name
end
trace.passers[finish] = true

--- Ask a server: its answer, whatever its status, or nil, message, NAME when there is none.
---@param options tiny.Fetch
---@return tiny.HttpAnswer?, string?, string?
return function(options)
  runtime.acting("tiny.http.request")
  local problem = check(options)
  if problem then error("tiny.http.request: " .. problem, 2) end
  local transfer, why = core.start(order_of(options))
  if not transfer then return nil, why, "EINVAL" end
  return finish(transfer, xpcall(answer_of, trace.keep, transfer, options))
end
