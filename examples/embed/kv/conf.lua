return {
  ["svr.name"] = "kv",
  ["svr.script"] = "policy.lua",
  ["svr.monitor"] = false,
  ["kv.most"] = 1000,
}
