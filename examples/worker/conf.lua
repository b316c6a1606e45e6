-- Takes jobs from a ZeroMQ queue, posts each to an HTTP service, tries again when that fails, and pushes
-- what came of it:
--   job in:      id, body
--   result out:  id, "done" or "refused", status, answer      refused: 4xx, the job itself is wrong
--                id, "failed", "", reason                     after all attempts
-- Who pushes jobs and who pulls results may use any ZeroMQ library, and come before or after the worker.
-- Change the limits or worker.lua, then `tiny reload`: jobs in hand are finished by the old code, later ones
-- wait for the new, none is lost. `tiny close` finishes those in hand; what was fetched ahead is gone.
return {
  ["svr.name"] = "worker",
  ["svr.script"] = "worker.lua",
  ["svr.monitor"] = false,
  ["svr.close.force_close_delay"] = 40, -- longer than worker.patience: a reload cuts no job off

  ["worker.jobs"] = "tcp://127.0.0.1:5600",
  ["worker.results"] = "tcp://127.0.0.1:5601",
  ["worker.url"] = "http://127.0.0.1:8081/jobs",

  ["worker.at_once"] = 8,   -- jobs in hand; as many more are fetched ahead
  ["worker.timeout"] = 5,   -- seconds for an attempt
  ["worker.attempts"] = 6,
  ["worker.delay"] = 0.2,   -- seconds before the second attempt, twice as many before each further one
  ["worker.patience"] = 30, -- seconds for a job in all
}
