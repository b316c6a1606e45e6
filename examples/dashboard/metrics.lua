--- metrics.lua -- all servers in the text format of Prometheus.
local watch = require "watch"

local metrics = {}

local function escaped(text)
  return (text:gsub('[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }))
end

local function labels(server, more)
  local text = ('name="%s",host="%s"'):format(escaped(server.info.name), escaped(server.info.host))
  return "{" .. text .. (more or "") .. "}"
end

local function field(name, factor)
  return function(server)
    local value = server.info[name]
    return type(value) == "number" and value * (factor or 1) or 0
  end
end

local function is_up(server, now)
  local state = watch.state(server, now)
  return state ~= "silent" and state ~= "closed" and 1 or 0
end

local function is_hung(server, now)
  return watch.state(server, now) == "hung" and 1 or 0
end

-- name, type, help, value(server, now)
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
}

local function add_app(out, servers)
  out[#out + 1] = "# HELP tiny_app Figures of the server's own.\n# TYPE tiny_app gauge\n"
  for _, server in ipairs(servers) do
    for figure, value in pairs(type(server.info.app) == "table" and server.info.app or {}) do
      if type(value) == "number" then
        local more = (',figure="%s"'):format(escaped(figure))
        out[#out + 1] = ("tiny_app%s %.14g\n"):format(labels(server, more), value)
      end
    end
  end
end

--- The text for /metrics.
function metrics.text(servers, now)
  local out = {}
  for _, row in ipairs(rows) do
    local name, kind, help, value = unpack(row)
    out[#out + 1] = ("# HELP %s %s\n# TYPE %s %s\n"):format(name, help, name, kind)
    for _, server in ipairs(servers) do
      out[#out + 1] = ("%s%s %.14g\n"):format(name, labels(server), value(server, now))
    end
  end
  add_app(out, servers)
  return table.concat(out)
end

return metrics
