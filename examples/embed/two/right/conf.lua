return {
  ["svr.name"] = "right",
  ["svr.script"] = "right.lua",
  ["svr.monitor"] = false,
  ["svr.log_conf_on_reload"] = false,
}
