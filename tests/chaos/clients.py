# SPDX-License-Identifier: MIT
"""clients -- those who use the server all the while, and verify each answer."""
import http.client
import json
import random
import threading

import zmq

from peers import connect

TIMEOUT = 30  # seconds; longer than any fault keeps the server from answering


class Client(threading.Thread):
    """Works until it is told to stop. One connection, opened anew when it is lost."""

    def __init__(self, world, name):
        super().__init__(name=name, daemon=True)
        self.world, self.books = world, world.books
        self.dice = random.Random(f"{world.seed}/{name}")
        self.connection, self.stopped, self.pid, self.lost = None, threading.Event(), None, False

    def run(self):
        while not self.stopped.is_set():
            try:
                self.work()
            except Exception as error:  # pylint: disable=broad-except
                self.books.wrong(f"{self.name}: {error!r}")
                self.stopped.wait(1)
        self.drop()

    def stop(self):
        self.stopped.set()

    def drop(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def ask(self, method, path, body=None):
        """(status, body), or None when the connection was lost: whether it was done is not known then."""
        if not self.connection:
            self.connection = http.client.HTTPConnection(*self.world.address, timeout=TIMEOUT)
        try:
            self.connection.request(method, path, body)
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.drop()
            self.note_loss(error)
            return None

    def note_loss(self, error):
        """Nobody listens while there is no server; a connection that was there goes with its process only."""
        if not isinstance(error, ConnectionRefusedError) and not self.lost:
            self.lost = f"{type(error).__name__} {error}"
            self.books.count("resets")
        self.stopped.wait(0.05)

    def met(self, pid):
        if self.lost and pid == self.pid:
            self.books.wrong(f"{self.name}: a connection was lost although {pid} lived on: {self.lost}")
        self.pid, self.lost = pid, False


class Counter(Client):
    """Asks for one number after the other, and for one again until it knows that it was taken."""

    number = 1
    path = "count"

    def body(self):
        """A few bytes, now and then many; they are sent back."""
        return self.dice.randbytes(self.dice.choice((0, 10, 300, 300, 20000))).hex().encode()

    def work(self):
        wait = self.dice.choice(("", "", "", "", "?wait=0.01", "?wait=0.3"))
        body, before = self.body(), self.books.snapshot()
        got = self.ask("POST", f"/{self.path}/{self.name}/{self.number}{wait}", body)
        if got and got[0] in (200, 409):
            self.take(got, body, before)
        elif got and got[0] not in (500, 503):
            self.books.wrong(f"{self.name}: status {got[0]}")
        elif got:
            self.stopped.wait(0.05)
        self.stopped.wait(self.dice.choice((0, 0, 0, 0.005, 0.05)))

    def take(self, got, body, before):
        text, _, echo = got[1].partition(b"\n")
        answer = json.loads(text)
        self.met(answer["pid"])
        if got[0] == 409:
            self.books.check(self.name, answer["last"], answer["pid"])
            self.number = answer["last"] + 1
            return
        self.check_echo(echo, body)
        self.books.acknowledge(self.name, self.number, answer["pid"])
        self.done(answer, before)
        self.number += 1

    def check_echo(self, echo, body):
        if echo != body:
            self.books.wrong(f"{self.name}: {len(body)} bytes came back as {len(echo)} others")

    def done(self, answer, before):
        pass


class Keeper(Counter):
    """Its numbers are in a checkpoint when they are acknowledged."""

    path = "keep"

    def check_echo(self, echo, body):
        pass

    def done(self, answer, before):
        before[self.name] = (self.number, answer["pid"])
        self.books.saved(before, answer["pid"])
        self.stopped.wait(self.dice.uniform(0, 0.2))


class Reader(Client):
    """Gets large answers that come in pieces."""

    def work(self):
        size = self.dice.randrange(1, 400000)
        got = self.ask("GET", f"/stream/{size}")
        if got and got[0] == 200:
            self.check(got[1], size)
        self.stopped.wait(self.dice.uniform(0, 0.2))

    def check(self, text, size):
        whole = b"".join((b"%06d" % at * 1000)[:1000] for at in range(1, size + 1, 1000))[:size]
        if text == whole:
            self.books.count("streams")
        else:
            self.books.wrong(f"{self.name}: a stream of {size} bytes came as {len(text)} others")


class Requester(Counter):
    """The same over ZeroMQ. Who has heard nothing asks again when the process is another."""

    socket = None

    def ask(self, method, path, body=None):
        pid = self.world.pid()
        if not self.socket:
            self.socket = connect(zmq.REQ, self.world.endpoint("replies"))
        self.socket.send_multipart([self.name.encode(), str(self.number).encode(), body])
        for _ in range(TIMEOUT * 10):
            if self.socket.poll(100):
                status, text, echo = self.socket.recv_multipart()
                return int(status), text + b"\n" + echo
            if self.world.pid() != pid or self.stopped.is_set():
                break
        else:
            self.books.wrong(f"{self.name}: no answer to {self.number} although {pid} lived on")
        self.drop()
        return None

    def drop(self):
        if self.socket:
            self.socket.close()
        self.socket = None


class Pusher(Client):
    """Sends numbers and hears nothing: the server says when one is missing."""

    socket, number = None, 0

    def work(self):
        if not self.socket:
            self.socket = connect(zmq.PUSH, self.world.endpoint("pulls"))
        if self.socket.poll(100, zmq.POLLOUT):
            self.number += 1
            self.socket.send_multipart([self.name.encode(), str(self.number).encode()])
            self.books.count("pushed")
        self.stopped.wait(self.dice.choice((0, 0.002, 0.02)))

    def drop(self):
        if self.socket:
            self.socket.close()


class Listener(Client):
    """Hears the news: of one generation each in its turn."""

    socket, last = None, ("", 0)

    def work(self):
        if not self.socket:
            self.socket = connect(zmq.SUB, self.world.endpoint("news"), subscribe=b"")
        if not self.socket.poll(100):
            return
        writer, number = self.socket.recv_multipart()
        if writer == self.last[0] and int(number) != self.last[1] + 1:
            self.books.wrong(f"news {int(number)} of {writer.decode()} came after {self.last[1]}")
        self.last = (writer, int(number))
        self.books.count("news")

    def drop(self):
        if self.socket:
            self.socket.close()


def team(world):
    """Who is there all the while."""
    clients = [Counter(world, f"counter{i}") for i in range(4)]
    clients += [Keeper(world, f"keeper{i}") for i in range(2)]
    clients += [Requester(world, f"requester{i}") for i in range(2)]
    return clients + [Pusher(world, f"pusher{i}") for i in range(2)] + [Reader(world, "reader"), Listener(world, "listener")]


def start(clients):
    for client in clients:
        client.start()


def stop(clients):
    for client in clients:
        client.stop()
    for client in clients:
        client.join()
