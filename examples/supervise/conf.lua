-- The folder of a service: link it into the folder that svscan, runsvdir or s6-svscan watches.
--
--                            daemontools   runit              s6
--   reload                   svc -h        sv hup, sv 1       s6-svc -h
--   reopen log files         -             sv 2               s6-svc -2
--   close and start again    svc -t        sv restart         s6-svc -r
--   close and stay down      svc -d        sv down            s6-svc -d
--
-- A server that crashed or that the watchdog ended (253) is started again by itself. `tiny reload`,
-- `tiny status` and the others work in this folder as they do anywhere.
return {
  ["svr.name"] = "supervised",
  ["svr.script"] = "server.lua",
  ["svr.monitor"] = false,
  ["svr.timer.run_status_check_time_span"] = 30,
  ["svr.close.force_close_delay"] = 5,

  -- supervise keeps the log, and says the time
  ["log.console.stream"] = "stdout",
  ["log.console.format"] = "%(levelname)s %(message)s",
}
