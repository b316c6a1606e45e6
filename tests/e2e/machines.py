# SPDX-License-Identifier: MIT
"""machines -- several machines in one: network namespaces on a bridge of their own, whose cables can be pulled.
Nothing of the host's network is touched, and all of it is gone with the process that made it."""
import ctypes
import os
import shutil
import subprocess
import time

from tiny_server import die_with_parent

CLONE_NEWNET = 0x40000000


def run(*command):
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def can_have():
    """Whether there may be some here: root, and a kernel with bridges."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        return False
    probe = "ip link add br0 type bridge && ip link add name probe type veth peer name other"
    return subprocess.run(["unshare", "-n", "sh", "-c", probe], check=False, capture_output=True).returncode == 0


class Machines:
    """A context manager. From then on the process itself, and what it starts, is on the bridge too, and no
    longer in the host's network."""

    def __init__(self, count):
        self.addresses = [f"10.9.0.{number + 1}" for number in range(count)]
        self.holders = []

    def __enter__(self):
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "br0", "type", "bridge")
        run("ip", "address", "add", "10.9.0.254/24", "dev", "br0")
        run("ip", "link", "set", "br0", "up")
        for index in range(len(self.addresses)):
            self.add(index)
        return self

    def __exit__(self, *_):
        for holder in self.holders:
            holder.kill()
            holder.wait()

    def add(self, index):
        holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"], preexec_fn=die_with_parent)
        self.holders.append(holder)
        while os.readlink(f"/proc/{holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        run("ip", "link", "add", "name", f"cable{index}", "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        run("ip", "link", "set", f"cable{index}", "master", "br0", "up")
        for command in (f"address add {self.addresses[index]}/24 dev eth0", "link set eth0 up", "link set lo up"):
            run(*self.on(index), "ip", *command.split())

    def on(self, index):
        """What goes before a command to run it on that machine."""
        return ["nsenter", "-t", str(self.holders[index].pid), "-n"]

    def pull(self, index):
        run("ip", "link", "set", f"cable{index}", "down")

    def plug(self, index):
        run("ip", "link", "set", f"cable{index}", "up")
