--- history.lua -- an hour of figures in steps of 10 s, as plain data. A step in which
--- nothing was heard is false.
local history = {}

history.STEP = 10
history.POINTS = 360

local names = { "lag", "heap", "cpu", "errors" }

--- An empty one. `newest` is the number of the step that the last values belong to.
function history.new()
  return { newest = false, lag = {}, heap = {}, cpu = {}, errors = {} }
end

local function push(values, value)
  if #values == history.POINTS then table.remove(values, 1) end
  values[#values + 1] = value
end

--- The number of the step that `now` (seconds) is in.
function history.step_of(now)
  return math.floor(now / history.STEP)
end

--- Make room up to the step of `now`; time that goes back counts into the newest.
function history.advance(h, now)
  local step = history.step_of(now)
  local fresh = h.newest and math.max(0, math.min(step - h.newest, history.POINTS)) or 1
  for _ = 1, fresh do
    for _, name in ipairs(names) do push(h[name], false) end
  end
  h.newest = math.max(step, h.newest or step)
end

--- Add what a message said: of a step the highest lag and CPU, the last heap, all errors.
function history.add(h, now, lag, heap, cpu, errors)
  history.advance(h, now)
  local last = #h.lag
  h.lag[last] = math.max(h.lag[last] or 0, lag)
  h.cpu[last] = math.max(h.cpu[last] or 0, cpu)
  h.heap[last] = heap
  h.errors[last] = (h.errors[last] or 0) + errors
end

--- How many errors came in the last `seconds`, to the step.
function history.errors_within(h, now, seconds)
  local sum, step = 0, history.step_of(now)
  for back = 0, math.ceil(seconds / history.STEP) - 1 do
    local at = #h.errors - ((h.newest or step) - (step - back))
    sum = sum + (h.errors[at] or 0)
  end
  return sum
end

return history
