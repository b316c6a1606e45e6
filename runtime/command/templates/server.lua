local tiny = require "tiny"
local Server = tiny.Server:extend()

function Server:on_start()
  self.context.beats = self.context.beats or 0 -- context lives on across reloads
  self:add_timer("beat", tiny.PeriodTimer(function() self:beat() end, self.conf["@NAME@.interval"]))
end

function Server:beat()
  self.context.beats = self.context.beats + 1
  self:debug("beat %d", self.context.beats)
end

function Server:get_summary()
  return { beats = self.context.beats }
end

function Server:on_close(reason)
  self:info("%d beats, closing: %s", self.context.beats, reason)
end

function Server:on_except(err)
  self:err("%s", err)
  return true -- go on
end

return Server
