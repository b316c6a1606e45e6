#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""http_load -- a client in a process of its own that asks as fast as it can and checks every answer:
numbered requests over connections that stay, over a new one each time, and in pipelines.

The server answers /?n=NUMBER, and /wait?n=NUMBER after a little while, with "NUMBER GENERATION"; what is
posted comes back before that. On one connection the generation never goes back."""
import asyncio
import json
import subprocess
import sys
import time

PIPELINE = 8
BODY = b"x" * 300
PATHS = ("GET /", "GET /wait", "POST /")

# The handler that answers as is expected here; 'generation' is an upvalue of it.
HANDLER = """function(req)
  if req.path == "/wait" then tiny.sleep(0.002) end
  return 200, req.body .. req.query.n .. " " .. generation
end"""


class Wrong(Exception):
    """An answer that is not the one to the question."""


class Load:
    def __init__(self, port):
        self.port = port
        self.number = 0
        self.generation = 0
        self.stopped = False
        self.counts = {"kept": 0, "new": 0, "pipelined": 0}
        self.latencies = []
        self.lost = []   # connections that broke with a question open
        self.wrong = []  # answers that were not right

    def question(self, last=False):
        """(bytes to send, what the answer's body has to begin with) of the next request."""
        self.number += 1
        line, body = PATHS[self.number % len(PATHS)], b""
        head = f"{line}?n={self.number} HTTP/1.1\r\nHost: load\r\n" + ("Connection: close\r\n" if last else "")
        if line.startswith("POST"):
            body = BODY
            head += f"Content-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body, body + b"%d " % self.number

    async def answer(self, reader, expected, seen):
        """Check one answer; returns its generation, and whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200 "):
            raise Wrong(head.split(b"\r\n")[0].decode())
        body = await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        if not body.startswith(expected):
            raise Wrong(f"{body!r} instead of {expected!r}")
        generation = int(body[len(expected):])
        if generation < seen:
            raise Wrong(f"generation {generation} after {seen} on one connection")
        self.generation = max(self.generation, generation)
        return generation, b"connection: close" not in head

    async def ask(self, streams, kind, count, seen, last=False):
        """Ask 'count' questions at once; returns as answer() does."""
        reader, writer = streams
        questions = [self.question(last) for _ in range(count)]
        began = time.perf_counter()
        writer.write(b"".join(question for question, _ in questions))
        for _, expected in questions:
            seen, stays = await self.answer(reader, expected, seen)
            self.latencies.append((time.perf_counter() - began) * 1e3)
            self.counts[kind] += 1
            if len(self.latencies) == 1: print("begun", flush=True)
        return seen, stays

    async def connection(self, kind, count):
        """Ask over one connection for as long as it stays."""
        streams = await asyncio.open_connection("127.0.0.1", self.port)
        seen, stays = 0, True
        try:
            while stays and not self.stopped:
                seen, stays = await self.ask(streams, kind, count, seen, kind == "new")
        finally:
            streams[1].close()

    async def visitor(self, kind, count):
        while not self.stopped:
            try:
                await self.connection(kind, count)
            except (OSError, EOFError) as err:
                self.lost.append(f"{kind}: {err!r}")
            except Wrong as err:
                self.wrong.append(f"{kind}: {err}")

    async def run(self, kept, new, pipelined):
        kinds = [("kept", 1)] * kept + [("new", 1)] * new + [("pipelined", PIPELINE)] * pipelined
        visitors = [asyncio.ensure_future(self.visitor(*kind)) for kind in kinds]
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        self.stopped = True
        await asyncio.wait_for(asyncio.gather(*visitors), 60)

    def report(self):
        self.latencies.sort()
        count = len(self.latencies)
        return {"requests": count, **self.counts, "generation": self.generation, "lost": len(self.lost),
                "wrong": len(self.wrong), "examples": (self.wrong + self.lost)[:5],
                "p50_ms": count and self.latencies[count // 2], "p99_ms": count and self.latencies[count * 99 // 100],
                "max_ms": count and self.latencies[-1]}


class HttpLoad:
    """Such a client at work, from its making, when it has its first answer, until stop()."""

    def __init__(self, port, kept=8, new=4, pipelined=4):
        self.process = subprocess.Popen([sys.executable, __file__, *map(str, (port, kept, new, pipelined))],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def stop(self):
        """End it once each open question is answered; returns what it has seen."""
        return json.loads(self.process.communicate(timeout=120)[0])

    def kill(self):
        self.process.kill()
        self.process.communicate()


def main():
    load = Load(int(sys.argv[1]))
    asyncio.run(load.run(*map(int, sys.argv[2:])))
    print(json.dumps(load.report()))


if __name__ == "__main__":
    main()
