# SPDX-License-Identifier: MIT
"""Active and standby on three machines, each with a node of etcd, whose cables are pulled."""
import time
import unittest

from etcd_nodes import Etcd, needs_etcd
from machines import Machines, can_have
from tiny_server import STAMPED, ServerCase, wait_for

TTL = 5  # less is lost when etcd elects a new leader
TICK = """
  function S:on_start() self:info("found %s", tostring(self.context.n)) end
  function S:run()
    self.context.n = (self.context.n or 0) + 1
    self:info("tick %d", self.token)
    if self.context.n % 10 == 0 and self:checkpoint() then self:info("saved") end
    tiny.sleep(0.02)
  end"""


@needs_etcd
@unittest.skipUnless(can_have(), "there are no network namespaces here")
class Partition(ServerCase):
    @classmethod
    def setUpClass(cls):
        cls.machines = cls.enterClassContext(Machines(3))
        cls.etcd = cls.enterClassContext(Etcd(3, machines=cls.machines))
        cls.etcd.wait_ready()

    def setUp(self):
        self.cluster = self.id().rsplit(".", 1)[1]
        conf = {"svr.cluster.etcd": self.etcd.urls, "svr.cluster.name": self.cluster, "svr.cluster.ttl": TTL,
                "svr.checkpoint.span": 3600, **STAMPED}
        self.servers = []
        for index in range(3):
            self.servers.append(self.launch(self.project(TICK, conf), before=self.machines.on(index)).wait_ready())
            self.wait_active(self.servers[:1])
        self.addCleanup(self.plug_all)

    def plug_all(self):
        for index in range(3):
            self.machines.plug(index)
        self.etcd.wait_ready()

    def wait_active(self, servers):
        """The one of them that is the active."""
        return wait_for(lambda: [server for server in servers if server.state() == "running"], "one to be the active")[0]

    def test_a_machine_that_is_cut_off_stands_by_before_another_begins(self):
        old = self.servers[0]
        old.wait_line("saved")
        self.machines.pull(0)
        old.wait_line("no longer the active (timeout)")
        new = self.wait_active(self.servers[1:])
        new.wait_line("tick", times=5)
        self.assertEqual(old.state(), "standby")
        self.assertLess(old.moments("tick")[-1], new.moments("tick")[0])
        self.assertRegex(new.lines("INFO found")[0], r"found \d+0")
        self.machines.plug(0)
        old.wait_line("INFO etcd answers again")
        self.assertEqual((old.state(), new.state()), ("standby", "running"))

    def test_a_standby_that_is_cut_off_disturbs_nobody(self):
        token = self.servers[0].info()["token"]
        self.machines.pull(1)
        self.servers[1].wait_line("WARN etcd: ")
        time.sleep(1.5 * TTL)
        self.machines.plug(1)
        self.servers[1].wait_line("INFO etcd answers again")
        self.assertEqual((self.servers[0].info()["token"], self.servers[0].lines("no longer")), (token, []))

    def test_all_cut_off_from_each_other_nobody_is_active(self):
        for index in range(3):
            self.machines.pull(index)
        self.servers[0].wait_line("no longer the active (timeout)")
        time.sleep(TTL)
        self.assertEqual([server.state() for server in self.servers], 3 * ["standby"])
        self.plug_all()
        self.wait_active(self.servers)


if __name__ == "__main__":
    unittest.main()
