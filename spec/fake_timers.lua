-- SPDX-License-Identifier: MIT
-- fake_timers.lua -- lua/tiny/timer.lua on a clock of its own, without the runtime: what
-- tiny.core.timer, tiny.core.task and the executor task do, as plainly as possible.
local fake = {}

local MODULES = {"tiny.core.timer", "tiny.core.worker", "tiny.task", "tiny.timer"}

-- A fresh timer module on a fresh clock. 'kept' is what an older one's stop() has left.
function fake.new(kept)
  local self = setmetatable({mono = 1000e9, wall = 1.6e9, nodes = {}, last = 0, errors = {}, kept = kept or {},
    calls = {}, on = false}, {__index = fake})
  local core = {}
  function core.add(due)
    if not self.on then return end
    self.last = self.last + 1
    self.nodes[self.last] = {id = self.last, due = due}
    return self.last, self.last
  end
  function core.after(seconds) return core.add(self.mono + seconds * 1e9) end
  function core.remove(id)
    if not self.nodes[id] then return end
    self.nodes[id] = nil
    return id
  end
  function core.acting() end
  function core.now() return self.mono end
  function core.wall() return self.wall end
  function core.round(ns) return math.ceil(ns / 1e6) * 1e6 end
  function core.start(execute) self.on, self.execute = true, execute end
  function core.stop() self.on, self.nodes = false, {} end
  function core.forget() self.kept = {} end
  function core.keep(key, kind, point) self.kept[key] = {kind, point} end
  function core.kept(key, kind)
    local row = self.kept[key]
    return row and row[1] == kind and row[2] or nil
  end
  function core.next() return select(2, coroutine.yield("next")) end
  for _, name in ipairs(MODULES) do package.loaded[name] = nil end
  package.loaded["tiny.core.timer"] = core
  package.loaded["tiny.core.worker"] = {
    open = function(key, setup) self.opened = {key = key, setup = setup} return 7 end,
    call = function(id, missed) self.calls[#self.calls + 1] = {id, missed} end,
    close = function(id) self.closed = id end,
  }
  package.loaded["tiny.task"] = {pass = function(...) return ... end}
  self.timer = require "tiny.timer"
  for _, name in ipairs(MODULES) do package.loaded[name] = nil end
  self.timer.start()
  return self
end

-- A wait in a timer's function: the executor is busy meanwhile.
function fake.sleep(seconds) coroutine.yield("sleep", seconds) end

local function start(self)
  self.co = coroutine.create(self.execute)
  local _, what = coroutine.resume(self.co)
  assert(what == "next")
end

function fake:resume(...)
  if not self.co then start(self) end
  local ok, what, seconds = coroutine.resume(self.co, ...)
  if not ok then
    self.errors[#self.errors + 1] = what
    start(self)
  end
  self.busy_until = what == "sleep" and self.mono + seconds * 1e9 or nil
end

local function earliest(self)
  local first
  for _, node in pairs(self.nodes) do
    if not first or node.due < first.due or node.due == first.due and node.id < first.id then first = node end
  end
  return first
end

local function go_to(self, mono)
  mono = math.max(mono, self.mono)
  self.wall = self.wall + (mono - self.mono) / 1e9
  self.mono = mono
end

-- Let time pass; what is due meanwhile fires at its time, or when the executor is free.
function fake:advance(seconds)
  local stop = self.mono + seconds * 1e9
  while true do
    local node = earliest(self)
    if self.busy_until then
      if self.busy_until > stop then break end
      go_to(self, self.busy_until)
      self:resume()
    elseif node and node.due <= stop then
      self.nodes[node.id] = nil
      go_to(self, node.due)
      self:resume(nil, node.id)
    else
      break
    end
  end
  go_to(self, stop)
end

-- Nothing runs for so long (the process slept, or was busy), but time passes.
function fake:freeze(seconds) go_to(self, self.mono + seconds * 1e9) end

function fake:pending()
  local count = 0
  for _ in pairs(self.nodes) do count = count + 1 end
  return count
end

return fake
