# SPDX-License-Identifier: MIT
"""audit -- what must be so once the faults are over: the server healthy, the books in balance, nothing left
behind, all sinks at work again."""
import collections
import json
import os
import re
import time
import urllib.request
from pathlib import Path

from tiny_server import build_option, wait_for

RSS_GROWTH = 24 << 20  # bytes, beyond what the server had at the beginning
RSS_MOST = 256 << 20   # at any time
PATIENCE = 60


def look(pid):
    """(kinds of descriptors, threads by name, resident bytes) of a process."""
    folder, kinds, threads = Path(f"/proc/{pid}"), collections.Counter(), collections.Counter()
    for fd in (folder / "fd").iterdir():
        try:
            kinds[re.sub(r"[:/].*", "", os.readlink(fd)) or "file"] += 1
        except OSError:
            pass  # it was the one that read the folder
    for task in (folder / "task").iterdir():
        threads[(task / "comm").read_text().strip()] += 1
    rss = int(re.search(r"VmRSS:\s+(\d+)", (folder / "status").read_text())[1]) << 10
    return kinds, threads, rss


def books_of(world):
    with urllib.request.urlopen(f"http://{world.address[0]}:{world.address[1]}/books", timeout=PATIENCE) as answer:
        return json.load(answer)


class Audit:
    """Of one world; made at its beginning, when nothing has happened yet."""

    def __init__(self, world):
        self.world, self.wrong = world, world.books.wrong
        self.before = self.calm()

    def calm(self):
        """How the server is when only it is left, with a Lua state that is new."""
        self.world.good_files()
        self.world.said("reload")

        def one_generation():
            info = self.world.is_healthy()
            return info and info["generations_alive"] == 1 and info["connections"] == 0
        wait_for(one_generation, "one generation, and no connection", PATIENCE)
        looks = []
        for _ in range(10):
            time.sleep(0.1)
            looks.append(look(self.world.pid()))
        return looks

    def check_left_over(self):
        """Descriptors and threads come and go with helpers: the least that was seen counts."""
        after = self.calm()
        for index, what in ((0, "descriptors"), (1, "threads")):
            least, most = (pick(sum(each[index].values()) for each in looks)
                           for pick, looks in ((min, after), (max, self.before)))
            if least > most:
                self.wrong(f"{least} {what} are open, at the beginning at most {most}: {dict(after[-1][index])}, "
                           f"then {dict(self.before[-1][index])}")
            print(f"{what}: {most} at the beginning, {least} at the end")
        self.check_memory(max(each[2] for each in self.before), min(each[2] for each in after))

    def check_memory(self, before, after):
        most = max(self.world.subscriber.rss.values())
        print(f"resident: {before >> 20} MB at the beginning, {after >> 20} at the end, {most >> 20} at most")
        if build_option("TINY_SANITIZE"):
            return  # sanitizers keep what was freed
        if after - before > RSS_GROWTH or most > RSS_MOST:
            self.wrong("more memory is resident than there should be")

    def check_books(self):
        """What each client was told is what the server says now."""
        said = books_of(self.world)
        for client in list(self.world.books.acknowledged):
            self.world.books.check(client, said["books"]["last"].get(client, 0), said["pid"])
        for what in said["books"]["wrong"]:
            self.wrong(f"the server says: {what}")

    def check_alive(self):
        """Timers of all kinds go on."""
        first = books_of(self.world)["books"]
        def goes_on():
            now = books_of(self.world)["books"]
            return all(now[key] > first[key] for key in ("beats", "ticks"))
        wait_for(goes_on, "timers to go on", PATIENCE)

    def check_sinks(self):
        """A line that is written now comes to each of them."""
        mark = f"audit {time.monotonic_ns()}"
        self.world.said("eval", f'self:err("{mark}")')
        for file in ("console", "disk/chaos.log", "syslog", "mails"):
            try:
                wait_for(lambda f=file: any(mark in line for line in self.world.lines(f)), f"a line in {file}", PATIENCE)
            except AssertionError as error:
                self.wrong(str(error))

    def check_lines(self):
        """No line twice, none before an earlier one."""
        for file in ("console", "syslog"):
            last = {}
            for number, writer in re.findall(r"line (\d+) of (\S+)", "\n".join(self.world.lines(file))):
                if int(number) <= last.get(writer, 0):
                    self.wrong(f"{file}: line {number} of {writer} came after {last[writer]}")
                last[writer] = int(number)

    def check_lives(self):
        """Each process that ended was ended by somebody."""
        for life in self.world.lives.unexplained():
            self.wrong(f"{life.pid} ended with {life.code}, which nobody had provoked")
        said = [line for line in self.world.lines("stderr") if not re.match("<(INFO|WARN): ", line)]
        if said:  # what is logged before conf.lua is in force is no wonder; all else is a crash
            self.wrong("stderr: " + "\n".join(said[-60:]))

    def check_closed(self):
        """The last end is an orderly one, and leaves only what is to be read later."""
        code = self.world.close()
        if code != 0:
            self.wrong(f"it closed with {code}")
        kept = {"chaos.ckpt", "chaos.ckpt.1", "chaos.log", "chaos.log.1", "chaos.log.2"}
        left = [path for path in (*(self.world.dir / "disk").iterdir(), *(self.world.dir / "tmp").iterdir())
                if path.name not in kept]
        left += [path for path in self.world.dir.iterdir()
                 if path.suffix in (".pid", ".sock", ".run", ".ipc", ".tmp", ".new")]
        if left:
            self.wrong(f"left behind: {', '.join(path.name for path in left)}")

    def all(self):
        """Every check, each on its own: [(name, whether it found all well)]."""
        rows = []
        self.world.wait_healthy()
        for name in ("check_alive", "check_books", "check_left_over", "check_sinks", "check_closed", "check_lines",
                     "check_lives"):
            before = len(self.world.books.faults)
            try:
                getattr(self, name)()
            except Exception as error:  # pylint: disable=broad-except
                self.wrong(f"{name}: {error!r}")
            rows.append((name, len(self.world.books.faults) == before))
        return rows
