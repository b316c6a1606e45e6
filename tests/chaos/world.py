# SPDX-License-Identifier: MIT
"""world -- a server under a real supervise (runit's runsv) with all that it talks to, in a folder of its
own that a small disk is mounted in."""
import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import peers
from books import Books
from lives import Lives
from tiny_server import TINY, Project, build_option, free_port, lua, wait_for

HERE = Path(__file__).resolve().parent
DISK = 4 << 20  # bytes of the small disk
PATIENCE = 60   # seconds that anything may take that has to happen
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
SCRIPT = 'return require "server"\n'

RUN = """#!/bin/sh
exec 2>>stderr
echo $$ >>starts
exec {environment} {tiny} run -c conf.lua >console.fifo
"""

# runsv tells the exit code, -1 after a signal, and the status whose low bits are the signal.
FINISH = """#!/bin/sh
echo "$1 $(($2 & 127))" >>ends
"""


class World(Project):
    def __init__(self, seed):  # pylint: disable=super-init-not-called
        self.seed, self.began = seed, time.monotonic()
        self.dir = Path(tempfile.mkdtemp(prefix="tiny-chaos-"))
        self.books, self.lives = Books(self), Lives(self.dir)
        dice = random.Random()  # not of the seed: two may run side by side
        self.address = (f"127.{dice.randrange(1, 250)}.{dice.randrange(250)}.{dice.randrange(1, 250)}", 8080)
        self.mail_port = free_port()
        self.files = threading.RLock()  # held by who replaces conf.lua or the script, or ends the process
        self.variant = {}               # keys of conf.lua that good reloads change
        self.mounted = self.steps_clock = False
        self.undo = contextlib.ExitStack()

    def clock(self):
        return time.monotonic() - self.began

    def endpoint(self, name):
        return f"ipc://{self.dir}/{name}.ipc"

    # -- files -----------------------------------------------------------------

    def conf(self, keys=None):
        return self.write("conf.lua", "return " + lua({
            "svr.name": "chaos", "svr.script": "main.lua", "svr.load_timeout": 1, "svr.reload_timeout": 1,
            "svr.timer.run_status_check_time_span": 2, "svr.close.wait_lock_delay": 0.5,
            "svr.close.force_close_delay": 3, "svr.log_conf_on_reload": False,
            "svr.monitor.host": self.endpoint("feed"), "svr.monitor.timer": 0.5,
            "svr.checkpoint.span": 1, "svr.checkpoint.path": "disk/chaos.ckpt",
            "log.console.stream": "stdout", "log.console.format": "%(levelname)s %(message)s",
            "log.file_log": "disk/chaos.log", "log.file_log.rotate": {"size": "256K"}, "log.file_log.keep": 2,
            "log.syslog": True, "log.syslog.address": "dev_log", "log.syslog.format": "%(message)s",
            "log.email": True, "log.email.span": 2, "log.email.format": "%(message)s",
            "log.email.config": {"host": ["127.0.0.1", self.mail_port], "from": ["chaos@x.com"],
                                 "target": ["b@x.com"], "tls": "none"},
            "log.repeat_limit": 0, "log.buffer": "256K",
            "chaos.folder": str(self.dir), "chaos.address": f"{self.address[0]}:{self.address[1]}", **self.variant, **(keys or {})}) + "\n")

    def good_files(self):
        self.write("main.lua", SCRIPT)
        self.conf()

    def lines(self, name):
        path = self.dir / name
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    # -- opening and closing ---------------------------------------------------

    def open(self):
        """Whatever fails: close_all() ends what was begun."""
        self.undo.callback(shutil.rmtree, self.dir, ignore_errors=True)
        self.mount()
        (self.dir / "tmp").mkdir()
        for file in (HERE / "server").iterdir():
            shutil.copy(file, self.dir)
        self.good_files()
        self.syslog = peers.syslog(self.dir)
        self.undo.callback(self.syslog.kill)
        self.mail = peers.mail(self.dir, self.mail_port)
        self.undo.callback(self.mail.kill)
        self.console = peers.Console(self.dir / "console.fifo", self.dir / "console")
        self.undo.callback(self.console.stop)
        self.supervise()
        self.undo.callback(self.end)
        self.subscriber = peers.Subscriber(self)
        self.undo.callback(self.subscriber.stop)
        self.wait_healthy()

    def mount(self):
        (self.dir / "disk").mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", self.dir / "disk"]
        self.mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        if self.mounted:
            self.undo.callback(subprocess.run, ["umount", "-l", self.dir / "disk"], check=False)

    def missing(self):
        """What cannot be thrown at the server here."""
        if not self.mounted:
            yield "the full disk, as none could be mounted"
        if not self.steps_clock:
            yield "steps of the clock, as libfaketime is not there or a sanitizer is"

    def keep(self):
        """A copy of all that can be read later."""
        kept = Path(tempfile.mkdtemp(prefix="chaos-kept-"))
        for path in self.dir.rglob("*"):
            if path.is_file() and "supervise" not in path.parts:
                shutil.copy(path, kept)
        print(f"kept: {kept}")

    def environment(self):
        """What the server runs with: a folder for temporary files, a clock that can be stepped."""
        variables = {"TMPDIR": self.dir / "tmp"}
        self.steps_clock = FAKETIME is not None and not build_option("TINY_SANITIZE")
        if self.steps_clock:
            self.step_clock(0)
            variables |= {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": self.dir / "clock",
                          "FAKETIME_NO_CACHE": 1, "DONT_FAKE_MONOTONIC": 1}
        return "env " + " ".join(f"{key}={value}" for key, value in variables.items())

    def step_clock(self, seconds):
        self.write("clock", f"{seconds:+d}\n")

    def supervise(self):
        scripts = {"run": RUN.format(environment=self.environment(), tiny=TINY), "finish": FINISH}
        for name, text in scripts.items():
            self.write(name, text).chmod(0o755)
        self.supervisor = subprocess.Popen(["runsv", self.dir], stdin=subprocess.DEVNULL, start_new_session=True)

    def control(self, *words):
        return subprocess.run(["sv", *words, self.dir], check=False, capture_output=True).returncode

    def close(self):
        """Down for good; returns the exit code of the last life."""
        wait_for(lambda: self.control("-w", "1", "down") == 0, "the server to be down", PATIENCE)
        return self.lives.all()[-1].code

    def end(self):
        """The server and its supervisor, whatever state they are in."""
        self.control("down")
        self.kill()
        self.control("exit")
        self.supervisor.wait()
        for life in self.lives.all():  # libfaketime's
            for kind in ("faketime_shm_", "sem.faketime_sem_"):
                Path(f"/dev/shm/{kind}{life.pid}").unlink(missing_ok=True)

    # -- the server ------------------------------------------------------------

    def pid(self):
        """The server's, 0 when there is none now."""
        life = self.lives.now()
        return life.pid if life else 0

    def signal(self, number):
        pid = self.pid()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def ask(self, path):
        """The status of a POST on a connection of its own, None when there is no answer."""
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE / 2)
        try:
            connection.request("POST", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def kill(self):
        self.signal(signal.SIGKILL)

    def info(self):
        """The object of `tiny status`, None when no server answers."""
        done = self.tiny("status", "--json")
        return json.loads(done.stdout) if done.returncode in (0, 2) else None

    def is_healthy(self):
        info = self.info()
        return info if info and info["state"] == "running" and info["generation"] > 0 else None

    def wait_healthy(self):
        return wait_for(self.is_healthy, "the server to run", PATIENCE)
