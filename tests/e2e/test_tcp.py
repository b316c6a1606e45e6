# SPDX-License-Identifier: MIT
"""Streams over TCP and unix sockets, with raw sockets for peers."""
import os
import re
import socket
import struct
import threading
import time
import unittest
from unittest import mock

from tiny_server import WAIT, ServerCase, wait_for

# Says where it listens, so that every test has a port of its own.
ECHO = """
function S:on_start()
  self.listener = assert(tiny.tcp.listen(self.conf["test.address"], function(stream) self:serve(stream) end))
  self:info("at %s.", self.listener:address())
end
function S:serve(stream)
  for line in stream:lines(1000) do stream:write(self.generation, " ", line, "\\n") end
  stream:close()
end
"""


def connect(address):
    if address.startswith("unix:"):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(WAIT)
        name = address[5:]
        peer.connect("\0" + name[1:] if name.startswith("@") else name)
        return peer
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), WAIT)


def reset(peer):
    """Close with a RST, as a peer that vanishes."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def read_all(peer):
    parts = []
    while part := peer.recv(65536):
        parts.append(part)
    return b"".join(parts)


def said(address, data):
    """Send, half-close, and return all that comes back."""
    with connect(address) as peer:
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        return read_all(peer)


class TcpCase(ServerCase):
    def serve(self, body=ECHO, address="127.0.0.1:0", conf=None):
        """A ready server and where it listens."""
        server = self.start(body, {"test.address": address, **(conf or {})})
        return server, self.address(server)

    def address(self, server):
        return re.search(r"at (\S+)\.$", server.wait_line("INFO at ")).group(1)

    def on_start(self, code):
        """Run code in a server's on_start; returns the server."""
        return self.start(f"function S:on_start()\n{code}\nend")


class Listen(TcpCase):
    def test_each_kind_of_address(self):
        for address in ("127.0.0.1:0", "[::1]:0", "localhost:0", "unix:@tiny-test-" + os.urandom(6).hex()):
            with self.subTest(address):
                _server, at = self.serve(address=address)
                self.assertEqual(said(at, b"hello\nworld\r\n"), b"1 hello\n1 world\n")

    def test_a_unix_sockets_file_comes_and_goes_and_a_stale_one_is_replaced(self):
        project = self.project(ECHO)
        path = project.dir / "echo"
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(str(path))
        stale.close()
        project.conf({"test.address": f"unix:{path}"})
        server = self.launch(project).wait_ready()
        self.assertEqual(said(f"unix:{path}", b"a\n"), b"1 a\n")
        self.assertEqual(server.close(), 0)
        self.assertFalse(path.exists())

    def test_a_file_that_somebody_serves_is_left_alone(self):
        project = self.project("""function S:on_start()
          self:info("%s %s %s", tiny.tcp.listen(self.conf["test.address"], print))
        end""")
        path = project.dir / "taken"
        with socket.socket(socket.AF_UNIX) as owner:
            owner.bind(str(path))
            owner.listen()
            project.conf({"test.address": f"unix:{path}"})
            self.launch(project).wait_ready().wait_line("EADDRINUSE")
            with connect(f"unix:{path}"):
                owner.accept()[0].close()

    def test_a_file_that_is_no_socket_is_left_alone(self):
        project = self.project("""function S:on_start()
          self:info("%s %s %s", tiny.tcp.listen(self.conf["test.address"], print))
        end""")
        path = project.dir / "data"
        path.write_text("precious")
        project.conf({"test.address": f"unix:{path}"})
        self.launch(project).wait_ready().wait_line("EADDRINUSE")
        self.assertEqual(path.read_text(), "precious")

    def test_the_control_socket_is_not_for_listening(self):
        project = self.project("""function S:on_start()
          self:info("%s %s %s", tiny.tcp.listen(self.conf["test.address"], print))
        end""")
        project.conf({"test.address": f"unix:{project.dir}/./test.sock"})
        line = self.launch(project).wait_ready().wait_line("INFO nil")
        self.assertIn("this is the server's own control socket", line)
        self.assertIn("EADDRINUSE", line)
        self.assertEqual(project.tiny("status").returncode, 0)

    def test_what_cannot_be_listened_on_is_told(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            server = self.on_start(f"""for _, address in ipairs {{ "127.0.0.1:{taken.getsockname()[1]}", "203.0.113.1:0",
                "1.2.3:4", "unix:/nonexistent/a", "fd:nobody", "nosuchhost.invalid:1" }} do
              local listener, message, name = tiny.tcp.listen(address, print)
              self:info("got %s %s: %s", listener, name, message)
            end""")
        server.wait_line("got nil", times=6)
        names = [line.split()[3].rstrip(":") for line in server.lines("INFO got nil")]
        self.assertEqual(names[:5], ["EADDRINUSE", "EADDRNOTAVAIL", "EINVAL", "ENOENT", "ENOENT"])
        self.assertRegex(names[5], "^EAI_")
        self.assertEqual(len(server.lines("ERROR tiny.tcp.listen: ")), 6)

    def test_arguments_are_checked(self):
        server = self.on_start("""
          for _, bad in ipairs { function() tiny.tcp.listen(8080, print) end, function() tiny.tcp.listen("a:1") end,
                                 function() tiny.tcp.connect() end } do
            local ok, err = pcall(bad)
            self:info("%s: %s", ok, err)
          end
          for _, opts in ipairs { { limits = 1 }, { limit = 0 }, { timeout = "1" }, 5 } do
            self:info("wrong: %s", select(2, pcall(tiny.tcp.listen, "127.0.0.1:0", print, opts)))
            self:info("wrong: %s", select(2, pcall(tiny.tcp.connect, "127.0.0.1:1", opts)))
          end""")
        server.wait_line("wrong: ", times=8)
        self.assertEqual(len(server.lines("false: ")), 3)
        self.assertEqual(len(server.lines("main.lua:5: tiny.tcp.")), 2)
        self.assertEqual([len(server.lines(f"wrong: tiny.tcp.{name}: ")) for name in ("listen", "connect")], [4, 4])

    def test_nothing_starts_while_the_script_is_loaded(self):
        for call in ('tiny.tcp.listen("127.0.0.1:0", print)', 'tiny.tcp.connect("127.0.0.1:1")', 'tiny.udp.bind("127.0.0.1:0")',
                     'tiny.http.serve("127.0.0.1:0", print)', 'tiny.http.request { url = "http://127.0.0.1:1" }',
                     'tiny.exec { "true" }'):
            code, text = self.project(call).said("check")
            self.assertEqual(code, 1)
            self.assertIn("while the script is being loaded", text)
            self.assertRegex(text, r"main\.lua:3: ")

    def test_a_passed_socket_is_found_by_its_name(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            project = self.project(ECHO, {"test.address": "fd:web"})
            def pass_on():
                os.dup2(listener.fileno(), 3)
                os.set_inheritable(3, True)
                os.dup2(0, 4)
                os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="web:other")

            with mock.patch("tiny_server.die_with_parent", pass_on):
                server = self.launch(project, close_fds=False).wait_ready()
            self.assertEqual(said(self.address(server), b"a\n"), b"1 a\n")
            self.assert_reloaded(project)
            self.assertEqual(said(self.address(server), b"a\n"), b"2 a\n")

    def test_a_limit_on_connections_makes_others_wait(self):
        _server, at = self.serve("""function S:on_start()
          local live = 0
          local listener = assert(tiny.tcp.listen(self.conf["test.address"], function(stream)
            live = live + 1
            stream:write(live, "\\n")
            stream:read()
            live = live - 1
            stream:close()
          end, { limit = 2 }))
          self:info("at %s.", listener:address())
        end""")
        peers = [connect(at) for _ in range(4)]
        self.assertEqual([peer.recv(9) for peer in peers[:2]], [b"1\n", b"2\n"])
        peers[2].settimeout(0.2)
        self.assertRaises(TimeoutError, peers[2].recv, 9)
        peers[2].settimeout(WAIT)
        for peer in peers[:2]:
            peer.close()
        self.assertLessEqual({peer.recv(9) for peer in peers[2:]}, {b"1\n", b"2\n"})
        for peer in peers[2:]:
            peer.close()


class Reading(TcpCase):
    def test_all_ways_to_read(self):
        _server, at = self.serve("""function S:on_start()
          local listener = assert(tiny.tcp.listen(self.conf["test.address"], function(s)
            local out = { s:read(4), s:read("*l"), s:read("*l", 3) or "no", (select(3, s:read("*l", 3))), s:read(nil, 2),
                          s:read(100) or "short", (select(3, s:read(100))), s:read(), s:read() or "end" }
            s:write(table.concat(out, "|"))
            s:close()
          end))
          self:info("at %s.", listener:address())
        end""")
        self.assertEqual(said(at, b"abcdefg\r\nlonger\nx"), b"abcd|efg|no|EMSGSIZE|lo|short|EOF|nger\nx|end")

    def test_arguments_are_checked(self):
        server, at = self.serve("""function S:on_start()
          local listener = assert(tiny.tcp.listen(self.conf["test.address"], function(s)
            for _, bad in ipairs { 0, -1, 1.5, "*a", 0/0, {} } do
              local ok, err = pcall(s.read, s, bad)
              self:info("read %s: %s", ok, err)
            end
            for _, bad in ipairs { 0, -1, "x" } do self:info("timeout %s", (pcall(s.timeout, s, bad))) end
            for _, bad in ipairs { {}, print, true } do self:info("write %s", (pcall(s.write, s, bad))) end
            s:close()
          end))
          self:info("at %s.", listener:address())
        end""")
        said(at, b"")
        server.wait_line("read false", times=6)
        server.wait_line("timeout false", times=3)
        server.wait_line("write false", times=3)

    def test_timeouts(self):
        _server, at = self.serve("""function S:on_start()
          local listener = assert(tiny.tcp.listen(self.conf["test.address"], function(s)
            s:write(table.concat({ select(2, s:read("*l")) }, "|"))
            s:timeout(nil)
            s:write(s:read(2))
            s:close()
          end, { timeout = 0.05 }))
          self:info("at %s.", listener:address())
        end""")
        with connect(at) as peer:
            peer.sendall(b"half")
            self.assertEqual(read_all(peer), b"timeout|ETIMEDOUTha")

    def test_who_reads_last_has_it(self):
        server, at = self.serve("""function S:on_start()
          local listener = assert(tiny.tcp.listen(self.conf["test.address"], function(s)
            tiny.go(function() self:info("first: %s %s %s", s:read()) end)
            tiny.sleep(0.01)
            s:write("go")
            self:info("second: %s", s:read())
            s:close()
          end))
          self:info("at %s.", listener:address())
        end""")
        with connect(at) as peer:
            peer.recv(2)
            server.wait_line("first: nil operation canceled ECANCELED")
            peer.sendall(b"x")
            server.wait_line("second: x")

    def test_who_always_finds_something_leaves_the_others_their_turn(self):
        server, at = self.serve(ECHO.split("function S:serve")[0] + """
        function S:serve(stream)
          local turns, ticking = 0, true
          tiny.sleep(0.2)
          tiny.go(function() while ticking do turns = turns + 1 tiny.sleep(0) end end)
          for _ in stream:lines() do end
          ticking = false
          stream:write(turns, "\\n")
          stream:close()
        end""")
        self.assertGreater(int(said(at, b"x\n" * 50000)), 250)
        self.assertTrue(server.alive())


class Writing(TcpCase):
    def test_a_slow_reader_makes_the_writer_wait(self):
        server, at = self.serve("""function S:on_start()
          local listener = assert(tiny.tcp.listen(self.conf["test.address"], function(s)
            local chunk, sent = ("x"):rep(65536), 0
            for _ = 1, 800 do
              assert(s:write(chunk))
              sent = sent + #chunk
              self:gauge("sent", sent)
            end
            s:close()
          end))
          self:info("at %s.", listener:address())
        end""")
        with connect(at) as peer:
            peer.recv(1)
            time.sleep(0.3)
            self.assertLess(server.info()["app"]["sent"], 40e6)
            self.assertEqual(1 + len(read_all(peer)), 800 * 65536)

    def test_writers_do_not_mix(self):
        _server, at = self.serve("""function S:on_start()
          local listener = assert(tiny.tcp.listen(self.conf["test.address"], function(s)
            local tasks = {}
            for i = 0, 9 do
              tasks[#tasks + 1] = tiny.go(function()
                for _ = 1, 5 do assert(s:write((tostring(i)):rep(300000), "\\n")) end
              end)
            end
            for _, task in ipairs(tasks) do task:join() end
            s:close()
          end))
          self:info("at %s.", listener:address())
        end""")
        with connect(at) as peer:
            time.sleep(0.2)
            lines = read_all(peer).splitlines()
        self.assertEqual(len(lines), 50)
        for line in lines:
            self.assertEqual(len(line), 300000)
            self.assertEqual(len(set(line)), 1)

    def test_a_write_that_timed_out_half_way_ends_the_writing(self):
        server, at = self.serve("""function S:on_start()
          local listener = assert(tiny.tcp.listen(self.conf["test.address"], function(s)
            s:timeout(0.05)
            self:info("first %s %s %s", s:write(("x"):rep(5e7)))
            self:info("second %s %s %s", s:write("x"))
            s:close()
          end))
          self:info("at %s.", listener:address())
        end""")
        with connect(at) as peer:
            server.wait_line("first nil timeout ETIMEDOUT")
            server.wait_line("second nil broken pipe EPIPE")
            self.assertGreater(len(read_all(peer)), 1000)

    def test_half_closing_waits_for_what_a_cancelled_task_has_left_to_write(self):
        server, at = self.serve("""function S:on_start()
          local listener = assert(tiny.tcp.listen(self.conf["test.address"], function(s)
            local writer = tiny.go(function() s:write(("x"):rep(2e7)) end)
            tiny.sleep(0.05)
            writer:cancel()
            self:info("left")
            assert(s:shutdown())
            self:info("half-closed")
            for i = 1, 3 do self:info("read %s", s:read("*l")) end
            self:info("end %s", s:read())
            s:close()
          end))
          self:info("at %s.", listener:address())
        end""")
        with connect(at) as peer:
            server.wait_line("left")
            self.assertEqual(len(read_all(peer)), 2 * 10**7)
            server.wait_line("half-closed")
            for i in range(3):
                peer.sendall(b"%d\n" % i)
                server.wait_line(f"read {i}")
            peer.shutdown(socket.SHUT_WR)
            server.wait_line("end nil")
        wait_for(lambda: server.info()["connections"] == 0, "the stream to be closed")
        self.assertEqual(server.close(), 0)

    def test_half_closing_lets_the_answer_come(self):
        server = self.serve()[0]
        at = self.address(server)
        caller = self.on_start(f"""local s = assert(tiny.tcp.connect("{at}"))
          s:write("one\\ntwo\\n")
          s:shutdown()
          self:info("%s,%s,%s", s:read("*l"), s:read("*l"), (select(3, s:read())))
          self:info("%s", select(3, s:write("x")))
          s:close() s:close()
          self:info("closed: %s %s %s", select(3, s:read()), select(3, s:write("x")), s:is_open())""")
        caller.wait_line("1 one,1 two,EOF")
        caller.wait_line("EPIPE")
        caller.wait_line("closed: ECANCELED ECANCELED false")

    def test_a_peer_that_vanishes_is_an_error_of_the_write(self):
        server, at = self.serve("""function S:on_start()
          local listener = assert(tiny.tcp.listen(self.conf["test.address"], function(s)
            local ok, message, name
            repeat ok, message, name = s:write(("x"):rep(65536)) until not ok
            self:info("ended: %s", name)
          end))
          self:info("at %s.", listener:address())
        end""")
        peer = connect(at)
        peer.recv(1)
        reset(peer)
        self.assertRegex(server.wait_line("ended: "), "ECONNRESET|EPIPE")


class Connect(TcpCase):
    def test_what_cannot_be_reached_is_told(self):
        server = self.on_start("""for _, address in ipairs { "127.0.0.1:1", "unix:/nonexistent", "nosuchhost.invalid:1", "x", "fd:a" } do
          self:info("got %s %s %s", tiny.tcp.connect(address))
        end""")
        server.wait_line("got nil", times=5)
        self.assertEqual([line.split()[-1] for line in server.lines("got nil")][:2], ["ECONNREFUSED", "ENOENT"])
        self.assertIn("EINVAL", server.lines("got nil")[4])

    def test_a_host_that_does_not_answer_times_out(self):
        # A backlog of nothing that is full: the kernel drops the rest.
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(deaf.getsockname())
            time.sleep(0.1)
            server = self.on_start(f"""self:info("%s %s %s",
              tiny.tcp.connect("127.0.0.1:{deaf.getsockname()[1]}", {{ timeout = 0.2 }}))""")
            server.wait_line("timeout ETIMEDOUT")
            for filler in fillers:
                filler.close()

    def test_it_does_not_connect_with_itself(self):
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
            low, high = map(int, file.read().split())
        server = self.on_start(f"""
          local itself = 0
          for port = {high} - 300, {high} do
            local s = tiny.tcp.connect("127.0.0.1:" .. port)
            if s and s:remote() == "127.0.0.1:" .. port and s:write("x") and s:read(1) == "x" then itself = itself + 1 end
            if s then s:close() end
          end
          self:info("itself %d", itself)""")
        self.assertLess(low, high)
        server.wait_line("itself 0")

    def test_a_cancelled_task_leaves_its_connection_attempt(self):
        server = self.on_start("""
          local task = tiny.go(function()
            local stream = assert(tiny.tcp.connect(self.conf["svr.name"] .. ".invalid:1"))
            stream:close()
          end)
          tiny.sleep(0)
          task:cancel()
          self:info("joined %s", select(2, pcall(task.join, task)) == tiny.cancelled)""")
        server.wait_line("joined true")


class Handlers(TcpCase):
    def test_one_that_raises_reaches_on_except_and_its_stream_is_closed(self):
        server, at = self.serve("""
          function S:on_start()
            local listener = assert(tiny.tcp.listen(self.conf["test.address"], function(s) s:read("*l") error("oh no") end))
            self:info("at %s.", listener:address())
          end
          function S:on_except(err, trace) self:info("except %s", trace:gsub("\\n", " ")) return true end""")
        with connect(at) as peer:
            peer.sendall(b"x\n")
            self.assertEqual(peer.recv(1), b"")
        self.assertIn("main.lua:5: oh no", server.wait_line("except "))

    def test_a_stream_that_nobody_holds_is_collected(self):
        server, at = self.serve("""function S:on_start()
          local listener = assert(tiny.tcp.listen(self.conf["test.address"], function() end))
          self:info("at %s.", listener:address())
          self:add_timer("gc", tiny.PeriodTimer(collectgarbage, 0.05))
        end""")
        with connect(at) as peer:
            self.assertEqual(peer.recv(1), b"")
        wait_for(lambda: server.info()["connections"] == 0, "the count to go down")

    def test_closing_from_another_task_wakes_the_waiting(self):
        server, at = self.serve("""function S:on_start()
          local listener = assert(tiny.tcp.listen(self.conf["test.address"], function(s)
            tiny.go(function() self:info("reader %s", select(3, s:read())) end)
            tiny.go(function() self:info("writer %s", select(3, s:write(("x"):rep(5e7)))) end)
            tiny.go(function() self:info("writer %s", select(3, s:write("y"))) end)
            tiny.sleep(0.05)
            s:close()
          end))
          self:info("at %s.", listener:address())
        end""")
        with connect(at):
            server.wait_line("reader ECANCELED")
            server.wait_line("writer ECANCELED", times=2)

    def test_a_hundred_that_vanish_at_every_byte_leave_nothing(self):
        server, at = self.serve()
        text = b"some line\nand another\nand half of a th"
        for size in range(len(text)):
            for leave in (reset, socket.socket.close):
                peer = connect(at)
                peer.sendall(text[:size])
                leave(peer)
        self.assertEqual(said(at, b"alive\n"), b"1 alive\n")
        wait_for(lambda: server.info()["connections"] == 0, "all connections to be gone")
        self.assertEqual(server.lines("ERROR"), [])

    def test_binary_rubbish_is_no_trouble(self):
        server, at = self.serve()
        for _ in range(20):
            with connect(at) as peer:
                try:
                    peer.sendall(os.urandom(20000))
                    peer.shutdown(socket.SHUT_WR)
                    read_all(peer)
                except OSError:
                    pass
        self.assertEqual(said(at, b"alive\n"), b"1 alive\n")
        self.assertTrue(server.alive())


class Reload(TcpCase):
    def test_no_connection_is_refused_or_lost(self):
        server, at = self.serve()
        failures, answers, stop = [], [], threading.Event()

        def knock():
            while not stop.is_set():
                try:
                    answers.append(said(at, b"x\n"))
                except OSError as err:
                    failures.append(err)

        threads = [threading.Thread(target=knock) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            self.assert_reloaded(server.project)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual([answer for answer in answers if not answer.endswith(b" x\n")], [])
        self.assertGreater(len(answers), 20)
        self.assertGreater(len(set(answers)), 3)

    def test_a_connection_in_flight_goes_on_in_the_old_generation_until_cut(self):
        server, at = self.serve(conf={"svr.close.force_close_delay": 1})
        with connect(at) as peer:
            peer.sendall(b"a\n")
            self.assertEqual(peer.recv(99), b"1 a\n")
            self.assert_reloaded(server.project)
            peer.sendall(b"b\n")
            self.assertEqual(peer.recv(99), b"1 b\n")
            self.assertEqual(said(at, b"c\n"), b"2 c\n")
            self.assertEqual(peer.recv(99), b"")
        wait_for(lambda: server.info()["generations_alive"] == 1, "the old generation to end")
        server.wait_line("generation 1 is ended with 1 tasks")

    def test_a_listener_that_is_not_claimed_again_is_closed(self):
        server, at = self.serve()
        server.project.script("")
        self.assert_reloaded(server.project)
        self.assertRaises(ConnectionRefusedError, connect, at)

    def test_one_that_on_close_closes_and_on_start_opens_costs_nothing(self):
        server, at = self.serve(ECHO + "function S:on_close() self.listener:close() end")
        for generation in range(2, 5):
            peer = connect(at)
            self.assert_reloaded(server.project)
            with connect(at) as late:
                late.sendall(b"x\n")
                self.assertEqual(late.recv(99), b"%d x\n" % generation)
            peer.close()

    def test_a_failed_reload_gives_the_listener_back(self):
        server, at = self.serve(ECHO)
        body = ECHO.replace("function S:on_start()", "function S:on_start() assert(tiny.tcp.listen('127.0.0.1:0', print))")
        server.project.script(body.replace('self:info("at', 'error("no") self:info("at'))
        self.assert_refused(server.project, "no", 1)
        self.assertEqual(said(at, b"x\n"), b"1 x\n")
        server.project.script(ECHO)
        self.assert_reloaded(server.project)
        self.assertEqual(said(at, b"x\n"), b"2 x\n")

    def test_another_word_for_the_same_address_is_the_same_listener(self):
        server, at = self.serve(address="localhost:0")
        port = at.rsplit(":", 1)[1]
        server.project.conf({"test.address": f"127.0.0.1:{port}"})
        self.assert_reloaded(server.project)
        self.assertEqual(said(f"127.0.0.1:{port}", b"x\n"), b"2 x\n")

    def test_connections_made_during_the_pause_wait(self):
        server, at = self.serve(ECHO.replace("function S:on_start()", "function S:on_start() tiny.sleep(self.conf['test.sleep'])"),
                                conf={"test.sleep": 0})
        server.project.conf({"test.address": at, "test.sleep": 1})
        reloading = threading.Thread(target=self.assert_reloaded, args=[server.project])
        reloading.start()
        wait_for(lambda: server.state() == "reloading", "the pause")
        self.assertEqual(said(at, b"x\n"), b"2 x\n")
        reloading.join()


# Its streams are in the context; each generation goes on with them.
KEEPER = """
function S:on_start()
  self.context.streams = self.context.streams or {}
  for _, stream in ipairs(self.context.streams) do tiny.go(self.serve, self, stream) end
  self.listener = assert(tiny.tcp.listen(self.conf["test.address"], function(stream)
    table.insert(self.context.streams, stream)
    self:serve(stream)
  end))
  self:info("at %s.", self.listener:address())
end
function S:serve(stream)
  for line in stream:lines() do
    if line == "close" then stream:close() end
    stream:write(self.generation, " ", line, "\\n")
  end
  self:info("served in %d", self.generation)
end
"""


class Context(TcpCase):
    def test_a_stream_in_the_context_lives_through_reloads(self):
        server, at = self.serve(KEEPER)
        with connect(at) as peer:
            for generation in range(1, 6):
                peer.sendall(b"x\n")
                self.assertEqual(peer.recv(99), b"%d x\n" % generation)
                self.assert_reloaded(server.project)
                wait_for(lambda: server.info()["generations_alive"] == 1, "the old generation to end")
            self.assertEqual(len(server.lines("served in")), 1)  # cancelled tasks do not come so far
            peer.sendall(b"close\n")
            self.assertEqual(peer.recv(99), b"")
            self.assert_reloaded(server.project)  # a closed one is carried as well

    def test_what_was_read_and_what_is_unsent_go_over_with_it(self):
        server, at = self.serve(KEEPER)
        count, size = 400, 20000  # more than all buffers between hold
        with connect(at) as peer:
            peer.sendall(b"x\n")
            self.assertEqual(peer.recv(99), b"1 x\n")
            self.assert_reloaded(server.project)  # from here on a task of its own serves it
            asked = b"".join(b"%d %s\n" % (i, b"x" * size) for i in range(count))
            sender = threading.Thread(target=peer.sendall, args=[asked])
            sender.start()
            for _ in range(10):
                time.sleep(0.05)
                self.assert_reloaded(server.project)
            lines = peer.makefile("rb")
            answers = [lines.readline() for _ in range(count)]
            sender.join()
        words = [answer.split(b" ") for answer in answers]
        self.assertEqual([int(number) for _, number, _ in words], list(range(count)))
        self.assertEqual({len(text) for _, _, text in words}, {size + 1})
        self.assertGreater(len({generation for generation, _, _ in words}), 2)

    def test_what_comes_during_the_pause_waits_for_the_new_generation(self):
        server, at = self.serve(KEEPER)
        server.project.script("function S:on_start() tiny.sleep(0.5) self:start() end" +
                              KEEPER.replace("on_start", "start"))
        with connect(at) as peer:
            peer.sendall(b"x\n")
            self.assertEqual(peer.recv(99), b"1 x\n")
            reloading = threading.Thread(target=self.assert_reloaded, args=[server.project])
            reloading.start()
            wait_for(lambda: server.lines("served in 1"), "the old handler to lose its stream")
            peer.sendall(b"y\n")
            self.assertEqual(peer.recv(99), b"2 y\n")
            reloading.join()

    def test_a_refused_reload_leaves_it_where_it_was(self):
        server, at = self.serve(KEEPER)
        with connect(at) as peer:
            peer.sendall(b"x\n")
            self.assertEqual(peer.recv(99), b"1 x\n")
            server.project.script("function S:on_start() error('no') end")
            self.assert_refused(server.project, "no", 1)
            peer.sendall(b"y\n")
            self.assertEqual(peer.recv(99), b"1 y\n")
            server.project.script("function S:on_start() self.context.f = nil end")
            code, text = server.project.said("eval", "self.context.f = print")
            self.assertEqual(code, 0, text)
            self.assert_refused(server.project, "context.f is a function", 1)
            peer.sendall(b"z\n")
            self.assertEqual(peer.recv(99), b"1 z\n")

    def test_the_old_generation_may_still_write_on_it(self):
        server, at = self.serve("""function S:on_start()
          if self.context.stream then
            tiny.go(function() self:info("new read %s", self.context.stream:read("*l")) end)
            return
          end
          self.listener = assert(tiny.tcp.listen(self.conf["test.address"], function(stream)
            self.context.stream = stream
            tiny.sleep(0.3)
            self:info("old read %s %s %s", stream:read())
            stream:write("from ", self.generation, "\\n")
            stream:close()
            self:info("old is done")
          end))
          self:info("at %s.", self.listener:address())
        end""")
        with connect(at) as peer:
            wait_for(lambda: server.info()["connections"] == 1, "the connection")
            self.assert_reloaded(server.project)
            self.assertEqual(peer.recv(99), b"from 1\n")
            server.wait_line("old read nil operation canceled ECANCELED")
            server.wait_line("old is done")
            peer.sendall(b"hello\n")
            server.wait_line("new read hello")

    def test_a_state_that_never_used_streams_can_carry_one(self):
        server, at = self.serve(KEEPER)
        with connect(at) as peer:
            peer.sendall(b"x\n")
            peer.recv(99)
            server.project.script("")
            self.assert_reloaded(server.project)
            server.project.script("function S:on_start() self.context.streams[1]:write('later\\n') end")
            self.assert_reloaded(server.project)
            self.assertEqual(peer.recv(99), b"later\n")


class Closing(TcpCase):
    def test_what_is_in_flight_may_finish(self):
        server, at = self.serve()
        with connect(at) as peer:
            peer.sendall(b"a\n")
            peer.recv(99)
            server.process.terminate()
            server.wait_line("closing")
            self.assertRaises(ConnectionRefusedError, connect, at)
            peer.sendall(b"b\n")
            self.assertEqual(peer.recv(99), b"1 b\n")
        self.assert_closed(server)


if __name__ == "__main__":
    unittest.main()
