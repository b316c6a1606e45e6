local cjson = require "cjson"
local limit = require "limit"
local tiny = require "tiny"

local Api = tiny.Server:extend()

local function json(status, value)
  local text = type(value) == "string" and value or cjson.encode(value)
  return status, text .. "\n", { ["Content-Type"] = "application/json" }
end

-- -- the notes: in the context, so that they live through reloads --------------

function Api:list()
  local notes = {}
  for _, note in pairs(self.context.notes) do notes[#notes + 1] = note end
  table.sort(notes, function(a, b) return a.id < b.id end)
  for i, note in ipairs(notes) do notes[i] = cjson.encode(note) end
  return json(200, "[" .. table.concat(notes, ",") .. "]") -- cjson takes an empty list for an object
end

function Api:add(req)
  local ok, input = pcall(cjson.decode, req.body or "")
  local text = ok and type(input) == "table" and input.text
  if type(text) ~= "string" then return json(400, { error = "an object with a text is expected" }) end
  if #text > self.conf["api.longest"] then return json(413, { error = "the text is too long" }) end
  if self.context.count >= self.conf["api.most"] then return json(507, { error = "no more notes fit" }) end
  local id = self.context.last + 1
  self.context.last, self.context.count = id, self.context.count + 1
  self.context.notes[id] = { id = id, text = text }
  local status, body, headers = json(201, self.context.notes[id])
  headers.Location = "/notes/" .. id
  return status, body, headers
end

function Api:with_note(req, fn)
  local id = tonumber(req.params.id)
  local note = id and self.context.notes[id]
  if not note then return json(404, { error = "no such note" }) end
  return fn(note)
end

-- -- the service ---------------------------------------------------------------

function Api:routes()
  local routes = tiny.http.router()
  routes:get("/notes", function() return self:list() end)
  routes:post("/notes", function(req) return self:add(req) end)
  routes:get("/notes/:id", function(req)
    return self:with_note(req, function(note) return json(200, note) end)
  end)
  routes:delete("/notes/:id", function(req)
    return self:with_note(req, function(note)
      self.context.notes[note.id] = nil
      self.context.count = self.context.count - 1
      return 204
    end)
  end)
  routes:get("/health", function() return json(200, { ok = true, generation = self.generation }) end)
  return routes
end

function Api:on_start()
  self.context.notes = self.context.notes or {}
  self.context.last, self.context.count = self.context.last or 0, self.context.count or 0
  local limiter = limit.new(self.conf["api.rate"], self.conf["api.burst"])
  local routes = self:routes()

  local listener = assert(tiny.http.serve(self.conf["api.address"], function(req)
    self:count("requests")
    local ok, wait = limiter:take(req.remote:match("^(.*):%d+$") or req.remote, tiny.now())
    if not ok then return 429, "Too Many Requests\n", { ["Retry-After"] = math.ceil(wait) } end
    return routes(req)
  end, { max_body = 65536 }))
  self:add_timer("sweep", tiny.PeriodTimer(function() limiter:sweep(tiny.now()) end, 60))
  self:info("listening on %s", listener:address())
end

function Api:get_summary() return { notes = self.context.count } end

return Api
