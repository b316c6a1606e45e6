# SPDX-License-Identifier: MIT
"""The examples and the repository's own conf.lua, run as they stand in a copy of their folders."""
import http.client
import json
import re
import shutil
import socket
import struct
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tiny_server import ROOT, WAIT, ServerCase, wait_for

try:
    import zmq
except ImportError:
    zmq = None


class Example(ServerCase):
    def copy(self, *names):
        """A project of copied files and folders."""
        project = self.project()
        for name in names:
            source, target = ROOT / name, project.dir / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.out", "*.pid", "*.sock", "*.run"))
            else:
                shutil.copy(source, target)
        return project

    def example(self, name):
        project = self.copy(f"examples/{name}")
        project.dir = project.dir / "examples" / name
        return project

    def edit(self, project, name, old, new):
        text = (project.dir / name).read_text()
        self.assertIn(old, text)
        project.write(name, text.replace(old, new))


class Counter(Example):
    def test_it_is_the_one_of_the_readme(self):
        code = (ROOT / "examples/counter/counter.lua").read_text()
        self.assertIn(f"```lua\n{code}```\n", (ROOT / "README.md").read_text())

    def test_it_counts_on_across_a_reload(self):
        project = self.example("counter")
        server = self.launch(project).wait_ready()
        self.edit(project, "conf.lua", '["counter.step"] = 1', '["counter.step"] = 1000')
        self.assert_reloaded(project)
        self.assertEqual(server.close(), 0)
        self.assertRegex(server.output(), r"run count = 100\d\b")

    def test_the_repositorys_conf_runs_it(self):
        project = self.copy("conf.lua", "examples/counter")
        self.edit(project, "conf.lua", '["svr.name"]', '["svr.monitor"] = false, ["svr.name"]')
        self.assertEqual(project.said("check"), (0, "ok\n"))
        server = self.launch(project).wait_ready()
        self.assert_reloaded(project)
        server.close()
        self.assert_closed(server)
        self.assertRegex(server.output(), r"run count = [12]\b")


class Echo(Example):
    def setUp(self):
        self.echo = self.example("echo")
        self.edit(self.echo, "conf.lua", "127.0.0.1:7007", "127.0.0.1:0")
        self.server = self.launch(self.echo).wait_ready()
        self.port = int(self.server.wait_line("listening on").rstrip().rsplit(":", 1)[1])

    def connect(self):
        peer = socket.create_connection(("127.0.0.1", self.port), WAIT)
        self.addCleanup(peer.close)
        return peer, peer.makefile("rb")

    def test_every_line_comes_back(self):
        peer, lines = self.connect()
        self.assertEqual(lines.readline(), b"hello\n")
        peer.sendall(b"one\r\ntwo\n\n")
        self.assertEqual([lines.readline() for _ in range(3)], [b"one\n", b"two\n", b"\n"])

    def test_connections_live_through_reloads(self):
        peers = [self.connect() for _ in range(10)]
        for peer, lines in peers:
            self.assertEqual(lines.readline(), b"hello\n")
        for round_ in range(5):
            self.edit(self.echo, "conf.lua", '"hello', f'"hello {round_}, not')
            for peer, _ in peers:
                peer.sendall(b"before\naft")
            self.assert_reloaded(self.echo)
            for peer, lines in peers:
                peer.sendall(b"er\n")
                self.assertEqual([lines.readline(), lines.readline()], [b"before\n", b"after\n"])
        self.assertIn(b"hello 4", self.connect()[1].readline())

    def test_too_long_a_line_is_told_and_ends_it(self):
        peer, lines = self.connect()
        peer.sendall(b"x" * 5000)
        self.assertEqual(lines.readlines()[1:], [b"too long\n"])

    def test_who_vanishes_at_once_leaves_nothing(self):
        for _ in range(50):
            peer = socket.create_connection(("127.0.0.1", self.port), WAIT)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
        wait_for(lambda: self.echo.said("eval", "return next(self.context.streams)")[1].strip() == "nil", "an end of them all")

    def test_who_says_nothing_is_left(self):
        self.edit(self.echo, "conf.lua", '["echo.idle"] = 300', '["echo.idle"] = 0.1')
        self.assert_reloaded(self.echo)
        _peer, lines = self.connect()
        self.assertEqual(lines.readlines(), [b"hello\n"])


class Api(Example):
    def setUp(self):
        self.api = self.example("api")
        self.edit(self.api, "conf.lua", "127.0.0.1:8080", "127.0.0.1:0")
        self.server = self.launch(self.api).wait_ready()
        self.port = int(self.server.wait_line("listening on").rstrip().rsplit(":", 1)[1])
        self.client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        self.addCleanup(self.client.close)

    def ask(self, method, path, value=None):
        self.client.request(method, path, None if value is None else json.dumps(value))
        response = self.client.getresponse()
        text = response.read()
        is_json = response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(text) if is_json else text.decode()

    def test_notes_are_added_listed_and_deleted(self):
        self.assertEqual(self.ask("GET", "/notes"), (200, []))
        self.assertEqual(self.ask("POST", "/notes", {"text": "milk"}), (201, {"id": 1, "text": "milk"}))
        self.assertEqual(self.ask("POST", "/notes", {"text": "ä\"\n"}), (201, {"id": 2, "text": "ä\"\n"}))
        self.assertEqual(self.ask("GET", "/notes/2"), (200, {"id": 2, "text": "ä\"\n"}))
        self.assertEqual(self.ask("DELETE", "/notes/1"), (204, ""))
        self.assertEqual(self.ask("GET", "/notes"), (200, [{"id": 2, "text": "ä\"\n"}]))

    def test_what_is_wrong_is_told(self):
        for method, path, value, status in (("POST", "/notes", {"no": "text"}, 400), ("POST", "/notes", "text", 400),
                                            ("POST", "/notes", None, 400), ("POST", "/notes", {"text": "x" * 2000}, 413),
                                            ("GET", "/notes/9", None, 404), ("GET", "/notes/x", None, 404),
                                            ("PUT", "/notes", None, 405), ("GET", "/", None, 404)):
            self.assertEqual(self.ask(method, path, value)[0], status, (method, path, value))

    def test_a_reload_keeps_the_notes_and_the_connection(self):
        self.ask("POST", "/notes", {"text": "milk"})
        sock = self.client.sock
        self.edit(self.api, "conf.lua", '["api.longest"] = 1000', '["api.longest"] = 3')
        self.assert_reloaded(self.api)
        self.assertEqual(self.ask("GET", "/notes/1"), (200, {"id": 1, "text": "milk"}))
        self.assertEqual(self.ask("POST", "/notes", {"text": "milk"})[0], 413)
        self.assertEqual(self.ask("GET", "/health"), (200, {"ok": True, "generation": 2}))
        self.assertIs(self.client.sock, sock)

    def test_there_is_an_end_to_the_notes(self):
        self.edit(self.api, "conf.lua", '["api.most"] = 10000', '["api.most"] = 2')
        self.assert_reloaded(self.api)
        self.assertEqual([self.ask("POST", "/notes", {"text": "milk"})[0] for _ in range(3)], [201, 201, 507])
        self.assertEqual(self.ask("DELETE", "/notes/1")[0], 204)
        self.assertEqual(self.ask("POST", "/notes", {"text": "milk"}), (201, {"id": 3, "text": "milk"}))

    def test_too_many_requests_are_put_off(self):
        self.edit(self.api, "conf.lua", '["api.rate"] = 50', '["api.rate"] = 0.1')
        self.edit(self.api, "conf.lua", '["api.burst"] = 100', '["api.burst"] = 3')
        self.assert_reloaded(self.api)
        self.assertEqual([self.ask("GET", "/notes")[0] for _ in range(5)], [200, 200, 200, 429, 429])


class Service(BaseHTTPRequestHandler):
    """Does what a job's body says, and keeps the bodies it has accepted."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        what, _, times = body.partition(b" ")
        server = self.server
        with server.lock:
            server.attempts[body] = server.attempts.get(body, 0) + 1
            early = server.attempts[body] <= int(times or 0)
        if what == b"hang":
            time.sleep(1)
        if what == b"drop" and early:
            self.close_connection = True
            return
        status = {b"refuse": 400, b"busy": 429, b"broken": 500}.get(what, 200) if early or not times else 200
        self.answer(status, b"did " + body)

    def do_GET(self):
        self.answer(200, self.server.page)

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class WithService(Example):
    def serve(self):
        """An HTTP server; its address."""
        self.service = ThreadingHTTPServer(("127.0.0.1", 0), Service)
        self.service.lock, self.service.attempts = threading.Lock(), {}
        self.service.daemon_threads = True
        self.service.handle_error = lambda *_: None  # who gave up an answer is gone
        thread = threading.Thread(target=self.service.serve_forever)
        thread.start()
        self.addCleanup(self.service.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.service.shutdown)
        return f"127.0.0.1:{self.service.server_address[1]}"


@unittest.skipUnless(zmq, "pyzmq is not installed")
class Worker(WithService):
    def setUp(self):
        self.worker = self.example("worker")
        self.edit(self.worker, "conf.lua", "127.0.0.1:8081", self.serve())
        for port in ("5600", "5601"):
            self.edit(self.worker, "conf.lua", f"127.0.0.1:{port}", "127.0.0.1:*")
        self.edit(self.worker, "conf.lua", '["worker.timeout"] = 5', '["worker.timeout"] = 0.5')
        self.edit(self.worker, "conf.lua", '["worker.delay"] = 0.2', '["worker.delay"] = 0.01')
        self.context = zmq.Context()
        self.addCleanup(self.context.destroy, linger=0)
        self.server = self.launch(self.worker).wait_ready()
        jobs, results = re.search(r"jobs from (\S+), results to (\S+)", self.server.wait_line("jobs from")).groups()
        self.jobs, self.results = self.peer(zmq.PUSH, jobs), self.peer(zmq.PULL, results)

    def peer(self, kind, endpoint):
        peer = self.context.socket(kind)
        peer.rcvtimeo = peer.sndtimeo = WAIT * 1000
        peer.connect(endpoint)
        return peer

    def do(self, *bodies):
        """The results of jobs by their bodies."""
        for number, body in enumerate(bodies):
            self.jobs.send_multipart([b"%d" % number, body])
        results = dict((parts[0], parts[1:]) for parts in (self.results.recv_multipart() for _ in bodies))
        return [results[b"%d" % number] for number in range(len(bodies))]

    def test_jobs_are_posted_and_tried_again(self):
        bodies = [b"plain", b"refuse", b"busy 2", b"broken 3", b"drop 1"]
        self.assertEqual(self.do(*bodies), [[b"refused" if body == b"refuse" else b"done",
                                             b"400" if body == b"refuse" else b"200", b"did " + body] for body in bodies])
        self.assertEqual(self.service.attempts, {b"plain": 1, b"refuse": 1, b"busy 2": 3, b"broken 3": 4, b"drop 1": 2})
        self.assertEqual(len(self.server.lines(", attempt ")), 6)

    def test_what_fails_for_good_is_told_and_the_next_one_done(self):
        self.assertEqual(self.do(b"broken", b"plain"), [[b"failed", b"", b"status 500"], [b"done", b"200", b"did plain"]])
        self.assertEqual(self.service.attempts[b"broken"], 6)

    def test_a_service_that_hangs_is_given_up_in_time(self):
        self.edit(self.worker, "conf.lua", '["worker.timeout"] = 0.5', '["worker.timeout"] = 0.25')
        self.edit(self.worker, "conf.lua", '["worker.attempts"] = 6', '["worker.attempts"] = 2')
        self.assert_reloaded(self.worker)
        outcome = self.do(b"hang", b"plain")
        self.assertEqual(outcome[0][0], b"failed")
        self.assertEqual(outcome[1][0], b"done")

    def test_what_is_no_job_is_told_and_survived(self):
        self.jobs.send(b"alone")
        self.assertEqual(self.do(b"plain"), [[b"done", b"200", b"did plain"]])
        self.server.wait_line("a job has two parts")

    def test_no_job_is_lost_by_reloads(self):
        count, done = 600, {}

        def push():
            for number in range(count):
                self.jobs.send_multipart([b"%d" % number, b"%s %d" % (b"broken" if number % 10 == 0 else b"job", number % 3)])

        thread = threading.Thread(target=push)
        thread.start()
        for _ in range(5):
            self.assert_reloaded(self.worker)
            for _ in range(count // 6):
                parts = self.results.recv_multipart()
                done[parts[0]] = parts[1]
        while len(done) < count:
            parts = self.results.recv_multipart()
            done[parts[0]] = parts[1]
        thread.join()
        self.assertEqual(done, {b"%d" % number: b"done" for number in range(count)})

    def test_closing_finishes_the_jobs_in_hand(self):
        self.jobs.send_multipart([b"1", b"broken 5"])
        wait_for(lambda: self.service.attempts, "the first attempt")
        self.server.close()
        self.assert_closed(self.server)
        self.assertEqual(self.results.recv_multipart()[:2], [b"1", b"done"])


class Links(WithService):
    def setUp(self):
        self.links = self.example("links")
        self.edit(self.links, "conf.lua", "https://example.com/", f"http://{self.serve()}/")
        self.edit(self.links, "conf.lua", '["links.period"] = 60', '["links.period"] = 0.1')
        self.service.page = b'<a href="1">one</a> <A class="x" HREF=2>two</A> <abbr href="3"> <a name="4"> <a\nhref="5">'
        self.server = self.launch(self.links).wait_ready()

    def lines(self):
        path = self.links.dir / "links.out"
        return path.read_text().splitlines() if path.exists() else []

    def test_links_are_counted_again_and_again(self):
        wait_for(lambda: len(self.lines()) >= 3, "three lines")
        self.assertRegex(self.lines()[0], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  3  http://127\.0\.0\.1:\d+/$")
        self.service.page = b"none"
        wait_for(lambda: "  0  http" in self.lines()[-1], "a line without links")

    def test_a_page_that_is_away_is_told_and_survived(self):
        wait_for(self.lines, "a line")
        self.edit(self.links, "conf.lua", "http://", "http://127.0.0.1:1/")
        self.assert_reloaded(self.links)
        self.server.wait_line("<WARN: links")
        self.edit(self.links, "conf.lua", "http://127.0.0.1:1/", "http://")
        before = len(self.lines())
        self.assert_reloaded(self.links)
        wait_for(lambda: len(self.lines()) > before, "the next line")


class Filter(Example):
    def setUp(self):
        self.filter = self.example("filter")
        self.edit(self.filter, "conf.lua", '["filter.span"] = 1', '["filter.span"] = 0.1')
        self.server = self.launch(self.filter).wait_ready()
        self.wait_for_output(lambda text: text)

    def wait_for_output(self, wanted):
        path = self.filter.dir / "output.out"
        return wait_for(lambda: path.exists() and wanted(path.read_text()) and path.read_text(), "the output")

    def test_the_output_is_the_input_without_addresses(self):
        self.assertEqual((self.filter.dir / "output.out").read_text(), (
            "10:02 <address> asked for a copy of invoice 1277\n"
            "10:05 the printer on floor 3 is out of paper\n"
            "10:09 sent to <address> and to <address>\n"))

    def test_an_edited_conf_shows_in_the_next_output(self):
        self.edit(self.filter, "conf.lua", "<address>", "[hidden]")
        self.assert_reloaded(self.filter)
        self.wait_for_output(lambda text: "sent to [hidden] and to [hidden]" in text)

    def test_an_edited_helper_shows_in_the_next_output(self):
        self.edit(self.filter, "rewrite.lua", "return (line:gsub", "return (line:upper():gsub")
        self.assert_reloaded(self.filter)
        self.wait_for_output(lambda text: "THE PRINTER ON FLOOR 3" in text)

    def test_a_broken_helper_is_refused_and_the_output_goes_on(self):
        self.edit(self.filter, "rewrite.lua", "return (line", "return = (line")
        self.assert_refused(self.filter, "rewrite.lua:4:", 1)
        self.filter.write("input.txt", "still here\n")
        self.wait_for_output(lambda text: text == "still here\n")

    def test_a_missing_input_is_told_and_survived(self):
        (self.filter.dir / "input.txt").unlink()
        self.server.wait_line("this pass failed")
        self.filter.write("input.txt", "back again\n")
        self.wait_for_output(lambda text: text == "back again\n")


if __name__ == "__main__":
    unittest.main()
