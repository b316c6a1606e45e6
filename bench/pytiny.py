# SPDX-License-Identifier: MIT
"""pytiny -- a peer: the smallest Python server of the pattern that Tiny comes from. Threads for the
server, its timers and its monitor; configuration and logging as Python has them; timers looked
through every millisecond.

    pytiny.py serve FIFO [monitor]        write to FIFO when ready, then idle until killed
    pytiny.py make N STRIDE               CPU ns of a timer made and fired, MB of memory
    pytiny.py period MS SECONDS           ns that each call of a timer was late, and its number"""
import configparser
import json
import logging
import logging.handlers
import resource
import signal
import sys
import threading
import time

SPAN = 0.001  # seconds: the timers' precision


class Timers(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.timers, self.lock, self.ends = {}, threading.Lock(), threading.Event()

    def add(self, key, due, fn, interval=None):
        with self.lock:
            self.timers[key] = [due, fn, interval]

    def fire(self, now):
        with self.lock:
            due = [(key, timer) for key, timer in self.timers.items() if timer[0] <= now]
            for key, timer in due:
                if timer[2]:
                    timer[0] += timer[2]
                else:
                    del self.timers[key]
        for _, timer in due:
            timer[1]()

    def run(self):
        while not self.ends.wait(SPAN):
            self.fire(time.monotonic())


class Server:
    def __init__(self, monitored):
        self.conf = configparser.ConfigParser()
        self.conf.read_dict({"svr": {"name": "pytiny", "monitor": "tcp://127.0.0.1:*"}})
        self.log = logging.getLogger(self.conf["svr"]["name"])
        self.log.addHandler(logging.StreamHandler())
        self.log.setLevel(logging.INFO)
        self.timers, self.closes = Timers(), threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.closes.set())
        if monitored:
            self.monitor()

    def monitor(self):
        import zmq  # only who has a monitor pays for it
        self.feed = zmq.Context().socket(zmq.PUB)
        self.feed.bind(self.conf["svr"]["monitor"])
        self.timers.add("monitor", time.monotonic(), self.publish, 10)

    def publish(self):
        self.feed.send_multipart([b"tiny.pytiny", json.dumps({"info": {"name": "pytiny"}}).encode()])

    def serve(self, fifo):
        self.timers.start()
        self.log.info("running")
        with open(fifo, "w", encoding="ascii") as ready:
            ready.write("x")
        self.closes.wait()


def rss_mb():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def make(count, stride):
    fired, before, began, start = [0], rss_mb(), time.process_time_ns(), time.monotonic()
    timers = Timers()

    def fire():
        fired[0] += 1

    for i in range(count):
        timers.add(i, start + 4 + i * stride % count / count, lambda: fire())
    made, memory = time.process_time_ns(), rss_mb() - before
    time.sleep(max(start + 4 - time.monotonic(), 0))
    timers.start()
    while fired[0] < count:
        time.sleep(0.1)
    print(f"{(made - began) / count:.0f} {(time.process_time_ns() - made) / count:.0f} {memory:.1f}")


def period(span_ms, seconds):
    timers, times = Timers(), []
    timers.start()
    first = time.monotonic() + span_ms / 1e3
    timers.add("period", first, lambda: times.append(time.monotonic()), span_ms / 1e3)
    time.sleep(seconds)
    for number, at in enumerate(times):
        print(f"{(at - first) * 1e9 - number * span_ms * 1e6:.0f} {number + 1}")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        Server(sys.argv[3:] == ["monitor"]).serve(sys.argv[2])
    else:
        {"make": make, "period": period}[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))
