# SPDX-License-Identifier: MIT
"""The configuration that the members of a cluster share in a real etcd: one after the other, up to the first
who refuses."""
import json
import time
import unittest

from etcd_nodes import encode, module_etcd, needs_etcd
from tiny_server import ServerCase, wait_for

ETCD = None
NAMES = iter(range(1000000))
TELL = """
  function S:on_start()
    self:info("step %s", tostring(self.conf["shop.step"]))
    if self.conf["shop.step"] == 13 then error("unlucky") end
  end"""


def setUpModule():
    global ETCD
    ETCD = module_etcd()


@needs_etcd
class Shared(ServerCase):
    def setUp(self):
        self.cluster = f"s{next(NAMES)}"
        self.prefix = f"/{self.cluster}/conf/"

    def conf(self, more=None):
        return {"svr.cluster.etcd": ETCD.urls, "svr.cluster.name": self.cluster, "svr.cluster.ttl": 2,
                "svr.cluster.conf_prefix": self.prefix, "shop.step": 1, **(more or {})}

    def put(self, value, key="shop.step"):
        ETCD.put(self.prefix + key, json.dumps(value))

    def version(self):
        """What the members call what is there now."""
        first, end = (encode(self.prefix[:-1] + last) for last in "/0")
        kvs = ETCD.ask("/v3/kv/range", {"key": first, "range_end": end}).get("kvs", [])
        return f"{max([0] + [int(kv['mod_revision']) for kv in kvs])}.{len(kvs)}"

    def member(self, body=TELL):
        return self.start(body, self.conf())

    def active(self, server):
        wait_for(lambda: server.state() == "running", f"the server to be the active:\n{server.output()}")
        return server

    def pair(self):
        one = self.active(self.member())
        return one, self.in_force(self.member())

    def in_force(self, server):
        """Wait until it has what is in etcd, and its work is over; returns it."""
        version = self.version()
        wait_for(lambda: self.shared(server) == {"in_etcd": version, "in_force": version, "refused": None},
                 "the newest configuration")
        return server

    def refused(self, server, why):
        wait_for(lambda: why in (self.shared(server)["refused"] or ""), f"a refusal for {why!r}")

    @staticmethod
    def shared(server):
        return server.info()["shared_conf"]

    def test_goes_over_conf_lua_before_the_first_on_start(self):
        self.put(5)
        server = self.active(self.member())
        self.assertEqual(server.lines("INFO step"), ["INFO step 5"])
        wait_for(lambda: [member.get("conf") for member in server.info()["members"]] == [self.version()], "it to be told")
        self.assertRegex(server.project.said("status")[1], rf"shared conf +{self.version()} in force")

    def test_where_nothing_is_there_conf_lua_counts(self):
        server = self.active(self.member())
        server.wait_line("INFO step 1")
        self.assertEqual(self.version(), "0.0")
        self.in_force(server)

    def test_a_change_reaches_all_and_what_goes_is_conf_lua_s_again(self):
        one, other = self.pair()
        self.put(6)
        one.wait_line("INFO step 6")
        self.in_force(other)
        ETCD.delete(self.prefix + "shop.step")
        one.wait_line("INFO step 1", times=2)
        self.in_force(other)
        self.in_force(one).close()
        self.active(other).wait_line("INFO step 1")

    def test_the_standbys_first_one_by_one_and_the_active_last(self):
        order = self.project().dir / "order"
        servers = []
        for name in ("first", "second", "third"):
            script = f'local f = io.open("{order}", "a") f:write("{name}\\n") f:close()\n' + TELL
            servers.append(self.in_force(self.member(script)))
        wait_for(lambda: len(servers[0].info()["members"]) == 3, "all to be there")
        order.write_text("")
        self.put(6)
        for server in servers:
            self.in_force(server)
        loads = order.read_text().split()
        self.assertEqual((sorted(loads[:2]), loads[2:]), (["second", "third"], ["first"]))

    def test_the_first_refusal_stops_it_until_there_is_another_change(self):
        one, other = self.pair()
        self.put("x", "svr.load_timeout")
        line = other.wait_line("ERROR reload refused")
        self.assertIn(f'etcd {self.prefix}svr.load_timeout: svr.load_timeout = "x", expected a number', line)
        self.refused(one, "svr.load_timeout")
        one.wait_line("was refused by test on ")
        time.sleep(1.5)
        self.assertEqual((one.lines("reload refused"), len(one.lines("INFO step"))), ([], 1))
        self.put(7, "svr.load_timeout")
        self.in_force(one)
        self.in_force(other)

    def test_the_active_refuses_by_its_on_start_too(self):
        one, other = self.pair()
        self.put(13)
        self.assertIn("unlucky", one.wait_line("ERROR reload refused"))
        one.wait_line("INFO step 1", times=2)
        self.refused(one, "unlucky")
        self.put(14)
        one.wait_line("INFO step 14")
        self.in_force(other)

    def test_a_reload_by_hand_of_the_one_who_refused_goes_on_with_it(self):
        one, other = self.pair()
        other.project.script("function S:on_start( end")
        self.put(6)
        self.refused(one, "main.lua:3")
        other.project.script(TELL)
        self.assert_reloaded(other.project)
        one.wait_line("INFO step 6")
        self.in_force(other)

    def test_who_cannot_take_it_at_the_start_is_not_elected(self):
        self.put("x", "svr.load_timeout")
        server = self.launch(self.project(TELL, self.conf()))
        server.wait_line("ERROR reload refused")
        time.sleep(1)
        self.assertEqual((server.state(), server.lines("INFO step")), ("standby", []))
        self.put(5, "svr.load_timeout")
        self.active(server)

    def test_a_new_term_begins_with_what_was_in_force(self):
        self.put(5)
        server = self.active(self.member())
        self.put("x", "svr.load_timeout")
        server.wait_line("ERROR reload refused")
        ETCD.delete(f"/tiny/{self.cluster}/election/active")
        server.wait_line("INFO step 5", times=2)
        self.active(server)

    def test_what_makes_a_member_the_one_it_is_cannot_be_there(self):
        server = self.active(self.member())
        self.put("another", "svr.name")
        self.assertIn("each member has its own", server.wait_line("ERROR reload refused"))

    def test_what_is_no_json_is_told_as_that(self):
        server = self.active(self.member())
        ETCD.put(self.prefix + "shop.step", "six")
        self.assertIn('shop.step = "six", expected JSON', server.wait_line("ERROR reload refused"))

    def test_another_prefix_needs_a_restart(self):
        server = self.active(self.member())
        server.project.conf(self.conf({"svr.cluster.conf_prefix": "/another/"}))
        self.assertIn("svr.cluster.conf_prefix has changed", server.project.said("reload")[1])

    def test_leaves_nothing_of_a_rollout_in_etcd(self):
        one, other = self.pair()
        self.put(6)
        self.in_force(one)
        self.in_force(other)
        other.close()
        one.close()
        first, end = (encode(f"/tiny/{self.cluster}{last}") for last in "/0")
        self.assertEqual(ETCD.ask("/v3/kv/range", {"key": first, "range_end": end}).get("kvs", []), [])


if __name__ == "__main__":
    unittest.main()
