-- SPDX-License-Identifier: MIT
-- The server that chaos is thrown at. Each client counts: it asks for number 1, 2, 3 … and gets 200 when all up
-- to there are in the context. Whatever is wrong inside is noted there too, and told by /books.
local cjson = require "cjson"
local ffi = require "ffi"
local tiny = require "tiny"
local trouble = require "trouble"

ffi.cdef "int getpid(void);"
local pid = ffi.C.getpid()
local S = tiny.Server:extend()

function S:wrong(what, ...)
  local wrong = self.context.wrong
  wrong[#wrong + 1] = what:format(...)
end

-- -- counting ----------------------------------------------------------------

function S:answer(status, client)
  return status, cjson.encode {last = self.context.last[client] or 0, pid = pid, generation = self.generation}
end

-- Before the first wait: what a handler writes later may be written to a context that has moved on.
function S:take(client, number)
  local last = self.context.last
  if number == (last[client] or 0) + 1 then last[client] = number end
  return number <= (last[client] or 0)
end

-- Taken: lives on through reloads and an orderly close.
function S:count(req)
  local client, number, body = req.params.client, tonumber(req.params.number), req.body
  local taken = self:take(client, number)
  if req.query.wait then tiny.sleep(tonumber(req.query.wait)) end
  if not taken then return self:answer(409, client) end
  local status, text = self:answer(200, client)
  return status, text .. "\n" .. body
end

-- Taken: lives on through anything.
function S:keep(req)
  local client = req.params.client
  if not self:take(client, tonumber(req.params.number)) then return self:answer(409, client) end
  local status, text = self:answer(200, client)
  local saved, why = self:checkpoint()
  if not saved then return 503, why end
  return status, text
end

-- The same as count, over ZeroMQ: a number asked for, and the bytes that come back.
function S:requested(client, number, body)
  local status, text = self:answer(self:take(client, tonumber(number)) and 200 or 409, client)
  assert(self.replies:send(tostring(status), text, body))
end

-- Numbers that are only sent: within one process none is lost, and none comes twice.
function S:pushed(client, number)
  local seen, n = self.context.pushed[client], tonumber(number)
  if not n or not client:find("^pusher%d$") then return end -- garbage can look like a message
  if seen and seen.pid == pid and n ~= seen.last + 1 then
    self:wrong("%s: message %d came after %d", client, n, seen.last)
  end
  self.context.pushed[client] = {pid = pid, last = n}
end

local function stream(req)
  local size, out = tonumber(req.params.size), req:stream(200)
  for at = 1, size, 1000 do
    assert(out:write(("%06d"):format(at):rep(1000):sub(1, math.min(1000, size - at + 1))))
    if at % 20 == 1 then tiny.sleep(0.01) end
  end
end

-- -- timers ------------------------------------------------------------------

-- Within one process no minute comes twice, and none before another.
function S:on_minute(due)
  local cron = self.context.cron
  if cron.pid == pid and due <= cron.due then self:wrong("the minute %d came after %d", due, cron.due) end
  self.context.cron = {pid = pid, due = due}
  self.context.minutes = self.context.minutes + 1
end

-- The same line to all sinks.
function S:on_line()
  self.lines = (self.lines or 0) + 1
  self:warn("line %d of %d/%d", self.lines, pid, self.generation)
end

function S:publish()
  self.published = (self.published or 0) + 1
  self.news:send(("%d/%d"):format(pid, self.generation), tostring(self.published))
end

function S:on_done(key, result)
  if key ~= "ticks" or type(result) ~= "table" or result.square ~= result.n ^ 2 then
    self:wrong("a thread timer brought %s", result)
  end
  self.context.ticks = self.context.ticks + 1
end

function S:add_timers()
  local function every(key, fn, seconds) assert(self:add_timer(key, tiny.PeriodTimer(fn, seconds))) end
  every("beats", function() self.context.beats = self.context.beats + 1 end, 0.01)
  every("lines", function() self:on_line() end, 0.02)
  every("news", function() self:publish() end, 0.02)
  every("alarm", function() self:err("alarm %d", pid) end, 1)
  every("garbage", function() self.ballast = ("x"):rep(1e5) end, 0.05)
  assert(self:add_timer("minutes", tiny.CronTimer(function(_, due) self:on_minute(due) end, "* * * * *")))
  assert(self:add_timer("ticks", tiny.PeriodTimer("jobs.tick", 0.2), {thread = true}))
end

-- -- life --------------------------------------------------------------------

function S:fill_context()
  local fresh = {beats = 0, ticks = 0, minutes = 0, last = {}, wrong = {}, cron = {}, pushed = {}}
  for key, value in pairs(fresh) do
    if self.context[key] == nil then self.context[key] = value end
  end
end

function S:serve()
  local routes = tiny.http.router()
  routes:post("/count/:client/:number", function(req) return self:count(req) end)
  routes:post("/keep/:client/:number", function(req) return self:keep(req) end)
  routes:get("/stream/:size", stream)
  routes:get("/books", function()
    return 200, cjson.encode {pid = pid, generation = self.generation, books = self.context}
  end)
  routes:post("/trouble/:kind", function(req) return trouble[req.params.kind](self) end)
  local options = {head_timeout = 2, idle_timeout = 30, limit = 300}
  assert(tiny.http.serve(self.conf["chaos.address"], routes, options))
end

function S:open_sockets()
  local folder = "ipc://" .. self.conf["chaos.folder"]
  self.replies = assert(tiny.zmq.socket("REP", {bind = folder .. "/replies.ipc"}))
  self.pulls = assert(tiny.zmq.socket("PULL", {bind = folder .. "/pulls.ipc"}))
  self.news = assert(tiny.zmq.socket("PUB", {bind = folder .. "/news.ipc"}))
  self.replies:on(function(...) self:requested(...) end)
  self.pulls:on(function(...) self:pushed(...) end)
end

function S:on_start()
  self.closed = false
  self:fill_context()
  self:serve()
  self:open_sockets()
  self:add_timers()
end

function S:on_close(reason)
  if self.closed then self:wrong("on_close came twice: %s", reason) end
  self.closed = true
end

function S:on_except() return true end

function S:get_summary() return {beats = self.context.beats} end

function S:run()
  if self.stuck then tiny.sleep(1e6) end
  tiny.sleep(0.1)
end

return S
