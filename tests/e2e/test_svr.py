# SPDX-License-Identifier: MIT
"""svr.sh beside a conf.lua: the background start, restart, and what it hands on to tiny."""
import os
import re
import shutil
import signal
import subprocess
import time
import unittest
from pathlib import Path

from tiny_server import ROOT, TINY, WAIT, ServerCase, wait_for


def ended(pid):
    """Whether a process is gone, or only waits for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


class Script(ServerCase):
    def made(self, body="", conf=None):
        """A project with its own svr.sh and `tiny` on PATH, whose server is closed at the end."""
        project = self.project(body, conf)
        shutil.copy(ROOT / "svr.sh", project.dir)
        (project.dir / "bin").mkdir()
        (project.dir / "bin/tiny").symlink_to(TINY)
        self.addCleanup(project.said, "close")
        return project

    def svr(self, project, *args, cwd="/"):
        env = dict(os.environ, PATH=f"{project.dir}/bin:/usr/bin:/bin")
        done = subprocess.run([project.dir / "svr.sh", *args], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=WAIT, check=False)
        return done.returncode, done.stdout + done.stderr

    def start(self, project, *args):
        """`svr.sh start`; returns the server's pid."""
        code, text = self.svr(project, "start", *args)
        self.assertEqual(code, 0, text)
        return int(re.search(r"pid (\d+)", text)[1])


class Start(Script):
    def test_it_returns_when_the_server_is_ready(self):
        project = self.made("function S:on_start() tiny.sleep(0.3) end")
        pid = self.start(project)
        code, text = self.svr(project, "status", "--json")
        self.assertEqual(code, 0)
        self.assertRegex(text, rf'"pid": ?{pid}\b')
        self.assertRegex(text, '"state": ?"running"')

    def test_the_server_is_in_a_session_of_its_own(self):
        pid = self.start(self.made())
        self.assertEqual(os.getsid(pid), pid)

    def test_its_output_is_kept_beside_conf_lua(self):
        project = self.made('function S:on_start() self:info("hello") print("from print") end')
        self.start(project)
        wait_for(lambda: "INFO hello" in (project.dir / "conf.lua.out").read_text(), "the log")
        self.svr(project, "close")
        self.assertIn("from print", (project.dir / "conf.lua.out").read_text())

    def test_it_says_why_not(self):
        project = self.made('function S:on_start() error("no ink") end')
        project.write("conf.lua.out", "of yesterday\n")
        code, text = self.svr(project, "start")
        self.assertEqual(code, 1)
        self.assertIn("main.lua:3: no ink", text)
        self.assertIn("exit code 1", text)
        self.assertNotIn("of yesterday", text)
        self.assertIn("of yesterday", (project.dir / "conf.lua.out").read_text())

    def test_a_second_one_is_refused_and_the_first_goes_on(self):
        project = self.made()
        pid = self.start(project)
        code, text = self.svr(project, "start")
        self.assertEqual(code, 1)
        self.assertIn(str(pid), text)
        self.assertEqual(self.svr(project, "status")[0], 0)

    def test_another_conf_may_be_named(self):
        project = self.made()
        (project.dir / "conf.lua").rename(project.dir / "other.lua")
        self.assertEqual(self.svr(project, "start")[0], 1)
        code, text = self.svr(project, "start", "-c", "other.lua", cwd=project.dir)
        self.assertEqual(code, 0, text)
        self.assertTrue((project.dir / "other.lua.out").exists())
        self.assertEqual(self.svr(project, "status")[0], 3)
        self.assertEqual(self.svr(project, "close", "-c", "other.lua", cwd=project.dir)[0], 0)

    def test_script_and_arguments_are_handed_on(self):
        project = self.made()
        project.write("other.lua", 'local S = require("tiny").Server:extend()\n'
                      'function S:on_start() self:info("args %s", table.concat(self.args, "|")) end\nreturn S\n')
        self.start(project, str(project.dir / "other.lua"), "one", "two words")
        wait_for(lambda: "args one|two words" in (project.dir / "conf.lua.out").read_text(), "the arguments")


class Others(Script):
    def test_restart_is_a_new_process(self):
        project = self.made()
        first = self.start(project)
        code, text = self.svr(project, "restart")
        self.assertEqual(code, 0, text)
        second = int(re.search(r"pid (\d+)", text)[1])
        self.assertNotEqual(first, second)
        self.assertTrue(ended(first))

    def test_restart_starts_what_does_not_run(self):
        project = self.made()
        self.assertEqual(self.svr(project, "restart")[0], 0)
        self.assertEqual(self.svr(project, "status")[0], 0)

    def test_restart_with_a_broken_script_leaves_the_server_alone(self):
        project = self.made()
        pid = self.start(project)
        project.script("= 1")
        code, text = self.svr(project, "restart")
        self.assertEqual(code, 1)
        self.assertIn("main.lua:3:", text)
        os.kill(pid, 0)

    def test_reload_close_status_and_check_keep_their_exit_codes(self):
        project = self.made()
        self.assertEqual([self.svr(project, name)[0] for name in ("reload", "status", "close", "check")], [3, 3, 0, 0])
        self.start(project)
        self.assertEqual([self.svr(project, name)[0] for name in ("reload", "status", "check")], [0, 0, 0])
        project.script("= 1")
        self.assertEqual([self.svr(project, name)[0] for name in ("reload", "check", "close", "status")], [1, 1, 0, 3])

    def test_run_stays_in_the_foreground(self):
        project = self.made()
        env = dict(os.environ, PATH=f"{project.dir}/bin:/usr/bin:/bin")
        with subprocess.Popen([project.dir / "svr.sh", "run"], env=env, stderr=subprocess.DEVNULL) as process:
            wait_for(lambda: project.tiny("status").returncode == 0, "the server")
            self.assertEqual(self.svr(project, "status", "--json")[1].count(f'"pid": {process.pid}'), 1)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(WAIT), 0)

    def test_other_commands_go_to_tiny_as_they_are(self):
        code, text = self.svr(self.made(), "--version")
        self.assertEqual(code, 0)
        self.assertRegex(text, r"\Atiny \d")

    def test_only_tinys_own_repository_has_a_bench(self):
        code, text = self.svr(self.made(), "bench")
        self.assertEqual(code, 1)
        self.assertIn("no bench here", text)

    def test_without_a_command_it_shows_its_usage(self):
        code, text = self.svr(self.made())
        self.assertEqual(code, 1)
        self.assertIn("usage: ./svr.sh", text)

    def test_without_tiny_it_says_so(self):
        project = self.made()
        (project.dir / "bin/tiny").unlink()
        if shutil.which("tiny", path="/usr/bin:/bin"):
            self.skipTest("tiny is installed on this machine")
        code, text = self.svr(project, "status")
        self.assertEqual(code, 1)
        self.assertEqual(text.strip(), "svr.sh: tiny is not there: is Tiny installed, and in PATH?")


@unittest.skipUnless(TINY == str(ROOT / "build/release/tiny"), "only the release build is what svr.sh runs here")
class InTheRepository(ServerCase):
    def test_from_the_second_time_on_it_is_ready_at_once(self):
        spans = []
        while min(spans, default=1) >= 0.3 and len(spans) < 30:  # on a busy machine not each time
            spans.append(self.seconds_to_ready())
        self.assertLess(min(spans), 0.3, spans)

    def seconds_to_ready(self):
        project = self.project()
        began = time.monotonic()
        with subprocess.Popen([ROOT / "svr.sh", "run", "-c", project.dir / "conf.lua"],
                              stderr=subprocess.DEVNULL) as process:
            wait_for(lambda: project.tiny("status").returncode == 0, "the server")
            seconds = time.monotonic() - began
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(WAIT), 0)
        return seconds


if __name__ == "__main__":
    unittest.main()
