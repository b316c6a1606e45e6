return {
  ["svr.name"] = "left",
  ["svr.script"] = "left.lua",
  ["svr.monitor"] = false,
  ["svr.log_conf_on_reload"] = false,
}
