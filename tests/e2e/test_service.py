# SPDX-License-Identifier: MIT
"""A server and what has started it: the service manager's notification socket, another user, a
container's process 1."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest
from pathlib import Path

from tiny_server import TINY, WAIT, ServerCase, wait_for

ROOT = os.geteuid() == 0


class Notified(ServerCase):
    """NOTIFY_SOCKET and WATCHDOG_USEC, as systemd has them."""

    def manager(self, project):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(str(project.dir / "notify"))
        self.heard = []
        threading.Thread(target=self.listen, daemon=True).start()
        return {**os.environ, "NOTIFY_SOCKET": str(project.dir / "notify")}

    def listen(self):
        """Take every message at once: the kernel keeps few."""
        try:
            while True:
                self.heard.append(self.socket.recv(4096).decode())
        except OSError:
            pass  # closed

    def hear(self, word):
        """Wait for a message with that word, and forget those before; returns it."""
        wait_for(lambda: any(word in message for message in self.heard), word)
        while True:
            message = self.heard.pop(0)
            if word in message:
                return message

    def run_notified(self, body="", conf=None, **environment):
        project = self.project(body, conf)
        return self.launch(project, env={**self.manager(project), **environment})

    def test_ready_comes_when_on_start_has_returned(self):
        server = self.run_notified("function S:on_start() tiny.sleep(0.3) self:info('acquired') end")
        self.assertIn("STATUS=started", self.hear("READY=1"))
        server.wait_line("INFO acquired")

    def test_starting_may_take_longer(self):
        self.run_notified("function S:on_start() tiny.sleep(2) end")
        self.assertIn("EXTEND_TIMEOUT_USEC=", self.hear("EXTEND"))
        self.hear("READY=1")

    def test_a_reload_is_told_with_its_time_and_its_end(self):
        server = self.run_notified()
        self.hear("READY=1")
        before = time.monotonic_ns() // 1000
        self.assert_reloaded(server.project)
        message = self.hear("RELOADING=1")
        usec = int(message.split("MONOTONIC_USEC=")[1])
        self.assertGreaterEqual(usec, before)
        self.assertIn("STATUS=reloaded: generation 2", self.hear("READY=1"))

    def test_a_refused_reload_is_ready_again_and_says_why(self):
        server = self.run_notified()
        self.hear("READY=1")
        server.project.script("this is not Lua")
        server.signal(signal.SIGHUP)
        self.hear("RELOADING=1")
        self.assertIn("STATUS=refused: ", self.hear("READY=1"))
        self.assertEqual(server.state(), "running")

    def test_stopping_is_told_first(self):
        server = self.run_notified("function S:on_close() self:info('on_close') end")
        self.hear("READY=1")
        server.signal(signal.SIGTERM)
        self.hear("STOPPING=1")
        self.assertEqual(server.exit_code(), 0)

    def test_the_watchdog_is_fed_while_lua_lives(self):
        self.run_notified("function S:run() tiny.sleep(0.1) end", WATCHDOG_USEC="1500000")
        self.hear("READY=1")
        for _ in range(4):
            self.hear("WATCHDOG=1")

    def test_the_watchdog_shortens_the_span(self):
        server = self.run_notified("function S:run() tiny.sleep(0.1) self:info('hangs') while true do tostring(1) end end",
                                   {"svr.close.force_close_delay": 1}, WATCHDOG_USEC="2000000")
        self.assertEqual(server.exit_code(), 253)
        self.assertTrue(server.lines("hung: no sign of life for "))
        self.hear("STATUS=hung")

    def test_a_watchdog_alone_is_enough(self):
        server = self.run_notified("function S:run() tiny.sleep(0.1) while true do tostring(1) end end",
                                   {"svr.timer.run_status_check_time_span": 0, "svr.close.force_close_delay": 1},
                                   WATCHDOG_USEC="2000000")
        self.assertEqual(server.exit_code(), 253)

    def test_a_failed_start_is_told_with_its_reason(self):
        server = self.run_notified("function S:on_start() error('no ink') end")
        self.assertEqual(server.exit_code(), 1)
        self.assertIn("no ink", self.hear("STATUS="))

    def test_children_see_none_of_it(self):
        server = self.run_notified("function S:on_start() self:info('%s', io.popen('env'):read('*a')) end",
                                   WATCHDOG_USEC="60000000")
        self.hear("READY=1")
        server.wait_line("PATH=")
        self.assertNotIn("NOTIFY_SOCKET", server.output())
        self.assertNotIn("WATCHDOG", server.output())

    def test_a_manager_that_has_gone_holds_nobody_up(self):
        server = self.run_notified()
        self.hear("READY=1")
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        (server.project.dir / "notify").unlink()
        self.assert_reloaded(server.project)
        self.assertEqual(server.close(), 0)


@unittest.skipUnless(ROOT, "only root can become another user")
class OtherUser(ServerCase):
    """svr.user and svr.group."""

    def project_for(self, body, conf):
        project = self.project(body, conf)
        shutil.chown(project.dir, "nobody", "nogroup")
        project.dir.chmod(0o755)
        return project

    def test_it_binds_as_root_and_then_is_another(self):
        server = self.launch(self.project_for("""function S:on_start()
          self:info("on_start as %s", io.popen("id -u"):read("*l"))
        end
        function S:run() self:info("run as %s", io.popen("id"):read("*l")) tiny.sleep(1) end""", {"svr.user": "nobody"}))
        server.wait_ready()
        server.wait_line("on_start as 0")
        line = server.wait_line("run as")
        nobody = pwd.getpwnam("nobody")
        self.assertIn(f"uid={nobody.pw_uid}(nobody) gid={nobody.pw_gid}(nogroup) groups={nobody.pw_gid}(nogroup)", line)
        for thread in Path(f"/proc/{server.pid}/task").iterdir():
            uids = [line for line in (thread / "status").read_text().splitlines() if line.startswith("Uid:")]
            self.assertEqual(set(uids[0].split()[1:]), {str(nobody.pw_uid)}, thread)
        self.assert_reloaded(server.project)
        self.assertEqual(server.project.tiny("status").returncode, 0)
        self.assertEqual(server.project.said("close"), (0, "closed\n"))
        self.assert_closed(server, 0)

    def test_its_log_file_is_the_other_s(self):
        server = self.launch(self.project_for("function S:run() self:warn('written') tiny.sleep(0.1) end",
                                              {"svr.user": "nobody", "log.file_log": "server.log"}))
        server.wait_ready()
        path = server.project.dir / "server.log"
        wait_for(lambda: path.exists() and "written" in path.read_text(), "a line in the file")
        self.assertEqual(path.stat().st_uid, pwd.getpwnam("nobody").pw_uid)
        path.unlink()
        server.signal(signal.SIGUSR2)
        wait_for(lambda: path.exists() and "written" in path.read_text(), "a line in the new file")

    def test_an_unknown_user_is_refused(self):
        server = self.launch(self.project("", {"svr.user": "nobody-of-that-name"}))
        self.assertEqual(server.exit_code(), 1)
        self.assertTrue(server.lines("svr.user nobody-of-that-name: there is no such user"))

    def test_who_is_not_root_cannot_become_another(self):
        project = self.project_for("", {"svr.user": "root"})
        for path in (project.dir / "conf.lua", project.dir / "main.lua"):
            path.chmod(0o644)
        server = self.launch(project, user="nobody", group="nogroup", extra_groups=[])
        self.assertEqual(server.exit_code(), 1, server.output())
        self.assertTrue(server.lines("only root can become another"))


def can_unshare():
    return shutil.which("unshare") and subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "true"], check=False, capture_output=True).returncode == 0


@unittest.skipUnless(can_unshare(), "there are no pid namespaces here")
class ProcessOne(ServerCase):
    """The first process of a container."""

    def launch_first(self, body, conf=None):
        project = self.project(body, conf)
        self.log = open(project.dir / "output.txt", "wb+")
        self.addCleanup(self.log.close)
        self.process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", TINY, "run", "-c", str(project.dir / "conf.lua")],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(self.process.wait)
        self.addCleanup(lambda: self.process.poll() is None and os.killpg(self.process.pid, signal.SIGKILL))
        self.project_one = project
        wait_for(lambda: "started" in self.output(), "the server to start")

    def output(self):
        return (self.project_one.dir / "output.txt").read_text(errors="replace")

    def first(self):
        """Process 1 of the namespace, as we see it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def children_of_first(self):
        path = Path(f"/proc/{self.first()}/task/{self.first()}/children")
        return path.read_text().split()

    def test_orphans_are_reaped(self):
        self.launch_first("""function S:run()
          for i = 1, 5 do os.execute("(sleep 0.1 &)") end
          self:info("orphans made") tiny.sleep(0.3)
        end""")
        wait_for(lambda: self.output().count("orphans made") > 5, "some orphans")
        wait_for(lambda: len(self.children_of_first()) <= 11, "the orphans to be reaped")
        for child in self.children_of_first():
            status = Path(f"/proc/{child}/status")
            self.assertNotIn("Z (zombie)", status.read_text() if status.exists() else "")

    def test_signals_reach_the_server_and_its_exit_code_is_passed_on(self):
        self.launch_first("function S:on_close(reason) self:info('on_close %s', reason) end")
        os.kill(self.first(), signal.SIGHUP)
        wait_for(lambda: "reloaded: generation 2" in self.output(), "the reload")
        os.kill(self.first(), signal.SIGTERM)
        self.process.wait(WAIT)
        self.assertIn("on_close close", self.output())
        self.assertEqual(self.process.returncode, 0)

    def test_a_hang_ends_the_container_with_253(self):
        self.launch_first("function S:run() tiny.sleep(0.1) while true do tostring(1) end end",
                          {"svr.timer.run_status_check_time_span": 1})
        self.assertEqual(self.process.wait(WAIT), 253)


if __name__ == "__main__":
    unittest.main()
