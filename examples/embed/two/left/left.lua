local tiny = require "tiny"
local Side = tiny.Server:extend()

function Side:on_start()
  self.context.starts = (self.context.starts or 0) + 1
  self:info("start %d of %s", self.context.starts, self.name)
end

function Side:run()
  tiny.sleep(0.001)
end

return Side
