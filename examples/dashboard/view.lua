--- view.lua -- servers and feeds as the page and /api/servers see them: JSON.
local cjson = require "cjson".new()
local watch = require "watch"

cjson.encode_invalid_numbers "null"  -- a feed may say 1e999

local view = {}

local function newest_point(server)
  local h = server.history
  local last = #h.lag
  return { step = h.newest, lag = h.lag[last], heap = h.heap[last], cpu = h.cpu[last] }
end

local function of_feed(feed, now)
  local state, mood = watch.state(feed, now)
  return { id = feed.id, feed = feed.feed, state = state, mood = mood, alerts = feed.alerts }
end

local function of_server(server, now)
  local state, mood = watch.state(server, now)
  return {
    id = server.id, feed = server.feed, state = state, mood = mood, age = watch.silence(server, now),
    cluster = watch.cluster(server), cpu = server.cpu, missed = server.missed, info = server.info,
    alerts = server.alerts,
  }
end

local function add_conf(shown, server)
  shown.conf, shown.changes = server.conf, server.changes
  return shown
end

--- All of a server or a feed.
function view.whole(one, now)
  if not one.info then return cjson.encode(of_feed(one, now)) end
  local shown = add_conf(of_server(one, now), one)
  shown.history = one.history
  return cjson.encode(shown)
end

--- What a message or the time has changed: of the history that is the newest point. The configuration
--- comes when it is another one.
function view.update(one, now, with_conf)
  if not one.info then return cjson.encode(of_feed(one, now)) end
  local shown = of_server(one, now)
  shown.point = newest_point(one)
  return cjson.encode(with_conf and add_conf(shown, one) or shown)
end

--- JSON texts as one list.
function view.list(texts) return "[" .. table.concat(texts, ",") .. "]" end

--- All that there is to show.
function view.all(book, now)
  local texts = {}
  for i, one in ipairs(watch.shown(book)) do texts[i] = view.whole(one, now) end
  return view.list(texts)
end

--- A list of ids, at least one.
function view.ids(ids)
  return cjson.encode(ids)
end

return view
