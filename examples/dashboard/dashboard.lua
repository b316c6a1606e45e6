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

-- No part of the page comes from elsewhere, and nothing that a server says can become a script.
local SAFE = {
  ["Content-Security-Policy"] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    .. "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ["X-Content-Type-Options"] = "nosniff",
  ["Referrer-Policy"] = "no-referrer",
  ["Cache-Control"] = "no-store",
}

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

-- A feed is an endpoint, or a table of one and the server's public key where it has CURVE.
local function endpoint_of(feed) return type(feed) == "table" and feed[1] or feed end

local function curve_of(feed, own)
  if type(feed) ~= "table" or not own then return nil end
  return { server_key = feed.server_key, public_key = own.public_key, secret_key = own.secret_key }
end

function Dashboard:follow(feed)
  local endpoint, curve = endpoint_of(feed), curve_of(feed, self.conf["dashboard.curve"])
  local socket = tiny.zmq.socket("SUB", { connect = endpoint, subscribe = "tiny.", curve = curve })
  if socket then socket:on(function(_, text) self:take(endpoint, text) end) end
end

function Dashboard:follow_all(feeds)
  local endpoints = {}
  for i, feed in ipairs(feeds) do endpoints[i] = endpoint_of(feed) end
  watch.expect(self.context.book, endpoints, tiny.now())
  for _, feed in ipairs(feeds) do self:follow(feed) end
end

-- -- judging -------------------------------------------------------------------

function Dashboard:alert(server, now)
  local begun, over = alerts.check(server, now, self.conf)
  for _, text in ipairs(begun) do self:err("%s is %s", server.id, text) end
  for _, name in ipairs(over) do self:warn("%s: no longer %s", server.id, name) end
end

-- The servers whose messages or states are new.
function Dashboard:updates(now)
  local parts, states = {}, {}
  for _, server in ipairs(watch.list(self.context.book)) do
    states[server.id] = watch.state(server, now)
    if self.fresh[server.id] or states[server.id] ~= self.states[server.id] then
      parts[#parts + 1] = shown(server, now, true)
    end
  end
  for _, feed in ipairs(watch.unheard(self.context.book)) do states[feed] = "waiting" end
  return parts, states
end

-- What the pages show and is no more.
local function gone(before, states)
  local ids = {}
  for id in pairs(before) do
    if not states[id] then ids[#ids + 1] = cjson.encode(id) end
  end
  return ids
end

-- Once a second: judge, and tell the pages what is new.
function Dashboard:look()
  local now, book = tiny.now(), self.context.book
  watch.prune(book, now)
  for _, server in ipairs(watch.list(book)) do self:alert(server, now) end
  local updates, states = self:updates(now)
  local lost = gone(self.states, states)
  self.states, self.fresh = states, {}
  if #updates > 0 then self:tell("servers", list(updates)) end
  if #lost > 0 then self:tell("forget", list(lost)) end
end

-- -- pages ---------------------------------------------------------------------

-- Each open page has a queue of events. One that does not take them is cut off.
function Dashboard:tell(event, data)
  for queue in pairs(self.pages) do
    if queue:count() < BEHIND then
      queue:put { event = event, data = data }
    else
      self:warn "a page is too slow: it is cut off"
      self.pages[queue] = nil
    end
  end
end

-- A page stays for as long as it takes what is sent.
function Dashboard:events(request)
  local events, queue = request:events(SAFE), tiny.queue()
  self.pages[queue] = true
  events:send { event = "hello", retry = 1 }
  while self.pages[queue] and events:send(queue:get()) do end
  self.pages[queue] = nil
end

-- They come again, and are the new generation's then.
function Dashboard:on_close()
  local pages = self.pages
  self.pages = {}
  for queue in pairs(pages) do queue:put { event = "bye" } end
end

-- -- requests ------------------------------------------------------------------

local function answer(status, kind, body)
  local headers = { ["Content-Type"] = kind }
  for name, value in pairs(SAFE) do headers[name] = value end
  return status, body, headers
end

local routes = {}

routes["/api/servers"] = function(self) return answer(200, "application/json", self:shown_all()) end

routes["/metrics"] = function(self)
  local text = metrics.text(watch.list(self.context.book), tiny.now())
  return answer(200, "text/plain; version=0.0.4; charset=utf-8", text)
end

routes["/events"] = function(self, request) return self:events(request) end

function Dashboard:answer(request)
  local route, file = routes[request.path], files[request.path]
  if request.method ~= "GET" and request.method ~= "HEAD" then
    return answer(405, "text/plain", "GET is all there is\n")
  elseif route then
    return route(self, request)
  elseif file then
    return answer(200, file.type, file.body)
  end
  return answer(404, "text/plain", "not found\n")
end

-- -- the server ----------------------------------------------------------------

function Dashboard:on_start()
  local conf = self.conf
  self.context.book = self.context.book or watch.new()
  self.fresh, self.states, self.pages = {}, {}, {}
  self:follow_all(conf["dashboard.feeds"])
  assert(tiny.http.serve(conf["dashboard.listen"], function(request) return self:answer(request) end))
  self:add_timer("look", tiny.PeriodTimer(function() self:look() end, 1))
  self:info("the page is at http://%s/", conf["dashboard.listen"])
end

function Dashboard:get_summary()
  local moods, now = {}, tiny.now()
  for _, server in ipairs(watch.list(self.context.book)) do
    local _, mood = watch.state(server, now)
    moods[mood] = (moods[mood] or 0) + 1
  end
  return moods
end

return Dashboard
