--- alerts.lua -- what is wrong with a server, by the rules of conf, and what of that is new.
local history = require "history"
local watch = require "watch"

local alerts = {}

local MINUTE = 60

-- Each returns the text while its rule is broken.
local rules = {}

function rules.silent(server, state, now, conf)
  local limit = conf["dashboard.alert.silent"]
  local silence = now - server.heard
  if limit and limit > 0 and silence >= limit and state ~= "closed" then
    return ("silent for %d s"):format(silence)
  end
end

function rules.hung(server, state, _, conf)
  if conf["dashboard.alert.hung"] and state == "hung" then
    return ("hung for %d s"):format(tonumber(server.info.hung_for) or 0)
  end
end

function rules.errors(server, _, now, conf)
  local limit = conf["dashboard.alert.errors"]
  local count = limit and limit > 0 and history.errors_within(server.history, now, MINUTE) or 0
  if count > 0 and count >= limit then return ("%d errors in a minute"):format(count) end
end

--- Judge a server -> the texts of what has just begun, and the names of what is over.
--- What goes on is in server.alerts, by name.
function alerts.check(server, now, conf)
  local begun, over = {}, {}
  local state = watch.state(server, now)
  for name, rule in pairs(rules) do
    local text, before = rule(server, state, now, conf), server.alerts[name]
    if text and not before then begun[#begun + 1] = text end
    if before and not text then over[#over + 1] = name end
    server.alerts[name] = text
  end
  return begun, over
end

return alerts
