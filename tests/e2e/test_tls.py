# SPDX-License-Identifier: MIT
"""TLS of listeners and connections, with Python's ssl, curl and openssl for peers."""
import http.client
import random
import re
import select
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from certificates import certificate
from tiny_server import WAIT, ServerCase, lua, wait_for

HANDLER = """
  if req.path == "/file" then return 200, { file = self.conf["test.file"] } end
  if req.path == "/wait" then
    self:info("waits")
    local ok, err = pcall(tiny.sleep, 60)
    self:info("cancelled %s", err == tiny.cancelled)
  end
  if req.path == "/cut" then
    local out = req:stream() out:write("half of it") tiny.sleep(0.05) error("an accident")
  end
  if req.path == "/stream" then
    local out = req:stream() for i = 1, 300 do assert(out:write(("%d,"):format(i):rep(100))) end return
  end
  if req.path == "/read" then
    local size = 0
    for piece in function() return (req:read()) end do size = size + #piece end
    return 200, tostring(size)
  end
  return 200, req.body ~= "" and req.body or "hello " .. self.generation
"""


def begin_of_handshake():
    """What a client says first."""
    out = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    try:
        context.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


class TlsCase(ServerCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tiny-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.cert, self.key = certificate(self.folder)

    def tls(self, **more):
        return lua({"cert": str(self.cert), "key": str(self.key), **more})

    def serve(self, opts="", tls=None):
        large = self.folder / "large"
        large.write_bytes(random.Random(1).randbytes(3000000))
        server = self.start(f"""function S:on_start()
          local listener = assert(tiny.http.serve(self.conf["test.address"], function(req) {HANDLER} end,
            {{ tls = {tls or self.tls()}, {opts} }}))
          self:info("at %s.", listener:address())
        end""", {"test.address": "127.0.0.1:0", "test.file": str(large)})
        self.large = large.read_bytes()
        self.port = int(re.search(r":(\d+)\.$", server.wait_line("INFO at ")).group(1))
        return server

    def context(self, trusted=None, own=None):
        context = ssl.create_default_context(cafile=trusted or self.cert)
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        if own:
            context.load_cert_chain(*own)
        return context

    def client(self, **options):
        client = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=WAIT, context=self.context(**options))
        self.addCleanup(client.close)
        return client

    def ask(self, path="/", body=None, client=None, **options):
        own = client or self.client(**options)
        own.request("POST" if body else "GET", path, body)
        answer = own.getresponse().read()
        if not client:
            own.close()
        return answer

    def connect(self, **options):
        """A connection whose unannounced end is an error."""
        plain = socket.create_connection(("127.0.0.1", self.port), WAIT)
        peer = self.context(**options).wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)
        self.addCleanup(peer.close)
        return peer

    def assert_idle(self, server):
        wait_for(lambda: server.info()["connections"] == 0, "all connections to be gone")


class Https(TlsCase):
    def test_all_kinds_of_answers(self):
        server = self.serve()
        client = self.client()
        self.assertEqual(self.ask(client=client), b"hello 1")
        self.assertEqual(self.ask("/file", client=client), self.large)
        self.assertEqual(self.ask(body=self.large[:900000], client=client), self.large[:900000])
        self.assertEqual(self.ask("/read", body=self.large, client=client), b"3000000")
        self.assertEqual(self.ask("/stream", client=client), b"".join(b"%d," % i * 100 for i in range(1, 301)))
        client.close()
        self.assert_idle(server)

    def test_curl_and_openssl_are_content(self):
        self.serve()
        url = f"https://localhost:{self.port}"
        curl = ["curl", "-sS", "--fail", "--cacert", self.cert]
        self.assertEqual(subprocess.run([*curl, f"{url}/file"], capture_output=True, check=True, timeout=WAIT).stdout, self.large)
        self.assertEqual(subprocess.run([*curl, "--http1.0", f"{url}/stream"], capture_output=True, check=True, timeout=WAIT).stdout[-4:], b"300,")
        for version in ("-tls1_2", "-tls1_3"):
            done = subprocess.run(["openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", self.cert, version,
                                   "-connect", f"127.0.0.1:{self.port}"], input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True,
                                  check=False, timeout=WAIT)
            self.assertIn(b"hello 1", done.stdout, done.stderr)

    def test_pipelined_requests_in_one_record(self):
        self.serve()
        peer = self.connect()
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 50 + b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while part := peer.recv(65536):
            answer += part
        self.assertEqual(answer.count(b"hello 1"), 51)

    def test_a_client_that_reads_slowly_gets_all(self):
        self.serve()
        peer = self.connect()
        peer.sendall(b"GET /file HTTP/1.0\r\n\r\n")
        time.sleep(0.3)
        answer = b""
        while part := peer.recv(20000):
            answer += part
        self.assertEqual(answer.split(b"\r\n\r\n", 1)[1], self.large)

    def test_an_answer_that_is_cut_short_has_no_proper_end(self):
        self.serve()
        peer = self.connect()
        peer.sendall(b"GET /cut HTTP/1.0\r\n\r\n")
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            while peer.recv(65536):
                pass

    def test_old_protocols_are_refused(self):
        self.serve()
        context = self.context()
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", self.port), WAIT) as plain:
            self.assertRaises((ssl.SSLError, ConnectionResetError), context.wrap_socket, plain, server_hostname="localhost")

    def test_a_client_that_leaves_is_noticed(self):
        server = self.serve('on_disconnect = "cancel"')
        peer = self.connect()
        peer.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        server.wait_line("waits")
        peer.close()
        server.wait_line("cancelled true")
        self.assert_idle(server)

    def test_our_own_client_asks_our_own_server(self):
        cert = lua(str(self.cert))
        server = self.start(f"""function S:on_start()
          local listener = assert(tiny.http.serve("127.0.0.1:0", function(req) return 200, req.body end, {{ tls = {self.tls()} }}))
          tiny.go(function()
            local body = ("0123456789"):rep(50000)
            local answer = assert(tiny.http.request {{ url = "https://" .. listener:address(), ca = {cert}, body = body }})
            self:info("came back %s", answer.body == body)
          end)
        end""")
        server.wait_line("came back true")


class Clients(TlsCase):
    def test_only_those_who_are_vouched_for(self):
        ours, other = certificate(self.folder, "ours"), certificate(self.folder, "other")
        server = self.serve(tls=self.tls(ca=str(ours[0])))
        self.assertEqual(self.ask(own=ours), b"hello 1")
        for own in (None, other):
            with self.assertRaises((ssl.SSLError, ConnectionResetError, http.client.RemoteDisconnected)):
                self.ask(own=own)
        self.assertEqual(server.lines("ERROR"), [])


class Renewal(TlsCase):
    def peer_cert(self):
        return ssl.get_server_certificate(("127.0.0.1", self.port), timeout=WAIT)

    def test_a_reload_brings_the_new_certificate_and_keeps_connections(self):
        server = self.serve()
        old = self.client()
        self.assertEqual(self.ask(client=old), b"hello 1")
        before = self.peer_cert()
        certificate(self.folder)
        self.assertEqual(self.peer_cert(), before)
        self.assert_reloaded(server.project)
        self.assertNotEqual(self.peer_cert(), before)
        self.assertEqual(self.ask(client=old), b"hello 2")
        self.assertEqual(self.ask(), b"hello 2")

    def test_a_broken_certificate_refuses_the_reload(self):
        server = self.serve()
        before = self.peer_cert()
        for text, reason in (("nonsense", "no start line"), (self.key.read_text(), "no start line"), (None, "No such file")):
            self.cert.unlink()
            if text:
                self.cert.write_text(text)
            self.assert_refused(server.project, reason, 1)
            self.assertEqual(self.peer_cert(), before)
            self.cert.write_text(before)
        self.assertEqual(self.ask(), b"hello 1")
        self.assertEqual(len(server.lines("what was read before stays in force")), 3)

    def test_what_cannot_be_used_is_told(self):
        other = certificate(self.folder, "other")[1]
        locked = self.folder / "locked.pem"
        subprocess.run(["openssl", "ec", "-in", self.key, "-aes128", "-passout", "pass:x", "-out", locked], check=True, capture_output=True)
        server = self.start(f"""function S:on_start()
          local function try(tls) self:info("%s", table.concat({{ tostring(tiny.http.serve("127.0.0.1:0", print, {{ tls = tls }})),
            select(2, tiny.http.serve("127.0.0.1:0", print, {{ tls = tls }})) }}, " ")) end
          try {self.tls(key=str(other))} try {self.tls(key=str(locked))} try {self.tls(ca="/nowhere")}
          for _, tls in ipairs {{ true, {{}}, {{ cert = "x" }}, {{ cert = "x", key = "y", chain = "z" }}, {{ cert = 1, key = "y" }} }} do
            self:info("%s %s", pcall(tiny.http.serve, "127.0.0.1:0", print, {{ tls = tls }}))
          end
          self:info("%s %s", pcall(tiny.tcp.connect, "unix:x", {{ tls = {{}} }}))
        end""")
        server.wait_line("INFO nil ", times=3)
        for line, text in zip(server.lines("INFO nil "), ("key values mismatch", "locked.pem: ", "/nowhere: No such file")):
            self.assertIn(text, line)
        server.wait_line("INFO false", times=6)
        for line, text in zip(server.lines("INFO false"), ("a table is expected", "cert is missing", "belong together",
                                                           "unknown option chain", "cert is a string", "name is missing")):
            self.assertIn(text, line)


class Streams(TlsCase):
    ECHO = """function S:on_start()
      local listener = assert(tiny.tcp.listen("127.0.0.1:0", function(stream)
        for line in stream:lines() do stream:write(line, "\\n") end
        stream:write("bye\\n")
        stream:close()
      end, {{ tls = {tls} }}))
      self:info("at %s.", listener:address())
      local function connect(tls) return tiny.tcp.connect(listener:address(), {{ tls = tls }}) end
      tiny.go(function() {code} end)
    end"""

    def echo(self, code=""):
        server = self.start(self.ECHO.format(tls=self.tls(), code=code))
        self.port = int(re.search(r":(\d+)\.$", server.wait_line("INFO at ")).group(1))
        return server

    def test_both_ways(self):
        server = self.echo(f"""
          local stream = assert(connect {{ ca = {lua(str(self.cert))} }})
          local line = ("x"):rep(60000)
          tiny.go(function() for _ = 1, 50 do assert(stream:write(line, "\\n")) end stream:shutdown() end)
          local count = 0
          for got in stream:lines() do count = count + #got end
          self:info("%d bytes", count)
          stream:close()""")
        server.wait_line("3000003 bytes")
        self.assert_idle(server)

    def test_one_in_the_context_lives_through_reloads(self):
        server = self.start(f"""function S:on_start()
          local listener = assert(tiny.tcp.listen(self.conf["test.address"], function(stream) self.context.stream = stream end,
            {{ tls = {self.tls()} }}))
          self:info("at %s.", listener:address())
          if not self.context.stream then return end
          tiny.go(function()
            for line in self.context.stream:lines() do self.context.stream:write(self.generation, " ", line, "\\n") end
          end)
        end""", {"test.address": "127.0.0.1:0"})
        self.port = int(re.search(r":(\d+)\.$", server.wait_line("INFO at ")).group(1))
        lines = self.connect()
        for generation in range(2, 6):
            lines.sendall(b"half a ")
            self.assert_reloaded(server.project)
            lines.sendall(b"line\n")
            expected = b"%d half a line\n" % generation
            got = b""
            while len(got) < len(expected):
                got += lines.recv(100)
            self.assertEqual(got, expected)

    def test_a_peer_is_who_it_says_or_it_is_an_error(self):
        cert = lua(str(self.cert))
        server = self.echo(f"""
          local function try(tls) local stream, why, name = connect(tls) self:info("got %s %s", name or "ok", why) if stream then stream:close() end end
          try {{}} try {{ ca = {cert} }} try {{ ca = {cert}, name = "elsewhere.test" }} try {{ ca = {cert}, name = "localhost" }} try {{ insecure = true }}""")
        server.wait_line("INFO got ", times=5)
        got = server.lines("INFO got ")
        for line, text in zip(got, ("EPROTO 127.0.0.1:%d: self-signed certificate" % self.port, "ok", "EPROTO", "ok", "ok")):
            self.assertIn(text, line)
        self.assertIn("hostname mismatch", got[2])

    def test_a_peer_that_is_silent_or_talks_otherwise(self):
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        server = self.start(f"""function S:on_start()
          local plain = assert(tiny.tcp.listen("127.0.0.1:0", function(stream) stream:write("220 hello\\r\\n") stream:close() end))
          tiny.go(function()
            self:info("got %s", select(3, tiny.tcp.connect("127.0.0.1:{silent.getsockname()[1]}", {{ timeout = 0.2, tls = {{}} }})))
            self:info("got %s", select(3, tiny.tcp.connect(plain:address(), {{ tls = {{}} }})))
          end)
        end""")
        server.wait_line("got EPROTO")
        self.assertEqual(len(server.lines("got ETIMEDOUT")), 1)
        self.assert_idle(server)

    def test_what_comes_with_the_end_of_the_handshake_is_read(self):
        self.echo()
        plain = socket.create_connection(("127.0.0.1", self.port), WAIT)
        self.addCleanup(plain.close)
        came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        peer = self.context().wrap_bio(came, goes, server_hostname="localhost")
        while True:
            try:
                peer.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(goes.read())
                came.write(plain.recv(65536))
        peer.write(b"at once\n")
        plain.sendall(goes.read())  # the last of the handshake, and the line
        while True:
            try:
                self.assertEqual(peer.read(100), b"at once\n")
                break
            except ssl.SSLWantReadError:
                came.write(plain.recv(65536))

    def test_a_handler_sees_only_those_who_have_shaken_hands(self):
        server = self.start(f"""function S:on_start()
          local listener = assert(tiny.tcp.listen("127.0.0.1:0", function(stream)
            self:info("handled") stream:write("hello") stream:close()
          end, {{ tls = {self.tls()}, timeout = 0.5 }}))
          self:info("at %s.", listener:address())
        end""")
        self.port = int(re.search(r":(\d+)\.$", server.wait_line("INFO at ")).group(1))
        for text in (b"", b"rubbish\r\n\r\n" * 10, begin_of_handshake()[:50]):
            with socket.create_connection(("127.0.0.1", self.port), WAIT) as peer:
                peer.sendall(text)
                while peer.recv(1000):  # perhaps an alert, then the end
                    pass
        self.assertEqual(server.lines("handled"), [])
        self.assertEqual(self.connect().recv(100), b"hello")
        self.assert_idle(server)

    def test_an_end_that_nobody_announced_is_an_error(self):
        server = self.start(f"""function S:on_start()
          local listener = assert(tiny.tcp.listen("127.0.0.1:0", function(stream)
            self:info("read %s", stream:read("*l"))
            self:info("then %s", select(3, stream:read()))
            stream:close()
          end, {{ tls = {self.tls()} }}))
          self:info("at %s.", listener:address())
        end""")
        self.port = int(re.search(r":(\d+)\.$", server.wait_line("INFO at ")).group(1))
        for announce in (False, True):
            peer = self.connect()
            peer.sendall(b"line\n")
            server.wait_line("read line", times=1 + announce)
            if announce:
                peer.unwrap()
            socket.socket(fileno=peer.detach()).close()
        server.wait_line("then EOF")
        self.assertEqual(len(server.lines("then ECONNRESET")), 1)

    def test_a_write_that_timed_out_ends_the_writing(self):
        server = self.start(f"""function S:on_start()
          local listener = assert(tiny.tcp.listen("127.0.0.1:0", function(stream)
            local data = ("x"):rep(1e6)
            repeat local ok, _, name = stream:write(data) until not ok and self:info("wrote %s", name) == nil
            self:info("then %s", select(3, stream:write("y")))
          end, {{ tls = {self.tls()}, timeout = 0.2 }}))
          self:info("at %s.", listener:address())
        end""")
        self.port = int(re.search(r":(\d+)\.$", server.wait_line("INFO at ")).group(1))
        self.connect()
        server.wait_line("wrote ETIMEDOUT")
        server.wait_line("then EPIPE")


class Abuse(TlsCase):
    def assert_sound(self, server):
        self.assertEqual(self.ask(), b"hello 1")
        self.assert_idle(server)
        self.assertEqual(server.lines("ERROR"), [])

    def test_clients_that_vanish_at_every_byte_of_the_handshake(self):
        server = self.serve()
        hello = begin_of_handshake()
        for size in range(0, len(hello) + 1, 3):
            for reset in (False, True):
                peer = socket.create_connection(("127.0.0.1", self.port), WAIT)
                peer.sendall(hello[:size])
                if reset:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.close()
        self.assert_sound(server)

    def test_rubbish_and_flipped_bytes(self):
        server = self.serve()
        hello, dice = begin_of_handshake(), random.Random(2)
        for round_ in range(80):
            data = bytearray(hello if round_ % 2 else dice.randbytes(2000))
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            with socket.create_connection(("127.0.0.1", self.port), WAIT) as peer:
                peer.sendall(data if round_ else b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                peer.shutdown(socket.SHUT_WR)
                try:
                    while peer.recv(65536):
                        pass
                except ConnectionResetError:
                    pass
        self.assert_sound(server)

    def test_a_handshake_that_does_not_come(self):
        server = self.serve("head_timeout = 0.3")
        peers = [socket.create_connection(("127.0.0.1", self.port), WAIT) for _ in range(3)]
        peers[1].sendall(begin_of_handshake()[:100])
        peers[2].sendall(begin_of_handshake())
        for peer in peers:
            while select.select([peer], [], [], WAIT)[0] and peer.recv(65536):
                pass
            peer.close()
        self.assert_sound(server)


if __name__ == "__main__":
    unittest.main()
