-- SPDX-License-Identifier: MIT
-- keys.lua -- the runtime's keys of conf.lua: {kind=, default=, required=, needs=} each.
--
-- A default may be a function of the checked values. `needs` names a key that must be given
-- when this one is neither missing nor false.
local kind = require "tiny.conf.kind"

local line = "<%(levelname)s: %(name)s(%(process)d)> [%(filename)s: %(lineno)d] >> %(message)s "
local KB, MB, GB = 2 ^ 10, 2 ^ 20, 2 ^ 30

local function svr_name(values) return values["svr.name"] end

local function checkpoint_path(values) return values["svr.name"] .. ".ckpt" end

local function required(of) return {kind = of, required = true} end

local curve = kind.record("{secret_key=…, clients={…}} with a public_key if you like", {
  secret_key = required(kind.z85),
  public_key = {kind = kind.z85},
  clients = required(kind.list(kind.z85)),
})

local mail = kind.record("{host={…}, from={…}, target={…}}", {
  host = required(kind.tuple('{"smtp.x.com", 587}', 2, kind.text, kind.integer(1, 65535))),
  from = required(kind.tuple('{"a@x.com", "password"}', 1, kind.address, kind.text)),
  target = required(kind.list(kind.address)),
  tls = {kind = kind.choice("starttls", "tls", "none"), default = "starttls"},
})

local facility = kind.choice("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp",
  "cron", "authpriv", "ftp", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7")

local hosts = kind.any(kind.list(kind.endpoint), kind.endpoint)

local tls = kind.record("{ca=path, cert=path, key=path}", {
  ca = {kind = kind.path}, cert = {kind = kind.path}, key = {kind = kind.path},
})

local account = kind.record("{name=…, password=…}", {
  name = required(kind.text), password = required(kind.text),
})

local rotate = kind.any(kind.record('{size="100M"}', {size = required(kind.size(KB, 1024 * GB))}),
  kind.choice("M", "H", "D"), kind.off)

return {
  ["svr.name"] = required(kind.name),
  ["svr.script"] = required(kind.path),
  ["svr.run_dir"] = {kind = kind.path, default = "."},
  ["svr.user"] = {kind = kind.text},
  ["svr.group"] = {kind = kind.text},
  ["svr.watch"] = {kind = kind.bool, default = false},
  ["svr.load_timeout"] = {kind = kind.span, default = 5},
  ["svr.reload_timeout"] = {kind = kind.span, default = 10},
  ["svr.log_conf_on_reload"] = {kind = kind.bool, default = true},
  ["svr.timer.min_span"] = {kind = kind.span, default = 0.001},
  ["svr.timer.run_status_check_time_span"] = {kind = kind.seconds, default = 60},
  ["svr.timer.summary_output_time_point"] = {kind = kind.summary, default = "M"},
  ["svr.watchdog.interrupt"] = {kind = kind.bool, default = true},
  ["svr.watchdog.slice"] = {kind = kind.seconds, default = 0},
  ["svr.close.wait_lock_delay"] = {kind = kind.seconds, default = 1},
  ["svr.close.force_close_delay"] = {kind = kind.seconds, default = 10},
  ["svr.lua.memory_limit"] = {kind = kind.size(MB, 1024 * GB)},
  ["svr.monitor"] = {kind = kind.bool, default = true},
  ["svr.monitor.timer"] = {kind = kind.span, default = 10},
  ["svr.monitor.host"] = {kind = hosts, default = "tcp://127.0.0.1:5558"},
  ["svr.monitor.curve"] = {kind = curve},
  ["svr.checkpoint.span"] = {kind = kind.seconds, default = 0},
  ["svr.checkpoint.path"] = {kind = kind.path, default = checkpoint_path},
  ["svr.checkpoint.on_damage"] = {kind = kind.choice("fresh", "stop"), default = "fresh"},
  ["svr.cluster.etcd"] = {kind = kind.list(kind.url)},
  ["svr.cluster.name"] = {kind = kind.name, default = svr_name},
  ["svr.cluster.ttl"] = {kind = kind.integer(1, 86400), default = 5},
  ["svr.cluster.tls"] = {kind = tls},
  ["svr.cluster.user"] = {kind = account},
  ["svr.cluster.conf_prefix"] = {kind = kind.folder, needs = "svr.cluster.etcd"},
  ["log.console"] = {kind = kind.bool, default = true},
  ["log.console.level"] = {kind = kind.level, default = "INFO"},
  ["log.console.format"] = {kind = kind.format, default = line},
  ["log.console.stream"] = {kind = kind.choice("stderr", "stdout"), default = "stderr"},
  ["log.syslog"] = {kind = kind.bool, default = false},
  ["log.syslog.level"] = {kind = kind.level, default = "WARN"},
  ["log.syslog.format"] = {kind = kind.format, default = line},
  ["log.syslog.address"] = {kind = kind.path, default = "/dev/log"},
  ["log.syslog.facility"] = {kind = facility, default = "local3"},
  ["log.file_log"] = {kind = kind.log_file, default = ""},
  ["log.file_log.level"] = {kind = kind.level, default = "WARN"},
  ["log.file_log.format"] = {kind = kind.format, default = line},
  ["log.file_log.rotate"] = {kind = rotate, default = "D"},
  ["log.file_log.keep"] = {kind = kind.integer(0, 100000), default = 7},
  ["log.email"] = {kind = kind.bool, default = false, needs = "log.email.config"},
  ["log.email.level"] = {kind = kind.level, default = "ERROR"},
  ["log.email.format"] = {kind = kind.format, default = line},
  ["log.email.config"] = {kind = mail},
  ["log.email.span"] = {kind = kind.seconds, default = 60},
  ["log.buffer"] = {kind = kind.size(64 * KB, GB), default = 4 * MB},
  ["log.repeat_limit"] = {kind = kind.integer(0, 1000000000), default = 10},
}
