#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""kills -- kills a server TINY_SOAK_KILLS times (300) while it writes checkpoints of 1 MB, and proves
that each time it comes back whole, with what it had when a checkpoint was last said to be made.

    TINY_BIN=build/release/tiny tests/soak/kills.py"""
import os
import random
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))
from tiny_server import Project, Server

KILLS = int(os.environ.get("TINY_SOAK_KILLS", "300"))

# Every row tells of which round it is: a mixture of two rounds shows.
SCRIPT = """
  function S:on_start()
    local c = self.context
    c.n = c.n or 0
    for i, row in ipairs(c.rows or {}) do
      if row ~= ("%d/%d:"):format(c.n, i) .. ("x"):rep(1000) then error("row " .. i .. " is of another round") end
    end
    if c.rows and #c.rows ~= 1000 then error("rows are missing") end
    self:info("found %d", c.n)
  end
  function S:run()
    local c = self.context
    local n, rows = c.n + 1, {}
    for i = 1, 1000 do rows[i] = ("%d/%d:"):format(n, i) .. ("x"):rep(1000) end
    c.n, c.rows = n, rows
    assert(self:checkpoint())
    self:info("saved %d", n)
  end"""


def last(server, word):
    lines = server.lines("INFO " + word)
    return int(lines[-1].split()[-1]) if lines else 0


def one_life(project, dice, saved):
    """Start, check what came back, kill it at some moment. Returns what it said it had saved."""
    server = Server(project)
    try:
        server.wait_line("INFO found")
        found = last(server, "found")
        if found < saved:
            sys.exit(f"found {found} after {saved} had been saved:\n{server.output()}")
        time.sleep(dice.uniform(0, 0.05))
        server.signal(signal.SIGKILL)
        server.exit_code()
        if server.lines("ERROR") or server.lines("WARN"):
            sys.exit(f"a state was damaged:\n{server.output()}")
        return max(found, last(server, "saved"))
    finally:
        server.kill()


def main():
    project = Project(SCRIPT, conf={"svr.checkpoint.span": 3600})
    dice, saved, drafts = random.Random(), 0, 0
    try:
        for _ in range(KILLS):
            saved = one_life(project, dice, saved)
            drafts += (project.dir / "test.ckpt.tmp").exists()
    finally:
        project.remove()
    print(f"{KILLS} kills, {drafts} of them in the middle of a write, {saved} rounds: none lost, none damaged")
    return 0 if saved > KILLS // 10 else "too few checkpoints were made for this to prove anything"


if __name__ == "__main__":
    sys.exit(main())
