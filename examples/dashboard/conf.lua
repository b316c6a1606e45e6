-- Watches the servers behind any number of monitor feeds, and shows them in a web page.
return {
  ["svr.name"] = "dashboard",
  ["svr.script"] = "dashboard.lua",
  ["svr.monitor"] = false,                      -- or give it a feed of its own and watch that too

  ["dashboard.listen"] = "127.0.0.1:8090",
  ["dashboard.feeds"] = { "tcp://127.0.0.1:5558" },

  -- A feed with svr.monitor.curve is { endpoint = "tcp://…", server_key = "…" }; we need keys of our own then.
  -- ["dashboard.curve"] = { public_key = "…", secret_key = "…" },

  -- What is worth a line at ERROR, which log.email sends on. 0 and false: not this.
  ["dashboard.alert.silent"] = 30,              -- seconds without a message
  ["dashboard.alert.hung"] = true,
  ["dashboard.alert.errors"] = 10,              -- errors in a minute
}
