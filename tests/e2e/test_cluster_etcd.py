# SPDX-License-Identifier: MIT
"""Active and standby on an etcd of several nodes that come and go, with TLS, with logins."""
import signal
import subprocess
import time
import unittest

from etcd_nodes import Etcd, needs_etcd, needs_openssl
from tiny_server import ServerCase, wait_for

TELL = """
  function S:on_active(token) self:info("on_active %d", token) end
  function S:on_standby(reason) self:info("on_standby %s", reason) end"""


@needs_etcd
class EtcdCase(ServerCase):
    def etcd(self, *args, **options):
        etcd = Etcd(*args, **options)
        self.addCleanup(etcd.close)
        return etcd.open().wait_ready()

    def member(self, etcd, **conf):
        return self.start(TELL, {"svr.cluster.etcd": etcd.urls, "svr.cluster.name": "c", "svr.cluster.ttl": 5,
                                 **{"svr.cluster." + key: value for key, value in conf.items()}})

    def active(self, server):
        wait_for(lambda: server.state() == "running", f"the server to be the active:\n{server.output()}")
        return server.info()["token"]


class ThreeNodes(EtcdCase):
    def setUp(self):
        self.nodes = self.etcd(3)
        self.one = self.member(self.nodes)
        self.token = self.active(self.one)
        self.other = self.member(self.nodes)

    def leader(self):
        return wait_for(lambda: self.nodes.leader() is not None, "etcd to have a leader") and self.nodes.leader()

    def test_a_new_leader_of_etcd_is_no_reason_to_stand_by(self):
        self.nodes.kill(self.leader())
        time.sleep(7)
        self.assertEqual(self.active(self.one), self.token)
        self.assertEqual(self.one.lines("no longer"), [])

    def test_its_leader_may_go_with_the_active(self):
        self.nodes.kill(self.leader())
        self.one.signal(signal.SIGKILL)
        self.assertGreater(self.active(self.other), self.token)

    def test_without_a_quorum_nobody_is_active(self):
        for index in (0, 1):
            self.nodes.signal(index, signal.SIGSTOP)
        self.one.wait_line("no longer the active (timeout)")
        time.sleep(1)
        self.assertEqual((self.one.state(), self.other.state()), ("standby", "standby"))
        for index in (0, 1):
            self.nodes.signal(index, signal.SIGCONT)
        wait_for(lambda: "running" in (self.one.state(), self.other.state()), "one to be the active again")
        self.assertEqual({self.one.state(), self.other.state()}, {"running", "standby"})


@needs_openssl
class Secured(EtcdCase):
    def certificates(self):
        """A CA, and certificates for etcd and its client. The client's has no CN: with logins etcd wants none."""
        folder = self.project().dir
        folder.joinpath("server.ext").write_text(
            "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        folder.joinpath("client.ext").write_text("extendedKeyUsage=clientAuth\n")

        def openssl(*args):
            subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
                "-subj", "/CN=test CA", "-days", "2")
        for name in ("server", "client"):
            openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                    "-subj", "/O=tiny")
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                    "-out", f"{name}.pem", "-extfile", f"{name}.ext", "-days", "2")
        return folder

    def secure_etcd(self, folder):
        return self.etcd(scheme="https", tls=folder, options=[
            "--cert-file", folder / "server.pem", "--key-file", folder / "server.key", "--client-cert-auth",
            "--trusted-ca-file", folder / "ca.pem"])

    def test_by_certificates_of_both_sides(self):
        folder = self.certificates()
        etcd = self.secure_etcd(folder)
        tls = {"ca": str(folder / "ca.pem"), "cert": str(folder / "client.pem"), "key": str(folder / "client.key")}
        one = self.member(etcd, tls=tls)
        self.active(one)
        without = self.member(etcd, tls={"ca": tls["ca"]})
        without.wait_line("WARN etcd: ")
        self.assertEqual(without.state(), "standby")
        unknown = self.member(etcd)
        self.assertIn("certificate", unknown.wait_line("WARN etcd: "))
        one.close()
        time.sleep(1)
        self.assertEqual((without.state(), unknown.state()), ("standby", "standby"))

    def test_by_a_path_that_is_relative_to_conf_lua(self):
        folder = self.certificates()
        etcd = self.secure_etcd(folder)
        project = self.project(TELL)
        for name in ("ca.pem", "client.pem", "client.key"):
            project.write(f"tls/{name}", (folder / name).read_text())
        project.conf({"svr.cluster.etcd": etcd.urls,
                      "svr.cluster.tls": {"ca": "tls/ca.pem", "cert": "tls/client.pem", "key": "tls/client.key"}})
        self.active(self.launch(project).wait_ready())


class LoggedIn(EtcdCase):
    def with_logins(self, *options):
        etcd = self.etcd(options=options)
        etcd.ask("/v3/auth/user/add", {"name": "root", "password": "root"})
        etcd.ask("/v3/auth/user/grant", {"user": "root", "role": "root"})
        etcd.ask("/v3/auth/user/add", {"name": "tiny", "password": "secret"})
        etcd.ask("/v3/auth/role/add", {"name": "tiny"})
        etcd.ask("/v3/auth/role/grant", {"name": "tiny", "perm": {
            "permType": "READWRITE", "key": "L3Rpbnkv", "range_end": "L3RpbnkwAA=="}})
        etcd.ask("/v3/auth/user/grant", {"user": "tiny", "role": "tiny"})
        etcd.ask("/v3/auth/enable", {})
        return etcd

    def test_with_name_and_password(self):
        etcd = self.with_logins()
        one = self.member(etcd, user={"name": "tiny", "password": "secret"})
        self.active(one)
        other = self.member(etcd, user={"name": "tiny", "password": "secret"})
        one.close()
        self.active(other)

    def test_a_wrong_password_or_none_is_told_and_not_shown(self):
        etcd = self.with_logins()
        wrong = self.member(etcd, user={"name": "tiny", "password": "hush-hush"})
        wrong.wait_line("WARN etcd: etcdserver: authentication failed")
        none = self.member(etcd)
        none.wait_line("WARN etcd: ")
        self.assertEqual((wrong.state(), none.state()), ("standby", "standby"))
        self.assertNotIn("hush-hush", wrong.output())

    def test_a_login_that_expires_is_renewed(self):
        etcd = self.with_logins("--auth-token-ttl", "2")
        server = self.member(etcd, user={"name": "tiny", "password": "secret"})
        token = self.active(server)
        time.sleep(8)
        self.assertEqual(self.active(server), token)
        self.assertEqual(server.lines("no longer"), [])

    def test_etcd_that_has_forgotten_its_logins_gives_new_ones(self):
        etcd = self.with_logins()
        server = self.member(etcd, user={"name": "tiny", "password": "secret"})
        token = self.active(server)
        etcd.kill(0)
        etcd.start(0)
        wait_for(lambda: etcd.listens(), "etcd to be back")
        time.sleep(6)
        self.assertEqual(self.active(server), token)


del EtcdCase  # the loader would take it for a test case of its own

if __name__ == "__main__":
    unittest.main()
