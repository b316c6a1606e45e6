# SPDX-License-Identifier: MIT
"""reloads -- good ones, bad ones, and the signals and commands that an operator sends."""
import signal

from faults import fault

# What a reload says that met a server which is just being ended.
ENDING = ("hung", "clos", "no server", "starting", "gone", "ended")


def bad_start(body):
    return f"""local tiny, S = require "tiny", require "server"
local on_start = S.on_start
function S:on_start() {body} end
return S
"""


BAD_SCRIPTS = {
    "a syntax error": "return = 1\n",
    "a script that loads for ever": "while true do end\n",
    "a script that is not there": 'return require "nothing"\n',
    "on_start fails": bad_start("on_start(self) error('chaos')"),
    "on_start waits for ever": bad_start("tiny.sleep(1e6)"),
    "on_start loops": bad_start("while true do end"),
}
BAD_CONFS = {"an unknown key": {"svr.moniter": 1}, "a bad value": {"svr.monitor.timer": -1},
             "another name": {"svr.name": "other"}}


def reload(world, good, what):
    """It ends as expected, unless the server is just ending."""
    pid = world.pid()
    code, said = world.said("reload")
    ending = code == 3 or world.pid() != pid or any(word in said for word in ENDING)
    if code == (0 if good else 1):
        world.books.count("reloads" if good else "refusals")
    elif not ending or (code == 0 and not good):
        world.books.wrong(f"a reload ({what}) ended with {code}: {said.strip()}")


@fault(8)
def good_reloads(world, dice):
    """With other settings each time."""
    for _ in range(dice.randrange(1, 6)):
        keys = {"svr.lua.memory_limit": dice.choice((None, None, "64M")), "svr.watchdog.slice": dice.choice((0, 0, 0.5)),
                "log.file_log.format": dice.choice(("json", "%(message)s")), "svr.monitor.timer": dice.choice((0.2, 0.5))}
        with world.files:
            world.variant = {key: value for key, value in keys.items() if value is not None}
            world.good_files()
            reload(world, True, "good")


@fault(6)
def bad_reload(world, dice):
    what = dice.choice(sorted({**BAD_SCRIPTS, **BAD_CONFS}))
    with world.files, world.lives.bad_files():
        world.conf(BAD_CONFS.get(what))
        if what in BAD_SCRIPTS:
            world.write("main.lua", BAD_SCRIPTS[what])
        reload(world, False, what)
        world.good_files()


@fault(2)
def poisoned_context(world, _dice):
    """A function in it: refused, and all goes on."""
    with world.files:
        if world.ask("/trouble/poison") == 200:
            reload(world, False, "a function in the context")
            world.ask("/trouble/cure")


@fault(2)
def many_signals(world, dice):
    """Reloads that come while one runs are one."""
    with world.files:
        world.wait_healthy()  # a process that begins does not know of signals yet
        for _ in range(dice.randrange(5, 40)):
            world.signal(dice.choice((signal.SIGHUP, signal.SIGUSR1)))


@fault(2)
def looked_into(world, dice):
    with world.files:
        world.wait_healthy()
        world.signal(dice.choice((signal.SIGQUIT, signal.SIGUSR2)))
    for command in (["stack"], ["profile", "0.2"], ["eval", "return self.generation"], ["loglevel", "email", "ERROR"]):
        world.said(*command)
