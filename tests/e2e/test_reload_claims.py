# SPDX-License-Identifier: MIT
"""What a generation claims of what an older one had, changed or not; and C modules, which outlive them all."""
import re
import socket
import subprocess
import time
import unittest

from tiny_build import sanitize
from tiny_server import WAIT, ServerCase, wait_for

# Those whose port is known first: port 0 takes over whatever was asked for like that.
SERVER = """
local function open(self, name, opts)
  local address = self.context[name] or "127.0.0.1:0"
  local listener
  if name:find("http") then
    listener = assert(tiny.http.serve(address, function() return 200, name .. self.generation end, opts))
  else
    listener = assert(tiny.tcp.listen(address, function(stream)
      stream:write(name, self.generation)
      local data, _, why = stream:read(2)
      stream:write(data or why)
    end, opts))
  end
  self.context[name] = listener:address()
  self:info("%s at %s.", name, listener:address())
end
function S:on_start()
  for _, known in ipairs { true, false } do
    for name, opts in pairs(self.conf.listen) do
      if (self.context[name] ~= nil) == known then open(self, name, opts) end
    end
  end
end
"""


class Listeners(ServerCase):
    def serve(self, **listen):
        self.server = self.start(SERVER, {"listen": listen})
        return self.server

    def reload(self, **listen):
        self.server.project.conf({"listen": listen})
        self.assert_reloaded(self.server.project)

    def port(self, name):
        return int(re.search(r":(\d+)\.", self.server.wait_line(f"INFO {name} at "))[1])

    def connect(self, name):
        peer = socket.create_connection(("127.0.0.1", self.port(name)), WAIT)
        self.addCleanup(peer.close)
        return peer

    def ask(self, peer):
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return peer.recv(999).rpartition(b"\r\n")[2]

    def test_one_more_and_one_less(self):
        self.serve(http={}, tcp={})
        self.reload(http={}, tcp={}, http2={})
        self.assertEqual(self.ask(self.connect("http2")), b"http22")
        self.reload(http2={}, tcp={})
        self.assertRaises(ConnectionRefusedError, self.connect, "http")
        self.assertEqual(self.ask(self.connect("http2")), b"http23")
        self.assertEqual(self.connect("tcp").recv(9), b"tcp3")

    def test_of_several_ports_that_the_kernel_chose_each_is_what_it_was(self):
        project = self.project("""function S:on_start()
          local http = assert(tiny.http.serve("127.0.0.1:0", function() return 200, "http" .. self.generation end))
          local tcp = assert(tiny.tcp.listen("127.0.0.1:0", function(stream) stream:write("tcp", self.generation) end))
          local udp = assert(tiny.udp.bind("127.0.0.1:0"))
          local pull = assert(tiny.zmq.socket("PULL", { bind = "tcp://127.0.0.1:*" }))
          local other = assert(tiny.zmq.socket("PULL", { bind = "tcp://127.0.0.1:*" }))
          self:info("at %s %s %s %s %s", http:address(), tcp:address(), udp:address(), pull:endpoint(), other:endpoint())
          assert(not self.conf.fail or self.generation == 1, "no ink")
        end""")
        server = self.launch(project).wait_ready()
        before = server.wait_line("INFO at ")
        self.assert_reloaded(project)
        project.conf({"fail": True})
        self.assert_refused(project, "no ink", 2)
        server.wait_line("INFO at ", times=4)
        self.assertEqual(server.lines("INFO at "), [before] * 4)

    def test_one_that_moves_to_another_address(self):
        self.serve(http={})
        old, port = self.connect("http"), self.port("http")
        self.assertEqual(self.ask(old), b"http1")
        self.server.project.script(SERVER.replace("127.0.0.1:0", "127.0.0.2:0").replace("self.context[name] or", ""))
        self.assert_reloaded(self.server.project)
        moved = re.search(r"at (127\.0\.0\.2):(\d+)", self.server.wait_line("http at 127.0.0.2")).groups()
        with socket.create_connection((moved[0], int(moved[1])), WAIT) as peer:
            self.assertEqual(self.ask(peer), b"http2")
        self.assertRaises(ConnectionRefusedError, socket.create_connection, ("127.0.0.1", port))
        self.assertEqual(old.recv(99), b"")  # and who still is on the old one is told that it is over

    def test_its_limit_may_change(self):
        self.serve(tcp={"limit": 1})
        first, second = self.connect("tcp"), self.connect("tcp")
        self.assertEqual(first.recv(9), b"tcp1")
        self.reload(tcp={"limit": 5})
        self.assertEqual(second.recv(9), b"tcp2")  # it waited, though the first is still there

    def test_its_timeout_may_change_for_new_connections(self):
        self.serve(tcp={"timeout": 3600})
        self.reload(tcp={"timeout": 0.1})
        peer = self.connect("tcp")
        self.assertEqual(peer.makefile("rb").read(13), b"tcp2ETIMEDOUT")

    def test_what_two_generations_ago_had_is_had_again(self):
        self.serve(http={}, tcp={})
        port = self.port("tcp")
        self.reload(http={})
        self.assertRaises(ConnectionRefusedError, socket.create_connection, ("127.0.0.1", port))
        self.reload(http={}, tcp={})
        with socket.create_connection(("127.0.0.1", port), WAIT) as peer:
            self.assertEqual(peer.recv(9), b"tcp3")


class Queued(ServerCase):
    def test_messages_that_wait_for_a_peer_wait_through_reloads(self):
        project = self.project("""function S:on_start()
          local endpoint = "ipc://" .. self.conf.path
          self.out = assert(tiny.zmq.socket("PUSH", { connect = endpoint }))
          for i = 1, 100 do assert(self.out:send(("%d"):format((self.generation - 1) * 100 + i))) end
          if self.generation < 5 then return end
          self.pull = assert(tiny.zmq.socket("PULL", { bind = endpoint }))
          local expected = 0
          self.pull:on(function(text)
            expected = expected + 1
            assert(tonumber(text) == expected, text)
            if expected == 500 then self:info("all are here") end
          end)
        end""")
        project.conf({"path": str(project.dir / "queue")})
        server = self.launch(project).wait_ready()
        for _ in range(4):
            self.assert_reloaded(project)
        server.wait_line("all are here")


class Requests(ServerCase):
    def test_what_a_request_has_opened_for_itself_stays_with_it(self):
        project = self.project("""function S:on_start()
          local router = assert(tiny.zmq.socket("ROUTER", { bind = "inproc://answers" }))
          router:on(function(peer, empty, question)
            self:info("asked %s", question)
            while not io.open(self.conf.path .. ".go") do tiny.sleep(0.01) end
            router:send(peer, empty, "to " .. question)
          end, 100)
          assert(tiny.http.serve("unix:" .. self.conf.path, function(req)
            local udp = assert(tiny.udp.bind("127.0.0.1:0"))
            local ask = assert(tiny.zmq.socket("REQ", { connect = "inproc://answers" }))
            assert(ask:send(req.path))
            local answer = assert(ask:recv())
            assert(udp:send(answer, udp:address()))
            return 200, (assert(udp:recv()))
          end))
        end""")
        path = project.dir / "http"
        project.conf({"path": str(path)})
        server = self.launch(project).wait_ready()
        old, new = (socket.socket(socket.AF_UNIX) for _ in range(2))
        for peer, name in ((old, b"/old"), (new, b"/new")):
            self.addCleanup(peer.close)
            peer.settimeout(WAIT)
            peer.connect(str(path))
            peer.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % name)
            server.wait_line(f"asked {name.decode()}")
            self.assert_reloaded(project)
        path.with_suffix(".go").touch()
        for peer, name in ((old, b"/old"), (new, b"/new")):
            self.assertEqual(peer.makefile("rb").read().rpartition(b"\r\n")[2], b"to " + name)


MODULE = """
#include <lauxlib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static atomic_long beats;
static atomic_int threads;

static void *beat(void *unused) {
  (void)unused;
  for (;;) {
    atomic_fetch_add(&beats, 1);
    usleep(1000);
  }
  return NULL;
}

static int l_beats(lua_State *L) {
  lua_pushnumber(L, (lua_Number)atomic_load(&beats));
  return 1;
}

int luaopen_beating(lua_State *L) {
  pthread_t thread;
  if (atomic_fetch_add(&threads, 1) == 0 && pthread_create(&thread, NULL, beat, NULL) == 0) pthread_detach(thread);
  lua_pushcfunction(L, l_beats);
  return 1;
}
"""


class Modules(ServerCase):
    def build(self, project):
        source = project.write("beating.c", MODULE)
        flags = subprocess.run(["pkg-config", "--cflags", "luajit"], capture_output=True, text=True, check=True).stdout.split()
        subprocess.run(["gcc", "-shared", "-fPIC", "-pthread", *flags, *sanitize(), "-o", project.dir / "beating.so", source],
                       check=True)

    def test_threads_of_a_c_module_outlive_the_generation_that_loaded_it(self):
        project = self.project("""
          local beats = require "beating"
          function S:on_start() self:info("beats %d", beats()) end""")
        self.build(project)
        server = self.launch(project).wait_ready()
        for _ in range(5):
            self.assert_reloaded(project)
        project.script("function S:on_start() end")  # nobody has it now
        self.assert_reloaded(project)
        wait_for(lambda: server.info()["generations_alive"] == 1, "all that had loaded it to be closed")
        time.sleep(0.2)  # its thread goes on in code that has to be there
        project.script('local beats = require "beating"\nfunction S:on_start() self:info("beats %d", beats()) end')
        self.assert_reloaded(project)
        server.wait_line("beats", times=7)
        beats = [int(line.split()[-1]) for line in server.lines("INFO beats ")]
        self.assertEqual(beats, sorted(beats))
        self.assertGreater(beats[-1], beats[-2] + 20)  # one that was loaded anew would have begun at 0
        server.close()
        self.assert_closed(server)


if __name__ == "__main__":
    unittest.main()
