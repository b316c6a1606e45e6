-- Takes mail addresses out of a text. Its own paths are made relative to this file.
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or ""

return {
  ["svr.name"] = "filter",
  ["svr.script"] = "filter.lua",
  ["svr.monitor"] = false,

  ["filter.input"] = here .. "input.txt",
  ["filter.output"] = here .. "output.out",
  ["filter.span"] = 1,
  ["filter.mask"] = "<address>",
}
