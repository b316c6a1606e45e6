-- SPDX-License-Identifier: MIT
-- server.lua -- measures log calls from inside a server; what is measured and where the
-- result goes is in the conf: bench.mode, bench.lines, bench.out.
local ffi = require "ffi"
local tiny = require "tiny"

ffi.cdef [[
struct bench_time { long s, ns; };
int clock_gettime(int clock, struct bench_time *time);
struct bench_usage { long times[4], others[12], voluntary, involuntary; };
int getrusage(int who, struct bench_usage *usage);
]]
local MONOTONIC, PROCESS, THREAD = 1, 2, 3
local time, usage = ffi.new("struct bench_time"), ffi.new("struct bench_usage")

local function ns(clock)
  ffi.C.clock_gettime(clock, time)
  return tonumber(time.s) * 1e9 + tonumber(time.ns)
end

-- How often this thread has waited for something.
local function waits()
  ffi.C.getrusage(1, usage)
  return tonumber(usage.voluntary)
end

local Bench = tiny.Server:extend()
local BURST = 5000

local function burst(self, count)
  for i = 1, count do self:info("request %d took %d ms for %s", i, 12, "alice") end
end

-- Wait until all is in the file: until a last line is.
local function wait_written(self)
  local mark = ("written %.0f"):format(ns(MONOTONIC))
  self:info("%s", mark)
  local file = assert(io.open(self.conf["log.file_log"]))
  repeat
    tiny.sleep(0.001)
    file:seek("end", -100)
  until file:read("*a"):find(mark, 1, true)
  file:close()
end

local mode = {}

-- Bursts that the ring holds, with time to write them in between.
function mode.burst(self, lines)
  local caller, all = 0, 0
  burst(self, BURST) -- compiles it
  tiny.sleep(0.1)
  for _ = 1, lines / BURST do
    local process, thread = ns(PROCESS), ns(THREAD)
    burst(self, BURST)
    caller = caller + ns(THREAD) - thread
    tiny.sleep(0.02)
    all = all + ns(PROCESS) - process
  end
  return { caller = caller / lines, all = all / lines }
end

-- As fast as it goes, until all is in the file.
function mode.flood(self, lines)
  local began = ns(MONOTONIC)
  burst(self, lines)
  wait_written(self)
  return { rate = lines / (ns(MONOTONIC) - began) * 1e9 }
end

-- One line now and then, less what measuring it takes.
function mode.lone(self)
  local caller = 0
  for _ = 1, 100 do
    tiny.sleep(0.025)
    local before, began = ns(THREAD), ns(THREAD)
    burst(self, 1)
    caller = caller + ns(THREAD) - began - (began - before)
  end
  return { lone = caller / 100 }
end

local function off(self, count)
  for i = 1, count do self:debug("request %d took %d ms for %s", i, 12, "alice") end
end

function mode.off(self)
  local count = 2e7
  off(self, 1000)
  local thread = ns(THREAD)
  off(self, count)
  local compiled = (ns(THREAD) - thread) / count
  jit.off(off)
  thread = ns(THREAD)
  off(self, count / 10)
  return { off = compiled, interpreted = (ns(THREAD) - thread) / count * 10 }
end

-- A line every millisecond for a while, during which the disk stalls.
function mode.stall(self, lines)
  local worst, blocked = 0, 0
  for _ = 1, lines do
    local before, began = waits(), ns(MONOTONIC)
    burst(self, 1)
    local took = ns(MONOTONIC) - began
    if waits() > before then blocked = blocked + 1 end
    if took > worst then worst = took end
    tiny.sleep(0.001)
  end
  return { worst = worst, blocked = blocked }
end

function Bench:run()
  local result = mode[self.conf["bench.mode"]](self, self.conf["bench.lines"])
  local out = assert(io.open(self.conf["bench.out"], "w"))
  out:write(require("cjson").encode(result))
  out:close()
  self:close()
  tiny.sleep(60)
end

return Bench
