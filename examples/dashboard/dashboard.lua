-- Subscribes to monitor feeds, and shows what they say: a page, /metrics, /api/servers.
-- What it knows is in context, so a reload of this server forgets nothing.
local tiny = require "tiny"
local cjson = require "cjson"
local alerts = require "alerts"
local files = require "files"
local metrics = require "metrics"
local watch = require "watch"

local Dashboard = tiny.Server:extend()

local BEHIND = 16  -- events that a page may be behind before it is cut off; it comes again by itself

-- -- what is shown -------------------------------------------------------------

local function newest_point(server)
  local h = server.history
  local last = #h.lag
  return { step = h.newest, lag = h.lag[last], heap = h.heap[last], cpu = h.cpu[last] }
end

-- A server as page and API see it. An update brings only the newest point of its history.
local function shown(server, now, is_update)
  local state, mood = watch.state(server, now)
  return cjson.encode {
    id = server.id, feed = server.feed, state = state, mood = mood, age = now - server.heard,
    cpu = server.cpu, missed = server.missed, info = server.info, conf = server.conf,
    changes = server.changes, alerts = server.alerts,
    history = not is_update and server.history or nil,
    point = is_update and newest_point(server) or nil,
  }
end

local function list(parts) return "[" .. table.concat(parts, ",") .. "]" end

function Dashboard:shown_all()
  local parts, book, now = {}, self.context.book, tiny.now()
  for i, server in ipairs(watch.list(book)) do parts[i] = shown(server, now) end
  for _, feed in ipairs(watch.unheard(book)) do
    parts[#parts + 1] = cjson.encode { id = feed, feed = feed, state = "waiting", mood = "silent" }
  end
  return list(parts)
end

-- -- feeds ---------------------------------------------------------------------

function Dashboard:take(feed, text)
  local ok, message = pcall(cjson.decode, text)
  local server = ok and watch.take(self.context.book, feed, message, tiny.now())
  if server then self.fresh[server.id] = true end
end

function Dashboard:follow(feed)
  local socket = tiny.zmq.socket("sub", { connect = feed, subscribe = "tiny.", name = feed })
  socket:on(function(_, text) self:take(feed, text) end)
end

-- -- judging -------------------------------------------------------------------

function Dashboard:alert(server, now)
  local begun, over = alerts.check(server, now, self.conf)
  for _, text in ipairs(begun) do self:err("%s is %s", server.id, text) end
  for _, name in ipairs(over) do self:warn("%s: no longer %s", server.id, name) end
end

-- Once a second: judge, and tell the pages what is new.
function Dashboard:look()
  local now, updates, book = tiny.now(), {}, self.context.book
  watch.prune(book, now)
  for _, server in ipairs(watch.list(book)) do
    self:alert(server, now)
    local state = watch.state(server, now)
    if self.fresh[server.id] or self.states[server.id] ~= state then
      updates[#updates + 1] = shown(server, now, true)
    end
    self.states[server.id] = state
  end
  self.fresh = {}
  if #updates > 0 then self:tell("servers", list(updates)) end
end
