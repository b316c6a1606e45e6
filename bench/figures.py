# SPDX-License-Identifier: MIT
"""figures -- what the benches share. After its text for people a bench prints a line for each figure, where
it does not write to a terminal,

    figure NAME UNIT SAMPLE...

NAME being BENCH.WHAT.WHO, and the samples those of its rounds. bench/run collects them from every
bench; what they should be is in bench/goals.py."""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))
from tiny_server import TINY, free_port, lua


def figure(name, unit, samples):
    if not sys.stdout.isatty():
        print("figure", name, unit, *(f"{sample:.5g}" for sample in samples), flush=True)


class Rounds:
    """Samples by name, gathered over rounds; each name has a unit."""

    def __init__(self, bench):
        self.bench, self.samples, self.units = bench, {}, {}

    def add(self, name, unit, value):
        self.units[name] = unit
        self.samples.setdefault(name, []).append(value)

    def median(self, name):
        return statistics.median(self.samples[name])

    def show(self):
        """The lines for bench/run."""
        for name, samples in self.samples.items():
            figure(f"{self.bench}.{name}", self.units[name], samples)


def installed(*programs):
    """Whether a peer can take part; if not, says so."""
    missing = [program for program in programs if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")]
    for program in missing:
        print(f"{program} is not installed: left out")
    return not missing


def luv_installed():
    return installed("luajit") and subprocess.run(["luajit", "-e", "require 'luv'"], capture_output=True, check=False).returncode == 0


def compile_c(source, target, *libraries):
    """Compile one C file with the flags that pkg-config has for the libraries."""
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", *libraries], capture_output=True, text=True,
                           check=True).stdout.split() if libraries else []
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", target, source, *flags], check=True)
    return target


def rows(*command):
    """The rows of numbers that a measurement prints."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    return [list(map(float, line.split())) for line in done.stdout.splitlines()]


def measure_in_tiny(folder, script, what, *numbers):
    """The rows that a server script prints, which is told what to measure by bench.what and bench.numbers."""
    place = Path(tempfile.mkdtemp(dir=folder))
    conf = {"svr.name": "bench", "svr.script": str(script), "svr.monitor": False, "log.console": False,
            "svr.timer.run_status_check_time_span": 0, "bench.what": what, "bench.numbers": list(numbers)}
    (place / "conf.lua").write_text("return " + lua(conf))
    return rows(TINY, "run", "-c", place / "conf.lua")


def threads(pid):
    return [int(task) for task in os.listdir(f"/proc/{pid}/task")]


def cpu_ns(pid, thread=None):
    """CPU time of a process, or of one thread of it."""
    paths = [f"/proc/{pid}/task/{task}/schedstat" for task in ([thread] if thread else threads(pid))]
    return sum(int(Path(path).read_text(encoding="ascii").split()[0]) for path in paths)


def memory_mb(pid, start):
    """The sum of those lines of smaps_rollup that start so."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(start)) / 1024


def private_mb(pid):
    return memory_mb(pid, "Private_")


def resident_mb(pid):
    return memory_mb(pid, "Rss:")


def wakeups(pid):
    """How often its threads have gone to sleep and come back."""
    total = 0
    for task in threads(pid):
        for line in Path(f"/proc/{pid}/task/{task}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total
