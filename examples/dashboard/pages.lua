--- pages.lua -- the open pages. Each knows what is new to it, and its own task sends that when it can:
--- a slow page misses what is overtaken meanwhile and costs nobody anything.
local tiny = require "tiny"
local view = require "view"

local pages = {}
pages.__index = pages

-- Whoever goes away while its task waits has that cancelled: it is open for as long as its task knows it.
local function new_open() return setmetatable({}, { __mode = "k" }) end

function pages.new()
  return setmetatable({ open = new_open(), texts = {} }, pages)
end

-- What is new, as events: what there is, and the ids of what is no more.
function pages:send(events, page)
  local texts, gone = {}, {}
  for id in pairs(page.news) do
    local text = self.texts[id]
    if text then texts[#texts + 1] = text else gone[#gone + 1] = id end
  end
  page.news = {}
  if #gone > 0 and not events:send { event = "forget", data = view.ids(gone) } then return false end
  return #texts == 0 or events:send { event = "servers", data = view.list(texts) }
end

--- Answer a request with events for as long as its page is there.
function pages:serve(request, headers)
  local events, page = request:events(headers), { news = {}, bell = tiny.queue(1) }
  self.open[page] = true
  events:send { event = "hello", retry = 1 }
  while page.bell:get() and self.open[page] and self:send(events, page) do end
end

local function ring(page)
  if page.bell:count() == 0 then page.bell:put(true) end
end

--- The JSON of a server is another one; nil: there is no such server any more.
function pages:note(id, text)
  self.texts[id] = text
  for page in pairs(self.open) do page.news[id] = true end
end

--- Have all pages told what was noted.
function pages:tell()
  for page in pairs(self.open) do
    if next(page.news) then ring(page) end
  end
end

--- Let go of all: they come again.
function pages:close()
  local open = self.open
  self.open = new_open()
  for page in pairs(open) do ring(page) end
end

return pages
