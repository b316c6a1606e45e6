local tiny = require "tiny"
local Echo = tiny.Server:extend()

-- Streams in the context live on across reloads: the next generation goes on where this one
-- stopped, between two lines, and nobody who is connected notices.
function Echo:on_start()
  self.context.streams = self.context.streams or {}
  for stream in pairs(self.context.streams) do tiny.go(self.serve, self, stream) end
  self.listener = assert(tiny.tcp.listen(self.conf["echo.address"], function(stream)
    self.context.streams[stream] = true
    stream:write(self.conf["echo.greeting"], "\n")
    self:serve(stream)
  end, { limit = 10000 }))
  self:info("listening on %s", self.listener:address())
end

function Echo:serve(stream)
  stream:timeout(self.conf["echo.idle"])
  local line, why, name
  repeat
    line, why, name = stream:read("*l", self.conf["echo.longest"])
  until not line or not stream:write(line, "\n")
  if name == "ECANCELED" then return end -- the next generation has it
  if name == "EMSGSIZE" then stream:write("too long\n") end
  self:debug("%s: %s", stream:remote(), why or "gone")
  self.context.streams[stream] = nil
  stream:close()
end

function Echo:get_summary()
  local count = 0
  for _ in pairs(self.context.streams) do count = count + 1 end
  return { streams = count }
end

return Echo
