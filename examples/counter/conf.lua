-- Counts. Change counter.step or counter.lua while it runs, then `tiny reload`.
return {
  ["svr.name"] = "counter",
  ["svr.script"] = "counter.lua",
  ["svr.monitor"] = false,

  ["counter.step"] = 1,
}
