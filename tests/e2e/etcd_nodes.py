# SPDX-License-Identifier: MIT
"""etcd_nodes -- a real etcd cluster on loopback for tests: nodes that can be killed, stopped and started
again, asked over the JSON gateway."""
import base64
import json
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

ETCD = shutil.which("etcd")
needs_etcd = unittest.skipUnless(ETCD, "etcd is not installed (Debian: etcd-server)")
needs_openssl = unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def encode(text):
    return base64.b64encode(text.encode()).decode()


def decode(text):
    return base64.b64decode(text).decode()


class Etcd:
    """A cluster of 'count' nodes, a context manager that starts them unless told not to. 'options' are
    further ones of etcd's; 'tls' is a folder with ca.pem, client.pem and client.key; with 'machines' (machines.py) each
    node is on one of them."""

    def __init__(self, count=1, options=(), scheme="http", start=True, tls=None, machines=None):
        self.dir = Path(tempfile.mkdtemp(prefix="tiny-etcd-"))
        self.options = [*options]
        ports = free_ports(2 * count)
        hosts = machines.addresses if machines else count * ["127.0.0.1"]
        self.urls = [f"{scheme}://{host}:{port}" for host, port in zip(hosts, ports)]
        self.peers = [f"http://{host}:{port}" for host, port in zip(hosts, ports[count:])]
        self.machines = machines
        self.nodes = [None] * count
        self.starts = start
        self.context = None
        if tls:
            self.context = ssl.create_default_context(cafile=tls / "ca.pem")
            self.context.load_cert_chain(tls / "client.pem", tls / "client.key")

    @staticmethod
    def installed():
        return bool(ETCD)

    def open(self):
        for index in range(len(self.nodes) if self.starts else 0):
            self.start(index)
        return self

    def close(self):
        for index, node in enumerate(self.nodes):
            if node:
                self.kill(index)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.open()

    def __exit__(self, *_):
        self.close()

    def start(self, index):
        cluster = ",".join(f"n{i}={peer}" for i, peer in enumerate(self.peers))
        with open(self.dir / f"n{index}.log", "ab") as log:
            self.nodes[index] = subprocess.Popen(
                [*(self.machines.on(index) if self.machines else ()), ETCD, "--name", f"n{index}", "--data-dir", self.dir / f"n{index}",
                 "--listen-client-urls", self.urls[index], "--advertise-client-urls", self.urls[index],
                 "--listen-peer-urls", self.peers[index], "--initial-advertise-peer-urls", self.peers[index],
                 "--initial-cluster", cluster, "--logger", "zap", "--log-level", "error", *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def signal(self, index, number):
        self.nodes[index].send_signal(number)

    def kill(self, index):
        self.signal(index, signal.SIGKILL)
        self.nodes[index].wait()
        self.nodes[index] = None

    def ask(self, path, body, index=0, timeout=5):
        """The answer of one node, decoded; raises OSError where none comes."""
        request = urllib.request.Request(self.urls[index] + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=timeout, context=self.context) as answer:
            return json.load(answer)

    def answers(self, index=0):
        try:
            self.ask("/v3/kv/range", {"key": encode("x")}, index, 1)
            return True
        except (OSError, urllib.error.URLError):
            return False

    def listens(self, index=0):
        """Whether it answers at all, be it that a login is missing."""
        try:
            self.ask("/v3/kv/range", {"key": encode("x")}, index, 1)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def wait_ready(self, seconds=60):
        deadline = time.monotonic() + seconds
        while not all(self.answers(i) for i, node in enumerate(self.nodes) if node):
            if time.monotonic() > deadline:
                raise AssertionError("etcd does not come up: "
                                     + "".join(log.read_text() for log in self.dir.glob("*.log"))[-2000:])
            time.sleep(0.05)
        return self

    def get(self, key, index=0):
        """{"value", "lease", "create_revision", ...} of a key, or None."""
        kvs = self.ask("/v3/kv/range", {"key": encode(key)}, index).get("kvs", [])
        return {**kvs[0], "value": decode(kvs[0].get("value", ""))} if kvs else None

    def put(self, key, value, index=0):
        return self.ask("/v3/kv/put", {"key": encode(key), "value": encode(value)}, index)

    def fill(self):
        """Write until its quota is used up."""
        try:
            for _ in range(1000):
                self.put("filling", 500000 * "x")
        except urllib.error.HTTPError as error:
            if error.code != 429:
                raise
        else:
            raise AssertionError("etcd has no quota")

    def delete(self, key, index=0):
        return self.ask("/v3/kv/deleterange", {"key": encode(key)}, index)

    def leader(self):
        """Index of the node that leads, None while there is none."""
        for index, node in enumerate(self.nodes):
            if not node:
                continue
            try:
                status = self.ask("/v3/maintenance/status", {}, index, 1)
            except (OSError, urllib.error.URLError):
                continue
            if status.get("leader") and status["leader"] == status["header"]["member_id"]:
                return index
        return None


def module_etcd():
    """For setUpModule: a node for all tests of a module, None where etcd is not installed."""
    if not Etcd.installed():
        return None
    etcd = Etcd()
    unittest.addModuleCleanup(etcd.close)
    return etcd.open().wait_ready()
