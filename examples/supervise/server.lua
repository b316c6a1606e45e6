local tiny = require "tiny"
local Server = tiny.Server:extend()

function Server:on_start()
  self:info("serves as generation %d", self.generation)
end

function Server:run()
  tiny.sleep(1)
end

function Server:on_close(reason)
  self:info("closes: %s", reason)
end

return Server
