# SPDX-License-Identifier: MIT
"""peers -- what the server talks to besides its clients: who reads its console, a real rsyslogd, a real
SMTP server, a subscriber of its feed. Each can be stopped, or killed and started again."""
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import zmq

from tiny_server import die_with_parent, wait_for

HERE = Path(__file__).resolve().parent


class Daemon:
    """A process of its own."""

    def __init__(self, command, ready):
        self.command, self.ready, self.lock = [str(word) for word in command], ready, threading.Lock()
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        wait_for(self.ready, f"{self.command[0]} to be ready")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stall(self, seconds):
        with self.lock:
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            self.process.send_signal(signal.SIGCONT)

    def absent(self, seconds):
        with self.lock:
            self.kill()
            time.sleep(seconds)
            self.start()


def syslog(folder):
    """A real rsyslogd that writes to folder/syslog."""
    socket = folder / "dev_log"
    (folder / "rsyslog.conf").write_text(
        'module(load="imuxsock" SysSock.Use="off")\n'
        f'input(type="imuxsock" Socket="{socket}" RateLimit.Interval="0")\n'
        f'*.* action(type="omfile" file="{folder}/syslog" template="RSYSLOG_TraditionalFileFormat")\n')

    def ready():
        return socket.exists()

    class Syslog(Daemon):
        def kill(self):
            super().kill()
            socket.unlink(missing_ok=True)
            (folder / "rsyslog.process").unlink(missing_ok=True)

    return Syslog(["rsyslogd", "-n", "-f", folder / "rsyslog.conf", "-i", folder / "rsyslog.process"], ready)


def mail(folder, port):
    """A real SMTP server that writes the lines of its mails to folder/mails."""
    ready = folder / "mail.ready"

    class Mail(Daemon):
        def kill(self):
            super().kill()
            ready.unlink(missing_ok=True)

    return Mail([sys.executable, HERE / "mail_sink.py", port, folder / "mails", ready], ready.exists)


class Console(threading.Thread):
    """Reads what the server writes to its stdout, a FIFO, into a file."""

    def __init__(self, fifo, file):
        super().__init__(name="console", daemon=True)
        os.mkfifo(fifo)
        self.fifo, self.file = fifo, file
        self.open_now, self.read_now, self.over = threading.Event(), threading.Event(), False
        self.open_now.set()
        self.read_now.set()
        self.start()

    def run(self):
        with open(self.file, "ab", buffering=0) as out:
            while not self.over:
                self.open_now.wait()
                fd = os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK)
                self.read(fd, out)
                os.close(fd)

    def read(self, fd, out):
        while self.open_now.is_set() and not self.over:
            self.read_now.wait()
            if not select.select([fd], [], [], 0.1)[0]:
                continue
            text = os.read(fd, 65536)
            out.write(text)
            if not text:
                time.sleep(0.02)  # nobody has it open

    def stall(self, seconds):
        self.read_now.clear()
        time.sleep(seconds)
        self.read_now.set()

    def absent(self, seconds):
        self.open_now.clear()
        time.sleep(seconds)
        self.open_now.set()

    def stop(self):
        self.over = True
        self.join()


class Subscriber(threading.Thread):
    """Reads the monitor feed: within a process its numbers only grow."""

    def __init__(self, world):
        super().__init__(name="subscriber", daemon=True)
        self.world, self.over, self.last, self.info = world, False, (0, 0), {}
        self.rss = {}  # pid: the most that it has said to have
        self.start()

    def run(self):
        socket = connect(zmq.SUB, self.world.endpoint("feed"), subscribe=b"tiny.")
        while not self.over:
            if socket.poll(200):
                self.take(socket.recv_multipart())
        socket.close()

    def take(self, frames):
        message = json.loads(frames[1])
        info = message["info"]
        self.info = info
        self.world.books.count("messages")
        self.rss[info["pid"]] = max(self.rss.get(info["pid"], 0), info["rss_bytes"] or 0)
        pid, seq = self.last
        if info["pid"] == pid and message["seq"] <= seq:
            self.world.books.wrong(f"message {message['seq']} of the feed came after {seq}")
        self.last = (info["pid"], message["seq"])

    def stop(self):
        self.over = True
        self.join()


def connect(kind, endpoint, **options):
    """A ZeroMQ socket; its options are set in their order, subscribe among them."""
    socket = zmq.Context.instance().socket(kind)
    socket.linger = 0
    for name, value in options.items():
        setattr(socket, name, value)
    socket.connect(endpoint)
    return socket
