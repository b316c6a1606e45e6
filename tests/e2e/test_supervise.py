# SPDX-License-Identifier: MIT
"""examples/supervise under the real daemontools, runit and s6, those that are installed."""
import os
import shutil
import signal
import subprocess
import unittest
from pathlib import Path

from tiny_server import ROOT, TINY, WAIT, ServerCase, wait_for


class Supervised:
    """One service folder under one supervision suite. The suites' own words are below."""

    scanner, log = None, "main/current"

    def setUp(self):
        self.project = self.project()
        shutil.copytree(ROOT / "examples/supervise", self.project.dir / "scan/service")
        self.scan = self.project.dir / "scan"
        self.project.dir = self.service = self.scan / "service"
        tools = self.scan.parent / "bin"
        tools.mkdir()
        (tools / "tiny").symlink_to(TINY)
        self.environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
        for path in self.only:
            (self.service / "log/run").write_text(f"#!/bin/sh\nmkdir -p main\nexec {path} ./main\n")
        self.process = subprocess.Popen([*self.scanner, str(self.scan)], env=self.environment, start_new_session=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end)
        self.wait_running()

    def kill_those_below(self):
        """Kill what works in the folder; returns how many these were."""
        count = 0
        for status in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if os.readlink(status).startswith(str(self.scan)):
                    os.kill(int(status.parent.name), signal.SIGKILL)
                    count += 1
            except OSError:
                pass
        return count

    def end(self):
        """Everything it started: the supervisors are in sessions of their own, and may just have started it anew."""
        self.project.tiny("close")
        self.process.kill()
        self.process.wait()
        wait_for(lambda: self.kill_those_below() == 0, "all to be gone")

    def control(self, *words):
        subprocess.run([*words, str(self.service)], env=self.environment, check=True, timeout=WAIT, capture_output=True)

    def pid(self):
        path = self.service / "supervised.pid"
        text = path.read_text().strip() if path.exists() else ""
        return int(text) if text else 0

    def running(self):
        return self.project.tiny("status").returncode == 0 and self.pid()

    def wait_running(self, other_than=0):
        return wait_for(lambda: self.running() not in (0, False, other_than) and self.running(), "the server to run")

    def logged(self):
        path = self.service / "log" / self.log
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_logged(self, word, times=1):
        wait_for(lambda: self.logged().count(word) >= times, f"{word!r} in the log")

    def test_its_output_is_kept(self):
        self.wait_logged("INFO serves as generation 1")

    def test_hup_reloads(self):
        pid = self.pid()
        self.control(*self.hup)
        self.wait_logged("reloaded: generation 2")
        self.assertEqual(self.pid(), pid)

    def test_term_restarts(self):
        pid = self.pid()
        self.control(*self.term)
        self.wait_running(pid)
        self.wait_logged("closes: close")
        self.wait_logged("serves as generation 1", 2)

    def test_down_is_down_and_up_is_up(self):
        self.control(*self.down)
        wait_for(lambda: self.project.tiny("status").returncode == 3, "the server to be down")
        self.wait_logged("closed with exit code 0")
        self.control(*self.up)
        self.wait_running()

    def test_a_killed_server_comes_back(self):
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        self.wait_running(pid)

    def test_a_hung_server_comes_back(self):
        pid = self.pid()
        conf = self.service / "conf.lua"
        self.project.write("conf.lua", conf.read_text().replace("time_span\"] = 30", "time_span\"] = 1"))
        whole = (self.service / "server.lua").read_text()
        self.project.write("server.lua", whole.replace("tiny.sleep(1)", "os.execute('sleep 100')"))
        self.control(*self.hup)
        self.wait_logged("ERROR hung")
        self.project.write("server.lua", whole)
        self.wait_running(pid)
        self.wait_logged("hung: ended by force")


@unittest.skipUnless(shutil.which("svscan"), "daemontools is not installed")
class Daemontools(Supervised, ServerCase):
    scanner, only = ["svscan"], ["multilog t n10 s1000000"]
    hup, term, down, up = ["svc", "-h"], ["svc", "-t"], ["svc", "-d"], ["svc", "-u"]


@unittest.skipUnless(shutil.which("runsvdir"), "runit is not installed")
class Runit(Supervised, ServerCase):
    scanner, only = ["runsvdir"], ["svlogd -tt"]
    hup, term, down, up = ["sv", "hup"], ["sv", "term"], ["sv", "down"], ["sv", "up"]

    def test_usr1_reloads(self):
        self.control("sv", "1")
        self.wait_logged("reloaded: generation 2")


@unittest.skipUnless(shutil.which("s6-svscan"), "s6 is not installed")
class S6(Supervised, ServerCase):
    scanner, only = ["s6-svscan"], ["s6-log -b t n10 s1000000"]
    hup, term, down, up = ["s6-svc", "-h"], ["s6-svc", "-t"], ["s6-svc", "-d"], ["s6-svc", "-u"]

    def test_usr1_reloads(self):
        self.control("s6-svc", "-1")
        self.wait_logged("reloaded: generation 2")

    def test_the_log_script_finds_a_logger(self):
        shutil.copy(ROOT / "examples/supervise/log/run", self.service / "log/run")
        subprocess.run(["s6-svc", "-r", str(self.service / "log")], env=self.environment, check=True, timeout=WAIT)
        self.control("s6-svc", "-h")
        self.wait_logged("reloaded: generation 2")


if __name__ == "__main__":
    unittest.main()
