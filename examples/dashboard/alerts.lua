--- alerts.lua -- what is wrong with a server or a feed, by the rules of conf, and what of that is new.
local history = require "history"
local watch = require "watch"

local alerts = {}

local MINUTE = 60

-- Each returns the text while its rule is broken.
local rules = {}

-- Never before its next message is really due, whatever the limit.
function rules.silent(one, now, conf)
  local limit, silence = conf["dashboard.alert.silent"], watch.silence(one, now)
  local _, mood = watch.state(one, now)
  if limit and limit > 0 and silence >= limit and mood == "silent" then
    return ("silent for %d s"):format(silence)
  end
end

function rules.hung(one, _, conf)
  if conf["dashboard.alert.hung"] and one.info and one.info.state == "hung" then
    return ("hung for %d s"):format(tonumber(one.info.hung_for) or 0)
  end
end

function rules.errors(one, now, conf)
  local limit = conf["dashboard.alert.errors"]
  if not one.history or not limit or limit <= 0 then return nil end
  local count = history.errors_within(one.history, now, MINUTE)
  if count >= limit then return ("%d errors in a minute"):format(count) end
end

local over_texts = { silent = "no longer silent", hung = "no longer hung", errors = "fewer errors again" }

--- Judge a server or a feed -> the texts of what has just begun, and of what is over.
--- What goes on is in one.alerts, by name.
function alerts.check(one, now, conf)
  local begun, over = {}, {}
  for name, rule in pairs(rules) do
    local text, before = rule(one, now, conf), one.alerts[name]
    if text and not before then begun[#begun + 1] = text end
    if before and not text then over[#over + 1] = over_texts[name] end
    one.alerts[name] = text
  end
  return begun, over
end

return alerts
