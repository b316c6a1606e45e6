-- A small JSON service over HTTP:
--   curl -s 127.0.0.1:8080/notes -d '{"text": "buy milk"}'
--   curl -s 127.0.0.1:8080/notes
-- Change the limit or api.lua, then `tiny reload`: no connection is lost, no note forgotten.
return {
  ["svr.name"] = "api",
  ["svr.script"] = "api.lua",
  ["svr.monitor"] = false,

  ["api.address"] = "127.0.0.1:8080",
  ["api.rate"] = 50,        -- requests a second for each client, on average
  ["api.burst"] = 100,      -- and at once
  ["api.longest"] = 1000,   -- bytes of a note
  ["api.most"] = 10000,     -- notes: they are in memory
}
