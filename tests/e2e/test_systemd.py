# SPDX-License-Identifier: MIT
"""examples/supervise/tiny.service under a real systemd, booted by systemd-nspawn on an overlay of this
machine's file system. Needs root and a kernel that lets it; test_service.py tries the protocol everywhere."""
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from tiny_server import ROOT, SIGNALS, TINY

BOOT = 120  # seconds for a whole session

# Runs as a unit of its own in there; prints "== NAME" before what belongs to NAME.
SESSION = r"""
show() { echo "== $1"; systemctl show tiny -p ActiveState -p StatusText -p MainPID -p NRestarts; }
wait_for() { for _ in $(seq 300); do eval "$1" && return; sleep 0.1; done; echo "waited in vain for $1"; }
cd /srv/supervised
systemctl start tiny; show started
systemctl reload tiny; show reloaded
cp server.lua good.lua
echo 'this is not Lua' >>server.lua
systemctl reload tiny && echo 'a bad reload succeeded'; show refused
cp good.lua server.lua
kill -9 "$(systemctl show tiny -p MainPID --value)"
wait_for '[ "$(systemctl show tiny -p NRestarts --value)" = 1 ]'; wait_for 'systemctl is-active -q tiny'; show killed
sed 's/tiny.sleep(1)/while true do end/' good.lua >server.lua
systemctl reload tiny
wait_for 'journalctl -u tiny | grep -q "hung: no sign of life"'
cp good.lua server.lua
wait_for '[ "$(systemctl show tiny -p NRestarts --value)" -ge 2 ]'; wait_for 'systemctl is-active -q tiny'; show hung
systemctl stop tiny; show stopped
systemctl start echo.socket; echo '== activated'
exec 3<>/dev/tcp/127.0.0.1/7707; echo hello >&3; read -r line <&3; echo "$line"; exec 3>&-
systemctl show echo.service -p ActiveState
echo '== journal'; journalctl -u tiny -o cat --no-pager
"""

UNITS = {
    "session.service": "[Service]\nType=oneshot\nExecStart=/bin/bash /srv/session.sh\nStandardOutput=file:/srv/said.txt\n"
                       "StandardError=file:/srv/said.txt\nExecStopPost=/bin/systemctl --no-block poweroff\n",
    "echo.socket": "[Socket]\nListenStream=127.0.0.1:7707\nFileDescriptorName=echo\n",
    "echo.service": "[Service]\nType=notify\nExecStart=/usr/local/bin/tiny-tried run -c /srv/echo/conf.lua\n",
}

ECHO = {
    "conf.lua": 'return {["svr.name"] = "echo", ["svr.script"] = "echo.lua", ["svr.monitor"] = false}\n',
    "echo.lua": """local tiny = require "tiny"
local Echo = tiny.Server:extend()
function Echo:on_start()
  tiny.tcp.listen("fd:echo", function(stream) stream:write(stream:read("*l"):upper() .. "\\n") stream:close() end)
end
return Echo
""",
}


class Machine:
    """A throw-away system: this one's files below, its own changes on top."""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="tiny-nspawn-"))
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.dir], check=True, capture_output=True)
        for name in ("upper", "work", "root"):
            (self.dir / name).mkdir()
        self.root = self.dir / "root"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir=/,upperdir={self.dir}/upper,workdir={self.dir}/work", self.root],
                       check=True, capture_output=True)

    def write(self, path, text):
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def install(self):
        wants = self.root / "etc/systemd/system/multi-user.target.wants"
        shutil.rmtree(wants, ignore_errors=True)
        wants.mkdir(parents=True)
        (wants / "session.service").symlink_to("/etc/systemd/system/session.service")
        shutil.copy(TINY, self.root / "usr/local/bin/tiny-tried")
        shutil.copytree(ROOT / "examples/supervise", self.root / "srv/supervised", dirs_exist_ok=True)
        unit = (ROOT / "examples/supervise/tiny.service").read_text()
        self.write("/etc/systemd/system/tiny.service",
                   unit.replace("/usr/bin/tiny", "/usr/local/bin/tiny-tried").replace("WatchdogSec=30", "WatchdogSec=3"))
        for name, text in UNITS.items():
            self.write(f"/etc/systemd/system/{name}", text)
        for name, text in ECHO.items():
            self.write(f"/srv/echo/{name}", text)
        self.write("/srv/session.sh", SESSION)

    def boot(self):
        """Run the session; returns what it said."""
        subprocess.run(["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network",
                        f"--machine=tiny-{os.getpid()}", "--boot", "-D", self.root],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=BOOT, check=False)
        said = self.root / "srv/said.txt"
        return said.read_text(errors="replace") if said.exists() else ""

    def remove(self):
        subprocess.run(["umount", "-R", self.dir], check=False, capture_output=True)
        self.dir.rmdir()


def machine():
    """A machine, or None where there can be none."""
    if os.geteuid() != 0 or not shutil.which("systemd-nspawn"):
        return None
    try:
        return Machine()
    except (OSError, subprocess.CalledProcessError):
        return None


class Systemd(unittest.TestCase):
    said = {}

    @classmethod
    def setUpClass(cls):
        made = machine()
        if not made:
            raise unittest.SkipTest("systemd-nspawn cannot run here")
        cls.addClassCleanup(made.remove)
        made.install()
        text = made.boot()
        if "== started" not in text:
            raise unittest.SkipTest(f"systemd did not boot: {text[-300:]}")
        for part in text.split("== ")[1:]:
            name, _, rest = part.partition("\n")
            cls.said[name] = rest

    def test_it_is_active_once_it_has_started(self):
        self.assertIn("ActiveState=active", self.said["started"])
        self.assertIn("StatusText=started", self.said["started"])

    def test_reload_waits_for_the_outcome(self):
        self.assertIn("StatusText=reloaded: generation 2", self.said["reloaded"])
        self.assertIn("ActiveState=active", self.said["reloaded"])

    def test_a_refused_reload_fails_and_leaves_it_active(self):
        self.assertNotIn("succeeded", self.said["reloaded"])
        self.assertIn("ActiveState=active", self.said["refused"])
        self.assertIn("StatusText=refused: ", self.said["refused"])

    def test_a_killed_one_comes_back(self):
        self.assertIn("ActiveState=active", self.said["killed"])

    @unittest.skipUnless(SIGNALS, "ThreadSanitizer holds signals back")
    def test_a_hung_one_says_where_and_comes_back(self):
        self.assertIn("ActiveState=active", self.said["hung"])
        self.assertIn("server.lua:9: in ", self.said["journal"])
        self.assertIn("closes: hung", self.said["journal"])

    def test_stop_stops(self):
        self.assertIn("ActiveState=inactive", self.said["stopped"])

    def test_a_socket_is_handed_over_by_name(self):
        self.assertIn("HELLO\n", self.said["activated"])
        self.assertIn("ActiveState=active", self.said["activated"])

    def test_nothing_was_waited_for_in_vain(self):
        self.assertNotIn("waited in vain", "".join(self.said.values()))


if __name__ == "__main__":
    unittest.main()
