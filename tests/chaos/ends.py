# SPDX-License-Identifier: MIT
"""ends -- what ends the server's process, each time to be started again by supervise: kill -9, an orderly
close, hangs of each kind; and what looks like a hang and is none, a stopped process."""
import signal
import time

from faults import fault
from tiny_server import wait_for

HUNG, FORCED, TOO_EARLY = 253, 252, "signal 15"  # a process that does not know of signals yet
HANGS = ("compiled", "pcalls", "coroutine", "handler", "pattern", "system", "finalizer", "run")
LATEST = 20  # seconds until a process that hangs is gone, by its conf.lua and by a busy machine


def wait_next(world, life):
    wait_for(lambda: life.code is not None or not world.lives.all(), f"the end of {life.pid}", LATEST)
    world.wait_healthy()


@fault(4, ends=True)
def killed(world, _dice):
    world.lives.provoke("signal 9")
    with world.files:
        life = world.lives.now()
        world.kill()
        if life:
            wait_next(world, life)


@fault(2, ends=True)
def closed(world, _dice):
    """In order, and what takes too long by force."""
    world.lives.provoke(FORCED)
    world.lives.provoke(TOO_EARLY)
    with world.files:
        life = world.lives.now()
        world.control("term")
        if life:
            wait_next(world, life)


@fault(3, ends=True)
def hung(world, dice):
    """The watchdog ends it; under svr.watchdog.slice some are stopped without that."""
    kind = dice.choice(HANGS)
    world.lives.provoke(HUNG)
    with world.files:
        life, sliced = world.lives.now(), world.variant.get("svr.watchdog.slice")
        status = world.ask(f"/trouble/{kind}")
        if status == 500 and sliced:
            return
        if life and status != 503:
            wait_next(world, life)


@fault(4)
def stopped(world, dice):
    """Longer than the watchdog's span: that is no hang."""
    with world.files:
        world.signal(signal.SIGSTOP)
        time.sleep(dice.uniform(0.2, 4))
        world.signal(signal.SIGCONT)
