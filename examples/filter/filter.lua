-- Reads a file on a period, passes each line through a helper module and writes
-- what comes out. Edit rewrite.lua or conf.lua, reload, and the next output shows it.
local tiny = require "tiny"
local rewrite = require "rewrite"

local Filter = tiny.Server:extend()

local function rewritten(path, conf)
  local lines = {}
  for line in io.lines(path) do
    lines[#lines + 1] = rewrite(line, conf)
  end
  return lines
end

-- Replaced whole, so that nobody reads half of it.
local function write(path, lines)
  local file = assert(io.open(path .. ".new", "w"))
  assert(file:write(table.concat(lines, "\n"), "\n"))
  assert(file:close())
  assert(os.rename(path .. ".new", path))
end

function Filter:pass()
  local lines = rewritten(self.conf["filter.input"], self.conf)
  write(self.conf["filter.output"], lines)
  self.context.passes = self.context.passes + 1
  self.context.lines = #lines
end

function Filter:on_start()
  self.context.passes = self.context.passes or 0
  self:add_timer("pass", tiny.PeriodTimer(function() self:pass() end, self.conf["filter.span"]))
end

-- An input that is missing now may be there at the next pass.
function Filter:on_except(err)
  self:warn("this pass failed: %s", err)
  return true
end

function Filter:get_summary()
  return { passes = self.context.passes, lines = self.context.lines }
end

return Filter
