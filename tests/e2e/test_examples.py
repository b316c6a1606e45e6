# SPDX-License-Identifier: MIT
"""The examples and the repository's own conf.lua, run as they stand in a copy of their folders."""
import http.client
import json
import shutil
import socket
import unittest

from tiny_server import ROOT, WAIT, ServerCase, wait_for


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

    def test_too_many_requests_are_put_off(self):
        self.edit(self.api, "conf.lua", '["api.rate"] = 50', '["api.rate"] = 0.1')
        self.edit(self.api, "conf.lua", '["api.burst"] = 100', '["api.burst"] = 3')
        self.assert_reloaded(self.api)
        self.assertEqual([self.ask("GET", "/notes")[0] for _ in range(5)], [200, 200, 200, 429, 429])


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
