# SPDX-License-Identifier: MIT
"""Reloads that fail at each of their steps, against a generation that has sockets open, timers due, a stream
in its context and requests in flight: it serves on, and whoever asked learns why, with file and line."""
import http.client
import re
import socket
import threading
import unittest

from tiny_server import SIGNALS, WAIT, ServerCase

SERVER = """
local function echo(self, stream)
  for line in stream:lines() do stream:write(line, " ", self.generation, "\\n") end
end
function S:on_start()
  local c, address = self.context, "127.0.0.1:"
  self.http = assert(tiny.http.serve(address .. (c.http or 0), function(req)
    if req.path == "/slow" then tiny.sleep(0.7) end
    return 200, self.generation
  end))
  self.tcp = assert(tiny.tcp.listen(address .. (c.tcp or 0), function(stream) c.stream = stream echo(self, stream) end))
  self.udp = assert(tiny.udp.bind(address .. (c.udp or 0)))
  if c.stream then tiny.go(echo, self, c.stream) end
  tiny.go(function()
    while true do
      local data, from = self.udp:recv()
      self.udp:send(data .. self.generation, from)
    end
  end)
  for _, name in ipairs { "http", "tcp", "udp" } do c[name] = tonumber(self[name]:address():match("%d+$")) end
  self:add_timer("tick", tiny.PeriodTimer(function() self:info("tick %d", self.generation) end, 0.05))
  BROKEN
  self:info("ports %d %d %d", c.http, c.tcp, c.udp)
end
function S:on_close() MORE end
"""


def script(broken="", more=""):
    return SERVER.replace("BROKEN", broken).replace("MORE", more)


LINE = 2 + SERVER[:SERVER.index("BROKEN")].count("\n") + 1  # of what is put in


class RollBack(ServerCase):
    """Each test changes the project so that a reload fails; what is served before is served after."""

    def setUp(self):
        self.server = self.start(script(), {"svr.load_timeout": 1, "svr.reload_timeout": 1, "svr.close.wait_lock_delay": 0.5})
        self.project_ = self.server.project
        self.http, self.tcp, self.udp = map(int, re.search(r"ports (\d+) (\d+) (\d+)", self.server.wait_line("ports")).groups())
        self.client = http.client.HTTPConnection("127.0.0.1", self.http, timeout=WAIT)
        self.addCleanup(self.client.close)
        self.stream = self.connected(socket.create_connection(("127.0.0.1", self.tcp), WAIT))
        self.peer = self.connected(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.peer.settimeout(WAIT)
        self.peer.connect(("127.0.0.1", self.udp))
        self.serves(1)

    def connected(self, peer):
        self.addCleanup(peer.close)
        return peer

    def ask(self, client, path="/"):
        client.request("GET", path)
        response = client.getresponse()
        return int(response.read())

    def serves(self, generation):
        """Everything that was open is served by that generation, over the connections that there were."""
        self.assertEqual(self.ask(self.client), generation)
        self.stream.sendall(b"x\n")
        self.assertEqual(self.stream.recv(99), b"x %d\n" % generation)
        self.peer.send(b"y")
        self.assertEqual(self.peer.recv(99), b"y%d" % generation)
        ticks = len(self.server.lines("tick %d" % generation))
        self.server.wait_line("tick %d" % generation, times=ticks + 2)

    def refuse(self, *reasons):
        """The reload is refused for these; a request in flight meanwhile is answered."""
        slow, answers = http.client.HTTPConnection("127.0.0.1", self.http, timeout=WAIT), []
        thread = threading.Thread(target=lambda: answers.append(self.ask(slow, "/slow")))
        thread.start()
        text = self.assert_refused(self.project_, reasons[0], 1)
        for reason in reasons[1:]:
            self.assertIn(reason, text)
        self.serves(1)
        thread.join()
        slow.close()
        self.assertEqual(answers, [1])
        info = self.server.info()
        self.assertEqual((info["generation"], info["generations_alive"], info["timers"]), (1, 1, 1))
        self.project_.script(script())
        self.project_.conf({})
        self.assert_reloaded(self.project_)
        self.serves(self.server.info()["generation"])

    def broken(self, lua):
        self.project_.script(script(lua))

    def test_a_bad_conf(self):
        self.project_.write("conf.lua", "\nreturn {")
        self.refuse("conf.lua:2:")

    def test_a_conf_that_raises(self):
        self.project_.write("conf.lua", 'local t = nil\nreturn { ["svr.name"] = t.name }')
        self.refuse("conf.lua:2:")

    def test_a_key_that_needs_a_restart(self):
        self.project_.conf({"svr.name": "other"})
        self.refuse("conf.lua", "svr.name", "restart")

    def test_a_log_file_that_cannot_be_opened(self):
        self.project_.conf({"log.file_log": "/nowhere/at/all.log"})
        self.refuse("log.file_log", "/nowhere/at")

    def test_a_bad_script(self):
        self.project_.script("\n=")
        self.refuse("main.lua:4:")

    def test_a_module_that_is_missing(self):
        self.project_.script('local x = require "nowhere"')
        self.refuse("main.lua:3:", "nowhere")

    def test_a_module_that_loops(self):
        self.project_.write("looping.lua", "\nwhile true do end")
        self.project_.script('require "looping"')
        self.refuse("looping.lua:2", "svr.load_timeout")

    def test_a_context_that_cannot_be_carried(self):
        code, text = self.project_.said("eval", "self.context.db = { conn = print }")
        self.assertEqual(code, 0, text)
        text = self.assert_refused(self.project_, "context.db.conn is a function", 1)
        self.serves(1)
        self.project_.said("eval", "self.context.db = nil")
        self.assert_reloaded(self.project_)
        self.serves(2)

    def test_an_on_reload_that_raises(self):
        self.project_.script(script() + "function S:on_reload()\n error('no way') end")
        self.refuse("main.lua:", "no way")

    def test_an_on_start_that_raises_after_it_has_opened_and_begun_all_it_can(self):
        self.broken("""
          assert(tiny.tcp.listen("127.0.0.1:0", print)) assert(tiny.udp.bind("127.0.0.1:0"))
          self:add_timer("more", tiny.PeriodTimer(function() self:info("stray") end, 0.01))
          tiny.every(0.01, function() self:info("stray") end)
          tiny.go(function() tiny.exec { "sleep", "300" } end)
          self.mine = assert(tiny.tcp.connect("127.0.0.1:" .. c.http))
          c.http = "spoilt" self.http:close() self.udp:close()
          error("no ink")""")
        self.refuse(f"main.lua:{LINE + 7}: no ink")
        self.assertEqual(self.server.lines("stray"), [])

    def test_an_on_start_that_waits_for_ever(self):
        self.broken("tiny.sleep(300)")
        self.refuse("svr.reload_timeout", f"main.lua:{LINE}")

    @unittest.skipUnless(SIGNALS, "Lua that spins is interrupted by a signal")
    def test_an_on_start_that_loops_for_ever(self):
        self.broken("while true do end")
        self.refuse("svr.reload_timeout", f"main.lua:{LINE}")

    def test_an_address_that_someone_else_has(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            self.broken(f'assert(tiny.http.serve("127.0.0.1:{other.getsockname()[1]}", print))')
            self.refuse("address already in use", f"main.lua:{LINE}")

    def test_an_error_that_is_no_text(self):
        self.broken("error({ code = 7 })")
        self.refuse("code=7", f"main.lua:{LINE}")

    def test_an_old_on_close_that_raises_stops_nothing(self):
        self.project_.script(script(more='error("stuck drawer")'))
        self.assert_reloaded(self.project_)
        self.assert_reloaded(self.project_)
        self.server.wait_line("stuck drawer")
        self.serves(3)


if __name__ == "__main__":
    unittest.main()
