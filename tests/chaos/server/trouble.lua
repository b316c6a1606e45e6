-- SPDX-License-Identifier: MIT
-- Ways for a server's own Lua to go wrong, by name: those that hang it, each in its way, and one that
-- eats all memory there is.
local trouble = {}

function trouble.compiled()
  local i = 0
  while true do i = i + 1 end
end

function trouble.pcalls()
  while true do pcall(error, "again") end
end

function trouble.coroutine()
  coroutine.wrap(trouble.compiled)()
end

function trouble.handler()
  while true do xpcall(trouble.compiled, trouble.compiled) end
end

-- C that does not come back.
function trouble.pattern()
  return 200, tostring((("a"):rep(100000)):find((".-"):rep(30) .. "b"))
end

function trouble.system()
  os.execute("exec sleep 1000")
end

-- A finalizer cannot be interrupted.
function trouble.finalizer()
  local proxy = newproxy(true)
  getmetatable(proxy).__gc = trouble.compiled
  proxy = nil -- luacheck: ignore
  collectgarbage()
end

-- The loop turns, but run does not come back.
function trouble.run(server)
  server.stuck = true
  return 200
end

-- Only under svr.lua.memory_limit, or it would eat the machine.
function trouble.memory(server)
  if not server.conf["svr.lua.memory_limit"] then return 409 end
  local all = {}
  while true do all[#all + 1] = ("x"):rep(1e5) .. #all end
end

-- What no reload can carry over, and back.
function trouble.poison(server)
  server.context.poison = function() end
  return 200
end

function trouble.cure(server)
  server.context.poison = nil
  return 200
end

function trouble.error()
  error("an error that nobody expects")
end

return trouble
