-- Subscribes to monitor feeds, and shows what they say: a page, /metrics, /api/servers.
-- What it knows is in context, so a reload of this server forgets nothing.
local tiny = require "tiny"
local cjson = require "cjson"
local alerts = require "alerts"
local metrics = require "metrics"
local pages = require "pages"
local view = require "view"
local watch = require "watch"

local Dashboard = tiny.Server:extend()

local FOLDER = (debug.getinfo(1, "S").source:match "^@(.*/)" or "./") .. "page"
local MAX_MESSAGE = 2 ^ 24  -- bytes; who sends more is disconnected

-- No part of the page comes from elsewhere, and nothing that a server says can become a script.
local SAFE = {
  ["Content-Security-Policy"] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    .. "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ["X-Content-Type-Options"] = "nosniff",
  ["Referrer-Policy"] = "no-referrer",
  ["Cache-Control"] = "no-store",
}

-- -- feeds ---------------------------------------------------------------------

function Dashboard:take(feed, text)
  local ok, message = pcall(cjson.decode, text)
  if not ok then return end
  local server, is_other = watch.take(self.context.book, feed, message, tiny.now())
  if server then self.fresh[server.id] = is_other and "whole" or self.fresh[server.id] or "figures" end
end

-- A feed is an endpoint, or a table of one and the server's public key where it has CURVE.
local function endpoint_of(feed) return type(feed) == "table" and feed.endpoint or feed end

local function curve_of(feed, own)
  if type(feed) ~= "table" or not feed.server_key then return nil end
  if not own then error("a feed has a server_key: dashboard.curve is missing", 0) end
  return { server_key = feed.server_key, public_key = own.public_key, secret_key = own.secret_key }
end

-- By its name a socket lives through reloads for as long as its keys are the same.
function Dashboard:follow(feed)
  local endpoint, curve = endpoint_of(feed), curve_of(feed, self.conf["dashboard.curve"])
  local socket = tiny.zmq.socket("SUB", {
    connect = endpoint, subscribe = "tiny.", max_size = MAX_MESSAGE, curve = curve,
    name = curve and curve.server_key .. curve.public_key,
  })
  if socket then socket:on(function(_, text) self:take(endpoint, text) end) end
end

function Dashboard:follow_all(feeds)
  local endpoints = {}
  for i, feed in ipairs(feeds) do endpoints[i] = endpoint_of(feed) end
  watch.expect(self.context.book, endpoints, tiny.now())
  for _, feed in ipairs(feeds) do self:follow(feed) end
end

-- -- judging -------------------------------------------------------------------

function Dashboard:alert(one, now)
  local begun, over = alerts.check(one, now, self.conf)
  for _, text in ipairs(begun) do self:err("%s: %s", one.id, text) end
  for _, text in ipairs(over) do self:warn("%s: %s", one.id, text) end
  if #over > 0 or next(one.alerts) then self.fresh[one.id] = self.fresh[one.id] or "figures" end
end

-- Note for the pages what is new of a server or feed, and return its state.
function Dashboard:note(one, now)
  local state, fresh = watch.state(one, now), self.fresh[one.id]
  if fresh or state ~= self.states[one.id] then
    self.pages:note(one.id, view.update(one, now, fresh == "whole"))
  end
  return state
end

-- Once a second: judge, and tell the pages what is new.
function Dashboard:look()
  local now, book, states = tiny.now(), self.context.book, {}
  watch.prune(book, now)
  for _, feed in ipairs(watch.feeds(book)) do self:alert(feed, now) end
  for _, server in ipairs(watch.servers(book)) do self:alert(server, now) end
  for _, one in ipairs(watch.shown(book)) do states[one.id] = self:note(one, now) end
  for id in pairs(self.states) do
    if not states[id] then self.pages:note(id, nil) end
  end
  self.states, self.fresh = states, {}
  self.pages:tell()
end

-- -- requests ------------------------------------------------------------------

local function answer(kind, body)
  local headers = { ["Content-Type"] = kind }
  for name, value in pairs(SAFE) do headers[name] = value end
  return 200, body, headers
end

function Dashboard:router()
  local book = self.context.book
  local router = tiny.http.router()
  router:get("/api/servers", function() return answer("application/json", view.all(book, tiny.now())) end)
  router:get("/metrics", function()
    return answer("text/plain; version=0.0.4; charset=utf-8", metrics.text(book, tiny.now()))
  end)
  router:get("/events", function(request) self.pages:serve(request, SAFE) end)
  return router:files("/", FOLDER, { headers = SAFE })
end

-- -- the server ----------------------------------------------------------------

function Dashboard:on_start()
  local conf = self.conf
  self.context.book = self.context.book or watch.new()
  self.fresh, self.states, self.pages = {}, {}, pages.new()
  self:follow_all(conf["dashboard.feeds"])
  local serving = { on_disconnect = "cancel" }
  local listener = assert(tiny.http.serve(conf["dashboard.listen"], self:router(), serving))
  self:add_timer("look", tiny.PeriodTimer(function() self:look() end, 1))
  self:info("the page is at http://%s/", listener:address())
end

-- The pages come again, and are the new generation's then.
function Dashboard:on_close() self.pages:close() end

function Dashboard:get_summary()
  local moods, now = {}, tiny.now()
  for _, one in ipairs(watch.shown(self.context.book)) do
    local _, mood = watch.state(one, now)
    moods[mood] = (moods[mood] or 0) + 1
  end
  return moods
end

return Dashboard
