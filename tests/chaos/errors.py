# SPDX-License-Identifier: MIT
"""errors -- what goes wrong in the server's own Lua and does not end it."""
from faults import fault
from reloads import reload


@fault(3)
def out_of_memory(world, _dice):
    """More than svr.lua.memory_limit, again and again: errors, and the process lives."""
    with world.files:
        world.variant = {"svr.lua.memory_limit": "64M"}
        world.good_files()
        reload(world, True, "a memory limit")
        for _ in range(3):
            expect_error(world, "memory")


@fault(2)
def error(world, _dice):
    with world.files:
        expect_error(world, "error")


def expect_error(world, kind):
    """Nothing is answered while it begins, 503 while it closes, 409 where memory has no limit."""
    status = world.ask(f"/trouble/{kind}")
    if status == 500:
        world.books.count("errors")
    elif status not in (None, 409, 503):
        world.books.wrong(f"an error ({kind}) was answered with {status}")
