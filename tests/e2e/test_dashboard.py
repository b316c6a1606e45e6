# SPDX-License-Identifier: MIT
"""The dashboard example: what it knows of the servers, and what it logs of them."""
import http.client
import json
import signal
import socket
import unittest
import urllib.error
import urllib.request

import zmq

from dashboard_case import DashboardCase
from etcd_nodes import Etcd, needs_etcd
from tiny_server import WAIT, wait_for


class Api(DashboardCase):
    def test_all_that_is_known_is_told(self):
        one = self.watched("one", conf={"db.password": "hunter2"})
        dashboard = self.dashboard(one.endpoints[0], "tcp://127.0.0.1:1")
        server = self.wait_known(dashboard, "one")
        self.assertEqual((server["feed"], server["state"], server["mood"]), (one.endpoints[0], "running", "fine"))
        self.assertEqual((server["info"]["pid"], server["conf"]["db.password"]), (one.pid, "***"))
        self.assertEqual(len(server["history"]["lag"]), len(server["history"]["heap"]))
        self.assertEqual(self.known(dashboard)["tcp://127.0.0.1:1"]["state"], "waiting")

    def test_what_it_knows_outlives_its_own_reload(self):
        one = self.watched("one")
        dashboard = self.dashboard(one.endpoints[0])
        before = self.wait_known(dashboard, "one")
        self.assert_reloaded(dashboard.project)
        after = self.known(dashboard)["one"]
        self.assertEqual(after["history"]["heap"][:len(before["history"]["heap"]) - 1],
                         before["history"]["heap"][:-1])
        uptime = after["info"]["uptime"]
        self.wait_known(dashboard, "one", lambda server: server["info"]["uptime"] > uptime)

    def test_feeds_are_taken_over_by_a_reload(self):
        one, other = self.watched("one"), self.watched("other")
        dashboard = self.dashboard(one.endpoints[0])
        self.wait_known(dashboard, "one")
        conf = (dashboard.project.dir / "conf.lua").read_text()
        dashboard.project.write("conf.lua", conf.replace(one.endpoints[0], other.endpoints[0]))
        self.assert_reloaded(dashboard.project)
        self.wait_known(dashboard, "other")
        self.assertNotIn("one", self.known(dashboard))

    def test_servers_of_the_same_name_are_told_apart_by_their_feeds(self):
        feeds = [self.watched("one").endpoints[0] for _ in range(2)]
        dashboard = self.dashboard(*feeds)
        wait_for(lambda: "waiting" not in self.get(dashboard, "/api/servers")[0], "both")
        servers = json.loads(self.get(dashboard, "/api/servers")[0])
        self.assertEqual(sorted(server["feed"] for server in servers), sorted(feeds))

    def test_a_feed_with_curve_is_followed(self):
        (public, secret), own = (tuple(key.decode() for key in zmq.curve_keypair()) for _ in range(2))
        one = self.watched("one", conf={"svr.monitor.curve": {"secret_key": secret, "clients": [own[0]]}})
        dashboard = self.dashboard({"endpoint": one.endpoints[0], "server_key": public},
                                   curve={"public_key": own[0], "secret_key": own[1]})
        self.wait_known(dashboard, "one")
        self.assert_reloaded(dashboard.project)
        uptime = self.known(dashboard)["one"]["info"]["uptime"]
        self.wait_known(dashboard, "one", lambda server: server["info"]["uptime"] > uptime)

    def test_a_key_without_our_own_is_told_at_the_start(self):
        server = self.launch(self.copy({"endpoint": "tcp://127.0.0.1:1", "server_key": "x" * 40}))
        self.assertEqual(server.exit_code(), 1)
        self.assertIn("dashboard.curve is missing", server.output())

    @needs_etcd
    def test_members_of_a_cluster_are_told(self):
        with Etcd() as etcd:
            conf = {"svr.cluster.etcd": etcd.urls, "svr.cluster.name": "shop", "svr.cluster.ttl": 10}
            one, other = self.watched("one", conf=conf), self.watched("other", conf=conf)
            dashboard = self.dashboard(one.endpoints[0], other.endpoints[0])
            known = [self.wait_known(dashboard, name, self.is_settled) for name in ("one", "other")]
        active, standby = sorted(known, key=lambda server: server["info"]["role"])
        self.assertEqual((active["cluster"], active["info"]["role"], active["state"]), ("shop", "active", "running"))
        self.assertEqual((standby["cluster"], standby["info"]["role"], standby["mood"]), ("shop", "standby", "fine"))
        self.assertGreater(active["info"]["token"], 0)
        self.assertEqual({(member["name"], member["pid"], member["role"]) for member in active["info"]["members"]},
                         {(server["info"]["name"], server["info"]["pid"], server["info"]["role"]) for server in known})

    def is_settled(self, server):
        """It knows both members, one of them active, and is what its role says."""
        info = server["info"]
        roles = sorted(member["role"] for member in info["members"] or [])
        return roles == ["active", "standby"] and info["state"] == {"active": "running"}.get(info["role"], "standby")

    def test_the_metrics_are_told(self):
        one = self.watched("one")
        dashboard = self.dashboard(one.endpoints[0])
        self.wait_known(dashboard, "one")
        text, headers = self.get(dashboard, "/metrics")
        self.assertTrue(headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        for line in (rf'tiny_up{{name="one",host="[^"]+",feed="{one.endpoints[0]}"}} 1', r'tiny_generation{[^}]*} 1',
                     r'tiny_app{[^}]*figure="jobs"} 2', r'tiny_resident_memory_bytes{[^}]*} \d{6,}'):
            self.assertRegex(text, "(?m)^" + line + "$")

    def test_what_is_not_there_is_not_found(self):
        dashboard = self.dashboard()
        for path in ("/nothing", "/conf.lua", "/../conf.lua", "/%2e%2e/conf.lua", "/page/index.html"):
            with self.assertRaises(urllib.error.HTTPError) as error:
                self.get(dashboard, path)
            self.assertEqual(error.exception.code, 404, path)
            error.exception.close()

    def test_nothing_can_be_changed(self):
        connection = http.client.HTTPConnection(self.dashboard().url.removeprefix("http://"), timeout=WAIT)
        self.addCleanup(connection.close)
        for path in ("/", "/api/servers", "/metrics", "/events"):
            connection.request("POST", path, "x")
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, 405, path)

    def test_nothing_that_a_page_shows_can_become_a_script(self):
        dashboard = self.dashboard()
        for path in ("/", "/dashboard.js", "/dashboard.css", "/api/servers"):
            headers = self.get(dashboard, path)[1]
            self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
            self.assertNotIn("unsafe", headers["Content-Security-Policy"])
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")

    def test_with_no_server_the_list_is_empty(self):
        dashboard = self.dashboard()
        self.assertEqual(self.get(dashboard, "/api/servers")[0], "[]")

    def test_what_is_no_message_does_no_harm(self):
        publisher, one = self.publisher(), self.watched("one")
        dashboard = self.dashboard(publisher.endpoint, one.endpoints[0])
        for raw in (b"", b"not JSON", b"[]", b"{}", b'{"info": 5}', b"\xff\xfe", b"[" * 5000):
            publisher.send(raw=raw)
        publisher.send(raw=b'{"seq": 1e999, "conf": [], "info": {"name": "odd", "host": "", "uptime": 1e999, "loop_lag_ms": 1e999}}')
        self.assertIsNone(self.wait_known(dashboard, "odd")["info"]["uptime"])
        self.wait_known(dashboard, "one")
        self.get(dashboard, "/metrics")
        self.assertEqual(dashboard.lines("<ERROR"), [])

    def test_a_page_that_goes_away_leaves_nothing(self):
        dashboard = self.dashboard(silent=0)
        for _ in range(5):
            with urllib.request.urlopen(dashboard.url + "/events", timeout=WAIT) as page:
                self.assertIn(b"retry", page.readline())
        wait_for(lambda: dashboard.info()["connections"] == 0, "the pages to be gone")
        wait_for(lambda: dashboard.project.said("eval", "collectgarbage() return next(self.pages.open)")[1].strip() == "nil", "them")

    def test_a_page_that_is_slow_gets_what_is_newest(self):
        publisher = self.publisher()
        dashboard = self.dashboard(publisher.endpoint)
        publisher.send()
        self.wait_known(dashboard, "fake")
        host, port = dashboard.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            for uptime in range(1, 6):
                publisher.send({"uptime": uptime, "last_summary": "x" * 10000000})
                self.wait_known(dashboard, "fake", lambda server, wanted=uptime: server["info"]["uptime"] == wanted)
                wait_for(lambda: dashboard.project.said("eval", "return next(self.fresh)")[1].strip() == "nil", "a look")
            seen = []
            with slow.makefile("rb") as events:
                while seen[-1:] != [5]:
                    line = events.readline()
                    if line.startswith(b"data: [{"):
                        seen.append(json.loads(line[6:])[0]["info"]["uptime"])
        self.assertEqual(seen, sorted(set(seen)))
        self.assertLess(len(seen), 5)


class Alerts(DashboardCase):
    def errors(self, dashboard, text):
        return [line for line in dashboard.lines(text) if "<ERROR" in line]

    def test_a_hang_is_one_line_at_error(self):
        one = self.watched("one", "function S:on_start() tiny.go(function() tiny.sleep(1) while true do end end) end",
                           {"svr.timer.run_status_check_time_span": 0.5, "svr.close.force_close_delay": 3})
        dashboard = self.dashboard(one.endpoints[0])
        self.assertIn("one@", dashboard.wait_line("hung for"))
        one.exit_code()
        self.wait_known(dashboard, "one", lambda server: server["state"] in ("silent", "closed"))
        self.assertEqual(len(self.errors(dashboard, "hung for")), 1)

    def test_silence_is_one_line_at_error_and_its_end_one_at_warn(self):
        one = self.watched("one")
        dashboard = self.dashboard(one.endpoints[0], silent=1)
        self.wait_known(dashboard, "one")
        one.signal(signal.SIGSTOP)
        self.assertRegex(dashboard.wait_line("silent for"), r"ERROR.*one@\S+ tcp://\S+: silent for \d+ s")
        self.assertEqual(self.known(dashboard)["one"]["alerts"].keys(), {"silent"})
        one.signal(signal.SIGCONT)
        self.assertIn("WARN", dashboard.wait_line("no longer silent"))
        self.assertEqual((len(dashboard.lines("silent for")), len(dashboard.lines("no longer"))), (1, 1))

    def test_a_feed_that_was_never_heard_is_silent_too(self):
        publisher, nobody = self.publisher(), "tcp://127.0.0.1:1"
        dashboard = self.dashboard(publisher.endpoint, nobody, silent=1)
        for feed in (publisher.endpoint, nobody):
            self.assertIn("ERROR", dashboard.wait_line(f"{feed}: silent for"))
        publisher.send(conf={"svr.monitor.timer": 600})
        dashboard.wait_line(f"{publisher.endpoint}: no longer silent")
        self.assertEqual(len(self.errors(dashboard, "silent for")), 2)

    def test_many_errors_in_a_minute_are_one_line(self):
        one = self.watched("one", "function S:on_start() self:add_timer('t', tiny.PeriodTimer("
                                  "function() error('boom') end, 0.05)) end")
        dashboard = self.dashboard(one.endpoints[0], errors=5)
        dashboard.wait_line("errors in a minute")
        uptime = self.known(dashboard)["one"]["info"]["uptime"]
        self.wait_known(dashboard, "one", lambda server: server["info"]["uptime"] > uptime + 3)
        self.assertEqual(len(self.errors(dashboard, "errors in a minute")), 1)

    def test_a_server_that_closes_is_no_alert(self):
        one = self.watched("one")
        dashboard = self.dashboard(one.endpoints[0], silent=1)
        self.wait_known(dashboard, "one")
        one.close()
        self.wait_known(dashboard, "one", lambda server: server["state"] == "closed" and server["age"] > 4)
        self.assertEqual(self.errors(dashboard, "one@"), [])


if __name__ == "__main__":
    unittest.main()
