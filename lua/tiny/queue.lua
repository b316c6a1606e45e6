--- Queues: values handed from task to task, in order.
local gate = require "tiny.core.gate"
local pass = require("tiny.task").pass

---@class tiny.Queue
local Queue = {}
Queue.__index = Queue

--- A queue that holds up to `limit` values; without a limit putting never waits.
---@param limit? integer
---@return tiny.Queue
local function queue(limit)
  if limit ~= nil and not (type(limit) == "number" and limit >= 1) then
    error("tiny.queue: the limit must be a number from 1 on", 2)
  end
  return setmetatable({
    limit = limit or math.huge,
    first = 1, last = 0,          -- where the values are
    values_due = 0, room_due = 0, -- promised to tasks that were woken and have not run yet
    getters = gate.new(), putters = gate.new(),
  }, Queue)
end

--- How many values are in it.
---@return integer
function Queue:count()
  return self.last - self.first + 1
end

--- Add a value, waiting while the queue is full. Those who wait are served in order.
function Queue:put(value)
  if value == nil then error("queue:put of nil", 2) end
  if self:count() + self.room_due >= self.limit then
    pass(gate.wait(self.putters, "queue:put"))
    self.room_due = self.room_due - 1
  end
  self.last = self.last + 1
  self[self.last] = value
  if gate.wake(self.getters) then self.values_due = self.values_due + 1 end
end

--- Take the oldest value, waiting until there is one.
function Queue:get()
  if self:count() <= self.values_due then
    pass(gate.wait(self.getters, "queue:get"))
    self.values_due = self.values_due - 1
  end
  local value = self[self.first]
  self[self.first] = nil
  self.first = self.first + 1
  if gate.wake(self.putters) then self.room_due = self.room_due + 1 end
  return value
end

return queue
