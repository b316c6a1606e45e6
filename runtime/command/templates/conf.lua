-- Every key that the runtime knows is here: those that are off show their defaults, or an example.
-- Times are seconds. Relative paths are relative to this file. `tiny reload` puts changes in force.
return {
  ["svr.name"] = "@NAME@",
  ["svr.script"] = "server.lua",

  -- The server's own: self.conf["@NAME@.interval"].
  ["@NAME@.interval"] = 10,

  -- -- the process -------------------------------------------------------------
  -- ["svr.run_dir"] = ".",                       -- where its pid file and control socket are
  -- ["svr.user"] = "nobody",                     -- become this user when started as root; default: stay
  -- ["svr.group"] = "nogroup",
  -- ["svr.watch"] = false,                       -- reload when conf.lua, the script or a module changes on disk
  -- ["svr.load_timeout"] = 5,                    -- new code must have loaded by then
  -- ["svr.reload_timeout"] = 10,                 -- old on_close and new on_start of a reload, each
  -- ["svr.log_conf_on_reload"] = true,           -- log the configuration, secrets masked
  -- ["svr.close.wait_lock_delay"] = 1,           -- how long run and timers may take to come back before on_close
  -- ["svr.close.force_close_delay"] = 10,        -- after that it ends whatever Lua does
  -- ["svr.lua.memory_limit"] = "512M",           -- of Lua's heap; default: none

  -- -- timers and watchdog -----------------------------------------------------
  -- ["svr.timer.min_span"] = 0.001,              -- due times are rounded up to it
  -- ["svr.timer.summary_output_time_point"] = "M", -- minute, "H" hour, "D" day, a cron line; false: never
  -- ["svr.timer.run_status_check_time_span"] = 60, -- no sign of life for this long: hung; 0: off
  -- ["svr.watchdog.interrupt"] = true,           -- raise an error in the hung Lua before leaving
  -- ["svr.watchdog.slice"] = 0,                  -- the longest stretch of Lua that is no error; 0: any

  -- -- monitor feed (ZeroMQ) ---------------------------------------------------
  -- ["svr.monitor"] = true,
  -- ["svr.monitor.timer"] = 10,
  -- ["svr.monitor.host"] = "tcp://127.0.0.1:5558", -- tcp or ipc, or a list
  -- ["svr.monitor.curve"] = { secret_key = "…", clients = { "…" } }, -- only these may listen; default: none

  -- -- checkpoints -------------------------------------------------------------
  -- ["svr.checkpoint.span"] = 0,                 -- save context this often; 0: never
  -- ["svr.checkpoint.path"] = "@NAME@.ckpt",
  -- ["svr.checkpoint.on_damage"] = "fresh",      -- or "stop"

  -- -- active and standby by etcd ----------------------------------------------
  -- ["svr.cluster.etcd"] = { "http://127.0.0.1:2379" }, -- default: none
  -- ["svr.cluster.name"] = "@NAME@",
  -- ["svr.cluster.ttl"] = 5,
  -- ["svr.cluster.tls"] = { ca = "ca.pem", cert = "cert.pem", key = "key.pem" }, -- default: none
  -- ["svr.cluster.user"] = { name = "tiny", password = "…" }, -- default: none
  -- ["svr.cluster.conf_prefix"] = "/@NAME@/conf/", -- default: none

  -- -- log ---------------------------------------------------------------------
  -- ["log.console"] = true,
  -- ["log.console.level"] = "INFO",              -- DEBUG, INFO, WARN or ERROR
  -- ["log.console.format"] = "<%(levelname)s: %(name)s(%(process)d)> [%(filename)s: %(lineno)d] >> %(message)s ",
  -- ["log.console.stream"] = "stderr",
  -- ["log.file_log"] = "",                       -- a path
  -- ["log.file_log.level"] = "WARN",
  -- ["log.file_log.format"] = "<%(levelname)s: %(name)s(%(process)d)> [%(filename)s: %(lineno)d] >> %(message)s ",
  -- ["log.file_log.rotate"] = "D",               -- "M", "H", "D", { size = "100M" } or false
  -- ["log.file_log.keep"] = 7,
  -- ["log.syslog"] = false,
  -- ["log.syslog.level"] = "WARN",
  -- ["log.syslog.format"] = "<%(levelname)s: %(name)s(%(process)d)> [%(filename)s: %(lineno)d] >> %(message)s ",
  -- ["log.syslog.address"] = "/dev/log",
  -- ["log.syslog.facility"] = "local3",
  -- ["log.email"] = false,
  -- ["log.email.level"] = "ERROR",
  -- ["log.email.format"] = "<%(levelname)s: %(name)s(%(process)d)> [%(filename)s: %(lineno)d] >> %(message)s ",
  -- ["log.email.config"] = { host = { "smtp.x.com", 587 }, from = { "a@x.com", "…" }, target = { "b@x.com" } },
  -- ["log.email.span"] = 60,                     -- at most one mail in this many seconds
  -- ["log.buffer"] = "4M",                       -- the ring between the server and its sinks
  -- ["log.repeat_limit"] = 10,                   -- identical lines a second; 0: any number
}
