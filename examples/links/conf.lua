-- Looks at a page now and then, counts its links, and appends a line to a file:
--   2026-11-22 16:30:00  12  https://example.com/
-- Change the page or the period while it runs, then `tiny reload`.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or ""

return {
  ["svr.name"] = "links",
  ["svr.script"] = "links.lua",
  ["svr.monitor"] = false,

  ["links.url"] = "https://example.com/",
  ["links.period"] = 60,
  ["links.timeout"] = 20,
  ["links.file"] = here .. "links.out",
}
