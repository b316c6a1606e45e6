local tiny = require "tiny"
local Counter = tiny.Server:extend()

function Counter:on_start()                     -- acquire: open files, listen, add timers
  self.context.runs = self.context.runs or 0    -- context lives on across reloads
  self:add_timer("flush", tiny.PeriodTimer(function() self:info("runs %d", self.context.runs) end, 60))
end

function Counter:run()                          -- called again and again; may wait, must not spin
  self.context.runs = self.context.runs + self.conf["counter.step"]
  tiny.sleep(1)
end

function Counter:get_summary() return "run count = " .. self.context.runs end

return Counter
