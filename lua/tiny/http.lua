--- HTTP: a server in the loop, a router, files, and a client.
local server = require "tiny.http.server"

local http = { serve = server.serve }

-- What not everybody needs is loaded when it is first used.
local parts = { router = "tiny.http.router", request = "tiny.http.client" }

return setmetatable(http, {
  __index = function(self, name)
    local part = parts[name] and require(parts[name])
    self[name] = part
    return part
  end,
})
