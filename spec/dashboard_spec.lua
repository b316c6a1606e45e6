-- SPDX-License-Identifier: MIT
package.path = "examples/dashboard/?.lua;" .. package.path
local alerts = require "alerts"
local history = require "history"
local cjson = require "cjson"
local metrics = require "metrics"
local view = require "view"
local watch = require "watch"

local FEED = "tcp://127.0.0.1:5558"
local CONF = {
  ["dashboard.alert.silent"] = 30,
  ["dashboard.alert.hung"] = true,
  ["dashboard.alert.errors"] = 10,
}
local clock = 100000

local function message(info, conf, seq)
  local full = {
    name = "one", host = "vm", pid = 1, start_time = "2026/01/01 00:00:00", uptime = 10,
    cpu_seconds = 1, state = "running", generation = 1, errors = 0, loop_lag_ms = 0.5,
    lua_heap_bytes = 1000, hung_for = 0, app = {},
  }
  for key, value in pairs(info or {}) do full[key] = value end
  return { version = 1, seq = seq or 1, info = full, conf = conf or { ["svr.monitor.timer"] = 10 } }
end

local function new_book()
  local book = watch.new()
  watch.expect(book, { FEED }, clock)
  return book
end

describe("history", function()
  it("keeps an hour, in steps", function()
    local h = history.new()
    for second = 1, 2 * 3600 do history.add(h, second, second, second, 1, 0) end
    assert.equal(360, #h.lag)
    assert.equal(7200, h.lag[360])
    assert.equal(7199, h.lag[359])
    assert.equal(h.newest, history.step_of(7200))
  end)

  it("has holes where nothing was heard", function()
    local h = history.new()
    history.add(h, 5, 1, 1, 1, 0)
    history.add(h, 45, 2, 2, 2, 0)
    assert.same({ 1, false, false, false, 2 }, h.lag)
  end)

  it("takes a day of silence like an hour", function()
    local h = history.new()
    history.add(h, 5, 1, 1, 1, 0)
    history.add(h, 86400, 2, 2, 2, 0)
    assert.equal(360, #h.heap)
    assert.is_false(h.heap[359])
    assert.equal(2, h.heap[360])
  end)

  it("has of a step the worst, the last and the sum", function()
    local h = history.new()
    history.add(h, 11, 5, 10, 50, 1)
    history.add(h, 12, 3, 20, 10, 2)
    assert.same({ { 5 }, { 20 }, { 50 }, { 3 } }, { h.lag, h.heap, h.cpu, h.errors })
  end)

  it("counts the errors of the last minute", function()
    local h = history.new()
    for second = 0, 90, 10 do history.add(h, second, 0, 0, 0, 1) end
    assert.equal(6, history.errors_within(h, 90, 60))
    assert.equal(1, history.errors_within(h, 140, 60))
    assert.equal(0, history.errors_within(h, 1000, 60))
  end)
end)

describe("a watch", function()
  it("knows a server by its name and host", function()
    local book = new_book()
    local one = watch.take(book, FEED, message(), clock)
    local other = watch.take(book, FEED, message { host = "vm2" }, clock)
    assert.equal("one@vm " .. FEED, one.id)
    assert.equal(one, watch.take(book, FEED, message(), clock))
    assert.same({ one, other }, watch.servers(book))
  end)

  it("takes nothing that is no message, nor from elsewhere", function()
    local book = new_book()
    for _, bad in ipairs { 1, "x", {}, { info = {} }, { info = { name = 1, host = "x" }, conf = {} } } do
      assert.is_nil(watch.take(book, FEED, bad, clock))
    end
    assert.is_nil(watch.take(book, "tcp://other:1", message(), clock))
    assert.same({ book.feeds[FEED] }, watch.shown(book))
  end)

  it("survives fields of any type", function()
    local book, null = new_book(), io.stdout
    for _, odd in ipairs { "x", null, {}, 0 / 0, 1 / 0, -1 } do
      watch.take(book, FEED, message({
        errors = odd, uptime = odd, cpu_seconds = odd, loop_lag_ms = odd, lua_heap_bytes = odd, state = odd,
        hung_for = odd, role = odd, token = odd, last_error_time = odd, start_time = odd, app = odd,
      }, { ["svr.monitor.timer"] = odd }, odd), clock)
      local server = watch.servers(book)[1]
      assert.is_string((watch.state(server, clock)))
      alerts.check(server, clock, CONF)
      metrics.text(book, clock)
      assert.equal(0, history.errors_within(server.history, clock, 60))
      watch.take(book, FEED, message { state = "hung", hung_for = odd }, clock)
      alerts.check(server, clock, CONF)
    end
  end)

  it("tells what a reload has changed, until the next one", function()
    local book = new_book()
    watch.take(book, FEED, message({}, { a = 1, b = { 1, 2 }, c = "x" }), clock)
    local server = watch.take(book, FEED, message({ generation = 2 }, { a = 2, b = { 1, 2 }, d = true }), clock)
    local changes = { a = { old = 1, new = 2 }, c = { old = "x" }, d = { new = true } }
    assert.same(changes, server.changes)
    watch.take(book, FEED, message({ generation = 2 }, { a = 2, b = { 1, 2 }, d = true }), clock)
    assert.same(changes, server.changes)
    watch.take(book, FEED, message({ generation = 3 }, { a = 2, b = { 1, 2 }, d = true }), clock)
    assert.same({}, server.changes)
  end)

  it("begins anew with another process", function()
    local book = new_book()
    watch.take(book, FEED, message({ errors = 9, cpu_seconds = 100 }, {}, 7), clock)
    local info = { pid = 2, errors = 1, cpu_seconds = 0.1 }
    local server = watch.take(book, FEED, message(info, { x = 1 }, 1), clock)
    assert.same({ 0, 0, {} }, { server.cpu, server.missed, server.changes })
    assert.equal(0, history.errors_within(server.history, clock, 60))
  end)

  it("counts what it missed and the CPU between two messages", function()
    local book = new_book()
    watch.take(book, FEED, message({}, {}, 3), clock)
    local server = watch.take(book, FEED, message({ uptime = 20, cpu_seconds = 6 }, {}, 6), clock + 10)
    assert.equal(2, server.missed)
    assert.equal(50, server.cpu)
  end)

  it("forgets feeds that it is not to watch any longer", function()
    local book = new_book()
    watch.take(book, FEED, message(), clock)
    watch.expect(book, { "tcp://other:1" }, clock)
    assert.same({ book.feeds["tcp://other:1"] }, watch.shown(book))
  end)

  it("says how a server is", function()
    local function state(info, later)
      local server = watch.take(new_book(), FEED, message(info), clock)
      return table.concat({ watch.state(server, clock + (later or 0)) }, " ")
    end
    local erred = { start_time = "2026/01/01 00:00:00", uptime = 400, last_error_time = "2026/01/01 00:05:00" }
    assert.equal("running fine", state())
    assert.equal("running fine", state({}, 21))
    assert.equal("silent silent", state({}, 23))
    assert.equal("running error", state(erred))
    erred.uptime = 700
    assert.equal("running fine", state(erred))
    assert.equal("hung hung", state { state = "hung" })
    assert.equal("starting busy", state { state = "starting" })
    assert.equal("closed busy", state({ state = "closing" }, 3))
  end)

  it("knows a server's cluster", function()
    local conf = { ["svr.cluster.name"] = "shop" }
    assert.is_nil(watch.cluster(watch.take(new_book(), FEED, message({}, conf), clock)))
    assert.equal("shop", watch.cluster(watch.take(new_book(), FEED, message({ role = "active" }, conf), clock)))
    assert.equal("one", watch.cluster(watch.take(new_book(), FEED, message({ role = "standby" }, {}), clock)))
  end)

  it("keeps a server that is gone, for as long as nobody else is on its feed", function()
    local book = new_book()
    watch.take(book, FEED, message(), clock)
    watch.prune(book, clock + 86400)
    assert.equal(1, #watch.servers(book))
    local other = watch.take(book, FEED, message { name = "other" }, clock + 3590)
    watch.prune(book, clock + 3599)
    assert.equal(2, #watch.servers(book))
    watch.prune(book, clock + 3601)
    assert.same({ other }, watch.servers(book))
  end)

  it("tells whether a message may have another conf", function()
    local book = new_book()
    local function is_other(info) return (select(2, watch.take(book, FEED, message(info), clock))) end
    assert.is_true(is_other {})
    assert.is_false(is_other {})
    assert.is_true(is_other { generation = 2 })
    assert.is_true(is_other { generation = 2, start_time = "2026/01/01 00:00:01" })
  end)
end)

describe("alerts", function()
  local function server_of(info) return watch.take(new_book(), FEED, message(info), clock) end

  it("tell of each thing once, and when it is over", function()
    local server = server_of { state = "hung", hung_for = 61 }
    assert.same({ { "hung for 61 s" }, {} }, { alerts.check(server, clock, CONF) })
    server.info.hung_for = 71
    assert.same({ {}, {} }, { alerts.check(server, clock + 1, CONF) })
    assert.same({ hung = "hung for 71 s" }, server.alerts)
    server.info.state = "running"
    assert.same({ {}, { "no longer hung" } }, { alerts.check(server, clock + 2, CONF) })
    assert.same({}, server.alerts)
  end)

  it("tell of a feed that was never heard", function()
    local book = new_book()
    local feed = book.feeds[FEED]
    assert.same({ {}, {} }, { alerts.check(feed, clock + 29, CONF) })
    assert.same({ { "silent for 31 s" }, {} }, { alerts.check(feed, clock + 31, CONF) })
    watch.take(book, FEED, message(), clock + 40)
    assert.same({ {}, { "no longer silent" } }, { alerts.check(feed, clock + 41, CONF) })
    assert.same({ {}, {} }, { alerts.check(feed, clock + 900, CONF) })
  end)

  it("wait until the next message is due, whatever the limit", function()
    local server = watch.take(new_book(), FEED, message({}, { ["svr.monitor.timer"] = 60 }), clock)
    assert.same({}, (alerts.check(server, clock + 121, CONF)))
    assert.same({ "silent for 123 s" }, (alerts.check(server, clock + 123, CONF)))
  end)

  it("leave a hang as it is when silence follows", function()
    local server = server_of { state = "hung", hung_for = 5 }
    alerts.check(server, clock, CONF)
    assert.same({ { "silent for 40 s" }, {} }, { alerts.check(server, clock + 40, CONF) })
  end)

  it("tell of silence, but not of a server that has closed", function()
    assert.same({ "silent for 30 s" }, (alerts.check(server_of {}, clock + 30, CONF)))
    assert.same({}, (alerts.check(server_of {}, clock + 29, CONF)))
    assert.same({}, (alerts.check(server_of { state = "closing" }, clock + 30, CONF)))
  end)

  it("tell of many errors in a minute", function()
    local book = new_book()
    watch.take(book, FEED, message(), clock)
    local server = watch.take(book, FEED, message { errors = 9 }, clock + 1)
    assert.same({}, (alerts.check(server, clock + 1, CONF)))
    watch.take(book, FEED, message { errors = 10 }, clock + 2)
    assert.same({ "10 errors in a minute" }, (alerts.check(server, clock + 2, CONF)))
  end)

  it("can be switched off", function()
    local off = {}
    for key, value in pairs(CONF) do off[key] = type(value) == "number" and 0 or false end
    assert.same({}, (alerts.check(server_of { state = "hung" }, clock + 100, off)))
  end)
end)

describe("metrics", function()
  it("label each server and escape what it says", function()
    local book = new_book()
    local app = { ["x y"] = 2.5, bad = "z" }
    watch.take(book, FEED, message { name = 'a"b\\c\nd', loop_lag_ms = 250, app = app }, clock)
    local text = metrics.text(book, clock + 5)
    local labels = [[name="a\"b\\c\nd",host="vm",feed="]] .. FEED .. '"'
    assert.truthy(text:find("tiny_loop_lag_seconds{" .. labels .. "} 0.25\n", 1, true))
    assert.truthy(text:find("tiny_message_age_seconds{" .. labels .. "} 5\n", 1, true))
    assert.truthy(text:find("tiny_app{" .. labels .. ',figure="x y"} 2.5\n', 1, true))
    assert.falsy(text:find("bad", 1, true))
  end)

  it("say who is up and who hangs", function()
    local book = new_book()
    watch.take(book, FEED, message { state = "hung" }, clock)
    local hung = metrics.text(book, clock)
    assert.truthy(hung:find("\ntiny_up{[^}]*} 1\n") and hung:find("\ntiny_hung{[^}]*} 1\n"))
    local silent = metrics.text(book, clock + 100)
    watch.take(book, FEED, message { state = "closing" }, clock)
    assert.truthy(metrics.text(book, clock + 3):find "\ntiny_up{[^}]*} 0\n")
    assert.truthy(silent:find("\ntiny_up{[^}]*} 0\n") and silent:find("\ntiny_hung{[^}]*} 0\n"))
  end)
end)

describe("a view", function()
  local function server_of(info) return watch.take(new_book(), FEED, message(info), clock) end

  it("of an update has the newest point, and the conf when it is another one", function()
    local server = server_of {}
    local update = cjson.decode(view.update(server, clock + 3, false))
    assert.same({ lag = 0.5, heap = 1000, cpu = 0, step = 10000 }, update.point)
    assert.same({ 3, "running" }, { update.age, update.state })
    assert.is_nil(update.conf or update.history)
    assert.same(server.conf, cjson.decode(view.update(server, clock, true)).conf)
  end)

  it("of everything has the history, and the feeds that were never heard", function()
    local book = watch.new()
    watch.expect(book, { FEED, "tcp://other:1" }, clock)
    watch.take(book, FEED, message(), clock)
    local all = cjson.decode(view.all(book, clock))
    assert.same({ "running", "waiting" }, { all[1].state, all[2].state })
    assert.same({ 0.5 }, all[1].history.lag)
    assert.equal("[]", view.all(watch.new(), clock))
  end)

  it("has no number that is none", function()
    local shown = cjson.decode(view.whole(server_of { uptime = math.huge, loop_lag_ms = -math.huge }, clock))
    assert.equal(cjson.null, shown.info.uptime)
  end)
end)
