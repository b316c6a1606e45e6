--- Logging for modules without a server at hand.
local core = require "tiny.core.log"

local log = {}

local function plain(level)
  return function(fmt, ...)
    core.put(level, select("#", ...) > 0 and fmt:format(...) or tostring(fmt))
  end
end

local function method(level)
  return function(_, fmt, ...)
    core.put(level, select("#", ...) > 0 and fmt:format(...) or tostring(fmt))
  end
end

log.debug, log.info, log.warn, log.err = plain(0), plain(1), plain(2), plain(3)

function log.methods()
  return method(0), method(1), method(2), method(3)
end

return log
