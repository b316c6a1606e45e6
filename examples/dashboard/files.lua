--- files.lua -- the files of the page, read once when the server loads.
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

local files = {}

local types = {
  html = "text/html; charset=utf-8",
  css = "text/css; charset=utf-8",
  js = "text/javascript; charset=utf-8",
  svg = "image/svg+xml",
}

local function add(path, name)
  local file = assert(io.open(here .. "page/" .. name, "rb"))
  files[path] = { body = file:read "*a", type = types[name:match "%.(%w+)$"] }
  file:close()
end

add("/", "index.html")
add("/dashboard.css", "dashboard.css")
add("/dashboard.js", "dashboard.js")
add("/icon.svg", "icon.svg")

return files
