-- SPDX-License-Identifier: MIT
-- trace.lua -- where an error came from, when it is passed on by what had to catch it:
-- raising it again loses the stack that it was first raised on.
local trace = {}

local kept, kept_stack

-- The stack of a coroutine that has died of `err`. Where the VM itself has raised it, LuaJIT does
-- not know the innermost line any more; the message has it.
function trace.dead(co, err)
  local stack = debug.traceback(co):gsub("^stack traceback:\n", "")
  local file, line = (type(err) == "string" and err or ""):match("^(.-):(%d+): ")
  local innermost = file and "\t" .. file .. ":"
  if not innermost or stack:sub(1, #innermost + 1) ~= innermost .. " " then return stack end
  return innermost .. line .. ":" .. stack:sub(#innermost + 1)
end

-- A message handler that remembers the stack of an error which is going to be raised again.
function trace.keep(err)
  kept, kept_stack = err, debug.traceback("", 2)
  return err
end

-- The same for the error that a coroutine has died of.
function trace.keep_dead(err, co, started_at)
  kept = err
  kept_stack = "\nstack traceback:\n" .. trace.dead(co, err) .. "\ntask started at:\n\t" .. started_at
end

-- What follows the message of the error that was passed on last in its traceback, or nil.
function trace.of(err)
  return kept_stack and rawequal(kept, err) and kept_stack or nil
end

return trace
