# SPDX-License-Identifier: MIT
"""subscriber -- a subscriber of monitor feeds and a publisher that need no Tiny, and servers that have a feed."""
import json
import re
import time

import zmq

from tiny_server import WAIT, ServerCase, free_port

ANY = "tcp://127.0.0.1:*"  # the kernel chooses
INFO = {"name": "fake", "host": "elsewhere", "pid": 1, "state": "running", "generation": 1, "uptime": 10,
        "start_time": "2026/01/01 00:00:00", "cpu_seconds": 1, "errors": 0, "loop_lag_ms": 0.5, "lua_heap_bytes": 1e6,
        "rss_bytes": 1e7, "timers": 1, "tasks": 1, "connections": 0, "hung_for": 0, "app": {}}


def free_endpoint():
    """One that nobody has just now."""
    return f"tcp://127.0.0.1:{free_port()}"


class Subscriber:
    """Gets the messages of a feed as they come. `curve` is (server's public key, own public, own secret)."""

    def __init__(self, endpoint, topic="tiny.", curve=None):
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.linger = 0
        if curve:
            self.socket.curve_serverkey, self.socket.curve_publickey, self.socket.curve_secretkey = curve
        self.socket.subscribe(topic)
        self.socket.connect(endpoint)

    def next(self, seconds=WAIT):
        """The next message as (topic, object), or None when none comes."""
        if not self.socket.poll(seconds * 1000):
            return None
        topic, body = self.socket.recv_multipart()
        return topic.decode(), json.loads(body)

    def wait(self, condition, what):
        """The first message that fulfils condition(message)."""
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            got = self.next(1)
            if got and condition(got[1]):
                return got[1]
        raise AssertionError(f"no message came with {what}")

    def all(self, seconds):
        """All messages that come within so many seconds."""
        messages, deadline = [], time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            got = self.next(left)
            if got:
                messages.append(got[1])
        return messages

    def close(self):
        self.socket.close()


class Publisher:
    """A feed that says what a test wants it to say."""

    def __init__(self):
        self.socket = zmq.Context.instance().socket(zmq.XPUB)
        self.socket.linger = 0
        self.endpoint = f"tcp://127.0.0.1:{self.socket.bind_to_random_port('tcp://127.0.0.1')}"
        self.is_heard = False

    def send(self, info=None, conf=None, raw=None):
        """One message, as soon as somebody listens."""
        if not self.is_heard:
            self.is_heard = bool(self.socket.poll(WAIT * 1000))
            self.socket.recv()
        message = {"version": 1, "seq": 1, "info": {**INFO, **(info or {})}, "conf": conf or {}}
        self.socket.send_multipart([b"tiny.fake", raw or json.dumps(message).encode()])


class FeedCase(ServerCase):
    """Servers with a feed on a port of their own."""

    def feed(self, body="", conf=None, **options):
        """A ready server that publishes; its endpoints, as a list, are its attribute `endpoints`."""
        keys = {"svr.monitor": True, "svr.monitor.host": ANY, "svr.monitor.timer": 600, **(conf or {})}
        server = self.launch(self.project(body, keys), **options).wait_ready()
        count = len(keys["svr.monitor.host"]) if isinstance(keys["svr.monitor.host"], list) else 1
        server.wait_line("publishing on", times=count)
        server.endpoints = self.endpoints(server)
        return server

    def endpoints(self, server):
        """All that the server has ever published on."""
        return re.findall(r"publishing on (\S+)", server.output())

    def subscribe(self, endpoint, **options):
        subscriber = Subscriber(endpoint, **options)
        self.addCleanup(subscriber.close)
        return subscriber

    def message(self, server):
        """What it sends to who subscribes now, and is gone then."""
        subscriber = self.subscribe(server.endpoints[0])
        message = subscriber.next()[1]
        subscriber.close()
        return message

    def publisher(self):
        publisher = Publisher()
        self.addCleanup(publisher.socket.close)
        return publisher

    def listen(self, server, **options):
        """A subscriber that has had its first message."""
        subscriber = self.subscribe(server.endpoints[0], **options)
        self.assertIsNotNone(subscriber.next())
        return subscriber
