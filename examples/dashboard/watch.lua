--- watch.lua -- a book of what is known of each server: its last message, how it differs from the
--- one before, and its history. All of it is plain data, so that it lives in context.
local history = require "history"

local watch = {}

local SPARE = 2         -- seconds beyond two periods before a server counts as silent
local FRESH = 300       -- for so many seconds an error is of late
local FORGOTTEN = 3600  -- one that has made room for another on its feed is shown for so long

--- A book with nothing in it.
function watch.new()
  return { servers = {}, feeds = {} }
end

--- Watch these feeds and no others: what was known of others is forgotten.
function watch.expect(book, feeds, now)
  local before = book.feeds
  book.feeds = {}
  for _, feed in ipairs(feeds) do
    book.feeds[feed] = before[feed] or { id = feed, feed = feed, since = now, heard = false, alerts = {} }
  end
  for id, server in pairs(book.servers) do
    if not book.feeds[server.feed] then book.servers[id] = nil end
  end
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- What differs, by key: {old=, new=}, either of them nil where it was not there.
local function difference(old, new)
  local changes = {}
  for key, value in pairs(old) do
    if not same(value, new[key]) then changes[key] = { old = value, new = new[key] } end
  end
  for key, value in pairs(new) do
    if old[key] == nil then changes[key] = { new = value } end
  end
  return changes
end

-- 0 for what is no number, or no finite one.
local function number(value)
  return type(value) == "number" and value - value == 0 and value or 0
end

local function is_same_process(a, b)
  return a.pid == b.pid and a.start_time == b.start_time
end

local function is_message(message)
  return type(message) == "table" and type(message.info) == "table" and type(message.conf) == "table"
    and type(message.info.name) == "string" and type(message.info.host) == "string"
end

-- In percent of one CPU, by the server's own clock.
local function cpu_between(before, info)
  local wall = number(info.uptime) - number(before.uptime)
  if wall < 0.01 then return 0 end
  return math.max(0, 100 * (number(info.cpu_seconds) - number(before.cpu_seconds)) / wall)
end

local function follow(server, message)
  local info, before = message.info, server.info
  local errors = number(info.errors) - number(before.errors)
  local skipped = number(message.seq) - server.seq - 1
  server.cpu = cpu_between(before, info)
  server.missed = server.missed + math.max(0, skipped)
  if info.generation ~= before.generation then server.changes = difference(server.conf, message.conf) end
  return math.max(0, errors)
end

local function begin_anew(server)
  server.cpu, server.missed, server.changes = 0, 0, {}
  return 0
end

--- Take a message of a feed. Returns its server, or nil when it is none; and whether its conf may be
--- another one than before.
function watch.take(book, feed, message, now)
  if not is_message(message) or not book.feeds[feed] then return nil end
  local info = message.info
  local id = ("%s@%s %s"):format(info.name, info.host, feed)
  local server = book.servers[id] or { id = id, alerts = {}, history = history.new() }
  local known = server.info and is_same_process(server.info, info)
  local is_other = not known or info.generation ~= server.info.generation
  local errors = known and follow(server, message) or begin_anew(server)
  server.feed, server.info, server.conf = feed, info, message.conf
  server.seq, server.heard = number(message.seq), now
  history.add(server.history, now, number(info.loop_lag_ms), number(info.lua_heap_bytes), server.cpu, errors)
  book.servers[id], book.feeds[feed].heard = server, now
  return server, is_other
end

local function seconds_of(text)
  if type(text) ~= "string" then return nil end
  local year, month, day, hour, min, sec = text:match "^(%d+)/(%d+)/(%d+) (%d+):(%d+):(%d+)$"
  return year and os.time { year = year, month = month, day = day, hour = hour, min = min, sec = sec }
end

local function erred_of_late(info)
  local erred, started = seconds_of(info.last_error_time), seconds_of(info.start_time)
  return erred and started and started + number(info.uptime) - erred < FRESH
end

local function period_of(server)
  local period = number(server.conf["svr.monitor.timer"])
  return period > 0 and period or 10
end

--- For how many seconds nothing has come, from a server or from a feed that was never heard.
function watch.silence(one, now)
  if one.info then return now - one.heard end
  return one.heard and 0 or now - one.since
end

--- How it is: its own word for it, "silent", "closed", or "waiting" for a feed; and whether to look
--- at it: "fine", "busy", "error", "silent" or "hung".
function watch.state(one, now)
  local silence = watch.silence(one, now)
  if not one.info then return "waiting", one.heard and "fine" or "silent" end
  local state = type(one.info.state) == "string" and one.info.state or "?"
  if state == "closing" and silence > SPARE then return "closed", "busy" end
  if silence > 2 * period_of(one) + SPARE then return "silent", "silent" end
  if state == "hung" then return state, "hung" end
  if state ~= "running" and state ~= "standby" then return state, "busy" end
  return state, erred_of_late(one.info) and "error" or "fine"
end

--- The name of its cluster, nil when it is in none.
function watch.cluster(server)
  local name = server.conf["svr.cluster.name"]
  if type(server.info.role) ~= "string" then return nil end
  return type(name) == "string" and name or server.info.name
end

--- Forget servers that have been gone for an hour, unless their feed is silent since.
function watch.prune(book, now)
  for id, server in pairs(book.servers) do
    local is_replaced = book.feeds[server.feed].heard > server.heard
    if is_replaced and now - server.heard > FORGOTTEN then book.servers[id] = nil end
  end
end

local function sorted(things)
  local list = {}
  for _, one in pairs(things) do list[#list + 1] = one end
  table.sort(list, function(a, b) return a.id < b.id end)
  return list
end

--- All servers, by their names.
function watch.servers(book) return sorted(book.servers) end

--- All feeds: {id=, feed=, since=, heard=false or a time, alerts=}.
function watch.feeds(book) return sorted(book.feeds) end

--- What there is to show: all servers, then the feeds that were never heard.
function watch.shown(book)
  local list = watch.servers(book)
  for _, feed in ipairs(watch.feeds(book)) do
    if not feed.heard then list[#list + 1] = feed end
  end
  return list
end

return watch
