-- SPDX-License-Identifier: MIT
local conf = require "tiny.conf"
local keys = require "tiny.conf.keys"
local nearest = require "tiny.conf.nearest"

local z85 = ("a"):rep(40)
local mail = {host = {"smtp.x.com", 587}, from = {"a@x.com", "password"}, target = {"b@x.com"}}
local line = "<%(levelname)s: %(name)s(%(process)d)> [%(filename)s: %(lineno)d] >> %(message)s "

-- What conf.check makes of the required keys and `more`.
local function check(more, text)
  local values = {["svr.name"] = "demo", ["svr.script"] = "demo.lua"}
  for key, value in pairs(more or {}) do values[key] = value end
  return conf.check(values, "conf.lua", text or "")
end

-- The message for one key with one value; there must be one.
local function refusal(key, value)
  local result, message = check {[key] = value}
  assert.is_nil(result, key .. " took a bad value")
  return message
end

-- Each key: its default, good values with their normal forms, and bad ones.
local seconds = {good = {0, 0.5, 1e9}, bad = {-1, -0.001, 0 / 0, 1 / 0, 2e9, "1", true, {}}}
local span = {good = {0.001, 30}, bad = {0, -1, 0 / 0, 1 / 0, 2e9, "1", true, {}}}
local bool = {good = {true, false}, bad = {0, 1, "true", {}}}
local text = {good = {"a", "a b"}, bad = {"", 5, true, "a\nb", {}}}
local path = {good = {"a", "/a/b c"}, bad = {"", 5, true, "a\0b", {}}}
local name = {
  good = {"a", "A.b_c-9", ("a"):rep(64)},
  bad = {"", "a b", "a/b", "ä", ("a"):rep(65), 5, true, {}},
}
local level = {
  good = {"DEBUG", "INFO", "WARN", "ERROR", err = "ERROR", Warning = "WARN", critical = "ERROR"},
  bad = {"LOUD", "", 3, true, {}},
}
local format = {
  good = {"json", "x", "%(asctime)s %(levelname)-8s %(process)6d %(lineno)4d %(funcName).3s 1%%", "%%(x)s"},
  bad = {"", "%", "%s", "%(messag)s", "%(message)d", "%(message)", "a % b", 5, true, {}},
}

local function with_default(default, row) return {default = default, good = row.good, bad = row.bad} end

local rows = {
  ["svr.name"] = name,
  ["svr.script"] = path,
  ["svr.run_dir"] = with_default(".", path),
  ["svr.user"] = text,
  ["svr.group"] = text,
  ["svr.watch"] = with_default(false, bool),
  ["svr.load_timeout"] = with_default(5, span),
  ["svr.reload_timeout"] = with_default(10, span),
  ["svr.log_conf_on_reload"] = with_default(true, bool),
  ["svr.timer.min_span"] = with_default(0.001, span),
  ["svr.timer.run_status_check_time_span"] = with_default(60, seconds),
  ["svr.timer.summary_output_time_point"] = {default = "M",
    good = {"M", "H", "D", false, "*/5 8-18 * * mon-fri", "@hourly", d = "D"},
    bad = {"W", "", "* * * *", "* * * * * *", "* * ; * *", true, 5, {}}},
  ["svr.watchdog.interrupt"] = with_default(true, bool),
  ["svr.watchdog.slice"] = with_default(0, seconds),
  ["svr.close.wait_lock_delay"] = with_default(1, seconds),
  ["svr.close.force_close_delay"] = with_default(10, seconds),
  ["svr.lua.memory_limit"] = {
    good = {2 ^ 20, ["512M"] = 2 ^ 29, ["1.5g"] = 1.5 * 2 ^ 30, ["2 GiB"] = 2 ^ 31, ["64MB"] = 2 ^ 26},
    bad = {5, "512X", "M", "-5M", "", -1, 0 / 0, 1 / 0, true, {}}},
  ["svr.monitor"] = with_default(true, bool),
  ["svr.monitor.timer"] = with_default(10, span),
  ["svr.monitor.host"] = {default = "tcp://127.0.0.1:5558",
    good = {"tcp://*:1", "tcp://[::1]:5558", "tcp://a.b:0", "tcp://127.0.0.1:*", "ipc:///run/x.ipc",
      {"tcp://127.0.0.1:1", "ipc://x"}},
    bad = {"127.0.0.1:5558", "tcp://127.0.0.1", "tcp://a:99999", "udp://a:1", "ipc://",
      "ipc://" .. ("x"):rep(108), {}, {"tcp://a:1", 5}, {host = "tcp://a:1"}, 5558, true}},
  ["svr.monitor.curve"] = {
    good = {{secret_key = z85, public_key = z85, clients = {z85}},
      {secret_key = z85, clients = {z85, z85}}},
    bad = {{secret_key = z85}, {secret_key = "short", clients = {z85}},
      {secret_key = z85, clients = {}}, {secret_key = z85, clients = {z85}, public = z85},
      {secret_key = ("'"):rep(40), clients = {z85}}, "key", true}},
  ["svr.checkpoint.span"] = with_default(0, seconds),
  ["svr.checkpoint.path"] = with_default("demo.ckpt", path),
  ["svr.checkpoint.on_damage"] = {default = "fresh",
    good = {"fresh", "stop", STOP = "stop"}, bad = {"go", true, {}}},
  ["svr.cluster.etcd"] = {good = {{"http://127.0.0.1:2379"}, {"https://a:1", "http://b/"}},
    bad = {{}, "http://a:1", {"a:1"}, {5}, {"http://a/x"}, {url = "http://a"}, true}},
  ["svr.cluster.name"] = with_default("demo", name),
  ["svr.cluster.ttl"] = {default = 5, good = {1, 60}, bad = {0, 1.5, -1, 0 / 0, 1 / 0, "5", true, {}}},
  ["svr.cluster.tls"] = {good = {{ca = "ca.pem", cert = "c.pem", key = "k.pem"}},
    bad = {{ca = 5}, {cacert = "x"}, true, "ca.pem"}},
  ["svr.cluster.user"] = {good = {{name = "a", password = "b"}},
    bad = {{name = "a"}, "a:b", true}},
  ["svr.cluster.conf_prefix"] = {good = {}, bad = {"", "/shop", "a\n/", 5, true, {}}},
  ["log.console"] = with_default(true, bool),
  ["log.console.level"] = with_default("INFO", level),
  ["log.console.format"] = with_default(line, format),
  ["log.console.stream"] = {default = "stderr",
    good = {"stdout", "stderr"}, bad = {"stdin", 1, true, {}}},
  ["log.syslog"] = with_default(false, bool),
  ["log.syslog.level"] = with_default("WARN", level),
  ["log.syslog.format"] = with_default(line, format),
  ["log.syslog.address"] = with_default("/dev/log", path),
  ["log.syslog.facility"] = {default = "local3", good = {"daemon", "local7", USER = "user"},
    bad = {"local8", 3, true, {}}},
  ["log.file_log"] = {default = "", good = {"a.log", ""}, bad = {true, 5, "a\0", {}}},
  ["log.file_log.level"] = with_default("WARN", level),
  ["log.file_log.format"] = with_default(line, format),
  ["log.file_log.rotate"] = {default = "D", good = {"M", "H", "D", false, {size = 4096}, h = "H"},
    bad = {"W", true, 5, {}, {size = "x"}, {sise = "1M"}}},
  ["log.file_log.keep"] = {default = 7, good = {0, 30}, bad = {-1, 1.5, 0 / 0, "7", true, {}}},
  ["log.email.level"] = with_default("ERROR", level),
  ["log.email.format"] = with_default(line, format),
  ["log.email.config"] = {good = {},
    bad = {{host = mail.host}, {host = {"a"}, from = mail.from, target = mail.target},
      {host = mail.host, from = {"not an address"}, target = mail.target},
      {host = mail.host, from = mail.from, target = {}},
      {host = {"a", 99999}, from = mail.from, target = mail.target},
      {host = mail.host, from = mail.from, target = mail.target, tls = "ssl"},
      {host = mail.host, from = mail.from, target = mail.target, port = 25}, "a@x.com", true}},
  ["log.email.span"] = with_default(60, seconds),
  ["log.buffer"] = {default = 4 * 2 ^ 20,
    good = {65536, ["8M"] = 8 * 2 ^ 20}, bad = {1, "1T", "x", true, {}}},
  ["log.repeat_limit"] = {default = 10, good = {0, 100}, bad = {-1, 1.5, "10", true, {}}},
  ["log.email"] = {default = false, good = {false}, bad = {1, "yes", {}}},
}

describe("conf.check", function()
  it("knows every key of the table below and no other", function()
    for key in pairs(keys) do assert.is_table(rows[key], key) end
    for key in pairs(rows) do assert.is_table(keys[key], key) end
  end)

  for key, row in pairs(rows) do
    if not keys[key].required then
      it("gives " .. key .. " its default", function()
        assert.same(row.default, check()[key])
      end)
    end

    it("takes good values for " .. key .. " in their normal form", function()
      for given, normal in pairs(row.good) do
        local value = given
        if type(given) == "number" then value = normal end
        local result, message = check {[key] = value}
        assert.is_nil(message)
        assert.same(normal, result[key])
      end
    end)

    it("refuses bad values for " .. key .. " by name", function()
      assert.is_true(#row.bad > 2)
      for _, value in ipairs(row.bad) do
        assert.truthy(refusal(key, value):find(key, 1, true))
      end
    end)
  end

  it("needs a name and a script", function()
    local result, message = conf.check({}, "conf.lua", "")
    assert.is_nil(result)
    assert.truthy(message:find("svr.name is missing", 1, true))
    assert.truthy(message:find("svr.script is missing", 1, true))
  end)

  it("asks about a required key that is mistyped", function()
    local _, message = conf.check({["srv.name"] = "a", ["svr.script"] = "b"}, "conf.lua", "")
    assert.truthy(message:find('is it srv.name = "a"?', 1, true))
  end)

  it("names an unknown key, its value and the nearest known one", function()
    assert.equal("conf.lua: svr.moniter.timer = 10: unknown key, the nearest known key is svr.monitor.timer",
      refusal("svr.moniter.timer", 10))
    assert.equal('conf.lua: log.level = "INFO": unknown key, the nearest known key is log.email',
      refusal("log.level", "INFO"))
  end)

  it("names the value and what was expected", function()
    assert.equal('conf.lua: svr.monitor.timer = "ten", expected a number of seconds, more than 0',
      refusal("svr.monitor.timer", "ten"))
  end)

  it("says what is wrong inside a record", function()
    local bad = {host = mail.host, from = mail.from, target = mail.target, tsl = "tls"}
    assert.equal('conf.lua: log.email.config.tsl = "tls": unknown key, '
      .. "the nearest known key is log.email.config.tls", refusal("log.email.config", bad))
  end)

  it("shows no secret under a key that is mistyped", function()
    local message = refusal("svr.cluster.user", {name = "me", paswrod = "hunter2"})
    assert.truthy(message:find('paswrod = "***": unknown key', 1, true))
    assert.is_nil(message:find("hunter2", 1, true))
  end)

  it("shows control characters as numbers, in keys too", function()
    local message = refusal("svr.\27[2J\nname", 1)
    assert.truthy(message:find("svr.\\27[2J\\10name = 1", 1, true))
  end)

  it("says what is wrong with a format", function()
    assert.truthy(refusal("log.console.format", "%(mesage)s"):find("the nearest is %(message)", 1, true))
  end)

  it("finds all mistakes, in the order of their lines", function()
    local source = 'return {\n  -- "svr.watch"\n  ["svr.watch"] = 1,\n  ["log.console"] = 2,\n}'
    local _, message = check({["svr.watch"] = 1, ["log.console"] = 2}, source)
    assert.equal("conf.lua:3: svr.watch = 1, expected true or false\n"
      .. "conf.lua:4: log.console = 2, expected true or false", message)
  end)

  it("tells twenty mistakes and how many more there are", function()
    local many = {}
    for i = 1, 30 do many[i] = print end
    local message = refusal("many", many)
    assert.equal(20, select(2, message:gsub("\n", "\n")))
    assert.truthy(message:find("conf.lua: and 10 more mistakes", 1, true))
  end)

  it("looks once at a table that is used many times", function()
    local shared = {1}
    for _ = 1, 60 do shared = {shared, shared} end
    assert.equal(shared, check({own = shared}).own)
  end)

  it("shows no secrets", function()
    local from = {"a@x.com", "hush\n"}
    local messages = refusal("svr.monitor.curve", {secret_key = "hush", clients = {z85}})
      .. refusal("svr.cluster.password", "hush")
      .. refusal("svr.cluster.user", {name = "a", password = "hu\nsh"})
      .. refusal("svr.cluster.etcd", {"http://a:hush@b/c"})
      .. refusal("log.email.config", {host = mail.host, from = from, target = mail.target})
    assert.is_nil(messages:find("hush", 1, true))
    assert.is_nil(messages:find("hu\\10sh", 1, true))
    assert.truthy(messages:find("***", 1, true))
  end)

  it("needs a mail configuration where mail is on", function()
    assert.truthy(refusal("log.email", true):find("needs log.email.config", 1, true))
    local result = check {["log.email"] = true, ["log.email.config"] = mail}
    assert.equal("starttls", result["log.email.config"].tls)
    assert.same({"smtp.x.com", 587}, result["log.email.config"].host)
    assert.is_nil(mail.tls)
  end)

  it("needs an etcd where there is a prefix in it", function()
    local prefix = "/shop/conf/"
    assert.truthy(refusal("svr.cluster.conf_prefix", prefix):find("needs svr.cluster.etcd, expected", 1, true))
    local result = check {["svr.cluster.conf_prefix"] = prefix, ["svr.cluster.etcd"] = {"http://a:2379"}}
    assert.equal(prefix, result["svr.cluster.conf_prefix"])
  end)

  it("says what is wrong with a cron line", function()
    local message = refusal("svr.timer.summary_output_time_point", "0 0 1 foo *")
    assert.truthy(message:find("month: ", 1, true), message)
  end)

  it("leaves the server's own keys as they are", function()
    local own = {hosts = {"a", "b"}, limit = 1 / 0, nested = {deep = {yes = true}}}
    local result = check {own = own, svr = 1, ["counter.step"] = 2}
    assert.equal(own, result.own)
    assert.equal(1, result.svr)
    assert.equal(2, result["counter.step"])
  end)

  it("takes a table that is used twice, and cjson.null", function()
    local shared, null = {1}, require("cjson").null
    local own = {a = shared, b = shared, c = null}
    assert.equal(own, check({own = own}).own)
  end)
end)

describe("what etcd has of a conf.lua", function()
  local function laid_over(keys_there, more)
    local values = {["svr.name"] = "demo", ["svr.script"] = "demo.lua", ["shop.step"] = 1}
    for key, value in pairs(more or {}) do values[key] = value end
    local shared = {prefix = "/c/", keys = keys_there}
    local result, message = conf.check(values, "conf.lua", '\n["shop.step"] = 1', shared)
    return result, message, values
  end

  it("goes over it", function()
    local there = {["shop.step"] = {value = 2}, ["svr.watch"] = {value = true}, more = {value = {1}}}
    local result, _, values = laid_over(there)
    assert.equal(2, result["shop.step"])
    assert.is_true(result["svr.watch"])
    assert.same({1}, result.more)
    assert.equal(1, values["shop.step"])
  end)

  it("is checked like it", function()
    local there = {["svr.load_timeout"] = {value = "x"}, ["svr.wacth"] = {value = true}}
    local _, message = laid_over(there, {own = print})
    assert.equal("conf.lua: own = a function, expected plain data\n"
      .. 'etcd /c/svr.load_timeout: svr.load_timeout = "x", expected a number of seconds, more than 0\n'
      .. "etcd /c/svr.wacth: svr.wacth = true: unknown key, the nearest known key is svr.watch", message)
  end)

  it("has to be JSON", function()
    local _, message = laid_over {["shop.step"] = {text = "two"}}
    assert.equal('etcd /c/shop.step: shop.step = "two", expected JSON, such as 5, true or "text"', message)
  end)

  it("shows no secrets", function()
    local _, message = laid_over {["shop.password"] = {text = "hush"}}
    assert.truthy(message:find('shop.password = "***"', 1, true))
  end)

  it("cannot make a member another one", function()
    for _, key in ipairs {"svr.name", "svr.run_dir", "svr.user", "svr.cluster.etcd", "svr.cluster.ttl"} do
      local _, message = laid_over {[key] = {value = "x"}}
      local expected = "etcd /c/%s: %s: each member has its own, expected in conf.lua only"
      assert.equal(expected:format(key, key), message)
    end
  end)
end)

describe("the server's own keys", function()
  local cycle = {}
  cycle.inner = {cycle}
  local deep = {}
  for _ = 1, 100 do deep = {deep} end
  local cases = {
    ["own.f = a function"] = {f = print},
    ["own[2] = userdata"] = {1, newproxy()},
    ["own.co = thread"] = {co = coroutine.create(print)},
    ["own.n = 1LL"] = {n = 1LL},
    ["own.a = a table, expected plain data, but this table has a metatable"] = {a = setmetatable({}, {})},
    ["own.inner[1] = a table, expected plain data, but this table contains itself"] = cycle,
    ["at most 100 tables deep"] = deep,
    ["own[true] = 1, expected a key that is a string"] = {[true] = 1},
    ["own[1.5] = 1, expected a key that is a string"] = {[1.5] = 1},
    ["own[3] = 3, expected a key that is a string, or a list's 1, 2, 3 ... without a gap"] = {1, nil, 3},
    ['own["a b"].x = a function'] = {["a b"] = {x = print}},
    ["own.x = 1, expected a key that is a string, or a list's"] = {5, x = 1},
  }
  for message, value in pairs(cases) do
    it("are refused: " .. message, function()
      assert.truthy(refusal("own", value):find(message, 1, true))
    end)
  end

  it("must be strings", function()
    local _, message = check {[1] = "x"}
    assert.equal('conf.lua: [1] = "x", expected a key that is a string', message)
  end)
end)

describe("conf.load", function()
  local file = os.tmpname()
  local required = 'return {["svr.name"] = "a", ["svr.script"] = "b"}'
  teardown(function() os.remove(file) end)

  local function load_text(source)
    local out = assert(io.open(file, "wb"))
    out:write(source)
    out:close()
    return conf.load(file)
  end

  --- The message for a file of this text, without the file's name.
  local function message_for(source)
    local result, message = load_text(source)
    assert.is_nil(result)
    return (message:gsub(file:gsub("%W", "%%%0"), "conf.lua"))
  end

  it("returns the configuration", function()
    assert.equal("a", load_text(required)["svr.name"])
    assert.equal("a", load_text("\239\187\191" .. required)["svr.name"])
    assert.equal("a", load_text("#!/usr/bin/env tiny\n" .. required)["svr.name"])
  end)

  it("finds the lines of keys in the file", function()
    assert.equal("conf.lua:2: svr.name = 5, expected " .. keys["svr.name"].kind.expected,
      message_for('local c = {["svr.script"] = "b"}\nc["svr.name"] = 5\nreturn c'))
    assert.truthy(message_for('return {["svr.name"] = "a", ["svr.script"] = "b",\n\n own = print}'):find(
      "^conf%.lua:3: own = a function"))
  end)

  it("tells file and line of a syntax error", function()
    assert.equal("conf.lua:2: unexpected symbol near '<eof>'", message_for("\nreturn {"))
  end)

  it("tells file and line of each kind of error", function()
    assert.equal("conf.lua:2: boom", message_for("\nerror 'boom'"))
    assert.equal("conf.lua:2: boom", message_for("\nerror('boom', 0)"))
    assert.equal("conf.lua:2: the error is nil", message_for("\nerror()"))
    assert.truthy(message_for("\nlocal function f() error {} end\n\nf()")
      :find("^conf.lua:2: the error is table: "))
    assert.truthy(message_for("local x\nx.y = 1"):find("^conf.lua:2: attempt to index"))
    assert.truthy(message_for("\nrequire 'no.such'"):find("^conf.lua:2: module 'no.such' not found"))
  end)

  it("refuses bytecode", function()
    local message = message_for(string.dump(loadstring(required)))
    assert.truthy(message:find("attempt to load chunk with wrong mode", 1, true))
  end)

  it("refuses what is no table of keys", function()
    assert.equal("conf.lua: must return a table of keys, not nil", message_for("return"))
    assert.equal('conf.lua: must return a table of keys, not "x"', message_for("return 'x'"))
    assert.equal("conf.lua: the table it returns has a metatable", message_for("return setmetatable({}, {})"))
  end)

  it("says why a file cannot be read", function()
    assert.same({nil, "/no/such/conf.lua: No such file or directory"}, {conf.load "/no/such/conf.lua"})
    assert.same({nil, "/tmp: Is a directory"}, {conf.load "/tmp"})
  end)
end)

describe("nearest", function()
  it("counts edits", function()
    assert.same({"abc", 0}, {nearest("abc", {abc = 1, abd = 1})})
    assert.same({"abc", 1}, {nearest("abx", {abc = 1, x = 1})})
    assert.same({"abc", 3}, {nearest("", {abc = 1})})
  end)

  it("has nothing to say where nothing is known", function()
    assert.is_nil(nearest("a", {}))
  end)
end)
