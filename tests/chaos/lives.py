# SPDX-License-Identifier: MIT
"""lives -- the server's processes, one after the other, as supervise has seen them begin and end."""
import contextlib
import threading
import time

LAG = 5  # seconds until the end of a process is seen, at the most


class Life:
    """One process, from its start to its end."""

    def __init__(self, pid):
        self.pid, self.code, self.ended = pid, None, None  # code: of its exit, "signal N", or None while it lives
        self.full = False             # the disk may have been when it ended: no checkpoint could be made
        self.found_bad_files = False  # it was started while those of a bad reload lay there

    def forgets(self):
        """Whether its end may cost what was not in a checkpoint."""
        return self.code is not None and (self.code != 0 or self.full)


class Lives:
    """All of them, and what may end one. Any thread."""

    def __init__(self, folder):
        self.folder, self.lock, self.lives = folder, threading.Lock(), []
        self.provoked = set()  # ends that somebody has provoked
        self.full = 0          # who fills the disk just now
        self.full_until = 0.0
        self.bad, self.bad_at = 0, 0.0

    def rows(self, name):
        path = self.folder / name
        text = path.read_text() if path.exists() else ""
        return text[:text.rfind("\n") + 1].splitlines()

    def look(self):
        starts, ends = self.rows("starts"), self.rows("ends")
        for row in starts[len(self.lives):]:
            self.lives.append(Life(int(row)))
        for life, row in zip(self.lives, ends):
            if life.code is None:
                self.end(life, *row.split())

    def end(self, life, code, number):
        life.code = f"signal {number}" if code == "-1" else int(code)
        life.ended = time.monotonic()
        life.full = self.full > 0 or life.ended < self.full_until + LAG
        life.found_bad_files = life.code == 1 and (self.bad > 0 or life.ended < self.bad_at + LAG)

    def all(self):
        with self.lock:
            self.look()
            return list(self.lives)

    def now(self):
        """The one that lives, or None."""
        last = self.all()[-1:]
        return last[0] if last and last[0].code is None else None

    def since(self, pid):
        """From the last with that process id on."""
        lives = self.all()
        begin = max((i for i, life in enumerate(lives) if life.pid == pid), default=0)
        return lives[begin:]

    def provoke(self, code):
        """From now on a life may end so."""
        with self.lock:
            self.provoked.add(code)

    def fill(self, more):
        """Somebody fills the disk (1), or has emptied it again (-1)."""
        with self.lock:
            self.full += more
            self.full_until = time.monotonic()

    @contextlib.contextmanager
    def bad_files(self):
        """While they lie there a start may fail."""
        self.bad += 1
        self.bad_at = time.monotonic()
        yield
        self.bad_at = time.monotonic()
        self.bad -= 1

    def unexplained(self):
        return [life for life in self.all() if life.code not in {None, 0, *self.provoked} and not life.found_bad_files]
