# SPDX-License-Identifier: MIT
"""HTTP, TCP, UDP and TLS as other programs speak them: curl, wrk, ab, h2load, socat, nghttpd."""
import hashlib
import random
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from certificates import certificate
from tiny_server import WAIT, ServerCase, die_with_parent, free_port, lua, wait_for

SERVE = """
function S:on_start()
  local listener = assert(tiny.http.serve(self.conf["test.address"], function(req)
    if req.path == "/file" then return 200, { file = self.conf["test.file"] } end
    if req.path == "/wait" then tiny.sleep(0.001) end
    if req.path == "/back" then
      local out = req:stream(200, { ["Content-Type"] = "application/octet-stream" })
      if req.body then return out:write(req.body) end
      for piece in function() return (req:read()) end do assert(out:write(piece)) end
      return
    end
    return 200, "hello\\n"
  end))
  self:info("at %s.", listener:address())
end
"""


class PeerCase(ServerCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="tiny-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.file = self.dir / "large"
        self.file.write_bytes(random.Random(3).randbytes(5000000))

    def serve(self, body=SERVE, address="127.0.0.1:0"):
        server = self.start(body, {"test.address": address, "test.file": str(self.file)})
        self.address = re.search(r"at (\S+)\.$", server.wait_line("INFO at ")).group(1)
        self.url = f"http://{self.address}"
        return server

    def run_peer(self, *command, **options):
        done = subprocess.run(list(map(str, command)), capture_output=True, timeout=WAIT, check=False, **options)
        self.assertEqual(done.returncode, 0, (command, done.stdout[-500:], done.stderr[-2000:]))
        return done.stdout

    def begin_peer(self, *command):
        peer = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
        self.addCleanup(peer.stdout.close)
        self.addCleanup(peer.wait)
        self.addCleanup(peer.kill)
        return peer


class Curl(PeerCase):
    def curl(self, *arguments, **options):
        return self.run_peer("curl", "-sS", "--fail", *arguments, **options)

    def test_files_and_bodies_both_ways(self):
        self.serve()
        whole = self.file.read_bytes()
        self.assertEqual(self.curl(self.url + "/file"), whole)
        self.assertEqual(self.curl("--http1.0", self.url + "/file"), whole)
        for how in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"], ["--limit-rate", "20M"]):
            self.assertEqual(self.curl("-T", self.file, *how, self.url + "/back"), whole, how)
        self.assertEqual(self.curl("--data", "small", self.url + "/back"), b"small")

    def test_heads_times_and_many_on_one_connection(self):
        self.serve()
        head = self.curl("-I", self.url + "/file").decode()
        self.assertIn("\r\nContent-Length: 5000000\r\n", head)
        since = re.search(r"Last-Modified: (.*)\r", head)[1]
        self.assertIn(b" 304 ", self.curl("-i", "-H", f"If-Modified-Since: {since}", self.url + "/file"))
        text = self.curl("-w", "%{num_connects}|", *[self.url] * 5).decode()
        self.assertEqual(text, "hello\n1|" + "hello\n0|" * 4)

    def test_unix_sockets(self):
        path = self.dir / "socket"
        self.serve(address=f"unix:{path}")
        self.assertEqual(self.curl("--unix-socket", path, "http://any/"), b"hello\n")


class Load(PeerCase):
    def test_wrk_through_reloads(self):
        cert, key = certificate(self.dir)
        plain, tls = self.serve(), self.serve(SERVE.replace("end))", f"end, {{ tls = {lua({'cert': str(cert), 'key': str(key)})} }}))"))
        for server, path in ((plain, "/"), (plain, "/wait"), (tls, "/wait")):
            address = re.search(r"at (\S+)\.$", server.lines("INFO at ")[0]).group(1)
            peer = self.begin_peer("wrk", "-t1", "-c32", "-d2", f"{'https' if server is tls else 'http'}://{address}{path}")
            while peer.poll() is None:
                self.assert_reloaded(server.project)
            text = peer.stdout.read().decode()
            self.assertRegex(text, r"[1-9]\d* requests in")
            self.assertNotRegex(text, "Socket errors|Non-2xx")
            self.assertEqual(server.lines("ERROR"), [])

    def test_ab_with_and_without_keep_alive(self):
        self.serve()
        for keep in ([], ["-k"]):
            text = self.run_peer("ab", "-q", "-n", 2000, "-c", 20, *keep, self.url + "/").decode()
            self.assertRegex(text, r"Complete requests: +2000\nFailed requests: +0\n")
            self.assertEqual(bool(re.search(r"Keep-Alive requests: +2000", text)), bool(keep))

    def test_h2load_pipelines(self):
        self.serve()
        for depth in (1, 16):
            text = self.run_peer("h2load", "--h1", "-n", 3000, "-c", 10, "-m", depth, self.url + "/").decode()
            self.assertIn("3000 succeeded, 0 failed, 0 errored", text)


class Socat(PeerCase):
    ECHO = """function S:on_start()
      local listener = assert(tiny.tcp.listen(self.conf["test.address"], function(stream)
        for piece in function() return (stream:read()) end do assert(stream:write(piece)) end
        stream:close()
      end, {opts}))
      self:info("at %s.", listener:address())
    end"""

    def assert_echo(self, server, to):
        whole = self.file.read_bytes()
        back = self.run_peer("socat", "-t", WAIT, "-", to, input=whole)
        self.assertEqual(hashlib.sha256(back).digest(), hashlib.sha256(whole).digest())
        wait_for(lambda: server.info()["connections"] == 0, "the connection to be gone")

    def test_tcp_unix_and_tls(self):
        cert, key = certificate(self.dir)
        plain, tls = self.ECHO.replace("{opts}", "{}"), self.ECHO.replace("{opts}", lua({"tls": {"cert": str(cert), "key": str(key)}}))
        server = self.serve(plain)
        self.assert_echo(server, f"TCP:{self.address}")
        server = self.serve(plain, f"unix:{self.dir}/socket")
        self.assert_echo(server, f"UNIX-CONNECT:{self.dir}/socket")
        server = self.serve(tls)
        self.assert_echo(server, f"OPENSSL:{self.address},cafile={cert}")

    def test_udp(self):
        self.serve("""function S:on_start()
          local socket = assert(tiny.udp.bind(self.conf["test.address"]))
          self:info("at %s.", socket:address())
          tiny.go(function() while true do local data, from = socket:recv() socket:send(data, from) end end)
        end""")
        self.assertEqual(self.run_peer("socat", "-t", 1, "-", f"UDP:{self.address}", input=b"datagram"), b"datagram")

    def test_our_client_against_its_servers(self):
        cert, key = certificate(self.dir)
        both = self.dir / "both.pem"
        both.write_text(cert.read_text() + key.read_text())
        port = free_port()
        self.begin_peer("socat", f"OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,cert={both},verify=0", "EXEC:cat")
        server = self.start(f"""function S:on_start()
          tiny.go(function()
            local stream = assert(tiny.retry({{ times = 50, delay = 0.1, factor = 1 }}, function()
              return assert(tiny.tcp.connect("localhost:{port}", {{ tls = {{ ca = {lua(str(cert))} }} }})) end))
            local line = ("x"):rep(50000)
            tiny.go(function() for _ = 1, 20 do assert(stream:write(line, "\\n")) end end)
            for _ = 1, 20 do assert(stream:read("*l") == line) end
            stream:close()
            self:info("all came back")
          end)
        end""")
        server.wait_line("all came back")


class Http2(PeerCase):
    def test_our_client_speaks_it_where_the_server_does(self):
        cert, key = certificate(self.dir)
        (self.dir / "page").write_text("from nghttpd")
        port = free_port()
        self.begin_peer("nghttpd", "-d", self.dir, "--echo-upload", "-a", "127.0.0.1", port, key, cert)
        server = self.start(f"""function S:on_start()
          local function ask(options)
            options.ca = {lua(str(cert))}
            return assert(tiny.http.request(options))
          end
          tiny.go(function()
            local page = tiny.retry({{ times = 50, delay = 0.1, factor = 1 }}, ask, {{ url = "https://localhost:{port}/page" }})
            self:info("version %s, %d: %s.", page.version, page.status, page.body)
            local jobs = {{}}
            for i = 1, 20 do
              jobs[i] = function()
                local body, sent = ("%d,"):format(i):rep(30000), 0
                local function pieces()
                  if sent >= #body then return nil end
                  sent = sent + 10000
                  return body:sub(sent - 9999, sent)
                end
                return ask({{ url = "https://localhost:{port}/", body = i % 2 == 0 and body or pieces }}).body == body
              end
            end
            local good = 0
            for _, result in ipairs(tiny.parallel(jobs, 20)) do if result then good = good + 1 end end
            self:info("%d came back", good)
          end)
        end""")
        self.assertIn("version 2, 200: from nghttpd.", server.wait_line("version "))
        server.wait_line("20 came back")


if __name__ == "__main__":
    unittest.main()
