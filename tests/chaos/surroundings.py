# SPDX-License-Identifier: MIT
"""surroundings -- faults of what the server needs: its disk, its clock, who takes its log lines."""
import time

import zmq

from faults import fault
from peers import connect


@fault(3)
def disk_full(world, dice):
    if not world.mounted:
        return
    filler = world.dir / f"disk/filler.{dice.random()}"
    world.lives.fill(1)
    try:
        with open(filler, "wb", buffering=0) as file:
            while file.write(bytes(65536)) == 65536:
                pass
    except OSError:
        pass  # it is full
    time.sleep(dice.uniform(0.5, 4))
    filler.unlink()
    world.lives.fill(-1)


@fault(3)
def clock_stepped(world, dice):
    """By up to an hour, in either direction; a timer of each minute takes that for a day like any other."""
    if world.steps_clock:
        world.step_clock(dice.randrange(-3600, 3600))


def add_taker(name):
    """Who takes log lines does not read for a while, or is away."""
    def stalled(world, dice):
        getattr(world, name).stall(dice.uniform(0.5, 4))

    def away(world, dice):
        getattr(world, name).absent(dice.uniform(0.2, 3))

    for function in (stalled, away):
        function.__name__ = f"{name}_{function.__name__}"
        fault(2)(function)


for taker in ("console", "syslog", "mail"):
    add_taker(taker)


@fault(2)
def subscribers_stalled(world, dice):
    """They subscribe and never read."""
    sockets = [connect(zmq.SUB, world.endpoint(name), rcvhwm=1, subscribe=b"")
               for name in ("feed", "news") for _ in range(dice.randrange(1, 10))]
    time.sleep(dice.uniform(0.5, 4))
    for socket in sockets:
        socket.close()
