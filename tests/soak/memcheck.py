#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""memcheck -- reloads a server under valgrind TINY_SOAK_MEMCHECK times (200) under load, every third time with
something bad: no error, and at its end no block that anybody still had.

    TINY_BIN=build/release/tiny tests/soak/memcheck.py"""
import os
import re
import shutil
import sys

from soak import Stretch, make_good, reload_once
from tiny_server import Project, Server

RELOADS = int(os.environ.get("TINY_SOAK_MEMCHECK", "200"))
VALGRIND = ("valgrind", "--leak-check=full", "--show-leak-kinds=all")


def judge(output):
    """What valgrind did not like, as text; empty when nothing."""
    in_use = re.search(r"in use at exit: ([\d,]+) bytes in ([\d,]+) blocks", output)
    errors = re.search(r"ERROR SUMMARY: (\d+) errors", output)
    print(f"valgrind: {in_use and in_use[0]}, {errors and errors[0]}")
    clean = in_use and errors and (in_use[1], errors[1]) == ("0", "0")
    return "" if clean else output


def main():
    if not shutil.which("valgrind"):
        print("valgrind is not here")
        return 77
    project = Project()
    make_good(project)
    server = Server(project, before=VALGRIND)
    try:
        server.wait_ready()
        stretch = Stretch(project)
        for turn in range(1, RELOADS + 1):
            reload_once(project, turn)
        print(f"{RELOADS} reloads, {stretch.end()} requests")
        code = server.close()
        return judge(server.output()) or (f"closed with {code}" if code else 0)
    finally:
        server.kill()
        project.remove()


if __name__ == "__main__":
    sys.exit(main())
