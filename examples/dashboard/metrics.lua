--- metrics.lua -- all servers in the text format of Prometheus.
local watch = require "watch"

local metrics = {}

local function escaped(text)
  return (text:gsub('[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }))
end

local function labels(server, more)
  local name, host, feed = escaped(server.info.name), escaped(server.info.host), escaped(server.feed)
  return ('{name="%s",host="%s",feed="%s"%s}'):format(name, host, feed, more or "")
end

local function is_number(value)
  return type(value) == "number" and value - value == 0
end

local function field(name, factor)
  return function(server)
    local value = server.info[name]
    return is_number(value) and value * (factor or 1) or 0
  end
end

local function is_up(server, now)
  local state = watch.state(server, now)
  return state ~= "silent" and state ~= "closed" and 1 or 0
end

local function is_hung(server, now)
  return watch.state(server, now) == "hung" and 1 or 0
end

-- In a cluster only.
local function is_active(server)
  return watch.cluster(server) and (server.info.role == "active" and 1 or 0)
end

local function token(server)
  return watch.cluster(server) and is_number(server.info.token) and server.info.token
end

-- name, type, help, value(server, now): a number, or nothing where there is none
local rows = {
  { "tiny_up", "gauge", "Whether the server is heard.", is_up },
  { "tiny_hung", "gauge", "Whether the server is hung.", is_hung },
  { "tiny_message_age_seconds", "gauge", "Time since the last message.",
    function(server, now) return now - server.heard end },
  { "tiny_messages_missed_total", "counter", "Messages that did not arrive here.",
    function(server) return server.missed end },
  { "tiny_generation", "gauge", "Number of the generation in force.", field "generation" },
  { "tiny_generations_alive", "gauge", "Generations that still hold something.", field "generations_alive" },
  { "tiny_uptime_seconds", "gauge", "Time since the process started.", field "uptime" },
  { "tiny_loop_lag_seconds", "gauge", "The longest turn of the loop of late.", field("loop_lag_ms", 1e-3) },
  { "tiny_lua_heap_bytes", "gauge", "Heap of the generation in force.", field "lua_heap_bytes" },
  { "tiny_resident_memory_bytes", "gauge", "Resident memory of the process.", field "rss_bytes" },
  { "tiny_cpu_seconds_total", "counter", "CPU time of the process.", field "cpu_seconds" },
  { "tiny_timers", "gauge", "Timers pending.", field "timers" },
  { "tiny_tasks", "gauge", "Tasks alive.", field "tasks" },
  { "tiny_connections", "gauge", "Connections open.", field "connections" },
  { "tiny_errors_total", "counter", "Errors that no script has caught.", field "errors" },
  { "tiny_log_lines_total", "counter", "Lines logged.", field "log_lines" },
  { "tiny_log_dropped_total", "counter", "Lines that found the log full.", field "log_dropped" },
  { "tiny_active", "gauge", "Whether the server is its cluster's active.", is_active },
  { "tiny_cluster_token", "gauge", "Token of the active's term.", token },
}

local function add_head(out, name, kind, help)
  out[#out + 1] = ("# HELP %s %s\n# TYPE %s %s\n"):format(name, help, name, kind)
end

local function add(out, name, label, value)
  if value then out[#out + 1] = ("%s%s %.14g\n"):format(name, label, value) end
end

-- A server that was never heard has no name yet: its feed tells.
local function add_feeds(out, book)
  add_head(out, "tiny_feed_heard", "gauge", "Whether anything has come from the feed.")
  for _, feed in ipairs(watch.feeds(book)) do
    add(out, "tiny_feed_heard", ('{feed="%s"}'):format(escaped(feed.feed)), feed.heard and 1 or 0)
  end
end

local function add_app(out, servers)
  add_head(out, "tiny_app", "gauge", "Figures of the server's own.")
  for _, server in ipairs(servers) do
    for figure, value in pairs(type(server.info.app) == "table" and server.info.app or {}) do
      local more = (',figure="%s"'):format(escaped(tostring(figure)))
      add(out, "tiny_app", labels(server, more), is_number(value) and value)
    end
  end
end

--- The text for /metrics.
function metrics.text(book, now)
  local out, servers = {}, watch.servers(book)
  for _, row in ipairs(rows) do
    local name, kind, help, value = unpack(row)
    add_head(out, name, kind, help)
    for _, server in ipairs(servers) do add(out, name, labels(server), value(server, now)) end
  end
  add_feeds(out, book)
  add_app(out, servers)
  return table.concat(out)
end

return metrics
