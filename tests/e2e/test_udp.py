# SPDX-License-Identifier: MIT
"""tiny.udp, with plain sockets for peers."""
import re
import socket
import threading
import time
import unittest

from tiny_server import WAIT, ServerCase, wait_for

ECHO = """
function S:on_start()
  self.socket = assert(tiny.udp.bind(self.conf["test.address"]))
  self:info("at %s.", self.socket:address())
  tiny.go(function()
    while true do
      local data, from = self.socket:recv()
      assert(self.socket:send(self.generation .. " " .. data, from))
    end
  end)
end
"""


class Udp(ServerCase):
    def serve(self, body=ECHO, address="127.0.0.1:0"):
        server = self.start(body, {"test.address": address})
        host, port = re.search(r"at (\S+):(\d+)\.$", server.wait_line("INFO at ")).groups()
        peer = socket.socket(socket.AF_INET6 if "[" in host else socket.AF_INET, socket.SOCK_DGRAM)
        peer.settimeout(WAIT)
        peer.connect((host.strip("[]"), int(port)))
        self.addCleanup(peer.close)
        return server, peer

    def ask(self, peer, data):
        peer.send(data)
        return peer.recv(70000)

    def test_who_always_finds_something_leaves_the_others_their_turn(self):
        server, peer = self.serve("""function S:on_start()
          self.socket = assert(tiny.udp.bind(self.conf["test.address"]))
          self:info("at %s.", self.socket:address())
          tiny.go(function()
            local turns, ticking, count = 0, true, 1
            self.socket:recv()
            tiny.sleep(0.5)
            tiny.go(function() while ticking do turns = turns + 1 tiny.sleep(0) end end)
            while self.socket:recv(0) do count = count + 1 end
            ticking = false
            self:info("turns %d in %d", turns, count)
          end)
        end""")
        for _ in range(220):
            peer.send(b"x")
        turns, count = map(int, re.search(r"turns (\d+) in (\d+)", server.wait_line("turns")).groups())
        self.assertGreaterEqual(turns, count // 101)

    def test_datagrams_come_back(self):
        for address in ("127.0.0.1:0", "[::1]:0", "localhost:0"):
            with self.subTest(address):
                _server, peer = self.serve(address=address)
                for data in (b"hello", b"", b"\0\xff", b"x" * 60000):
                    self.assertEqual(self.ask(peer, data), b"1 " + data)

    def test_none_is_lost_through_reloads(self):
        server, peer = self.serve()
        for generation in range(2, 8):
            reloading = threading.Thread(target=self.assert_reloaded, args=[server.project])
            reloading.start()
            for _ in range(50):
                self.assertIn(self.ask(peer, b"x"), (b"%d x" % (generation - 1), b"%d x" % generation))
            reloading.join()
            self.assertEqual(self.ask(peer, b"x"), b"%d x" % generation)

    def test_a_refused_reload_leaves_it_where_it_was(self):
        server, peer = self.serve()
        server.project.script(ECHO.replace("tiny.go", "error('no') tiny.go"))
        self.assert_refused(server.project, "no", 1)
        self.assertEqual(self.ask(peer, b"x"), b"1 x")

    def test_the_old_generation_may_answer_but_not_receive(self):
        server, peer = self.serve("""function S:on_start()
          self.socket = assert(tiny.udp.bind(self.conf["test.address"]))
          if self.generation > 1 then return end
          self:info("at %s.", self.socket:address())
          local listener = assert(tiny.tcp.listen("127.0.0.1:0", function()
            local data, from = self.socket:recv()
            self:info("waits %s", select(3, self.socket:recv()))
            self:info("again %s", select(3, self.socket:recv(1)))
            self:info("sends %s", self.socket:send("late", from))
          end))
          self:info("tcp %s.", listener:address())
        end""")
        host, port = re.search(r"tcp (\S+):(\d+)\.", server.wait_line("tcp ")).groups()
        with socket.create_connection((host, int(port))):
            peer.send(b"first")
            wait_for(lambda: server.info()["connections"] == 1, "the connection")
            time.sleep(0.1)
            self.assert_reloaded(server.project)
            server.wait_line("waits ECANCELED")
            server.wait_line("again ECANCELED")
            server.wait_line("sends true")
            self.assertEqual(peer.recv(99), b"late")

    def test_timeouts_and_closing(self):
        server, _peer = self.serve("""function S:on_start()
          local socket = assert(tiny.udp.bind(self.conf["test.address"]))
          self:info("at %s.", socket:address())
          self:info("first %s %s", select(2, socket:recv(0.05)))
          tiny.go(function() self:info("second %s", select(3, socket:recv())) end)
          tiny.sleep(0.01)
          socket:close() socket:close()
          self:info("third %s %s", select(3, socket:recv()), select(3, socket:send("x", "127.0.0.1:1")))
        end""")
        server.wait_line("first timeout ETIMEDOUT")
        server.wait_line("second ECANCELED")
        server.wait_line("third ECANCELED ECANCELED")

    def test_what_cannot_be_is_told(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            server = self.start(f"""function S:on_start()
              for _, address in ipairs {{ "127.0.0.1:{taken.getsockname()[1]}", "x", "unix:/tmp/nothing", "fd:a" }} do
                self:info("bind %s %s %s", tiny.udp.bind(address))
              end
              local socket = assert(tiny.udp.bind("127.0.0.1:0"))
              for _, to in ipairs {{ "x", "nosuchhost.invalid:1", "fd:a" }} do self:info("send %s %s %s", socket:send("x", to)) end
              self:info("send %s %s %s", socket:send(("x"):rep(70000), "127.0.0.1:1"))
              self:info("raises %s %s", pcall(socket.send, socket, "x"))
            end""")
        server.wait_line("bind nil", times=4)
        server.wait_line("send nil", times=4)
        self.assertIn("EADDRINUSE", server.lines("bind nil")[0])
        self.assertIn("EMSGSIZE", server.lines("send nil")[3])
        server.wait_line("raises false")
        self.assertEqual(len(server.lines("ERROR tiny.udp.bind: ")), 4)


if __name__ == "__main__":
    unittest.main()
