# SPDX-License-Identifier: MIT
"""goals -- what the figures of the benches should be, and why some are not. One row for each goal;
bench/run fills them in."""
from dataclasses import dataclass, field


@dataclass
class Goal:
    what: str
    figure: str        # ours
    limit: float
    peers: dict = field(default_factory=dict)  # title: figure
    times: str = ""    # the limit is this often the figure of that peer
    least: bool = False  # the limit is what it should be at least
    worst: bool = False  # not the median has to hold, but each sample
    wall: bool = False   # a time by the clock: what others do on the machine is in it
    why: str = ""      # said where it is missed


def peers(what, **names):
    """{title: figure} of others, given what their figures end with and how they are called."""
    return {title: f"{what}.{name}" for name, title in names.items()}


LOG = {"spdlog": "spdlog", "spdlog_async": "spdlog async", "python": "Python", "fprintf": "fprintf"}
TIMERS = {"luv": "luv", "python": "Python", "uv": "uv_timer in C", "wheel": "wheel in C"}
HELLO = {"luv": "luv", "nginx": "nginx + lua", "python": "Python", "floor": "LuaJIT + libuv in C"}

LONE = """a line that comes 25 ms after the one before finds nothing of what it needs in the caches. Writing the line is not
  what takes long (in a burst it costs some 0.12 us), nor is waking the writer, which looks for lines by itself for a while: the same
  line costs 3.2 us when one is put every 5 ms, and 2.7 us every 1 ms. fprintf, which only formats into a buffer of its own, costs
  1.2, 2.4 and 4.2 us every 1, 5 and 25 ms on the same machine. The more others run on it, the colder the caches get; a profile shows no
  place that stands out"""

MEMORY = """nothing accumulates, it goes up and down by some 0.2 of 5 MB, as the threads that load and close generations happen to
  meet: over 40,000 reloads the twentieths were 5.08, 5.08, 5.15, 5.09, 5.14, 5.18, 5.24, 5.27, 5.27, 5.24, 5.18, 5.18, 5.18, 5.21, 5.21,
  5.18, 5.18, 5.24, 5.18 and 5.14 MB"""

RELOAD = """perf's probes show where the time of one reload goes: 0.18 ms until the new state is open, 0.07 to start the thread that
  loads it, 0.75 for that (0.3 our own modules from bytecode, 0.1 conf.lua, 0.17 parsing the 500 lines, 0.1 what they require), 0.25 for
  the hand-over, 0.15 for the request that sees it; no place stands out. The client, which asks every 0.1 ms, takes the thread its CPU away
  for 0.1 to 0.2 ms more. The machine itself varies by a fifth from minute to minute (1.15 to 1.45 ms with the same binary). A state
  kept loaded in advance would spare 0.4 ms, for 0.4 MB in every idle server"""

SLOWEST = """of 100 reloads that is the slowest, or the slowest but one: one that another process or the machine held up decides. It was
  0.4 and 0.5 ms in the runs before and after"""

SYSTEM_CALLS = """82 % of that CPU is the kernel's (perf record -g), 3.4 us: 62 % in send(), which takes the answer through TCP up to the client's socket
  and wakes it, 14 % in recv(), 8 % in epoll_wait(), one of each for a request. nginx makes the same calls and spends the same 3.4 us in
  them, so 0.7 of the ratio is not ours. The rest is 0.76 us here (LuaJIT 0.28, libc 0.21, parsing, answering and tasks 0.23) and 1.4 in
  nginx, and has no place that stands out: system calls without glibc's cancellation points, calls into Lua without a closure for each, and
  all answers of a turn sent together at its end, so that the client is woken less often, made less of a difference than the noise"""

BATCHES = """an echo in Lua has two threads at work, as the one in C: the loop and libzmq's own. The loop takes 0.42 us for a message instead of
  0.20: 0.20 in libzmq, as there, 0.09 in LuaJIT for making strings of two parts and for the calls, 0.06 in the kernel, 0.05 in libc
  and our own code. As it hands messages over at half the speed, libzmq's thread finds fewer each time it looks: 62,700 instead of 43,100
  system calls to send 400,000 messages, 0.38 instead of 0.21 us for each. On two CPUs the client's two threads run on what is left"""

GOALS = [
    Goal("reload: from the signal until new code answers, 500-line script", "reload.answer.tiny", 1.2,
         peers("reload.answer", nginx="nginx HUP"), wall=True, why=RELOAD),
    Goal("reload: pause of the loop, p50", "reload.pause.tiny", 0.35, wall=True),
    Goal("the same, p99", "reload.pause_p99.tiny", 1, wall=True),
    Goal("reload under 64 busy connections: pause, p50", "reload.pause_wrk.tiny", 0.35, wall=True),
    Goal("the same, p99", "reload.pause_wrk_p99.tiny", 1, wall=True, why=SLOWEST),
    Goal("the same: requests that failed, 100 reloads", "reload.failed_wrk.tiny", 0, peers("reload.failed_wrk", nginx="nginx HUP")),
    Goal("requests lost under a client that checks each answer, 100 reloads", "reload.lost_checked.tiny", 0,
         peers("reload.lost_checked", nginx="nginx HUP")),
    Goal("memory over 20,000 reloads: the end over the first quarter", "memory.reloads_growth.tiny", 2, why=MEMORY),
    Goal("hang: from the end of the span until the stack is in the log, worst", "hang.stack_after_span.tiny", 100, worst=True, wall=True),
    Goal("hang: from there until Lua is interrupted, worst", "hang.interrupt_after_stack.tiny", 10, worst=True, wall=True),
    Goal("timer with a Lua callback, made and fired, 1,000,000 pending, in order", "timers.ordered_both.tiny", 550,
         peers("timers.ordered_both", **TIMERS)),
    Goal("the same, shuffled", "timers.shuffled_both.tiny", 550, peers("timers.shuffled_both", **TIMERS)),
    Goal("memory of these", "timers.ordered_memory.tiny", 100, peers("timers.ordered_memory", **TIMERS)),
    Goal("drift of a 10 ms period over 10 s", "timers.period10_drift.tiny", 0.5,
         peers("timers.period10_drift", luv="luv", python="Python", timerfd="timerfd in C"), wall=True),
    Goal("its lateness, p50", "timers.period10_late_p50.tiny", 150,
         peers("timers.period10_late_p50", python="Python", timerfd="timerfd in C"), wall=True),
    Goal("log line to a file, burst: CPU on the loop thread, no file:line", "log.caller.bare", 180, peers("log.caller", **LOG)),
    Goal("the same, with file:line", "log.caller.tiny", 220, peers("log.caller", **LOG)),
    Goal("the same, CPU in all, no file:line", "log.all.bare", 350, peers("log.all", **LOG)),
    Goal("a lone log line: CPU on the loop thread", "log.lone.bare", 5000, peers("log.lone", **LOG), why=LONE),
    Goal("a suppressed log call, compiled", "log.off.tiny", 1, peers("log.off", **LOG)),
    Goal("the same, interpreted", "log.interpreted.tiny", 20, peers("log.off", python="Python")),
    Goal("HTTP hello in Lua: CPU a request", "http.hello_cpu.tiny", 0.85, {"nginx + lua": "http.hello_cpu.nginx"},
         times="http.hello_cpu.nginx", why=SYSTEM_CALLS),
    Goal("a JSON answer: CPU a request", "http.json_cpu.tiny", 0.85, {"nginx + lua": "http.json_cpu.nginx"},
         times="http.json_cpu.nginx"),
    Goal("a handler that waits 1 ms: CPU a request", "http.wait_cpu.tiny", 0.85, {"nginx + lua": "http.wait_cpu.nginx"},
         times="http.wait_cpu.nginx"),
    Goal("context of 100,000 records handed over: the loop is blocked", "context.pack.tiny", 20,
         {"string.buffer": "context.pack.string_buffer"}),
    Goal("the same, in all", "context.both.tiny", 150, {"string.buffer": "context.both.string_buffer"}),
    Goal("ZeroMQ echo through Lua, 10 messages of each of 16 clients under way", "zmq.rate_10.tiny", 0.6,
         {"the same in C": "zmq.rate_10.C"}, times="zmq.rate_10.C", least=True, wall=True),
    Goal("the same, 100 under way", "zmq.rate_100.tiny", 0.6, {"the same in C": "zmq.rate_100.C"}, times="zmq.rate_100.C",
         least=True, wall=True, why=BATCHES),
    Goal("takeover: from SIGKILL until the next on_start, ttl 5 s, worst", "takeover.killed_ttl5.tiny", 5.5, worst=True, wall=True),
    Goal("the same, from SIGTERM, worst", "takeover.closed_ttl5.tiny", 0.1, worst=True, wall=True),
    Goal("start to ready", "hello.start.tiny", 5, peers("hello.start", **HELLO), wall=True),
    Goal("the same, CPU time", "hello.start_cpu.tiny", 5, peers("hello.start_cpu", **HELLO)),
    Goal("start to ready, with the monitor", "hello.start.tiny_monitor", 8, {"Python": "hello.start.python_monitor"}, wall=True),
    Goal("private memory of an idle hello server", "hello.memory.tiny", 2.5, peers("hello.memory", **HELLO)),
    Goal("the same, with the monitor", "hello.memory.tiny_monitor", 6, {"Python": "hello.memory.python_monitor"}),
    Goal("wake-ups of an idle server, all off", "hello.wakeups.tiny_off", 0, peers("hello.wakeups", **HELLO)),
    Goal("the same, as configured by default", "hello.wakeups.tiny_monitor", 3, {"Python": "hello.wakeups.python_monitor"}),
    Goal("publish with no subscriber: messages encoded", "publish.encoded.tiny", 0),
    Goal("the same: CPU of the loop thread", "publish.loop.tiny", 0),
    Goal("the same: CPU in all", "publish.cpu.tiny", 1, {"pyzmq + json": "publish.cpu.pyzmq", "zmq_send in C": "publish.cpu.libzmq"},
         times="publish.cpu.pyzmq"),
]
