-- SPDX-License-Identifier: MIT
-- luv.lua -- the same measurements with luv under LuaJIT.
--     luv.lua make N STRIDE | luv.lua period PERIOD_MS SECONDS
local uv = require "luv"

local function rss() return uv.resident_set_memory() / 1e6 end

local function make(n, stride)
  local fired = 0
  collectgarbage()
  local before, began = rss(), os.clock()
  uv.update_time()
  for i = 0, n - 1 do
    local timer = uv.new_timer()
    timer:start(1500 + math.floor(i * stride % n * 1000 / n), 0, function()
      fired = fired + 1
      timer:close()
    end)
  end
  local made, memory = os.clock(), rss() - before
  uv.run()
  assert(fired == n)
  print(("%.0f %.0f %.1f"):format((made - began) / n * 1e9, (os.clock() - made) / n * 1e9, memory))
end

local function period(ms, seconds)
  local first, point, timer = nil, 0, uv.new_timer()
  timer:start(ms, ms, function()
    local now = uv.hrtime()
    point = point + 1
    first = first or now
    print(("%d %d"):format(now - first - (point - 1) * ms * 1e6, point))
    if point * ms >= seconds * 1000 then timer:close() end
  end)
  uv.run()
end

(arg[1] == "make" and make or period)(tonumber(arg[2]), tonumber(arg[3]))
