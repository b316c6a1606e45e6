-- SPDX-License-Identifier: MIT
-- trace.lua -- where an error came from, when it is passed on by what had to catch it:
-- raising it again loses the stack that it was first raised on.
local trace = {}

-- By coroutine: the error that was passed on last in it, and its stack.
local kept = setmetatable({}, { __mode = "k" })

--- The functions that raise once more what was kept.
trace.passers = {}

local function here()
  return coroutine.running() or trace
end

-- The stack of a coroutine that has died of `err`. Where the VM itself has raised it, LuaJIT does
-- not know the innermost line any more; the message has it.
function trace.dead(co, err)
  local stack = debug.traceback(co):gsub("^stack traceback:\n?", "")
  local file, line = (type(err) == "string" and err or ""):match("^(.-):(%d+): ")
  local innermost = file and "\t" .. file .. ":"
  if not innermost or stack:sub(1, #innermost + 1) ~= innermost .. " " then return stack end
  return innermost .. line .. ":" .. stack:sub(#innermost + 1)
end

--- What follows the message of an error in its traceback: the stack, and before it the one that it was
--- first raised on, if it was passed on.
function trace.after(first, stack)
  return (first and first .. "\npassed on at:\n" or "\nstack traceback:\n") .. stack
end

--- Remember what follows the message of an error that is going to be raised again.
function trace.put(err, text)
  kept[here()] = { err = err, text = text }
end

--- What was remembered in that coroutine, or in the one that runs, if its last error was this one; or nil.
function trace.of(err, co)
  local last = kept[co or here()]
  return last and rawequal(last.err, err) and last.text or nil
end

-- Whether what has called the message handler raises an error once more.
local function passes_on()
  local raiser, passer = debug.getinfo(3, "f"), debug.getinfo(4, "f")
  return passer and raiser.func == error and trace.passers[passer.func]
end

--- A message handler that remembers the stack of an error which is going to be raised again.
function trace.keep(err)
  if not (passes_on() and trace.of(err)) then trace.put(err, debug.traceback("", 2)) end
  return err
end

--- The same for the error that another coroutine has died of.
function trace.keep_dead(err, co, started_at)
  trace.put(err, trace.after(trace.of(err, co), trace.dead(co, err)) .. "\ntask started at:\n\t" .. started_at)
end

return trace
