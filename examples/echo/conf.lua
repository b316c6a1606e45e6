-- Sends every line back. Talk to it with `nc 127.0.0.1 7007`, change the greeting, `tiny reload`.
return {
  ["svr.name"] = "echo",
  ["svr.script"] = "echo.lua",
  ["svr.monitor"] = false,

  ["echo.address"] = "127.0.0.1:7007",
  ["echo.greeting"] = "hello",
  ["echo.idle"] = 300,    -- seconds; who says nothing for longer is left
  ["echo.longest"] = 4096, -- bytes of a line
}
