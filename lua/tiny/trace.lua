-- SPDX-License-Identifier: MIT
-- trace.lua -- where an error came from, when it is passed on by what had to catch it:
-- raising it again loses the stack that it was first raised on.
local trace = {}

local kept, kept_text

local function text_of(err)
  return type(err) == "string" and err or "error value is a " .. type(err)
end

-- A message handler that remembers the stack of an error which is going to be raised again.
function trace.keep(err)
  kept, kept_text = err, debug.traceback(text_of(err), 2)
  return err
end

-- The same for the error that a coroutine has died of.
function trace.keep_dead(err, co, started_at)
  kept, kept_text = err, debug.traceback(co, text_of(err)) .. "\ntask started at:\n\t" .. started_at
end

-- The traceback of an error that was passed on last, or nil.
function trace.of(err)
  return kept_text and rawequal(kept, err) and kept_text or nil
end

return trace
