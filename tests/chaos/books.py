# SPDX-License-Identifier: MIT
"""books -- what was acknowledged to whom, and what the server may have forgotten of it.

Promised is: nothing acknowledged is lost by a reload, refused or not, nor by an orderly close. What ends the
process otherwise (SIGKILL, a hang) may cost what came after the last checkpoint, and nothing before it: an
acknowledged /keep is in a checkpoint, and with it all that was acknowledged by the same process before."""
import collections
import threading


class Books:
    """Who was told what. All methods may be called by any thread."""

    def __init__(self, world):
        self.world, self.lock = world, threading.Lock()
        self.acknowledged = {}  # client: (number, pid)
        self.floor = {}         # client: the number that is in a checkpoint for sure
        self.faults = []        # what was wrong
        self.counts = collections.Counter()

    def wrong(self, what):
        with self.lock:
            if len(self.faults) < 50:
                self.faults.append(what)
                print(f"WRONG {self.world.clock():7.2f} {what}", flush=True)

    def count(self, what, by=1):
        with self.lock:
            self.counts[what] += by

    def acknowledge(self, client, number, pid):
        with self.lock:
            self.counts["requests"] += 1
            self.acknowledged[client] = (number, pid)

    def snapshot(self):
        """To be taken before asking for a checkpoint."""
        with self.lock:
            return dict(self.acknowledged)

    def saved(self, snapshot, pid):
        """A checkpoint of that process was acknowledged that was asked for after the snapshot."""
        with self.lock:
            for client, (number, owner) in snapshot.items():
                if owner == pid:
                    self.floor[client] = max(self.floor.get(client, 0), number)

    def check(self, client, last, pid):
        """The server says that this is the client's last number: may it?"""
        with self.lock:
            number, owner = self.acknowledged.get(client, (0, pid))
            floor = self.floor.get(client, 0)
        if last < floor:
            self.wrong(f"{client}: {floor} was in a checkpoint, now it is {last} (pid {pid})")
        elif last < number and owner == pid:
            self.wrong(f"{client}: {number} was acknowledged by the same process, now it is {last} (pid {pid})")
        elif last < number and not any(life.forgets() for life in self.world.lives.since(owner)):
            self.wrong(f"{client}: {number} was acknowledged by {owner}, which ended in order, now it is {last}")
        elif last > number + 1:
            self.wrong(f"{client}: {last} was never asked for, {number} is the last (pid {pid})")
        elif last < number:
            self.count("forgotten", number - last)
