-- SPDX-License-Identifier: MIT
-- fuzz_url.lua -- paths and queries of requests: what was encoded comes back, no part of a path hides a
-- NUL, and routes are found without an error.
local escape = require "tiny.http.escape"
local router = require "tiny.http.router"

local function ok() return 200 end

local routes = router()
for _, pattern in ipairs {"/", "/a", "/a/:id", "/a/:id/b", "/files/*path", "/:x/:y/:z"} do
  routes:get(pattern, ok)
end

return function(bytes)
  assert(escape.decode(escape.encode(bytes)) == (not bytes:find("%z") and bytes or nil))
  assert(escape.decode_query(escape.encode(bytes)) == bytes)
  local path = escape.decode(bytes)
  assert(bytes:find("%z") or not path or not path:find("%z"), "a NUL came through")
  for name, value in pairs(escape.query(bytes)) do
    assert(type(name) == "string" and type(value) == "string")
  end
  if path and path ~= "" then
    local status = routes {method = "GET", raw_path = bytes}
    assert(status == 200 or status == 404, "a route answered with another status")
  end
end
