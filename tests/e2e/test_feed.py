# SPDX-License-Identifier: MIT
"""The monitor feed, as those who subscribe to it get it."""
import os
import signal
import socket
import stat
import time
import unittest

import zmq

from subscriber import ANY, FeedCase, free_endpoint
from tiny_server import wait_for

INFO = {"name", "pid", "host", "state", "role", "token", "generation", "generations_alive", "start_time",
        "uptime", "last_error", "last_error_time", "last_trace", "last_reload_time", "last_reload_result",
        "last_summary", "last_summary_time", "loop_lag_ms", "lua_heap_bytes", "rss_bytes", "cpu_seconds",
        "timers", "tasks", "connections", "log_lines", "log_dropped", "hung_for", "hung_stack", "app"}
ERRS = 'function S:on_start() self:add_timer("t", tiny.PeriodTimer(function() error("boom") end, 0.02)) end'


class Message(FeedCase):
    def test_it_comes_at_once_on_subscribing(self):
        server = self.feed("function S:run() tiny.sleep(60) end")
        topic, message = self.subscribe(server.endpoints[0]).next()
        self.assertEqual(topic, "tiny.test")
        self.assertEqual((message["version"], message["seq"]), (1, 1))
        self.assertEqual(INFO - set(message["info"]), set())
        info = message["info"]
        self.assertEqual((info["name"], info["pid"], info["state"], info["generation"]),
                         ("test", server.pid, "running", 1))
        self.assertRegex(info["start_time"], r"\A\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\Z")
        self.assertIsNone(info["last_error"])
        for key in ("rss_bytes", "lua_heap_bytes", "cpu_seconds", "uptime", "tasks", "log_lines"):
            self.assertGreater(info[key], 0, key)

    def test_rss_and_cpu_are_the_kernels(self):
        server = self.feed("function S:on_start() local t = {} for i = 1, 3e6 do t[i % 10] = {i} end end")

        def agrees():  # in the end: what it does at its start may still be going on
            info = self.message(server)["info"]
            with open(f"/proc/{server.pid}/statm", encoding="ascii") as statm:
                rss = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            with open(f"/proc/{server.pid}/stat", encoding="ascii") as stats:
                ticks = sum(map(int, stats.read().rsplit(")", 1)[1].split()[11:13]))
            cpu = ticks / os.sysconf("SC_CLK_TCK")
            return abs(info["rss_bytes"] - rss) < 1 << 20 and abs(info["cpu_seconds"] - cpu) < 0.1
        wait_for(agrees, "the feed to tell what the kernel does")

    def test_lag_is_the_longest_turn_since_the_last_message(self):
        server = self.feed("function S:on_start() tiny.go(function() tiny.sleep(0.1) local t = tiny.now() "
                           'while tiny.now() < t + 0.2 do end self:info("slow") end) end')
        server.wait_line("slow")
        first = self.message(server)["info"]
        self.assertGreater(first["loop_lag_ms"], 199)
        self.assertGreater(first["loop_lag_ms"], first["loop_lag_mean_ms"])
        wait_for(lambda: self.message(server)["info"]["loop_lag_ms"] < 199, "the slow turn to be forgotten")

    def test_the_heap_is_the_generations(self):
        server = self.feed('function S:on_start() self.big = ("x"):rep(2^25) end')
        self.assertGreater(self.message(server)["info"]["lua_heap_bytes"], 1 << 25)

    def test_what_the_server_holds_is_counted(self):
        body = """function S:on_start()
          for i = 1, {0} do self:add_timer(i, tiny.PeriodTimer(function() end, 60)) end
          for i = 1, {0} * 2 do tiny.go(tiny.sleep, 60) end
        end"""
        server = self.feed(body.format(5))
        subscriber = self.subscribe(server.endpoints[0])
        many = subscriber.next()[1]["info"]
        server.project.script(body.format(1))
        self.assert_reloaded(server.project)
        few = subscriber.next()[1]["info"]
        self.assertEqual((many["timers"], few["timers"]), (5, 1))
        self.assertEqual(many["tasks"] - few["tasks"], 8)

    def test_gauges_and_counters_of_the_server(self):
        server = self.feed("function S:on_start() self:gauge('depth', 2.5) self:count('jobs') self:count('jobs', 2) end")
        self.assertEqual(self.message(server)["info"]["app"], {"depth": 2.5, "jobs": 3})

    def test_the_conf_in_force_shows_no_secret(self):
        server = self.feed(conf={"db.password": "hunter2", "db.url": "pg://me:hunter2@db/x", "db.pool": 3})
        message = self.message(server)
        self.assertNotIn("hunter2", str(message))
        self.assertEqual((message["conf"]["db.password"], message["conf"]["db.pool"]), ("***", 3))
        self.assertEqual(message["conf"]["svr.monitor.timer"], 600)

    def test_bytes_that_are_no_utf8_do_no_harm(self):
        server = self.feed('function S:on_start() tiny.go(function() error("a\\255b") end) end')
        server.wait_line("ERROR")
        self.assertIn("a?b", self.message(server)["info"]["last_error"])


class When(FeedCase):
    def test_one_comes_each_period(self):
        server = self.feed(conf={"svr.monitor.timer": 0.05})
        subscriber = self.listen(server)
        seqs = [subscriber.next()[1]["seq"] for _ in range(10)]
        self.assertEqual(seqs, list(range(seqs[0], seqs[0] + 10)))

    def test_those_who_come_together_share_one(self):
        server, began = self.feed(), time.monotonic()
        many = [self.subscribe(server.endpoints[0]) for _ in range(100)]
        last = max(one.next()[1]["seq"] for one in many)
        self.assertLess(last, 2 + (time.monotonic() - began) / 0.005)  # one in 10 ms

    def test_a_subscription_for_others_brings_nothing(self):
        server = self.feed()
        self.assertIsNone(self.subscribe(server.endpoints[0], topic="tiny.other").next(0.3))
        self.assertEqual(self.subscribe(server.endpoints[0], topic="tiny.test").next()[1]["seq"], 1)

    def test_nothing_is_made_while_nobody_listens(self):
        server = self.feed(ERRS, {"svr.monitor.timer": 0.01})

        def made():
            """Between two who come for a moment each."""
            before = self.message(server)["seq"]
            time.sleep(1)
            return self.message(server)["seq"] - before
        wait_for(lambda: made() < 50, "fewer messages than there are periods")

    def test_a_reload_is_told_at_once(self):
        server = self.feed()
        subscriber = self.listen(server)
        self.assert_reloaded(server.project)
        info = subscriber.next()[1]["info"]
        self.assertEqual((info["generation"], info["state"]), (2, "running"))
        self.assertIn("reloaded: generation 2", info["last_reload_result"])
        self.assertIsNotNone(info["last_reload_time"])

    def test_a_refused_reload_is_told_at_once(self):
        server = self.feed()
        subscriber = self.listen(server)
        server.project.write("main.lua", "not Lua")
        self.assert_refused(server.project, "main.lua:1:", 1)
        info = subscriber.next()[1]["info"]
        self.assertEqual(info["generation"], 1)
        self.assertIn("refused", info["last_reload_result"])

    def test_an_error_is_told_at_once_with_its_traceback(self):
        server = self.feed()
        subscriber = self.listen(server)
        server.project.said("eval", "require('tiny').go(function() error('boom') end)")
        info = subscriber.next()[1]["info"]
        self.assertIn("boom", info["last_error"])
        self.assertIn("traceback", info["last_trace"])
        self.assertEqual(info["errors"], 1)

    def test_many_errors_are_told_once_a_second(self):
        server = self.feed(ERRS)
        subscriber = self.listen(server)
        messages = subscriber.all(3.5)
        self.assertGreaterEqual(len(messages), 2)
        self.assertLessEqual(len(messages), 5)
        self.assertGreater(messages[-1]["info"]["errors"], messages[0]["info"]["errors"] + 20)

    def test_a_long_start_is_seen_and_its_end_told(self):
        host = free_endpoint()
        project = self.project("function S:on_start() while not io.open('go') do tiny.sleep(0.01) end end",
                               {"svr.monitor": True, "svr.monitor.host": host, "svr.monitor.timer": 600})
        self.launch(project, cwd=project.dir)
        subscriber = self.subscribe(host)
        self.assertEqual(subscriber.next()[1]["info"]["state"], "starting")
        project.write("go", "")
        self.assertEqual(subscriber.next()[1]["info"]["state"], "running")

    def test_closing_is_told(self):
        server = self.feed()
        subscriber = self.listen(server)
        server.close()
        self.assertEqual(subscriber.next()[1]["info"]["state"], "closing")
        self.assertIsNone(subscriber.next(0.3))
        self.assert_closed(server)

    def test_a_hang_is_told_at_once(self):
        server = self.feed("function S:on_start() tiny.go(function() tiny.sleep(0.5) while true do end end) end",
                           {"svr.timer.run_status_check_time_span": 0.5})
        info = self.listen(server).wait(lambda m: m["info"]["state"] == "hung", "a hang")["info"]
        self.assertGreaterEqual(info["hung_for"], 0.5)
        self.assertTrue(info["hung_stack"])

    def test_it_goes_on_while_lua_is_busy(self):
        server = self.feed("function S:on_start() tiny.go(function() tiny.sleep(0.1) "
                           "while true do end end) end", {"svr.monitor.timer": 0.1})
        info = self.subscribe(server.endpoints[0]).wait(lambda m: m["info"]["loop_lag_ms"] > 500, "lag")["info"]
        self.assertEqual(info["pid"], server.pid)


class Endpoints(FeedCase):
    def test_all_of_a_list_are_served(self):
        server = self.feed(conf={"svr.monitor.host": [ANY, ANY.replace("127.0.0.1", "[::1]"), "ipc://feed.ipc"]})
        self.assertEqual(len(server.endpoints), 2 + 1)
        with zmq.Context() as context:
            for endpoint in server.endpoints:
                one = context.socket(zmq.SUB)
                one.ipv6, one.linger = True, 0
                one.subscribe("")
                one.connect(endpoint)
                self.assertTrue(one.poll(10000), endpoint)
                one.close()

    def test_one_in_use_is_told_and_tried_again(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            host = f"tcp://127.0.0.1:{other.getsockname()[1]}"
            server = self.launch(self.project("", {"svr.monitor": True, "svr.monitor.host": host})).wait_ready()
            self.assertIn("Address already in use", server.wait_line(f"WARN monitor: cannot publish on {host}"))
        server.wait_line("publishing on")
        self.assertEqual(self.subscribe(host).next()[1]["info"]["pid"], server.pid)

    def test_a_file_is_for_its_owner_and_goes_with_the_server(self):
        server = self.feed(conf={"svr.monitor.host": "ipc://feed.ipc"}, umask=0)
        path = server.project.dir / "feed.ipc"
        self.assertEqual(server.endpoints, [f"ipc://{path}"])
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertIsNotNone(self.subscribe(server.endpoints[0]).next())
        server.close()
        self.assertFalse(path.exists())

    def test_a_file_that_another_server_has_is_left_to_it(self):
        one = self.feed(conf={"svr.monitor.host": "ipc://feed.ipc"})
        other = self.launch(self.project("", {"svr.monitor": True, "svr.monitor.host": one.endpoints[0]})).wait_ready()
        other.wait_line("WARN monitor: cannot publish on")
        self.assertEqual(self.subscribe(one.endpoints[0]).next()[1]["info"]["pid"], one.pid)
        one.kill()  # and so leaves the file behind
        other.wait_line("publishing on")
        self.assertEqual(self.subscribe(one.endpoints[0]).next()[1]["info"]["pid"], other.pid)

    def test_one_that_cannot_be_is_told(self):
        server = self.launch(self.project("", {"svr.monitor": True, "svr.monitor.host": "ipc:///nowhere/x"})).wait_ready()
        self.assertIn("No such file", server.wait_line("WARN monitor: cannot publish on ipc:///nowhere/x"))
        self.assertEqual(server.close(), 0)


class Reloads(FeedCase):
    def reload_with(self, server, keys):
        server.project.conf({"svr.monitor": True, "svr.monitor.host": server.endpoints[0], "svr.monitor.timer": 600,
                             **keys})
        self.assert_reloaded(server.project)

    def test_the_period_is_taken_over(self):
        server = self.feed()
        subscriber = self.listen(server)
        self.reload_with(server, {"svr.monitor.timer": 0.05})
        for _ in range(6):
            self.assertIsNotNone(subscriber.next())

    def test_subscribers_of_an_endpoint_that_stays_stay_too(self):
        server = self.feed(conf={"svr.monitor.host": free_endpoint()})
        subscriber = self.listen(server)
        self.reload_with(server, {"svr.monitor.host": [server.endpoints[0], "ipc://feed.ipc"]})
        server.wait_line("publishing on ipc")
        self.assertEqual(subscriber.next()[1]["seq"], 2)
        self.assertIsNotNone(self.subscribe(self.endpoints(server)[-1]).next())

    def test_an_endpoint_that_goes_is_left(self):
        server = self.feed(conf={"svr.monitor.host": [ANY, "ipc://feed.ipc"]})
        subscriber = self.listen(server)
        path = server.project.dir / "feed.ipc"
        self.reload_with(server, {"svr.monitor.host": "ipc://feed.ipc"})
        wait_for(lambda: not self.connects(server.endpoints[0]), "the port to be closed")
        self.assertTrue(path.exists())
        self.assertIsNotNone(self.subscribe(server.endpoints[1]).next())
        del subscriber

    def connects(self, endpoint):
        host, port = endpoint.removeprefix("tcp://").split(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def test_it_is_switched_off_and_on(self):
        server = self.feed()
        subscriber = self.listen(server)
        self.reload_with(server, {"svr.monitor": False})
        wait_for(lambda: not self.connects(server.endpoints[0]), "the port to be closed")
        self.reload_with(server, {})
        got = subscriber.wait(lambda m: m["info"]["generation"] == 3, "generation 3")
        self.assertEqual(got["conf"]["svr.monitor"], True)

    def test_the_conf_shown_is_the_one_in_force(self):
        server = self.feed(conf={"app.step": 1})
        subscriber = self.listen(server)
        self.reload_with(server, {"app.step": 2})
        self.assertEqual(subscriber.next()[1]["conf"]["app.step"], 2)


class Curve(FeedCase):
    def setUp(self):
        self.server_key, self.alice, self.mallory = (tuple(k.decode() for k in zmq.curve_keypair()) for _ in range(3))

    def curve(self, *clients):
        return {"secret_key": self.server_key[1], "public_key": self.server_key[0],
                "clients": [client[0] for client in clients]}

    def keys(self, client):
        return tuple(key.encode() for key in (self.server_key[0], *client))

    def test_only_listed_clients_are_let_in(self):
        server = self.feed(conf={"svr.monitor.curve": self.curve(self.alice), "svr.monitor.timer": 0.05})
        self.assertIsNotNone(self.subscribe(server.endpoints[0], curve=self.keys(self.alice)).next())
        refused = self.subscribe(server.endpoints[0], curve=self.keys(self.mallory))
        plain = self.subscribe(server.endpoints[0])
        server.wait_line("WARN monitor: refused a client at 127.0.0.1")
        self.assertIsNone(refused.next(0.5))
        self.assertIsNone(plain.next(0.5))

    def test_the_secret_key_is_not_shown(self):
        server = self.feed(conf={"svr.monitor.curve": self.curve(self.alice)})
        conf = self.subscribe(server.endpoints[0], curve=self.keys(self.alice)).next()[1]["conf"]
        self.assertEqual(conf["svr.monitor.curve"]["secret_key"], "***")
        self.assertEqual(conf["svr.monitor.curve"]["public_key"], self.server_key[0])

    def test_a_client_taken_off_the_list_is_cut_off(self):
        conf = {"svr.monitor": True, "svr.monitor.timer": 0.05, "svr.monitor.curve": self.curve(self.alice, self.mallory)}
        server = self.feed(conf=conf)
        alice, mallory = (self.listen(server, curve=self.keys(who)) for who in (self.alice, self.mallory))
        server.project.conf({**conf, "svr.monitor.host": server.endpoints[0], "svr.monitor.curve": self.curve(self.alice)})
        self.assert_reloaded(server.project)
        alice.wait(lambda m: m["info"]["generation"] == 2, "generation 2")
        self.assertEqual([m for m in mallory.all(0.5) if m["info"]["generation"] == 2], [])

    def test_it_can_be_given_up_by_a_reload(self):
        server = self.feed(conf={"svr.monitor.curve": self.curve(self.alice)})
        server.project.conf({"svr.monitor": True, "svr.monitor.host": server.endpoints[0]})
        self.assert_reloaded(server.project)
        self.assertIsNotNone(self.subscribe(server.endpoints[0]).next())


class Stalled(FeedCase):
    def test_a_subscriber_that_reads_nothing_costs_nothing(self):
        # What AddressSanitizer holds back after free() would look like a leak.
        options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
        server = self.feed(conf={"svr.monitor.timer": 0.001, "app.ballast": "x" * 20000},
                           env={**os.environ, "ASAN_OPTIONS": options})
        pid = os.fork()
        if pid == 0:  # a process, so that nothing of it reads while it is stopped
            with zmq.Context() as context:
                one = context.socket(zmq.SUB)
                one.subscribe("")
                one.connect(server.endpoints[0])
                one.recv()
                os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(0)
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.kill, pid, signal.SIGKILL)
        wait_for(lambda: os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT), "the subscriber to stall")
        reader = self.listen(server)
        first = reader.wait(lambda m: m["seq"] > 700, "number 700")  # the kernel's buffers are full with less
        last = reader.wait(lambda m: m["seq"] > 1400, "number 1400")  # 14 MB later
        self.assertLess(last["info"]["rss_bytes"] - first["info"]["rss_bytes"], 7 << 20)
        self.assert_reloaded(server.project)


if __name__ == "__main__":
    unittest.main()
