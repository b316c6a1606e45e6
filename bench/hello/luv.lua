-- SPDX-License-Identifier: MIT
-- luv.lua -- the peer: answers hello to whatever comes, with luv under LuaJIT. luv.lua PORT FIFO
local uv = require "luv"

local server = uv.new_tcp()
server:bind("127.0.0.1", tonumber(arg[1]))
server:listen(128, function()
  local client = uv.new_tcp()
  server:accept(client)
  client:read_start(function(_, data)
    if not data then return client:close() end
    client:write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")
  end)
end)

local fifo = assert(io.open(arg[2], "w"))
fifo:write("x")
fifo:close()
uv.run()
