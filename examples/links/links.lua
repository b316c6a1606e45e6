local tiny = require "tiny"
local Links = tiny.Server:extend()

local function count_links(page)
  local _, count = page:gsub("<[aA]%s[^>]*[hH][rR][eE][fF]%s*=", "")
  return count
end

function Links:append(line)
  local file = assert(io.open(self.conf["links.file"], "a"))
  assert(file:write(line, "\n"))
  assert(file:close())
end

-- What is not there now may be there next time: that is no error of ours.
function Links:look()
  local url = self.conf["links.url"]
  local page, why = tiny.http.request { url = url, timeout = self.conf["links.timeout"], redirects = 5 }
  if not page then return self:warn("%s: %s", url, why) end
  if page.status ~= 200 then return self:warn("%s: status %d", url, page.status) end
  self.context.last = count_links(page.body)
  self:append(("%s  %d  %s"):format(os.date("%Y-%m-%d %H:%M:%S"), self.context.last, url))
end

function Links:on_start()
  local function look() self:look() end
  if self.generation == 1 then tiny.go(look) end -- and not a period later
  self:add_timer("look", tiny.PeriodTimer(look, self.conf["links.period"]))
end

function Links:get_summary() return { links = self.context.last } end

return Links
