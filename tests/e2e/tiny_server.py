# SPDX-License-Identifier: MIT
"""tiny_server -- what the end-to-end tests share: a project in a folder of its own, the real
`tiny` running it, and the proof afterwards that nothing of it is left.

TINY_BIN names the binary to test; without it build/release/tiny is taken."""
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = os.environ.get("TINY_BIN", str(ROOT / "build/release/tiny"))
WAIT = 60  # seconds; how long anything that must happen may take on a busy machine
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|: runtime error:")

CONF = {
    "svr.name": "test",
    "svr.script": "main.lua",
    "svr.monitor": False,
    "svr.log_conf_on_reload": False,
    "log.repeat_limit": 0,
    "log.console.format": "%(levelname)s %(message)s",
}
STAMPED = {"log.console.format": "%(asctime)s " + CONF["log.console.format"]}  # for Server.moments()


def die_with_parent():
    """For preexec_fn: a server must not outlive the tests that were killed."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def lua(value):
    """A Python value as Lua source."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{lua(key)}] = {lua(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(map(lua, value)) + "}"
    return json.dumps(value, ensure_ascii=False)


def server_script(body):
    """A whole server script around the functions of a class S."""
    return f'local tiny = require "tiny"\nlocal S = tiny.Server:extend()\n{body}\nreturn S\n'


def wait_for(condition, what, seconds=WAIT):
    """Poll until condition() is true and return that value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.005)


def free_port():
    """One of loopback that nobody has just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def build_option(name):
    """A value of the CMake cache of the build under test, "" where that cannot be told."""
    cache = Path(TINY).parent / "CMakeCache.txt"
    match = re.search(rf"^{name}:\w+=(.*)$", cache.read_text(), re.M) if cache.exists() else None
    return match[1] if match else ""


# ThreadSanitizer keeps a signal back until the thread that it found calls something.
SIGNALS = build_option("TINY_SANITIZE") != "thread"


class Project:
    """A folder with a conf.lua and a script. Keys given to conf() replace those of CONF,
    None takes one away."""

    def __init__(self, body="", **more):
        self.dir = self.made = Path(tempfile.mkdtemp(prefix="tiny-"))  # a test may go on with a folder within
        self.script(body)
        self.conf(more.get("conf") or {})

    def write(self, name, text):
        """Replace a file whole, so that nobody ever reads half of it."""
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".new")
        draft.write_text(text)
        draft.rename(path)
        return path

    def script(self, body):
        return self.write("main.lua", server_script(body))

    def conf(self, keys):
        keys = {key: value for key, value in {**CONF, **keys}.items() if value is not None}
        return self.write("conf.lua", "return " + lua(keys) + "\n")

    def tiny(self, command, *args, **options):
        """Run a tiny command on this project and return the completed process."""
        return subprocess.run([TINY, command, "-c", str(self.dir / "conf.lua"), *args], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=WAIT, check=False, **options)

    def said(self, command, *args):
        """(exit code, all that it printed) of a tiny command on this project."""
        done = self.tiny(command, *args)
        return done.returncode, done.stdout + done.stderr

    def remove(self):
        shutil.rmtree(self.made, ignore_errors=True)


class Server:
    """`tiny run` on a project, in a session of its own, its output in a file. 'before' is what the command
    begins with, such as nsenter."""

    def __init__(self, project, *args, before=(), **options):
        self.project = project
        self.log = project.dir / f"output.{time.monotonic_ns()}"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*before, TINY, "run", "-c", str(project.dir / "conf.lua"), *args],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True, preexec_fn=die_with_parent, **options)
        self.pid = self.process.pid

    def output(self):
        return self.log.read_text(errors="replace")

    def lines(self, word=""):
        """The output's lines that hold a word."""
        return [line for line in self.output().splitlines() if word in line]

    def moments(self, word):
        """When these lines were written, as texts that sort; for a server that was given STAMPED."""
        return [line[:len("2026-01-01 00:00:00,000")] for line in self.lines(word)]

    def alive(self):
        return self.process.poll() is None

    def wait_ready(self):
        wait_for(lambda: not self.alive() or self.state() in ("running", "standby"), "the server to be ready")
        if not self.alive():
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.output()}")
        return self

    def wait_line(self, word, times=1):
        """Wait until the output has so many lines with that word; returns the last of them."""
        wait_for(lambda: len(self.lines(word)) >= times or not self.alive(), f"{word!r} in the output")
        lines = self.lines(word)
        if len(lines) < times:
            raise AssertionError(f"ended without {word!r}:\n{self.output()}")
        return lines[times - 1]

    def info(self):
        """The object that `tiny status --json` shows, or None when no server answers."""
        done = self.project.tiny("status", "--json")
        return json.loads(done.stdout) if done.returncode in (0, 2) else None

    def state(self):
        info = self.info()
        return info and info["state"]

    def signal(self, number):
        self.process.send_signal(number)

    def exit_code(self):
        """Wait for the end; returns the exit code."""
        return self.process.wait(WAIT)

    def close(self):
        """Ask it to close; returns the exit code."""
        if self.alive():
            self.signal(signal.SIGTERM)
        return self.exit_code()

    def left_over(self):
        """Whether a process of its session is still there."""
        try:
            os.killpg(self.pid, 0)
            return True
        except ProcessLookupError:
            return False

    def kill(self):
        """End it and all that it started, whatever it does."""
        if self.left_over():
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


class ServerCase(unittest.TestCase):
    """A test case whose projects and servers are gone, without a trace, when it ends."""

    maxDiff = None

    def project(self, body="", conf=None):
        project = Project(body, conf=conf)
        self.addCleanup(project.remove)
        return project

    def launch(self, project, *args, **options):
        """Start `tiny run` without waiting for it to be ready."""
        server = Server(project, *args, **options)
        self.addCleanup(self.check_clean, server)
        self.addCleanup(server.kill)
        return server

    def start(self, body="", conf=None):
        """A ready server of the functions of class S and of conf keys."""
        return self.launch(self.project(body, conf)).wait_ready()

    def check_clean(self, server):
        self.assertIsNone(SANITIZER.search(server.output()), server.output())

    def assert_closed(self, server, code=0):
        """It has ended with that code and left no process and no file behind."""
        self.assertEqual(server.exit_code(), code, server.output())
        self.assertFalse(server.left_over())
        left = [path.name for path in server.project.dir.iterdir() if path.suffix in (".pid", ".sock", ".run")]
        self.assertEqual(left, [])

    def assert_reloaded(self, project, *args):
        """`tiny reload` succeeds; returns the new generation's number and the pause in ms."""
        done = project.tiny("reload", *args)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        match = re.fullmatch(r"reloaded: generation (\d+), pause (\d+\.\d) ms\n", done.stdout)
        self.assertTrue(match, done.stdout)
        return int(match[1]), float(match[2])

    def assert_refused(self, project, reason, generation):
        """`tiny reload` is refused with that text in its reason, and says which generation goes on."""
        code, text = project.said("reload")
        self.assertEqual(code, 1, text)
        self.assertIn("refused", text)
        self.assertIn(reason, text)
        self.assertIn(f"generation {generation} goes on", text)
        return text
