-- programs.lua -- small programs of different kinds. Writes "NAME seconds" of CPU for each.
local ffi = require "ffi"

local function measure(name, fn)
  collectgarbage()
  local began = os.clock()
  fn()
  io.write(("%s %.6f\n"):format(name, os.clock() - began))
  io.flush()
end

local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
measure("calls", function() fib(34) end)

measure("arithmetic", function()
  local inside = 0
  for y = 0, 399 do
    for x = 0, 399 do
      local cr, ci, r, i, n = x / 160 - 2, y / 200 - 1, 0, 0, 0
      while n < 200 and r * r + i * i < 4 do
        r, i = r * r - i * i + cr, 2 * r * i + ci
        n = n + 1
      end
      if n == 200 then inside = inside + 1 end
    end
  end
  return inside
end)

measure("sieve", function()
  for _ = 1, 10 do
    local composite = {}
    for i = 2, 500000 do
      if not composite[i] then
        for j = i * 2, 500000, i do composite[j] = true end
      end
    end
  end
end)

measure("strings", function()
  local words = {}
  for i = 1, 300000 do words[i % 1000 + 1] = ("%d-%s"):format(i, "word"):upper():sub(2, -2) end
  return table.concat(words)
end)

measure("tables", function()
  local trees = {}
  local function grow(depth) return depth > 0 and { grow(depth - 1), grow(depth - 1) } or {} end
  for i = 1, 20 do trees[i % 4] = grow(14) end
  return trees
end)

measure("closures", function()
  local sum = 0
  for i = 1, 3e6 do
    local add = function(x) return x + i end
    sum = sum + add(i)
  end
  return sum
end)

measure("coroutines", function()
  local co = coroutine.wrap(function() for i = 1, 2e6 do coroutine.yield(i) end end)
  for _ = 1, 2e6 do co() end
end)

measure("sort", function()
  local list, seed = {}, 42
  for i = 1, 300000 do
    seed = (seed * 16807) % 2147483647
    list[i] = seed
  end
  table.sort(list, function(a, b) return a < b end)
end)

-- The worst case: next to nothing is done on a line, so the check weighs most.
measure("ffi_stores", function()
  local array = ffi.new("int[1024]")
  for _ = 1, 100000 do
    for i = 0, 1023 do
      array[i] = i
    end
  end
end)

measure("empty_loop", function()
  local x = 0
  for i = 1, 3e8 do
    x = x + i
  end
  return x
end)
