# SPDX-License-Identifier: MIT
"""tiny.http.request, against servers of Python's and raw sockets."""
import gzip
import http.server
import os
import shutil
import socket
import ssl
import tempfile
import threading
import time
import unittest
from pathlib import Path

from certificates import certificate
from tiny_server import ServerCase, lua, wait_for


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_args):
        pass

    def read_body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_any(self):
        body = self.read_body()
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        self.server.peers.add(self.client_address)
        handle = getattr(self, "on_" + self.path.split("?")[0].strip("/").split("/")[0], None)
        if handle:
            handle(body)
        else:
            self.answer(200, b"%s %s %d" % (self.command.encode(), self.path.encode(), len(body)), X_A="b")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_PURGE = do_any

    def on_redirect(self, _body):
        left = int(self.path.rsplit("/", 1)[1])
        self.answer(302, b"elsewhere", Location=f"/redirect/{left - 1}" if left > 1 else "/end")

    def on_move(self, _body):
        self.answer(int(self.path.rsplit("/", 1)[1]), b"elsewhere", Location="/end")

    def on_missing(self, _body):
        self.answer(404, b"none")

    def on_gzip(self, _body):
        self.answer(200, gzip.compress(b"x" * 1000), Content_Encoding="gzip")

    def on_large(self, _body):
        self.answer(200, b"0123456789" * 1000000)

    def on_slow(self, _body):
        time.sleep(float(self.path.rsplit("/", 1)[1]))
        self.answer(200, b"slow")

    def on_drip(self, _body):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for i in range(5):
            self.wfile.write(b"7\r\npiece %d\r\n" % i)
            time.sleep(0.05)
        self.wfile.write(b"0\r\n\r\n")

    def on_bomb(self, _body):
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                self.wfile.write(b"X: " + b"y" * 60000 + b"\r\n")
        except OSError:
            self.close_connection = True

    def on_cut(self, _body):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"only this")
        self.close_connection = True

    def on_nothing(self, _body):
        self.close_connection = True


class FetchCase(ServerCase):
    def peer(self, context=None):
        peer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        peer.daemon_threads, peer.seen, peer.peers = True, [], set()
        if context:
            peer.socket = context.wrap_socket(peer.socket, server_side=True)
        threading.Thread(target=peer.serve_forever, args=[0.05], daemon=True).start()
        self.addCleanup(peer.server_close)
        self.addCleanup(peer.shutdown)
        peer.url = f"http{'s' if context else ''}://127.0.0.1:{peer.server_address[1]}"
        return peer

    def setUp(self):
        self.web = self.peer()

    def run_lua(self, code, conf=None):
        """Run code in on_start, with `url` and a `show` that logs what it is given."""
        return self.start(f"""
          local url = "{self.web.url}"
          local function show(...)
            local parts = {{}}
            for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
            tiny.log.info("got %s.", table.concat(parts, " | "))
          end
          function S:on_start()
            {code}
          end""", conf)

    def gives(self, code, *expected):
        server = self.run_lua(code)
        server.wait_line("got ", times=len(expected))
        self.assertEqual([line.split("got ", 1)[1] for line in server.lines("got ")], [text + "." for text in expected])
        return server


class Requests(FetchCase):
    def test_an_answer_has_all_its_parts(self):
        self.gives("""local r = tiny.http.request { url = url .. "/a?b=c", headers = { ["X-Test"] = 1, Many = { "a", "b" }, Empty = "" } }
          show(r.status, r.body, r.headers["x-a"], r.headers["X-A"], r.url == url .. "/a?b=c", r.version)""",
                   "200 | GET /a?b=c 0 | b | b | true | 1.1")
        _method, _path, headers, _body = self.web.seen[0]
        self.assertEqual((headers["X-Test"], headers["Empty"]), ("1", ""))
        self.assertTrue(headers["User-Agent"].startswith("tiny/"))

    def test_methods_and_bodies(self):
        self.gives("""
          for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE" } do
            show(tiny.http.request({ url = url, method = method, body = "hello" }).body)
          end
          for _, method in ipairs { "POST", "PUT", "DELETE" } do show(tiny.http.request({ url = url, method = method }).body) end
          show(tiny.http.request({ url = url, body = "a\\0b" }).body)
          local r = tiny.http.request { url = url, method = "HEAD" }
          show(r.status, #r.body, r.headers["content-length"])""",
                   *(f"{method} / 5" for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE")),
                   "POST / 0", "PUT / 0", "DELETE / 0", "POST / 3", "200 | 0 | 8")
        self.assertEqual(self.web.seen[-2][3], b"a\0b")
        self.assertNotIn("Expect", self.web.seen[0][2])

    def test_any_status_is_an_answer(self):
        self.gives('local r = tiny.http.request { url = url .. "/missing" } show(r.status, r.body)', "404 | none")

    def test_redirects_are_followed_when_asked_for(self):
        self.gives("""
          local r = tiny.http.request { url = url .. "/redirect/2" }
          show(r.status, r.body, r.headers.location)
          r = tiny.http.request { url = url .. "/redirect/2", redirects = 2 }
          show(r.status, r.body, r.url == url .. "/end", r.headers.location)
          show(select(3, tiny.http.request { url = url .. "/redirect/3", redirects = 2 }))""",
                   "302 | elsewhere | /redirect/1", "200 | GET /end 0 | true | nil", "ELOOP")

    def test_what_redirects_make_of_a_method(self):
        self.gives("""local function go(method, status, body)
            show(tiny.http.request({ url = url .. "/move/" .. status, method = method, redirects = 1, body = body }).body)
          end
          go("POST", 302, "data") go("POST", 303, "data") go("POST", 307, "data") go("GET", 308)
          go("DELETE", 303) go("DELETE", 307) go("PUT", 303, "data") go("HEAD", 302) go("PATCH", 308, "data")""",
                   "GET /end 0", "GET /end 0", "POST /end 4", "GET /end 0", "GET /end 0", "DELETE /end 0", "GET /end 0", "", "PATCH /end 4")

    def test_compression_is_undone_when_asked_for(self):
        self.gives("""local r = tiny.http.request { url = url .. "/gzip", compressed = true }
          show(#r.body) show(#tiny.http.request({ url = url .. "/gzip" }).body < 100)""", "1000", "true")

    def test_connections_are_used_again_also_after_a_reload(self):
        server = self.run_lua('for _ = 1, 10 do tiny.http.request { url = url } end')
        self.assert_reloaded(server.project)
        self.assertEqual(len(self.web.seen), 20)
        self.assertEqual(len(self.web.peers), 1)

    def test_many_at_once(self):
        began = time.monotonic()
        self.gives("""
          local tasks = {}
          for i = 1, 50 do
            tasks[i] = tiny.go(function() return tiny.http.request({ url = url .. "/slow/0.5" }).body end)
          end
          local good = 0
          for _, task in ipairs(tasks) do if task:join() == "slow" then good = good + 1 end end
          show(good)""", "50")
        self.assertLess(time.monotonic() - began, 20)

    def test_arguments_are_checked(self):
        server = self.run_lua("""
          for _, bad in ipairs { {}, { url = 1 }, { url = url, body = 5 }, { url = url, bdy = "x" }, { url = url, timeout = "1" },
              { url = url, method = "G T" }, { url = url, headers = { ["A b"] = "c" } }, { url = url, headers = { A = "b\\r\\nC: d" } },
              { url = url, headers = { A = print } }, { url = url .. "/\\0" }, "x",
              { url = url, timeout = -1 }, { url = url, redirects = 0 / 0 } } do
            local ok, err = pcall(tiny.http.request, bad)
            self:info("raises %s %s", not ok, err)
          end
          local function call() tiny.http.request { url = 5 } end
          self:info("raises %s %s", not pcall(call), select(2, pcall(call)))""")
        server.wait_line("raises true", times=14)
        self.assertRegex(server.lines("raises true")[-1], r"main\.lua:\d+: tiny\.http\.request: url is a string")
        self.assertEqual(self.web.seen, [])


class Pieces(FetchCase):
    def test_a_body_from_a_function(self):
        self.gives("""
          local n = 0
          local function pieces()
            n = n + 1
            if n % 3 == 0 then tiny.sleep(0.01) end
            if n == 5 then return "" end
            return n <= 10 and ("x"):rep(10000) or nil
          end
          show(tiny.http.request({ url = url, method = "PUT", body = pieces }).body)
          show(pcall(tiny.http.request, { url = url, body = function() error("no more", 0) end }))""",
                   "PUT / 90000", "false | no more")

    def test_an_answer_in_pieces(self):
        self.gives("""local r = tiny.http.request { url = url .. "/drip", stream = true }
          local pieces, before = {}, tiny.now()
          for piece in function() return r:read() end do pieces[#pieces + 1] = piece end
          show(r.status, table.concat(pieces), #pieces > 1, tiny.now() - before > 0.1, select(3, r:read()))
          r:close() r:close()
          show(select(3, r:read()))""",
                   "200 | piece 0piece 1piece 2piece 3piece 4 | true | true | EOF", "ECANCELED")

    def test_a_large_answer_waits_to_be_read(self):
        server = self.gives("""local r = tiny.http.request { url = url .. "/large", stream = true }
          tiny.sleep(0.2)
          local size, sound = 0, true
          for piece in function() return r:read(12340) end do
            size = size + #piece
            sound = sound and #piece <= 12340
          end
          show(size, sound)""", "10000000 | true")
        self.assertLess(server.info()["rss_bytes"], 200e6)

    def test_one_that_is_too_large_is_an_error(self):
        self.gives('show(tiny.http.request { url = url .. "/large", max_body = 1000000 })',
                   "nil | the answer is larger than max_body | EMSGSIZE")

    def test_a_head_without_end_is_an_error(self):
        self.gives('show(tiny.http.request { url = url .. "/bomb", stream = true })', "nil | the answer's head is too large | EMSGSIZE")


class Failures(FetchCase):
    def test_what_goes_wrong_is_told(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            deaf = listener.getsockname()[1]
            server = self.run_lua(f"""
              for _, address in ipairs {{ "http://127.0.0.1:1/", "http://nosuchhost.invalid/", "ftp://127.0.0.1/", "http://[::1",
                  url .. "/cut", url .. "/nothing", "http://127.0.0.1:{deaf}/" }} do
                self:info("failed %s %s %s", tiny.http.request {{ url = address, timeout = 1 }})
              end""")
        server.wait_line("failed nil", times=7)
        self.assertEqual([line.split()[-1] for line in server.lines("failed nil")], [
            "ECONNREFUSED", "EAI_NONAME", "EINVAL", "EINVAL", "ECONNRESET", "ECONNRESET", "ETIMEDOUT"])

    def test_a_dead_name_server_does_not_hold_the_loop(self):
        # Whatever the resolver does with a name that nobody answers for: the loop goes on turning.
        server = self.start("""
          function S:on_start()
            self:add_timer("tick", tiny.PeriodTimer(function() self:count("ticks") end, 0.01))
            tiny.go(function()
              for i = 1, 5 do
                self:info("gone %s", select(3, tiny.http.request { url = "http://nosuchhost" .. i .. ".invalid/", timeout = 0.2 }))
              end
            end)
          end""")
        server.wait_line("gone ", times=5)
        wait_for(lambda: server.info()["app"]["ticks"] >= 5, "the timer to fire")
        self.assertLess(server.info()["loop_lag_ms"], 2000)

    def test_a_cancelled_task_lets_go_of_its_transfer(self):
        server = self.gives("""show(tiny.timeout(0.1, tiny.http.request, { url = url .. "/slow/30" }))
          local task = tiny.go(tiny.http.request, { url = url .. "/slow/30" })
          tiny.sleep(0.05)
          task:cancel()
          show(select(2, pcall(task.join, task)) == tiny.cancelled)""", "nil | timeout", "true")
        server.close()
        self.assert_closed(server)

    def test_closing_with_transfers_under_way(self):
        server = self.start(f"""function S:run() tiny.http.request {{ url = "{self.web.url}/slow/30" }} end""")
        wait_for(lambda: self.web.seen, "the request")
        server.close()
        self.assert_closed(server)


class Ways(FetchCase):
    def test_unix_sockets(self):
        project = self.project()
        path = project.dir / "web"
        server = self.start(f"""function S:on_start()
          assert(tiny.http.serve("unix:{path}", function(req) return 200, req.headers.host end))
          tiny.go(function() self:info("got %s", tiny.http.request({{ url = "http://any/", unix = "{path}" }}).body) end)
        end""")
        server.wait_line("got any")

    def test_no_proxy_unless_asked_for(self):
        os.environ["http_proxy"] = "http://127.0.0.1:1"
        self.addCleanup(os.environ.pop, "http_proxy")
        self.gives("""show(tiny.http.request({ url = url }).status)
          show(tiny.http.request({ url = "http://elsewhere.invalid/x", proxy = url }).body)""",
                   "200", "GET http://elsewhere.invalid/x 0")

    def test_tls_is_verified_unless_told_otherwise(self):
        folder = Path(tempfile.mkdtemp(prefix="tiny-"))
        self.addCleanup(shutil.rmtree, folder)
        cert, key = certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.web = self.peer(context)
        self.gives(f"""show(select(3, tiny.http.request {{ url = url }}))
          show(tiny.http.request({{ url = url, ca = {lua(str(cert))} }}).status)
          show(tiny.http.request({{ url = url, insecure = true }}).status)""", "EPROTO", "200", "200")


if __name__ == "__main__":
    unittest.main()
