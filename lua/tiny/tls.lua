--- TLS for listeners and connections: the option `tls` of their functions.
local core = require "tiny.core.tls"
local log = require "tiny.log"

local tls = { shake = core.shake }

---@class tiny.Tls
---@field cert? string       PEM file of our certificate and those that lead to it; a listener has one
---@field key? string        PEM file of its key
---@field ca? string         PEM file of whom to trust: a listener, clients; others, instead of the system
---@field name? string       of a connection: who is expected there, the address' host unless given
---@field insecure? boolean  of a connection: trust anybody

local kinds = { cert = "string", key = "string", ca = "string", name = "string", insecure = "boolean" }
local of_clients = { name = true, insecure = true }

local function problem_of(options, server)
  if type(options) ~= "table" then return "tls: a table is expected, got " .. type(options) end
  for name, value in pairs(options) do
    local kind = not (server and of_clients[name]) and kinds[name]
    if not kind then return "tls: unknown option " .. tostring(name) end
    if type(value) ~= kind then return ("tls: %s is a %s, not a %s"):format(name, kind, type(value)) end
  end
  if server and not options.cert then return "tls: cert is missing" end
  if (options.cert == nil) ~= (options.key == nil) then return "tls: cert and key belong together" end
end

--- Raise, where the caller of the public function stands, unless the options are what they should be.
function tls.check(what, options, server)
  local problem = options ~= nil and problem_of(options, server)
  if problem then error(("%s: %s"):format(what, problem), 3) end
end

local function key_of(options)
  return table.concat({ options.cert, options.key, options.ca or "" }, "\0")
end

-- By files: what listeners of this generation have been given.
local given = {}

--- Settings for a listener, by the files as they are now: they may have been renewed. When a reload is refused
--- for what is wrong with them, on_start runs once more: the generation goes on with what it had.
---@return userdata?, string?
function tls.listener(options)
  local key = key_of(options)
  local settings, why = core.open(true, options)
  if settings then
    given[key] = settings
    return settings
  end
  if not given[key] then return nil, why end
  log.err("tls: %s: what was read before stays in force", why)
  return given[key]
end

local function finish(settings, ...)
  core.close(settings)
  return ...
end

--- What connect(settings) returns; settings are nil without options.
function tls.connection(options, connect)
  if not options then return connect() end
  local settings, why = core.open(false, options)
  if not settings then return nil, why, "EINVAL" end
  return finish(settings, connect(settings))
end

return tls
