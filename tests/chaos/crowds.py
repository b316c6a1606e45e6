# SPDX-License-Identifier: MIT
"""crowds -- clients that behave badly, many at a time."""
import contextlib
import socket
import time

import zmq

from faults import fault
from peers import connect

WAIT = 5  # seconds for what a socket does; the server may be stopped


def dial(world):
    return socket.create_connection(world.address, timeout=WAIT)


@contextlib.contextmanager
def crowd(world, size):
    """So many connections, or as many as there could be had."""
    sockets = []
    try:
        for _ in range(size):
            with contextlib.suppress(OSError):
                sockets.append(dial(world))
        yield sockets
    finally:
        for each in sockets:
            each.close()


def send(sockets, text):
    for each in sockets:
        with contextlib.suppress(OSError):
            each.sendall(text)


@fault(3)
def flood(world, dice):
    """They ask and do not wait for the answer."""
    with crowd(world, dice.randrange(50, 250)) as sockets:
        send(sockets, b"GET /stream/100000 HTTP/1.1\r\nHost: x\r\n\r\n" * dice.randrange(1, 4))


@fault(2)
def slowloris(world, dice):
    """A byte now and then of a head that never ends."""
    with crowd(world, dice.randrange(10, 100)) as sockets:
        send(sockets, b"GET / HTTP/1.1\r\n")
        for _ in range(dice.randrange(2, 10)):
            time.sleep(0.5)
            send(sockets, b"X")


@fault(2)
def slow_readers(world, dice):
    """They ask for much and do not take it."""
    with crowd(world, dice.randrange(10, 60)) as sockets:
        send(sockets, b"GET /stream/4000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(dice.uniform(0.5, 4))


@fault(2)
def garbage(world, dice):
    with crowd(world, dice.randrange(5, 50)) as sockets:
        for each in sockets:
            send([each], dice.randbytes(dice.randrange(1, 3000)))


@fault(1)
def silent(world, dice):
    """They only connect."""
    with crowd(world, dice.randrange(10, 100)):
        time.sleep(dice.uniform(0.5, 3))


@fault(2)
def strangers(world, dice):
    """Garbage at unix sockets: the control socket and those of ZeroMQ."""
    for name in ("chaos.sock", "replies.ipc", "pulls.ipc", "feed.ipc"):
        sockets = [socket.socket(socket.AF_UNIX) for _ in range(dice.randrange(5, 70))]
        for each in sockets:
            each.settimeout(WAIT)
            with contextlib.suppress(OSError):
                each.connect(str(world.dir / name))
        send(sockets, dice.randbytes(200))
        time.sleep(dice.uniform(0, 0.5))
        for each in sockets:
            each.close()


@fault(2)
def requests_left(world, dice):
    """Many ask over ZeroMQ, and are gone before the answer."""
    for _ in range(dice.randrange(5, 40)):
        each = connect(zmq.DEALER, world.endpoint("replies"))
        for _ in range(dice.randrange(1, 20)):
            each.send_multipart([b"", b"nobody", b"1", dice.randbytes(100)], zmq.NOBLOCK)
        time.sleep(dice.uniform(0, 0.02))
        each.close()
