# SPDX-License-Identifier: MIT
"""faults -- the list of what is thrown at the server, and the plan of a run, made from its seed.

A fault is a function of the world and of dice of its own: it returns when it is over, and has put back
what it took away. reloads, ends, errors, surroundings and crowds have them."""
import random

FAULTS = {}      # name: function
WEIGHTS = {}     # name: one of twice the weight is thrown twice as often
ENDING = set()   # names of those that end the process
LAST_LIFE = 0.7  # of the time is over when they stop: what leaks has to show in one life


def fault(weight, ends=False):
    """List a function."""
    def add(function):
        FAULTS[function.__name__], WEIGHTS[function.__name__] = function, weight
        if ends:
            ENDING.add(function.__name__)
        return function
    return add


def plan(seed, seconds):
    """[(second, name, seed of its dice)]: the same for the same seed. Each is thrown once before chance decides."""
    dice, rows, at = random.Random(seed), [], 0.0
    first = dice.sample(sorted(FAULTS), len(FAULTS))
    while at < seconds:
        names = sorted(FAULTS if at < seconds * LAST_LIFE else FAULTS.keys() - ENDING)
        name = first.pop() if first else dice.choices(names, [WEIGHTS[each] for each in names])[0]
        rows.append((at, name, dice.randrange(1 << 32)))
        at += dice.uniform(0.1, 1.2)
    return rows
