# SPDX-License-Identifier: MIT
"""conditions -- under which figures were taken: the machine, the versions, and what others did with it."""
import os
import platform
import re
import resource
import subprocess
import time
from pathlib import Path

from figures import TINY

PACKAGES = ("libluajit2-5.1-2", "libuv1", "libzmq5", "libcurl4", "lua-luv", "nginx", "libnginx-mod-http-lua", "libspdlog-dev",
            "python3", "python3-zmq", "gcc", "wrk")


def busy_seconds():
    """CPU time that the whole machine has used."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text(encoding="ascii").split()[1:9])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Conditions:
    """Begins to watch what others do."""

    def __init__(self):
        self.began, self.busy, self.own = time.monotonic(), busy_seconds(), own_seconds()

    def others(self):
        """How many CPUs others kept busy, on average. Servers that were started in a session of their own
        count as ours once they have been waited for."""
        used = busy_seconds() - self.busy - (own_seconds() - self.own)
        return max(used / (time.monotonic() - self.began), 0)

    def minutes(self):
        return (time.monotonic() - self.began) / 60


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def machine():
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="ascii"))
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(encoding="ascii"))
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return (f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} CPUs, {int(memory[1]) / 1e6:.1f} GB; {system}, "
            f"Linux {platform.release()}")


def versions():
    rows = output("dpkg-query", "-W", "-f=${Package} ${Version}\n", *PACKAGES).splitlines()
    return [output(TINY, "--version").strip(), *sorted(rows)]
