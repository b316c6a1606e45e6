-- SPDX-License-Identifier: MIT
-- server.lua -- what is measured of Tiny: `tiny run -c conf.lua` with bench.what and its numbers in conf.lua.
local tiny = require "tiny"

local S = tiny.Server:extend()
local measure = {}

local function rss()
  local file = assert(io.open("/proc/self/statm"))
  local pages = file:read("*a"):match("%d+ (%d+)")
  file:close()
  return tonumber(pages) * 4096 / 1e6
end

local function say(...)
  io.stdout:write(string.format(...), "\n")
  io.stdout:flush()
end

-- CPU ns of a timer made and fired, and MB of memory.
function measure.make(n, stride)
  local fired = 0
  collectgarbage()
  local before, began = rss(), os.clock()
  for i = 0, n - 1 do
    tiny.after((1500 + i * stride % n * 1000 / n) / 1000, function() fired = fired + 1 end)
  end
  local made, memory = os.clock(), rss() - before
  while fired < n do tiny.sleep(0.1) end
  say("%.0f %.0f %.1f", (made - began) / n * 1e9, (os.clock() - made) / n * 1e9, memory)
end

-- ns that each call of a period timer came after the grid that it has to keep, and its number.
function measure.period(ms, seconds, busy)
  local times, points, done = {}, 0, false
  tiny.every(ms / 1000, function(missed)
    points = points + 1 + missed
    times[#times + 1] = {tiny.now() * 1e9, points}
    done = points * ms >= seconds * 1000
  end)
  while not done do
    local began = tiny.now()
    while busy == 1 and tiny.now() - began < 0.004 do end
    tiny.sleep(busy == 1 and 0.001 or 0.1)
  end
  -- The first point is on a whole millisecond; how late its call was is not known, but some call was in time.
  local first = math.huge
  for _, row in ipairs(times) do first = math.min(first, row[1] - (row[2] - 1) * ms * 1e6) end
  first = math.floor(first / 1e6) * 1e6
  for _, row in ipairs(times) do say("%d %d", row[1] - first - (row[2] - 1) * ms * 1e6, row[2]) end
end

-- CPU ns of a sleep and the resume after it with n tasks, and bytes of a parked one.
function measure.sleep(n)
  local rounds, ended, stop = 5, 0, tiny.queue()
  collectgarbage()
  collectgarbage()
  local before = rss()
  for _ = 1, n do
    tiny.go(function()
      stop:get()
      for _ = 1, rounds do tiny.sleep(0.001) end
      ended = ended + 1
    end)
  end
  tiny.sleep(0.5)
  local parked = rss() - before
  for _ = 1, n do stop:put(true) end
  local began = os.clock()
  while ended < n do tiny.sleep(0.05) end
  say("%.0f %.0f", (os.clock() - began) / n / rounds * 1e9, parked * 1e6 / n)
end

-- CPU ns of a call through timeout and retry, with and without a wait in it.
function measure.calls(n)
  local function nothing() end
  local function wait() tiny.sleep(0) end
  local results = {}
  local function time(fn, ...)
    local began = os.clock()
    for _ = 1, n do fn(...) end
    results[#results + 1] = ("%.0f"):format((os.clock() - began) / n * 1e9)
  end
  time(wait)
  time(tiny.timeout, 5, nothing)
  time(tiny.timeout, 5, wait)
  time(tiny.retry, {}, nothing)
  say("%s", table.concat(results, " "))
end

function S:run()
  local numbers = self.conf["bench.numbers"]
  measure[self.conf["bench.what"]](unpack(numbers))
  self:close()
  tiny.sleep(60)
end

return S
