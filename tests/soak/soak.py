#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""soak -- reloads one server TINY_SOAK_RELOADS times (20,000; below 1,000 caches still fill) under load, every third time with something
bad, and proves that no request is lost and that memory, file descriptors and threads stay what they were.

    TINY_BIN=build/release/tiny tests/soak/soak.py"""
import os
import re
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))
from http_load import HANDLER, HttpLoad
from tiny_server import Project, Server, wait_for

RELOADS = int(os.environ.get("TINY_SOAK_RELOADS", "20000"))
SAMPLES = 40
STEP = max(1, RELOADS // SAMPLES)
GROWTH = 1.02 if RELOADS >= 5000 else 1.04  # of resident memory; a page here and there weighs more in a short run
LEAK = 8  # bytes a reload that are allocated and not freed: less than the smallest block
CACHED = 8192  # bytes that malloc's caches of threads may hold sooner or later

GOOD = """
  local part = require "part"
  function S:on_start()
    self.context.starts = (self.context.starts or 0) + 1
    self.context.handler, self.conf.copy = nil, part
    local generation = self.generation
    self.http = assert(tiny.http.serve("127.0.0.1:" .. (self.context.port or 0), """ + HANDLER + """))
    self.context.port = tonumber(self.http:address():match("%d+$"))
    self:add_timer("beat", tiny.PeriodTimer(function() self.beats = (self.beats or 0) + 1 end, 0.005))
  end
  function S:on_close()
    local poison = io.open(self.conf.poison)
    if not poison then return end
    poison:close()
    self.context.handler = function() end
  end
  function S:run() tiny.sleep(0.01) end"""


def bad_script(project):
    project.script(GOOD + "\nfunction S:broken( end")


def bad_module(project):
    project.write("part.lua", "return { = }")


def bad_conf(project):
    project.conf({"svr.load_timout": 1})


def bad_on_start(project):
    project.script(GOOD + '\nlocal on_start = S.on_start function S:on_start() on_start(self) error("no ink") end')


def bad_context(project):
    project.write("poison", "")


BAD = [(bad_script, "main.lua:"), (bad_module, "part.lua:1:"), (bad_conf, "svr.load_timout"),
       (bad_on_start, "no ink"), (bad_context, "context.handler is a function")]


def make_good(project):
    project.script(GOOD)
    project.write("part.lua", "return { " + "'x', " * 500 + "}")
    project.conf({"poison": str(project.dir / "poison"), "log.console.level": "ERROR"})
    (project.dir / "poison").unlink(missing_ok=True)


def expect(project, code, word):
    got, text = project.said("reload")
    if got != code or word not in text:
        sys.exit(f"reload: exit {got} instead of {code}, without {word!r}:\n{text}")


def reload_badly(project, turn):
    make_bad, reason = BAD[turn % len(BAD)]
    make_bad(project)
    expect(project, 1, reason)
    make_good(project)


class Stretch:
    """Load between two samples; when it is over, no connection is left."""

    def __init__(self, project):
        self.load = HttpLoad(int(project.said("eval", "self.context.port")[1]), kept=4, new=2, pipelined=2)

    def end(self):
        seen = self.load.stop()
        if seen["lost"] or seen["wrong"] or not seen["requests"]:
            sys.exit(f"under load: {seen}")
        return seen["requests"]


# What malloc has given out and not had back. What it merely keeps for later is given back to the kernel first: how
# much that is depends on how much was in use at once.
USED = """(function()
  local ffi = require "ffi"
  ffi.cdef "struct info { size_t arena, free, fast, maps, mapped, most, fast_free, used, unused, top; };"
  ffi.cdef "struct info mallinfo2(void); int malloc_trim(size_t);"
  ffi.C.malloc_trim(0)
  local info = ffi.C.mallinfo2()
  return tonumber(info.used + info.mapped)
end)()"""


def look(server):
    """(resident KiB, descriptors, threads) of a server."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return (int(re.search(r"VmRSS:\s+(\d+)", status)[1]), len(os.listdir(f"/proc/{server.pid}/fd")),
            len(os.listdir(f"/proc/{server.pid}/task")))


def sample(project, server):
    """(resident KiB, descriptors, threads, bytes allocated): the least of several looks, as a command's connection or
    a helper comes and goes, at a generation that has done nothing yet, as what Lua has not collected is no leak."""
    expect(project, 0, "reloaded: generation")
    wait_for(lambda: server.info()["generations_alive"] == 1, "the old generations to be gone")
    wait_for(lambda: server.info()["connections"] == 0, "the connections to be gone")
    used, looks = int(project.said("eval", USED)[1]), []
    for _ in range(5):
        time.sleep(0.02)
        looks.append(look(server))
    return (*map(min, *looks), used)


def reload_once(project, turn):
    if turn % 3 == 0:
        reload_badly(project, turn // 3)
    else:
        expect(project, 0, "reloaded: generation")


def soak(project, server):
    samples, requests = [], 0
    for first in range(1, RELOADS + 1, STEP):
        stretch = Stretch(project)
        for turn in range(first, first + STEP):
            reload_once(project, turn)
        requests += stretch.end()
        samples.append(sample(project, server))
        print(f"{turn:6} reloads: {samples[-1][0]} KiB, {samples[-1][1]} fds, {samples[-1][2]} threads, {samples[-1][3]} bytes", flush=True)
    print(f"{requests} requests, each answered as it should be")
    return samples


def compare(samples, column):
    """A column's median in the second half of the first quarter, and at the end."""
    values, eighth = [row[column] for row in samples], len(samples) // 8
    return statistics.median(values[eighth:2 * eighth]), statistics.median(values[-eighth:])


def judge(samples):
    """What is wrong with the samples, as text; empty when nothing is."""
    first, last = compare(samples, 0)
    used_first, used_last = compare(samples, 3)
    leak = (used_last - used_first - CACHED) / (RELOADS * 3 / 4)
    print(f"memory: {first:.0f} KiB in the first quarter, {last:.0f} KiB at the end ({last / first - 1:+.1%}); "
          f"allocated {used_first:.0f} and {used_last:.0f} bytes")
    if last > first * GROWTH:
        return "memory has grown"
    if leak > LEAK:
        return "what is allocated grows with each reload"
    return "descriptors or threads have changed" if len({row[1:3] for row in samples}) > 1 else ""


def main():
    project = Project()
    make_good(project)
    server = Server(project)
    try:
        began = time.monotonic()
        server.wait_ready()
        wrong = judge(soak(project, server))
        print(f"{RELOADS} reloads in {time.monotonic() - began:.0f} s")
        code = server.close()
        return wrong or (f"closed with {code}:\n{server.output()[-2000:]}" if code else 0)
    finally:
        server.kill()
        project.remove()


if __name__ == "__main__":
    sys.exit(main())
