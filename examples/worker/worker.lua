local tiny = require "tiny"
local Worker = tiny.Server:extend()

-- One attempt: the answer, or nil and why there should be another.
function Worker:post(id, body)
  local answer, why = tiny.http.request {
    url = self.conf["worker.url"], method = "POST", body = body, timeout = self.conf["worker.timeout"],
    headers = { ["Content-Type"] = "application/octet-stream", ["Idempotency-Key"] = id },
  }
  if not answer then return nil, why end
  if answer.status >= 500 or answer.status == 429 then return nil, "status " .. answer.status end
  return answer
end

function Worker:try(id, body)
  local retry = {
    times = self.conf["worker.attempts"], delay = self.conf["worker.delay"], max_delay = 10,
    on = function(why, attempt) self:warn("job %s, attempt %d: %s", id, attempt, tostring(why)) end,
  }
  return tiny.timeout(self.conf["worker.patience"], tiny.retry, retry, self.post, self, id, body)
end

-- While nobody fetches results, sending waits here, and no further job is taken.
function Worker:work(id, body)
  if not body then return self:warn("a job has two parts, an id and a body: %q", id) end
  local answer, why = self:try(id, body)
  local outcome = not answer and "failed" or answer.status < 400 and "done" or "refused"
  self:count(outcome)
  if answer then
    self.results:send(id, outcome, tostring(answer.status), answer.body)
  else
    self.results:send(id, outcome, "", tostring(why))
  end
end

function Worker:on_start()
  local at_once = self.conf["worker.at_once"]
  self.results = assert(tiny.zmq.socket("PUSH", { bind = self.conf["worker.results"], linger = 5 }))
  self.jobs = assert(tiny.zmq.socket("PULL", { bind = self.conf["worker.jobs"], hwm = at_once }))
  self.jobs:on(function(id, body) self:work(id, body) end, at_once)
  self:info("jobs from %s, results to %s", self.jobs:endpoint(), self.results:endpoint())
end

return Worker
