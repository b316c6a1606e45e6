# SPDX-License-Identifier: MIT
"""Active and standby: one of several servers runs, elected by a real etcd."""
import os
import signal
import socket
import threading
import time
import unittest

from etcd_nodes import Etcd, encode, module_etcd, needs_etcd
from tiny_server import STAMPED, WAIT, ServerCase, wait_for

ETCD = None
TTL = 2  # short, so that tests are
LONG_TTL = 5  # where an active has to keep its place, on a machine that is busy too
NAMES = iter(range(1000000))
TELL = """
  function S:on_active(token) self:info("on_active %d", token) end
  function S:on_standby(reason) self:info("on_standby %s", reason) end
  function S:on_start() self:info("on_start %d token %d", self.generation, self.token) end
  function S:on_reload() self:info("on_reload token %d", self.token) end
  function S:on_close(reason) self:info("on_close %s token %d", reason, self.token) end"""
TICK = TELL + '\nfunction S:run() self:info("tick %d", self.token) tiny.sleep(0.01) end'


def setUpModule():
    global ETCD
    ETCD = module_etcd()


@needs_etcd
class ClusterCase(ServerCase):
    def setUp(self):
        self.cluster = f"c{next(NAMES)}"

    def conf(self, conf=None, etcd=None):
        urls = (etcd or ETCD).urls
        return {"svr.cluster.etcd": urls, "svr.cluster.name": self.cluster, "svr.cluster.ttl": TTL, **(conf or {})}

    def member(self, body=TELL, conf=None, etcd=None):
        return self.start(body, self.conf(conf, etcd))

    def active(self, server):
        """Wait until it is; returns its token."""
        wait_for(lambda: server.state() == "running", "the server to be the active")
        info = server.info()
        self.assertIsNotNone(info, server.output())
        self.assertEqual(info["role"], "active")
        return info["token"]

    def standby(self, server):
        wait_for(lambda: server.state() == "standby", "the server to stand by")
        info = server.info()
        self.assertEqual((info["role"], info["token"]), ("standby", None))
        return server

    def pair(self, body=TELL, conf=None):
        """An active and a standby."""
        one = self.member(body, conf)
        self.active(one)
        other = self.standby(self.member(body, conf))
        wait_for(lambda: len(one.info()["members"]) == 2, "both to know each other")
        return one, other

    def said(self, server):
        """What its script has logged, one word or two each."""
        return [line.split(" ", 1)[1] for line in server.lines("INFO on_")]


class Elected(ClusterCase):
    def test_one_runs_and_the_other_does_nothing(self):
        one, other = self.pair(TICK)
        token = one.info()["token"]
        one.wait_line("tick", times=3)
        self.assertEqual(self.said(one), [f"on_active {token}", f"on_start 1 token {token}"])
        self.assertEqual(self.said(other) + other.lines("tick"), [])

    def test_members_are_shown_by_all(self):
        one, other = self.pair()
        for server in (one, other):
            wait_for(lambda s=server: len(s.info()["members"]) == 2, "all members")
            members = {member["pid"]: member for member in server.info()["members"]}
            self.assertEqual({pid: member["role"] for pid, member in members.items()},
                             {one.pid: "active", other.pid: "standby"})
            self.assertEqual(members[one.pid]["host"], socket.gethostname())
        text = one.project.said("status")[1]
        self.assertIn(f"active, token {one.info()['token']}\n", text)
        for server in (one, other):
            self.assertIn(f"pid {server.pid}: ", text)
        self.assertIn("standby\n", other.project.said("status")[1])

    def test_a_server_of_another_cluster_is_not_in_the_way(self):
        one = self.member()
        self.cluster += "x"
        self.active(one)
        self.active(self.member())

    def test_without_a_cluster_there_is_no_role_and_no_token(self):
        server = self.start('function S:on_start() self:info("token %s", tostring(self.token)) end')
        server.wait_line("token nil")
        info = server.info()
        self.assertEqual((info["role"], info["token"], info["members"]), (None, None, None))

    def test_a_failing_on_start_ends_the_process_and_lets_another(self):
        one, other = self.pair()
        one.project.script("")  # whatever it is there: it is not looked at any more
        third = self.launch(self.project("function S:on_start() error('no ink') end", self.conf()))
        self.standby(third)
        other.close()
        one.signal(signal.SIGKILL)
        self.assert_closed(third, 1)
        self.assertIn("no ink", third.lines("cannot start")[0])
        self.active(self.member())


class TakenOver(ClusterCase):
    def test_after_a_close_at_once(self):
        one, other = self.pair(conf={"svr.cluster.ttl": 30})
        token = one.info()["token"]
        self.assertEqual(one.close(), 0)
        closed = time.monotonic()
        new = self.active(other)
        self.assertLess(time.monotonic() - closed, 15)
        self.assertGreater(new, token)
        self.assertEqual(self.said(one)[-1], f"on_close close token {token}")
        self.assertEqual(self.said(other), [f"on_active {new}", f"on_start 1 token {new}"])

    def test_after_a_kill(self):
        one, other = self.pair()
        token = one.info()["token"]
        one.signal(signal.SIGKILL)
        self.assertGreater(self.active(other), token)

    def test_after_an_error_that_is_not_accepted(self):
        one, other = self.pair(TELL + """
          function S:run() tiny.sleep(0.05) if self.conf.fails then error("no") end end
          function S:on_except() return false end""")
        one.project.conf({**self.conf(), "fails": True})
        one.project.tiny("reload")
        self.assertEqual(one.exit_code(), 254)
        self.active(other)

    def test_while_stopped_and_the_first_thing_when_resumed_is_to_stand_by(self):
        one, other = self.pair(TICK)
        one.wait_line("tick")
        one.signal(signal.SIGSTOP)
        self.active(other)
        ticks = len(one.lines("tick"))
        one.signal(signal.SIGCONT)
        one.wait_line("standing by: generation 2")
        self.assertLessEqual(len(one.lines("tick")), ticks + 1)  # one that had been said, but not written
        lines = [line for line in one.output().splitlines() if "tick" in line or "no longer" in line]
        self.assertIn("no longer the active (timeout)", lines[-1])
        self.assertIn("on_standby timeout", self.said(one))
        self.standby(one)

    def test_while_stopped_with_a_connection_of_an_older_generation_in_flight(self):
        project = self.project("""
          function S:on_start()
            if self.generation > 1 then return end
            tiny.tcp.listen("unix:" .. self.conf.address, function(stream)
              stream:write("hello\\n")
              while true do
                tiny.sleep(0.001)
                self:info("goes on")
              end
            end)
          end""")
        address = str(project.dir / "socket")
        project.conf(self.conf({"address": address, "svr.close.force_close_delay": 60}))
        one = self.launch(project).wait_ready()
        self.active(one)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(WAIT)
            client.connect(address)
            self.assertEqual(client.recv(9), b"hello\n")
            other = self.standby(self.member())
            self.assert_reloaded(project)
            one.signal(signal.SIGSTOP)
            self.active(other)
            one.signal(signal.SIGCONT)
            self.assertEqual(client.recv(9), b"")
        one.wait_line("standing by: generation 3")
        self.standby(one)
        self.assertNotIn("goes on", one.output().split("no longer the active (timeout)")[1])

    def test_when_hung_the_process_ends(self):
        one, other = self.pair(TELL + "\nfunction S:run() if self.conf.hangs then while true do end end tiny.sleep(0.05) end")
        one.project.conf({**self.conf(), "hangs": True})
        one.project.tiny("reload")
        self.assertEqual(one.exit_code(), 253)
        self.assertTrue(one.lines("WARN the loop is silent"))
        self.assertTrue(one.lines("does not come back"))
        self.active(other)

    def test_hung_only_for_a_while_it_goes_on(self):
        one, other = self.pair(TELL + f"""
          function S:run()
            if self.generation == 2 and not self.hung then
              self.hung = true
              os.execute("sleep {LONG_TTL * 0.4}")
              self:info("back")
            end
            tiny.sleep(0.05)
          end""", {"svr.cluster.ttl": LONG_TTL})
        self.assert_reloaded(one.project)
        one.wait_line("back")
        time.sleep(LONG_TTL)
        self.assertEqual((one.state(), other.state()), ("running", "standby"))

    def test_again_and_again(self):
        servers, tokens = self.pair(), []
        for _ in range(3):
            tokens.append(self.active(servers[0]))
            wait_for(lambda one=servers[0]: len(one.info()["members"]) == 2, "the other to be there")
            servers[0].close()
            servers = servers[1], self.member()
        self.assertEqual(tokens, sorted(set(tokens)))


class StoodDown(ClusterCase):
    def depose(self, server):
        """Take the active's key away, as somebody with etcdctl might."""
        ETCD.delete(f"/tiny/{self.cluster}/election/active")
        server.wait_line("no longer the active")

    def test_in_order_and_elected_again_in_a_new_generation(self):
        server = self.member(TELL)
        first = self.active(server)
        self.depose(server)
        wait_for(lambda: len(self.said(server)) >= 6, "another election")
        second = self.active(server)
        self.assertGreater(second, first)
        self.assertEqual(self.said(server),
                         [f"on_active {first}", f"on_start 1 token {first}", f"on_close standby token {first}",
                          "on_standby deposed", f"on_active {second}", f"on_start 2 token {second}"])
        server.close()
        self.assert_closed(server)

    def test_with_everything_that_went_on(self):
        project = self.project("""
          local function loop(what)
            while true do
              tiny.log.info("goes on: %s", what)
              tiny.sleep(0.01)
            end
          end
          function S:on_start()
            if self.generation > 1 then return end
            self:add_timer("t", tiny.PeriodTimer(function() self:info("goes on: timer") end, 0.01))
            tiny.go(loop, "task")
            tiny.go(function() while true do pcall(loop, "stubborn") end end)
            tiny.tcp.listen("unix:" .. self.conf.address, function(stream)
              stream:write("hello\\n")
              loop("request")
            end)
          end
          function S:run() if self.generation == 1 then self:info("goes on: run") end tiny.sleep(0.01) end""")
        address = str(project.dir / "socket")
        project.conf(self.conf({"address": address, "svr.close.wait_lock_delay": 0.2}))
        server = self.launch(project).wait_ready()
        self.active(server)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address)
            self.assertEqual(client.recv(9), b"hello\n")
            for what in ("timer", "task", "stubborn", "request", "run"):
                server.wait_line(f"goes on: {what}")
            self.depose(server)
            client.settimeout(30)
            self.assertEqual(client.recv(9), b"")  # its stream went with the generation
        server.wait_line("standing by: generation 2")
        self.active(server)
        time.sleep(0.2)
        after = server.output().split("no longer the active")[1]
        self.assertEqual({line for line in after.splitlines() if "goes on" in line} - {"INFO goes on: stubborn"}, set())
        self.assertNotIn("goes on", after.split("standing by: generation 2")[1])
        self.assertFalse(os.path.exists(address))

    def test_and_elected_again_it_keeps_http_connections_as_before(self):
        project = self.project("""
          function S:on_start() tiny.http.serve("unix:" .. self.conf.address, function() return 200, "hello" end) end""")
        address = str(project.dir / "socket")
        project.conf(self.conf({"address": address}))
        server = self.launch(project).wait_ready()
        first = self.active(server)
        self.depose(server)
        wait_for(lambda: server.state() == "running" and server.info()["token"] > first, "another term")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(WAIT)
            client.connect(address)
            for _ in range(2):
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = b""
                while not answer.endswith(b"hello"):
                    piece = client.recv(4096)
                    self.assertTrue(piece, answer)
                    answer += piece

    def test_by_a_lease_that_ended(self):
        server = self.member()
        self.active(server)
        lease = ETCD.get(f"/tiny/{self.cluster}/election/active")["lease"]
        ETCD.ask("/v3/lease/revoke", {"ID": lease})
        server.wait_line("no longer the active")
        server.wait_line("on_active", times=2)
        self.active(server)

    def test_what_on_close_and_on_standby_raise_is_logged(self):
        server = self.member("""
          function S:on_close() error("no close") end
          function S:on_standby() error("no standby") end""")
        self.active(server)
        self.depose(server)
        server.wait_line("no close")
        server.wait_line("no standby")
        self.active(server)

    def test_while_starting(self):
        server = self.launch(self.project("""
          function S:on_start()
            self:info("on_start %d", self.generation)
            if self.generation == 1 then tiny.sleep(3600) end
          end""", self.conf()))
        server.wait_line("on_start 1")
        ETCD.delete(f"/tiny/{self.cluster}/election/active")
        server.wait_line("before it had started")
        server.wait_line("on_start 2")
        self.active(server)

    def test_and_closed_meanwhile(self):
        server = self.member("function S:on_close(reason) if reason == 'standby' then tiny.sleep(0.5) end end")
        self.active(server)
        self.depose(server)
        self.assertEqual(server.close(), 0)
        self.assert_closed(server)


class Reloaded(ClusterCase):
    def test_the_active_keeps_its_place(self):
        one, other = self.pair()
        token = one.info()["token"]
        self.assert_reloaded(one.project)
        self.assertEqual(self.active(one), token)
        self.assertEqual(self.said(one)[2:], [f"on_close reload token {token}", f"on_reload token {token}",
                                              f"on_start 2 token {token}"])
        self.assertEqual(other.state(), "standby")

    def test_the_standby_has_its_new_code_when_elected(self):
        one, other = self.pair()
        other.project.script('function S:on_start() self:info("new code %d", self.generation) end')
        self.assertEqual(self.assert_reloaded(other.project)[0], 2)
        self.standby(other)
        one.close()
        other.wait_line("new code 2")

    def test_a_standby_watches_its_files_too(self):
        one, other = self.pair(conf={"svr.watch": True})
        other.project.script('function S:on_start() self:info("changed") end')
        other.wait_line("reloaded: generation 2")
        one.close()
        other.wait_line("INFO changed")

    def test_a_bad_one_is_refused_in_standby(self):
        one, other = self.pair()
        other.project.script("function S:on_start( end")
        self.assert_refused(other.project, "main.lua:3", 1)
        one.close()
        self.active(other)
        self.assertEqual(len(self.said(other)), 2)

    def test_another_name_is_refused(self):
        one, other = self.pair()
        for server in (one, other):
            server.project.conf({**self.conf(), "svr.cluster.name": "another"})
            self.assert_refused(server.project, "svr.cluster.name has changed", 1)

    def test_to_no_cluster_or_into_one_is_refused(self):
        one = self.member()
        self.active(one)
        alone = {"svr.cluster.name": self.cluster}
        one.project.conf(alone)
        self.assert_refused(one.project, "svr.cluster.etcd has come or gone", 1)
        server = self.start("", alone)
        server.project.conf(self.conf())
        self.assert_refused(server.project, "svr.cluster.etcd has come or gone", 1)

    def test_other_endpoints_and_times_count_at_once(self):
        one, other = self.pair()
        token = one.info()["token"]
        urls = ["http://127.0.0.1:1", *ETCD.urls]
        for server in (one, other):
            server.project.conf(self.conf({"svr.cluster.etcd": urls, "svr.cluster.ttl": TTL + 1}))
            self.assert_reloaded(server.project)
        time.sleep(TTL)
        self.assertEqual(self.active(one), token)
        one.close()
        self.active(other)


class Handed(ClusterCase):
    """What the active knew, in the hands of the next."""

    COUNT = TELL + """
      function S:on_start() self:info("found %s", tostring(self.context.n)) end
      function S:on_close() if self.conf.leaves then self.context.n = self.conf.leaves end end"""
    SAVE = COUNT + """
      function S:run()
        if self.token ~= self.done and self.conf.n then
          self.done, self.context.n = self.token, self.conf.n
          self:info("saved %s %s", unpack({ self:checkpoint() }, 1, 2))
        end
        tiny.sleep(0.02)
      end"""

    def keeping(self, conf=None):
        return {"svr.checkpoint.span": 3600, "log.console.level": "DEBUG", **(conf or {})}

    def test_after_a_kill_what_was_saved(self):
        one, other = self.pair(self.SAVE, self.keeping({"n": 7}))
        one.wait_line("saved true")
        one.signal(signal.SIGKILL)
        other.wait_line("found 7")
        self.assertIn("context restored: checkpoint 1", other.wait_line("context restored"))

    def test_after_a_close_all(self):
        one, other = self.pair(self.COUNT, self.keeping({"leaves": 41}))
        one.close()
        other.wait_line("found 41")

    def test_and_back_again(self):
        one = self.member(self.SAVE, self.keeping({"n": 1}))
        one.wait_line("saved true")
        one.close()
        other = self.member(self.SAVE, self.keeping({"n": 2}))
        other.wait_line("found 1")
        other.wait_line("saved true")
        other.signal(signal.SIGKILL)
        other.exit_code()
        again = self.launch(one.project)  # what it has on its own disk is older
        again.wait_line("found 2")

    def test_to_oneself_what_was_known_when_one_was_deposed(self):
        server = self.member(self.SAVE, self.keeping({"n": 3, "leaves": 33}))
        server.wait_line("saved true")
        ETCD.delete(f"/tiny/{self.cluster}/election/active")
        server.wait_line("found 33")

    def test_every_span(self):
        one, other = self.pair(self.COUNT + "\nfunction S:run() self.context.n = 5 tiny.sleep(60) end",
                               self.keeping({"svr.checkpoint.span": 0.1}))
        one.wait_line("DEBUG checkpoint 20:")
        one.signal(signal.SIGKILL)
        other.wait_line("found 5")

    def test_not_with_fresh_when_nobody_was_there(self):
        one = self.member(self.SAVE, self.keeping({"n": 9}))
        one.wait_line("saved true")
        one.close()
        other = self.launch(self.project(self.SAVE, self.conf(self.keeping({"n": 10}))), "--fresh")
        other.wait_line("found nil")
        other.wait_line("saved true")
        other.close()
        self.launch(self.project(self.COUNT, self.conf(self.keeping()))).wait_line("found 10")

    def test_with_fresh_all_the_same_when_another_was_the_active(self):
        one = self.member(self.SAVE, self.keeping({"n": 9}))
        one.wait_line("saved true")
        other = self.launch(self.project(self.COUNT, self.conf(self.keeping())), "--fresh")
        self.standby(other)
        wait_for(lambda: len(one.info()["members"]) == 2, "the other to be there")
        one.close()
        other.wait_line("--fresh does not count")
        other.wait_line("found 9")

    def test_too_large_is_an_error_with_the_size(self):
        server = self.member(self.COUNT + """
          function S:run()
            self.context.blob = ("x"):rep(2000000)
            self:info("saved %s %s %s", self:checkpoint())
            self.context.blob = nil
            self:info("smaller %s", tostring(self:checkpoint()))
            tiny.sleep(60)
          end""", self.keeping())
        line = server.wait_line("INFO saved")
        self.assertRegex(line, r"saved nil etcd: the context takes 2000\d\d\d bytes, and at most 1048576 .* E2BIG")
        self.assertEqual(len(server.lines("WARN no checkpoint was made: etcd: the context takes")), 1)
        server.wait_line("smaller true")

    def test_damaged_in_etcd_the_own_disk_has_to_do(self):
        one = self.member(self.SAVE, self.keeping({"n": 4}))
        one.wait_line("saved true")
        one.close()
        ETCD.put(f"/tiny/{self.cluster}/checkpoint", "nonsense")
        again = self.launch(one.project)
        again.wait_line("ERROR checkpoint in etcd is damaged")
        again.wait_line("found 4")

    def test_asked_for_often_it_goes_to_etcd_less_often(self):
        server = self.member(self.COUNT + """
          function S:run()
            for i = 1, 3 do
              assert(self:checkpoint())
              self:info("saved %d", i)
            end
            tiny.sleep(60)
          end""", self.keeping())
        began = time.monotonic()
        server.wait_line("saved 1")
        server.wait_line("saved 3")
        self.assertGreater(time.monotonic() - began, 1.5)

    def test_etcd_is_not_filled_by_it(self):
        with Etcd(options=["--quota-backend-bytes", str(4 << 20)]) as etcd:
            etcd.wait_ready()
            server = self.member(self.COUNT + """
              function S:run()
                self.context.n = (self.context.n or 0) + 1
                self.context.blob = self.context.n .. ("x"):rep(150000)
                assert(self:checkpoint())
                self:info("saved %d", self.context.n)
              end
              function S:on_except() return false end""", self.keeping(), etcd)
            server.wait_line("saved 24")
            server.close()


class Closed(ClusterCase):
    def test_a_standby_at_once_and_without_a_word(self):
        _, other = self.pair()
        self.assertEqual(other.project.said("close")[0], 0)
        self.assert_closed(other)
        self.assertEqual(self.said(other), [])

    def test_leaves_nothing_in_etcd(self):
        one, other = self.pair()
        other.close()
        one.close()
        below = {"key": encode(f"/tiny/{self.cluster}/"), "range_end": encode(f"/tiny/{self.cluster}0")}
        self.assertNotIn("kvs", ETCD.ask("/v3/kv/range", below))

    def test_when_etcd_does_not_answer(self):
        server = self.launch(self.project(TELL, self.conf({"svr.cluster.etcd": ["http://127.0.0.1:1"]})))
        server.wait_line("WARN etcd: ")
        self.assertEqual(server.close(), 0)
        self.assert_closed(server)


class Proxy:
    """Between a server and etcd: passes on what comes, late or not at all."""

    def __init__(self, url):
        host, port = url.rsplit("/", 1)[1].split(":")
        self.target = host, int(port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.delay, self.silent, self.pairs = 0, False, []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
                far = socket.create_connection(self.target)
            except OSError:
                return
            self.pairs.append((near, far))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def pump(self, source, sink):
        try:
            while data := source.recv(65536):
                time.sleep(self.delay)
                while self.silent:
                    time.sleep(0.05)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            end.close()

    def close(self):
        self.silent = False
        for end in (self.listener, *(end for pair in self.pairs for end in pair)):
            end.close()


class InTrouble(ClusterCase):
    def proxy(self):
        proxy = Proxy(ETCD.urls[0])
        self.addCleanup(proxy.close)
        return proxy

    def test_a_slow_etcd_is_no_trouble(self):
        proxy = self.proxy()
        proxy.delay = 0.1
        server = self.member(conf={"svr.cluster.etcd": [proxy.url], "svr.cluster.ttl": LONG_TTL})
        token = self.active(server)
        time.sleep(1.5 * LONG_TTL)
        self.assertEqual(self.active(server), token)

    def test_cut_off_the_active_stands_by_before_another_begins(self):
        proxy = self.proxy()
        conf = {"svr.cluster.ttl": LONG_TTL, **STAMPED}
        one = self.member(TICK, {**conf, "svr.cluster.etcd": [proxy.url]})
        self.active(one)
        other = self.standby(self.member(TICK, conf))
        proxy.silent = True
        one.wait_line("no longer the active (timeout)")
        other.wait_line("tick")
        self.assertLess(one.moments("tick")[-1], other.moments("tick")[0])
        self.assertEqual(len(one.output().split("answers again")[-1].split("WARN etcd:")), 2, one.output())
        proxy.silent = False
        one.wait_line("INFO etcd answers again")
        self.standby(one)

    def test_one_of_two_endpoints_that_falls_silent_is_left(self):
        proxy = self.proxy()
        server = self.member(conf={"svr.cluster.etcd": [proxy.url, *ETCD.urls], "svr.cluster.ttl": LONG_TTL})
        token = self.active(server)
        proxy.silent = True
        time.sleep(1.5 * LONG_TTL)
        self.assertEqual(self.active(server), token)
        self.assertEqual(server.lines("no longer"), [])

    def test_etcd_that_comes_later(self):
        with Etcd(start=False) as etcd:
            server = self.launch(self.project(TELL, self.conf(etcd=etcd)))
            server.wait_line("WARN etcd: ")
            self.assertEqual(server.state(), "standby")
            etcd.start(0)
            self.active(server)
            server.wait_line("etcd answers again")
            server.close()

    def test_a_full_etcd_keeps_its_active(self):
        with Etcd(options=["--quota-backend-bytes", str(4 << 20)]) as etcd:
            etcd.wait_ready()
            server = self.member(TELL + """
              function S:run()
                local ok, why, name = self:checkpoint()
                self:info("saved %s %s %s", tostring(ok), tostring(why), tostring(name))
                tiny.sleep(0.2)
              end""", {"svr.checkpoint.span": 3600, "svr.cluster.ttl": LONG_TTL}, etcd)
            server.wait_line("INFO saved true")
            token = self.active(server)
            etcd.fill()
            self.assertRegex(server.wait_line("INFO saved nil"), "etcd: .*space exceeded.* ENOSPC")
            time.sleep(1.5 * LONG_TTL)
            self.assertEqual((self.active(server), server.lines("no longer")), (token, []))
            server.close()

    def test_etcd_that_restarts(self):
        with Etcd() as etcd:
            etcd.wait_ready()
            server = self.member(etcd=etcd)
            token = self.active(server)
            etcd.kill(0)
            server.wait_line("no longer the active (timeout)")
            etcd.start(0)
            server.wait_line("on_active", times=2)
            self.assertGreater(self.active(server), token)
            server.close()


del ClusterCase  # the loader would take it for a test case of its own

if __name__ == "__main__":
    unittest.main()
