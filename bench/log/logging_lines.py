# SPDX-License-Identifier: MIT
"""logging_lines -- Python's logging. logging_lines MODE LINES FILE"""
import json
import logging
import resource
import sys
import time

BURST = 5000
mode, lines, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
logging.basicConfig(filename=path, level=logging.INFO, format=(
    "<%(levelname)s: %(name)s(%(process)d)> [%(filename)s: %(lineno)d] >> %(message)s "))
log = logging.getLogger("bench")


def burst(count):
    for i in range(count):
        log.info("request %d took %d ms for %s", i, 12, "alice")


def waits():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def measure_burst():
    caller = all_of_it = 0
    burst(BURST)
    for _ in range(lines // BURST):
        process, thread = time.process_time_ns(), time.thread_time_ns()
        burst(BURST)
        caller += time.thread_time_ns() - thread
        all_of_it += time.process_time_ns() - process
    return {"caller": caller / lines, "all": all_of_it / lines}


def measure_flood():
    began = time.monotonic()
    burst(lines)
    return {"rate": lines / (time.monotonic() - began)}


def measure_lone():
    caller = 0
    for _ in range(100):
        time.sleep(0.025)
        before, began = time.thread_time_ns(), time.thread_time_ns()
        burst(1)
        caller += time.thread_time_ns() - began - (began - before)
    return {"lone": caller / 100}


def measure_off():
    thread = time.thread_time_ns()
    for i in range(1000000):
        log.debug("request %d took %d ms for %s", i, 12, "alice")
    return {"off": (time.thread_time_ns() - thread) / 1e6}


def measure_stall():
    worst = blocked = 0
    for _ in range(lines):
        before, began = waits(), time.monotonic_ns()
        burst(1)
        worst = max(worst, time.monotonic_ns() - began)
        blocked += waits() > before
        time.sleep(0.001)
    return {"worst": worst, "blocked": blocked}


print(json.dumps(globals()["measure_" + mode]()))
