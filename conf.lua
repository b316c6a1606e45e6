-- The configuration of a server: a Lua file that returns a table. It is read again at
-- each reload. Keys under "svr." and "log." are the runtime's, every other key is the
-- server's own. Relative paths are relative to this file. Keys that are commented out
-- show their defaults; docs/conf.md has all of them.
return {
  ["svr.name"] = "counter",                     -- process, pid file, control socket, log lines
  ["svr.script"] = "examples/counter/counter.lua",

  -- ["svr.run_dir"] = ".",                     -- where counter.pid and counter.sock lie
  -- ["svr.load_timeout"] = 5,                  -- a reload's new code must have loaded by then
  -- ["svr.reload_timeout"] = 10,               -- the old on_close and the new on_start, each
  -- ["svr.log_conf_on_reload"] = true,         -- log this table, secrets masked
  -- ["svr.timer.min_span"] = 0.001,            -- the timers' precision
  -- ["svr.timer.summary_output_time_point"] = "M",  -- get_summary() into the log: each minute, "H" or "D"
  -- ["svr.close.wait_lock_delay"] = 1,         -- how long run and timers may take to come back
  -- ["svr.close.force_close_delay"] = 10,      -- then the process ends whatever Lua does
  -- ["svr.checkpoint.span"] = 60,             -- save what the server knows this often; off by default
  -- ["svr.lua.memory_limit"] = "512M",         -- none by default

  ["log.console"] = true,
  ["log.console.level"] = "INFO",               -- DEBUG, INFO, WARN or ERROR
  -- ["log.console.format"] = "%(asctime)s %(levelname)s [%(filename)s: %(lineno)d] %(message)s",
  -- ["log.console.stream"] = "stderr",
  -- ["log.buffer"] = "4M",                     -- what may wait for a slow terminal
  -- ["log.repeat_limit"] = 10,                 -- identical lines a second; more are counted

  ["counter.step"] = 1,
}
