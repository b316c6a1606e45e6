# SPDX-License-Identifier: MIT
"""tiny.http.serve, with http.client and raw sockets for clients."""
import http.client
import os
import random
import re
import resource
import select
import socket
import struct
import threading
import time
import unittest

from tiny_server import WAIT, ServerCase, wait_for

REFUSED = b"HTTP/1.1 400 Bad Request\r\n"


def serving(handler, opts="nil", more=""):
    """A script whose requests go to the body of function(req)."""
    return f"""function S:on_start()
      local listener = assert(tiny.http.serve(self.conf["test.address"], function(req) {handler} end, {opts}))
      self:info("at %s.", listener:address())
      {more}
    end
    """


HELLO = serving('return 200, "hello " .. self.generation .. " " .. req.path')


class Answer:
    def __init__(self, response):
        self.status, self.version = response.status, response.version
        self.headers = response.headers
        self.body = response.read()


class HttpCase(ServerCase):
    def serve(self, body=HELLO, conf=None, opts=None):
        if opts is not None:
            body = serving(body, opts)
        server = self.start(body, {"test.address": "127.0.0.1:0", **(conf or {})})
        self.port = int(re.search(r"at \S+:(\d+)\.$", server.wait_line("INFO at ")).group(1))
        return server

    def client(self):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        self.addCleanup(client.close)
        return client

    def ask(self, method="GET", path="/", body=None, headers=None, client=None):
        """One request, on a connection of its own unless a client is given."""
        own = client or self.client()
        own.request(method, path, body, headers or {})
        answer = Answer(own.getresponse())
        if not client:
            own.close()
        return answer

    def connect(self):
        peer = socket.create_connection(("127.0.0.1", self.port), WAIT)
        self.addCleanup(peer.close)
        return peer

    def raw(self, data):
        """Send bytes and return all that comes back until the server closes."""
        peer = self.connect()
        peer.sendall(data)
        return self.rest(peer)

    def rest(self, peer):
        parts = []
        try:
            while part := peer.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            parts.append(b"<reset>")
        return b"".join(parts)

    def assert_idle(self, server):
        """Nothing is left of connections and requests."""
        wait_for(lambda: server.info()["connections"] == 0, "all connections to be gone")
        wait_for(lambda: server.info()["tasks"] <= 1, "all requests to be over")


class Requests(HttpCase):
    def test_what_a_handler_sees(self):
        self.serve("""
          local h = req.headers
          return 200, table.concat({ req.method, req.path, req.target, tostring(req.query_string), req.query.a, req.query["b c"],
            tostring(req.query.none), h["X-Test"], h["x-test"], h.many, h.cookie, tostring(h.none), req.version, req.body }, "|")""", opts="nil")
        client = self.client()
        client.putrequest("POST", "/p%20q/%C3%A4?a=1&b+c=%41%2b&a=2&d")
        for name, value in (("X-Test", "yes"), ("Many", "1"), ("Many", "2"), ("Cookie", "a=1"), ("Cookie", "b=2"),
                            ("Content-Length", "4")):
            client.putheader(name, value)
        client.endheaders(b"body")
        self.assertEqual(client.getresponse().read().decode(),
                         "POST|/p q/ä|/p%20q/%C3%A4?a=1&b+c=%41%2b&a=2&d|a=1&b+c=%41%2b&a=2&d|2|A+|nil|yes|yes|1, 2|"
                         "a=1; b=2|nil|1.1|body")

    def test_remote_is_the_client(self):
        self.serve("return 200, req.remote", opts="nil")
        client = self.client()
        self.assertEqual(self.ask(client=client).body.decode(), "127.0.0.1:%d" % client.sock.getsockname()[1])

    def test_malformed_escapes_are_refused(self):
        self.serve()
        for path in ("/%", "/%4", "/%zz", "/a%00b", "/%g1"):
            self.assertEqual(self.ask(path=path).status, 400, path)

    def test_a_connection_serves_many_requests(self):
        server = self.serve()
        client = self.client()
        for i in range(100):
            self.assertEqual(self.ask(path=f"/{i}", client=client).body, b"hello 1 /%d" % i)
        self.assertEqual(server.info()["connections"], 1)

    def test_pipelined_requests_are_answered_in_order(self):
        self.serve("if #req.path % 2 == 0 then tiny.sleep(0.01) end return 200, req.path .. '\\n'", opts="nil")
        paths = ["/" + "x" * (i % 7) + str(i) for i in range(200)]
        data = "".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n" for path in paths)
        last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        answer = self.raw((data + last).encode()).decode()
        self.assertEqual(re.findall(r"\r\n\r\n(/\w+)\n", answer), paths + ["/last"])

    def test_old_clients(self):
        self.serve()
        answer = self.raw(b"GET / HTTP/1.0\r\n\r\n")
        self.assertIn(b"HTTP/1.1 200 OK\r\n", answer)
        self.assertIn(b"Connection: close\r\n", answer)
        peer = self.connect()
        peer.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2)
        wait_for(lambda: peer.recv(4096, socket.MSG_PEEK).count(b"hello 1 /") == 2, "both answers")
        self.assertEqual(peer.recv(4096).count(b"Connection: keep-alive\r\n"), 2)

    def test_it_needs_no_more_than_a_half_closed_client(self):
        self.serve()
        peer = self.connect()
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        peer.shutdown(socket.SHUT_WR)
        self.assertIn(b"hello 1 /", self.rest(peer))

    def test_ids_of_requests_that_are_over_raise(self):
        server = self.serve("""local old = self.old
          self.old = req
          if old then self:info("stale: %s %s", pcall(function() return old.headers end)) end
          return 200""", opts="nil")
        for _ in range(2):
            self.ask()
        self.assertIn("the request is over", server.wait_line("stale: false"))

    def test_many_handlers_wait_at_once(self):
        self.serve("tiny.sleep(0.3) return 200, req.path", opts="nil")
        began = time.monotonic()
        clients = [self.client() for _ in range(60)]
        for i, client in enumerate(clients):
            client.request("GET", f"/{i}")
        for i, client in enumerate(clients):
            self.assertEqual(client.getresponse().read(), b"/%d" % i)
        self.assertLess(time.monotonic() - began, 60 * 0.3)


class Answers(HttpCase):
    def test_the_forms_of_an_answer(self):
        self.serve("""
          local forms = {
            ["/plain"] = function() return 201, "text", { A = "b", N = 5, Many = { "1", "2" } } end,
            ["/table"] = function() return { status = 202, body = "t", headers = { ["content-type"] = "x/y" } } end,
            ["/number"] = function() return 200, 42 end,
            ["/nothing"] = function() return 204 end,
            ["/unchanged"] = function() return 304 end,
            ["/own"] = function() return 200, "abc", { ["Content-Length"] = 99, Date = "never", Connection = "close" } end,
          }
          return forms[req.path]()""", opts="nil")
        answer = self.ask(path="/plain")
        self.assertEqual((answer.status, answer.body, answer.headers["A"], answer.headers["N"]), (201, b"text", "b", "5"))
        self.assertEqual(answer.headers.get_all("Many"), ["1", "2"])
        self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertRegex(answer.headers["Date"], r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")
        answer = self.ask(path="/table")
        self.assertEqual((answer.status, answer.body, answer.headers["Content-Type"]), (202, b"t", "x/y"))
        self.assertEqual(self.ask(path="/number").body, b"42")
        for path, status in (("/nothing", 204), ("/unchanged", 304)):
            answer = self.ask(path=path)
            self.assertEqual((answer.status, answer.headers["Content-Length"]), (status, None))
        answer = self.ask(path="/own")
        self.assertEqual((answer.headers["Content-Length"], answer.headers["Connection"]), ("3", "close"))
        self.assertNotEqual(answer.headers["Date"], "never")

    def test_head_has_the_length_and_no_body(self):
        self.serve()
        peer = self.connect()
        peer.sendall(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        head, get, body = self.rest(peer).split(b"\r\n\r\n")
        self.assertIn(b"Content-Length: 9", head)
        self.assertIn(b"Content-Length: 9", get)
        self.assertEqual(body, b"hello 1 /")

    def test_a_handler_that_raises_gives_500_and_the_connection_lives(self):
        server = self.serve(serving('if req.path == "/bad" then error("oh no") end return 200, "fine"') + """
          function S:on_except(err, trace) self:info("except %s", trace:gsub("\\n", " ")) return true end""")
        client = self.client()
        self.assertEqual(self.ask(path="/bad", client=client).status, 500)
        self.assertEqual(self.ask(client=client).body, b"fine")
        self.assertEqual(server.info()["connections"], 1)
        self.assertRegex(server.wait_line("except "), r"main\.lua:4: oh no .*in function")

    def test_what_cannot_be_sent_is_an_error_of_the_handler(self):
        server = self.serve(serving("""
          local bad = { "return", 'return "200"', "return 99", "return 600", "return 200.5", 'return 200, print',
            'return 200, "x", "y"', 'return 200, "x", { A = "b\\\\r\\\\nC: d" }', 'return 200, "x", { ["A: b"] = "c" }',
            'return 200, "x", { A = {} , B = print }', 'return 200, "x", { [1] = "b" }', 'return 200, "x", { A = ("x"):rep(20000) }',
            'return 200, "x", { A = "b\\\\0c" }' }
          return loadstring(bad[tonumber(req.path:sub(2))])()""") + "function S:on_except() self:info('except') return true end")
        for i in range(1, 14):
            self.assertEqual(self.ask(path=f"/{i}").status, 500, i)
        server.wait_line("except", times=13)

    def test_what_cannot_be_sent_is_told_with_the_request(self):
        server = self.serve("""if req.path == "/body" then return 200, print end
          return 200, { text = "x" }""", opts="nil")
        for path, got in ("/body", "function"), ("/table", "a table"):
            self.assertEqual(self.ask(path=path).status, 500)
            server.wait_line(f"the answer to GET {path}: body: a string or {{file=path}} is expected, got {got}")

    def test_one_table_may_have_names_or_an_order(self):
        self.serve("""if req.path == "/names" then return { status = 201, body = "b", headers = { A = "c" } } end
          return { 201, "b", { A = "c" } }""", opts="nil")
        for path in "/names", "/order":
            answer = self.ask(path=path)
            self.assertEqual((answer.status, answer.body, answer.headers["A"]), (201, b"b", "c"))

    def test_large_bodies_come_whole(self):
        self.serve('return 200, ("0123456789"):rep(tonumber(req.query.n))', opts="nil")
        client = self.client()
        for n in (6000, 6540, 6555, 100000, 2000000):
            self.assertEqual(self.ask(path=f"/?n={n}", client=client).body, b"0123456789" * n)

    def test_nobody_is_told_who_we_are(self):
        self.serve()
        self.assertIsNone(self.ask().headers["Server"])


class Bodies(HttpCase):
    SHOW = """
      if req.body then return 200, #req.body .. " whole" end
      local size, pieces = 0, 0
      while true do
        local piece, message, name = req:read()
        if not piece then
          self:info("ended %s", name)
          return 200, size .. (name == "EOF" and " read" or name)
        end
        size, pieces = size + #piece, pieces + 1
      end"""

    def test_small_ones_are_there_large_ones_are_read(self):
        self.serve(self.SHOW, opts="{ max_body = 100000 }")
        client = self.client()
        for size in (0, 1, 65536, 99999, 100000, 100001, 5000000):
            kind = "whole" if size <= 100000 else "read"
            data = os.urandom(size)
            self.assertEqual(self.ask("POST", body=data, client=client).body.decode(), f"{size} {kind}")
            pieces = (data[i:i + 7777] for i in range(0, size, 7777))
            answer = self.ask("POST", body=pieces, client=client)
            self.assertEqual(answer.body.decode(), f"{size} {kind}")

    def test_a_body_that_comes_byte_by_byte(self):
        self.serve("return 200, req.body", opts="nil")
        peer = self.connect()
        request = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: x\r\n\r\n"
        for i in range(len(request)):
            peer.sendall(request[i:i + 1])
            time.sleep(0.001)
        self.assertTrue(self.rest(peer).endswith(b"\r\n\r\nabcde"))

    def test_expect_continue_is_asked_for_when_it_is_wanted(self):
        self.serve('if req.path == "/no" then return 413, "no" end ' + self.SHOW, opts="{ max_body = 10 }")
        for size, kind in ((5, "whole"), (50, "read")):
            peer = self.connect()
            peer.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
            self.assertEqual(peer.recv(25), b"HTTP/1.1 100 Continue\r\n\r\n")
            peer.sendall(b"x" * size)
            self.assertTrue(self.rest(peer).endswith(f"{size} {kind}".encode()))
        answer = self.raw(b"POST /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 50\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)

    def test_an_answer_before_the_end_of_the_body_is_not_lost(self):
        self.serve('return 413, "too much"', opts="{ max_body = 10 }")
        for _ in range(10):
            peer = self.connect()
            peer.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + b"x" * 100000)
            time.sleep(0.01)
            peer.sendall(b"x" * 100000)
            answer = self.rest(peer)
            self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
            self.assertIn(b"Connection: close", answer)

    def test_a_client_that_leaves_in_the_middle(self):
        server = self.serve(self.SHOW, opts="{ max_body = 10 }")
        for head in (b"Content-Length: 100", b"Transfer-Encoding: chunked"):
            peer = self.connect()
            peer.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\n40\r\n" + b"x" * 20)
            time.sleep(0.05)
            peer.close()
        time.sleep(0.1)
        server.wait_line("ended ECONNRESET")
        self.assert_idle(server)

    def test_reading_has_back_pressure(self):
        self.serve("tiny.sleep(0.5) local n = 0 for p in function() return req:read() end do n = n + #p end return 200, n", opts="nil")
        peer = self.connect()
        peer.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 100000000\r\n\r\n")
        peer.setblocking(False)
        sent, deadline = 0, time.monotonic() + 0.3
        while time.monotonic() < deadline:
            try:
                sent += peer.send(b"x" * 65536)
            except BlockingIOError:
                time.sleep(0.01)
        self.assertLess(sent, 20000000)
        peer.setblocking(True)
        peer.settimeout(WAIT)
        peer.sendall(b"x" * (100000000 - sent))
        self.assertTrue(self.rest(peer).endswith(b"100000000"))


class Streams(HttpCase):
    def test_pieces_come_as_they_are_written(self):
        self.serve("""local out = req:stream(201, { ["Content-Type"] = "x/y" })
          for i = 1, 3 do out:write("piece " .. i) tiny.sleep(0.05) end""", opts="nil")
        client = self.client()
        client.request("GET", "/")
        response = client.getresponse()
        self.assertEqual((response.status, response.headers["Transfer-Encoding"]), (201, "chunked"))
        self.assertEqual([response.read1(100) for _ in range(3)], [b"piece 1", b"piece 2", b"piece 3"])
        self.assertEqual(response.read(), b"")
        self.assertEqual(self.ask(client=client).body, b"piece 1piece 2piece 3")

    def test_old_clients_read_to_the_end(self):
        self.serve('local out = req:stream() out:write("a") out:write("") out:write("b") out:close()', opts="nil")
        head, body = self.raw(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").split(b"\r\n\r\n")
        self.assertEqual(body, b"ab")
        self.assertIn(b"Connection: close", head)

    def test_head_is_answered_without_pieces(self):
        self.serve('local out = req:stream() out:write("a")', opts="nil")
        client = self.client()
        self.assertEqual(self.ask("HEAD", client=client).body, b"")
        self.assertEqual(self.ask(client=client).body, b"a")

    def test_a_slow_client_makes_the_handler_wait(self):
        server = self.serve("""local out, sent = req:stream(), 0
          for _ = 1, 500 do
            assert(out:write(("x"):rep(100000)))
            sent = sent + 100000
            self:gauge("sent", sent)
          end""", opts="nil")
        client = self.client()
        client.request("GET", "/")
        response = client.getresponse()
        time.sleep(0.3)
        self.assertLess(server.info()["app"]["sent"], 20000000)
        self.assertEqual(len(response.read()), 50000000)

    def test_a_client_that_leaves_is_told_to_the_writer(self):
        server = self.serve("""local out, ok, message, name = req:stream(), true, nil, nil
          while ok do ok, message, name = out:write(("x"):rep(10000)) end
          self:info("left %s", name)""", opts="nil")
        peer = self.connect()
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        peer.recv(10)
        peer.close()
        self.assertRegex(server.wait_line("left "), "EPIPE|ECONNRESET")
        self.assert_idle(server)

    def test_one_that_takes_nothing_in_is_left(self):
        server = self.serve("""local out, ok, message, name = req:stream(), true, nil, nil
          while ok do ok, message, name = out:write(("x"):rep(10000)) end
          self:info("left %s", name)""", opts="{ write_timeout = 0.2 }")
        peer = self.connect()
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        server.wait_line("left ETIMEDOUT")

    def test_an_error_in_the_middle_cuts_the_answer_short(self):
        self.serve('local out = req:stream() out:write("begun") error("no")', opts="nil")
        client = self.client()
        client.request("GET", "/")
        response = client.getresponse()
        self.assertRaises(http.client.IncompleteRead, response.read)

    def test_events(self):
        self.serve("""local events = req:events({ ["X-A"] = "b" })
          events:send("one\\ntwo") events:ping() events:send { data = 3, event = "e\\nvil", id = "i", retry = 1.5 }""", opts="nil")
        answer = self.ask()
        self.assertEqual((answer.headers["Content-Type"], answer.headers["Cache-Control"], answer.headers["X-A"]),
                         ("text/event-stream", "no-store", "b"))
        self.assertEqual(answer.body.decode(), "data: one\ndata: two\n\n:\n\nretry: 1500\nid: i\nevent: e vil\ndata: 3\n\n")

    def test_a_task_that_outlives_the_handler_is_told(self):
        server = self.serve("""local out = req:stream()
          local task = tiny.go(function()
            local ok, message, name
            repeat ok, message, name = out:write(("x"):rep(100000)) until not ok
            self:info("writer %s", name)
          end)
          tiny.go(function() tiny.sleep(0.3) task:cancel() end)
          tiny.sleep(0.1)""", opts="nil")
        peer = self.connect()
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        server.wait_line("writer ECANCELED")
        peer.close()
        self.assert_idle(server)

    def test_answering_twice_is_an_error(self):
        server = self.serve("""local out = req:stream()
          self:info("second %s %s", pcall(req.stream, req))
          out:close() out:close()
          self:info("closed %s", select(3, out:write("x")))""", opts="nil")
        self.assertEqual(self.ask().body, b"")
        server.wait_line("second false")
        server.wait_line("closed ECANCELED")


class Files(HttpCase):
    def setUp(self):
        self.files = self.project()
        self.folder = self.files.dir / "www"
        (self.folder / "sub").mkdir(parents=True)
        (self.folder / "a.html").write_text("<a>")
        (self.folder / "sub/index.html").write_text("index")
        (self.folder / ".secret").write_text("secret")
        (self.folder / "big.bin").write_bytes(os.urandom(5000000))
        (self.files.dir / "outside").write_text("outside")
        (self.folder / "link").symlink_to("../outside")
        (self.folder / "inner").symlink_to("a.html")
        os.mkfifo(self.folder / "fifo")

    def serve_files(self):
        return self.serve(f"""function S:on_start()
          local routes = tiny.http.router():files("/static/", "{self.folder}", {{ headers = {{ ["X-A"] = "b" }} }})
          routes:get("/one", function() return 200, {{ file = "{self.folder}/a.html" }} end)
          routes:get("/gone", function() return 200, {{ file = "/nonexistent" }} end)
          local listener = assert(tiny.http.serve(self.conf["test.address"], routes))
          self:info("at %s.", listener:address())
        end""")

    def test_they_are_sent_whole(self):
        self.serve_files()
        client = self.client()
        for _ in range(3):
            answer = self.ask(path="/static/big.bin", client=client)
            self.assertEqual(answer.body, (self.folder / "big.bin").read_bytes())
        self.assertEqual(self.ask("HEAD", "/static/big.bin", client=client).headers["Content-Length"], "5000000")
        answer = self.ask(path="/static/a.html", client=client)
        self.assertEqual((answer.body, answer.headers["Content-Type"], answer.headers["X-A"]),
                         (b"<a>", "text/html; charset=utf-8", "b"))
        self.assertEqual(self.ask(path="/static/sub/", client=client).body, b"index")
        self.assertEqual(self.ask(path="/static/inner", client=client).body, b"<a>")
        self.assertEqual(self.ask(path="/one", client=client).body, b"<a>")

    def test_what_a_client_has_is_not_sent_again(self):
        self.serve_files()
        modified = self.ask(path="/static/a.html").headers["Last-Modified"]
        answer = self.ask(path="/static/a.html", headers={"If-Modified-Since": modified})
        self.assertEqual((answer.status, answer.body), (304, b""))
        answer = self.ask(path="/static/a.html", headers={"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"})
        self.assertEqual(answer.status, 200)

    def test_nothing_leads_out_of_the_folder(self):
        self.serve_files()
        for path in ("../outside", "%2e%2e/outside", "..%2foutside", "sub/../../outside", "sub%2f..%2f..%2foutside", "link",
                     ".secret", "%2esecret", "sub/./index.html", "//etc/passwd", "/etc/passwd", "%2fetc%2fpasswd", "sub",
                     "fifo", "none", "a.html/", "a.html%2f", "", "..\\outside", "sub/..", "%252e%252e/outside"):
            answer = self.ask(path="/static/" + path)
            self.assertEqual(answer.status, 404, path)
        self.assertEqual(self.ask(path="/gone").status, 404)
        self.assertEqual(self.ask(path="/static/%00").status, 400)

    def test_no_descriptor_is_left(self):
        server = self.serve_files()
        client = self.client()
        self.ask(path="/static/a.html", client=client)
        before = len(os.listdir(f"/proc/{server.pid}/fd"))
        for path in ("a.html", "link", "fifo", "sub", "big.bin"):
            for method in ("GET", "HEAD"):
                self.ask(method, f"/static/{path}", client=client)
        for _ in range(5):
            peer = self.connect()
            peer.sendall(b"GET /static/big.bin HTTP/1.1\r\nHost: a\r\n\r\n")
            peer.recv(1000)
            peer.close()
        wait_for(lambda: len(os.listdir(f"/proc/{server.pid}/fd")) <= before, "the files to be closed")


class Router(HttpCase):
    ROUTES = """function S:on_start()
      local function show(name)
        return function(req)
          local parts = { name }
          for key, value in pairs(req.params) do parts[#parts + 1] = key .. "=" .. value end
          table.sort(parts)
          return 200, table.concat(parts, " ")
        end
      end
      local routes = tiny.http.router()
      routes:get("/", show "root"):get("/users", show "users"):post("/users", show "new")
      routes:get("/users/:id", show "user"):get("/users/me", show "me"):delete("/users/:id", show "delete")
      routes:get("/users/:id/posts/:post", show "post"):get("/users/me/*rest", show "rest"):on("PURGE", "/users", show "purge")
      local listener = assert(tiny.http.serve(self.conf["test.address"], routes))
      self:info("at %s.", listener:address())
      for _, bad in ipairs { { "get", "/", print }, { "GET", "x", print }, { "GET", "/", 1 }, { "GET", "/*a/b", print } } do
        self:info("bad %s", (pcall(routes.on, routes, unpack(bad))))
      end
    end"""

    def test_routes(self):
        server = self.serve(self.ROUTES)
        client = self.client()
        for method, path, status, body in (
                ("GET", "/", 200, "root"), ("GET", "/users", 200, "users"), ("POST", "/users", 200, "new"),
                ("GET", "/users/7", 200, "id=7 user"), ("GET", "/users/me", 200, "me"), ("GET", "/users/a%2Fb%20c?x", 200, "id=a/b c user"),
                ("DELETE", "/users/7", 200, "delete id=7"), ("GET", "/users/7/posts/8", 200, "id=7 post post=8"),
                ("GET", "/users/me/posts/8", 200, "rest rest=posts/8"), ("GET", "/users/me/a/b/c", 200, "rest rest=a/b/c"),
                ("PURGE", "/users", 200, "purge"), ("GET", "/users/", 404, "Not Found\n"), ("GET", "/none", 404, "Not Found\n"),
                ("GET", "//", 404, "Not Found\n"), ("GET", "/users/7/posts", 404, "Not Found\n"),
                ("PUT", "/users", 405, "Method Not Allowed\n"), ("OPTIONS", "/users/7", 204, ""), ("HEAD", "/users", 200, "")):
            answer = self.ask(method, path, client=client)
            self.assertEqual((answer.status, answer.body.decode()), (status, body), (method, path))
        self.assertEqual(self.ask("PUT", "/users").headers["Allow"], "GET, HEAD, OPTIONS, POST, PURGE")
        server.wait_line("bad false", times=4)


class Refused(HttpCase):
    def test_what_could_be_misunderstood_is_refused_and_the_connection_closed(self):
        server = self.serve()
        good = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        for lines in (b"Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                      b"Host: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                      b"\r\n", b"Host: a\r\nHost: b\r\n\r\n", b"Host: a\r\nHost: a\r\n\r\n", b"Host : a\r\n\r\n",
                      b"Host: a\r\nX\0: b\r\n\r\n", b"Host: a\r\nX: b\0\r\n\r\n", b"Host: a\r\nX: b\0c\r\n\r\n",
                      b"Host: a\r\n folded\r\n\r\n", b"Host: a\n\n", b"Host: a\r\nX: \r\r\n\r\n",
                      b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"):
            answer = self.raw(b"POST / HTTP/1.1\r\n" + lines + good)
            self.assertTrue(answer.startswith(REFUSED), (lines, answer))
            self.assertNotIn(b"smuggled", answer)
            self.assertEqual(answer.count(b"HTTP/1.1"), 1, answer)
        self.assertEqual(self.raw(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")[:15], b"HTTP/1.1 200 OK")
        self.assertEqual(server.lines("ERROR"), [])

    def test_other_refusals(self):
        self.serve()
        for request, status in ((b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
                                (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
                                (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417),
                                (b"GET /" + b"x" * 20000, 414), (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20000, 431),
                                (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
                                (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400), (b"\n", 400), (b"\0\r\n\r\n", 400)):
            self.assertEqual(self.raw(request)[:13], b"HTTP/1.1 %d " % status, request[:40])

    def test_a_good_request_before_a_bad_one_is_answered(self):
        self.serve()
        answer = self.raw(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nBAD\r\n\r\n")
        self.assertLess(answer.index(b"hello 1 /1"), answer.index(REFUSED))

    def test_header_bombs(self):
        server = self.serve()
        for _ in range(20):
            peer = self.connect()
            try:
                for _ in range(100):
                    peer.sendall(b"x" * 100000)
            except OSError:
                pass
            peer.close()
        self.assert_idle(server)
        self.assertLess(server.info()["rss_bytes"], 300e6)


class Slow(HttpCase):
    def test_heads_and_bodies_that_do_not_come(self):
        self.serve('return 200, "x"', opts="{ head_timeout = 0.3, body_timeout = 0.3, idle_timeout = 0.3 }")
        for text in (b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc"):
            self.assertTrue(self.raw(text).startswith(b"HTTP/1.1 408 "), text)
        self.assertEqual(self.raw(b""), b"")  # said nothing, is told nothing
        peer = self.connect()
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(self.rest(peer).endswith(b"\r\n\r\nx"))  # idle afterwards

    def test_a_byte_now_and_then_does_not_keep_a_connection(self):
        self.serve('return 200, "x"', opts="{ head_timeout = 0.5, body_timeout = 0.5 }")
        for begin in (b"GET / HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"):
            peer = self.connect()
            peer.sendall(begin)
            began = time.monotonic()
            while not select.select([peer], [], [], 0.1)[0]:
                peer.sendall(b"x")
            self.assertTrue(peer.recv(100).startswith(b"HTTP/1.1 408 "))
            self.assertLess(time.monotonic() - began, 30)

    def test_a_client_that_does_not_take_its_answer_is_left(self):
        server = self.serve('return 200, ("x"):rep(2e7)', opts="{ write_timeout = 0.3 }")
        peer = self.connect()
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assert_idle(server)
        peer.close()

    def test_a_limit_makes_others_wait(self):
        self.serve('return 200, "x"', opts="{ limit = 2 }")
        clients = [self.client() for _ in range(3)]
        for client in clients[:2]:
            self.assertEqual(self.ask(client=client).status, 200)
        clients[2].timeout = 0.3
        clients[2].request("GET", "/")
        self.assertRaises(TimeoutError, clients[2].getresponse)
        clients[0].close()
        clients[2].sock.settimeout(WAIT)
        self.assertEqual(clients[2].sock.recv(15), b"HTTP/1.1 200 OK")


class Vanishing(HttpCase):
    def test_clients_that_leave_at_every_byte_leave_nothing(self):
        server = self.serve("tiny.sleep(0.005) return 200, req.body", opts="nil")
        request = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET"
        for size in range(len(request)):
            for reset in (False, True):
                peer = socket.create_connection(("127.0.0.1", self.port), WAIT)
                peer.sendall(request[:size])
                if reset:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.close()
        self.assertEqual(self.ask("POST", body=b"alive").body, b"alive")
        self.assert_idle(server)
        self.assertEqual(server.lines("ERROR"), [])

    def test_binary_rubbish(self):
        server = self.serve()
        for seed in range(50):
            peer = socket.create_connection(("127.0.0.1", self.port), WAIT)
            try:
                peer.sendall(random.Random(seed).randbytes(5000))
                peer.shutdown(socket.SHUT_WR)
                self.rest(peer)
            except OSError:
                pass
            peer.close()
        self.assertEqual(self.ask().status, 200)
        self.assert_idle(server)

    def test_a_handler_finishes_although_its_client_has_left(self):
        server = self.serve('tiny.sleep(0.2) self:info("finished") return 200', opts="nil")
        peer = self.connect()
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.05)
        peer.close()
        server.wait_line("finished")
        self.assert_idle(server)

    def test_it_is_cancelled_where_that_is_asked_for(self):
        server = self.serve("""local ok, err = pcall(tiny.sleep, 60)
          self:info("cancelled %s", err == tiny.cancelled)
          error(err, 0)""", opts='{ on_disconnect = "cancel" }')
        peer = self.connect()
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.05)
        peer.close()
        server.wait_line("cancelled true")
        self.assert_idle(server)
        self.assertEqual(server.lines("ERROR"), [])


class Options(HttpCase):
    def test_what_is_wrong_is_told(self):
        server = self.start("""function S:on_start()
          local function try(...) self:info("%s: %s", pcall(tiny.http.serve, ...)) end
          try(1, print) try("127.0.0.1:0") try("127.0.0.1:0", print, { timeout = 1 }) try("127.0.0.1:0", print, { limit = 0 })
          try("127.0.0.1:0", print, { max_body = "1M" }) try("127.0.0.1:0", print, { on_disconnect = true })
          self:info("nil: %s %s %s", tiny.http.serve("1.2.3:4", print))
        end""")
        server.wait_line("false: ", times=6)
        server.wait_line("nil: nil bad address")
        self.assertIn("unknown option timeout", server.lines("false: ")[2])


class Reload(HttpCase):
    def test_keep_alive_connections_go_on_with_the_next_generation(self):
        server = self.serve()
        clients = [self.client() for _ in range(20)]
        for generation in range(1, 6):
            for client in clients:
                self.assertEqual(self.ask(client=client).body, b"hello %d /" % generation)
            self.assert_reloaded(server.project)
        self.assertEqual(server.info()["connections"], 20)

    def test_no_request_is_lost_under_load(self):
        server = self.serve("if req.path == '/wait' then tiny.sleep(0.002) end return 200, req.body .. self.generation", opts="nil")
        failures, counts, stop = [], [], threading.Event()

        def knock(number):
            client, count = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT), 0
            try:
                while not stop.is_set():
                    client.request("POST", "/wait" if number % 2 else "/", b"x" * 100)
                    response = client.getresponse()
                    if response.status != 200 or not response.read().startswith(b"x" * 100):
                        failures.append(response.status)
                    count += 1
            except (OSError, http.client.HTTPException) as err:
                failures.append(err)
            client.close()
            counts.append(count)

        threads = [threading.Thread(target=knock, args=[i]) for i in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(30):
            self.assert_reloaded(server.project)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(min(counts), 5)
        self.assert_idle(server)
        wait_for(lambda: server.info()["generations_alive"] == 1, "one generation to be left")

    def test_a_request_in_flight_is_finished_by_its_generation(self):
        server = self.serve('if req.path == "/slow" then tiny.sleep(0.5) end return 200, self.generation', opts="nil")
        slow, quick = self.client(), self.client()
        slow.request("GET", "/slow")
        self.ask(client=quick)
        self.assert_reloaded(server.project)
        self.assertEqual(self.ask(client=quick).body, b"2")
        self.assertEqual(slow.getresponse().read(), b"1")
        self.assertEqual(self.ask(client=slow).body, b"2")

    def test_one_that_takes_too_long_is_told_so(self):
        server = self.serve("if req.path == '/slow' then tiny.sleep(60) end return 200", opts="nil",
                            conf={"svr.close.force_close_delay": 1})
        slow = self.client()
        slow.request("GET", "/slow")
        time.sleep(0.05)
        self.assert_reloaded(server.project)
        self.assertEqual(slow.getresponse().status, 503)
        slow.close()
        self.assert_idle(server)

    def test_requests_during_the_pause_wait_for_the_new_generation(self):
        server = self.serve()
        client, other = self.client(), self.client()
        self.ask(client=client)
        server.project.script(HELLO.replace("function S:on_start()", "function S:on_start() tiny.sleep(0.5)"))
        reloading = threading.Thread(target=self.assert_reloaded, args=[server.project])
        reloading.start()
        wait_for(lambda: server.state() == "reloading", "the pause")
        other.request("GET", "/other")
        self.assertEqual(self.ask(client=client).body, b"hello 2 /")
        self.assertEqual(other.getresponse().read(), b"hello 2 /other")
        reloading.join()

    def test_a_refused_reload_changes_nothing(self):
        server = self.serve()
        client = self.client()
        self.ask(client=client)
        server.project.script(HELLO.replace('self:info("at', 'error("no") self:info("at'))
        self.assert_refused(server.project, "no", 1)
        self.assertEqual(self.ask(client=client).body, b"hello 1 /")

    def test_new_options_count_for_old_connections(self):
        server = self.serve("return 200, tostring(req.body and #req.body)", opts="{ max_body = 10 }")
        client = self.client()
        self.assertEqual(self.ask("POST", body=b"x" * 100, client=client).body, b"nil")
        client = self.client()
        self.assertEqual(self.ask("POST", body=b"x", client=client).body, b"1")
        server.project.script(serving("return 200, tostring(req.body and #req.body)", "{ max_body = 1000 }"))
        self.assert_reloaded(server.project)
        self.assertEqual(self.ask("POST", body=b"x" * 100, client=client).body, b"100")

    def test_an_address_that_is_no_longer_served(self):
        server = self.serve()
        idle, busy = self.connect(), self.connect()
        busy.sendall(b"GET / HTTP/1.1\r\nHo")
        time.sleep(0.05)
        server.project.script("")
        self.assert_reloaded(server.project)
        self.assertRaises(ConnectionRefusedError, self.ask)
        busy.sendall(b"st: a\r\n\r\n")
        self.assertIn(self.rest(busy)[:13], (b"HTTP/1.1 503 ", b""))
        self.assertEqual(self.rest(idle), b"")

    def test_a_port_may_pass_from_http_to_tcp(self):
        server = self.serve()
        client = self.client()
        self.ask(client=client)
        server.project.script("""function S:on_start()
          assert(tiny.tcp.listen(self.conf["test.address"], function(s) s:write("tcp") s:close() end))
        end""")
        self.assert_reloaded(server.project)
        peer = self.connect()
        self.assertEqual(peer.recv(10), b"tcp")
        server.project.script(HELLO)
        self.assert_reloaded(server.project)
        self.assertEqual(self.ask().body, b"hello 3 /")


class Closing(HttpCase):
    def test_requests_in_flight_are_answered(self):
        server = self.serve("if req.path == '/slow' then tiny.sleep(0.5) end return 200, 'done'", opts="nil")
        slow, idle = self.client(), self.connect()
        slow.request("GET", "/slow")
        time.sleep(0.1)
        server.process.terminate()
        self.assertEqual(self.rest(idle), b"")
        response = slow.getresponse()
        self.assertEqual((response.read(), response.headers["Connection"]), (b"done", "close"))
        self.assert_closed(server)

    def test_a_large_answer_on_its_way_is_finished(self):
        server = self.serve('return 200, ("x"):rep(2e7)', opts="nil")
        client = self.client()
        client.request("GET", "/")
        response = client.getresponse()
        server.process.terminate()
        time.sleep(0.2)
        self.assertEqual(len(response.read()), 20000000)
        self.assert_closed(server)


class Many(HttpCase):
    def test_descriptors_that_run_out_put_connections_off(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        server = self.serve(serving("return 200, self.generation"))
        self.assertEqual(resource.prlimit(server.pid, resource.RLIMIT_NOFILE), (hard, hard))
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (200, 200))
        peers = [self.connect() for _ in range(250)]
        wait_for(lambda: len(os.listdir(f"/proc/{server.pid}/fd")) == 200, "the descriptors to run out")
        server.wait_line("connections have to wait: Too many open files")
        self.assertEqual(peers[0].send(b"GET / HTTP/1.0\r\n\r\n"), 18)
        self.assertTrue(self.rest(peers[0]).endswith(b"\r\n\r\n1"))
        for peer in peers[1:200]:
            peer.close()
        self.assertEqual(self.ask().body, b"1")
        for peer in peers[200:]:
            peer.close()
        self.assert_idle(server)

    def test_a_thousand_idle_connections(self):
        server = self.serve()
        peers = [self.connect() for _ in range(1000)]
        for peer in peers:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for peer in peers:
            self.assertEqual(peer.recv(15), b"HTTP/1.1 200 OK")
        self.assertEqual(server.info()["connections"], 1000)
        self.assert_reloaded(server.project)
        for peer in peers:
            peer.close()
        self.assert_idle(server)


if __name__ == "__main__":
    unittest.main()
