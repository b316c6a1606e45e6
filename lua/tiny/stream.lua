--- Streams: connections over TCP and unix sockets.
local core = require "tiny.core.stream"
local runtime = require "tiny.core.runtime"
local task = require "tiny.task"

local wait = task.wait

---@class tiny.Stream
local methods = {}

local timeouts = setmetatable({}, { __mode = "k" })

local function deadline(self)
  local seconds = timeouts[self]
  return seconds and runtime.now() + seconds
end

--- Let each wait on this stream last so many seconds at most; nil: for ever. One that takes
--- longer gives nil, "timeout", "ETIMEDOUT".
---@param seconds? number
function methods:timeout(seconds)
  if seconds ~= nil and not (type(seconds) == "number" and seconds > 0) then
    error("stream:timeout: seconds above 0 or nil are expected", 2)
  end
  timeouts[self] = seconds
end

local function check_read(what, limit)
  if what ~= nil and what ~= "*l" and not (type(what) == "number" and what >= 1 and what % 1 == 0) then
    error('stream:read: a number of bytes, "*l" or nothing is expected', 3)
  end
  if limit ~= nil and not (type(limit) == "number" and limit >= 1) then
    error("stream:read: the limit is a number of bytes", 3)
  end
end

--- Read what is there, at least one byte; or exactly n bytes; or, with "*l", a line without its
--- end ("\n" or "\r\n"). `limit` is the most of a line, or of what is there: 65536 unless given.
--- At the end nil, "end of file", "EOF"; what is left of half a line or of fewer than n bytes
--- can still be read as what is there.
---@param what? integer|"*l"
---@param limit? integer
---@return string?
function methods:read(what, limit)
  if what ~= nil or limit ~= nil then check_read(what, limit) end
  return wait(core.read, self, what, limit, deadline(self))
end

--- An iterator over lines, up to the end or the first error.
---@param limit? integer
function methods:lines(limit)
  return function() return (self:read("*l", limit)) end
end

--- Write strings or numbers; waits for as long as the peer does not keep up.
---@return boolean?
function methods:write(data, ...)
  if select("#", ...) > 0 then data = table.concat { data, ... } end
  if type(data) ~= "string" then
    if type(data) ~= "number" then error("stream:write: strings are expected, got " .. type(data), 2) end
    data = tostring(data)
  end
  return wait(core.write, self, data, deadline(self))
end

--- Half-close: the peer reads the end, and may go on writing.
---@return boolean?
function methods:shutdown()
  return wait(core.finish, self, deadline(self))
end

--- Close. Tasks that wait for the stream are told ECANCELED. Harmless to repeat.
function methods:close()
  core.close(self)
end

--- Whether it can be used: neither closed nor carried on into a newer generation.
---@return boolean
function methods:is_open()
  return core.is_open(self)
end

--- The peer's address.
---@return string
function methods:remote()
  return core.remote(self)
end

core.handle.__index = methods
core.handle.__tostring = function(self) return "stream " .. methods.remote(self) end

return methods
