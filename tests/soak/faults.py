#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""faults -- three servers of one cluster and three nodes of etcd under TINY_SOAK_FAULTS (200) random faults, each pair
on a machine of its own (network namespaces) where these can be had.
Whoever is the active writes its token to a register, all the time. Proves that two are never active at the
same time: nothing comes from a former active once the next one has written, but for the one write that a process may have been
about to make when it was stopped, which is what tokens are for. And that what a checkpoint was said to hold is never lost.

    TINY_BIN=build/release/tiny tests/soak/faults.py [SEED]"""
import contextlib
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))
from etcd_nodes import Etcd
from machines import Machines, can_have
from tiny_server import Project, Server

FAULTS = int(os.environ.get("TINY_SOAK_FAULTS", "200"))
TTL = 2
PATIENCE = 60  # seconds; by then there must be an active again

SCRIPT = """
  local function tell(stream, ...)
    stream:write(table.concat({ ... }, " ") .. "\\n")
    return stream:read("*l")
  end
  function S:on_start()
    local stream = assert(tiny.tcp.connect(self.conf.register))
    tiny.go(function()
      while tell(stream, self.token, "beat") do tiny.sleep(0.005) end
    end)
    self.stream = assert(tiny.tcp.connect(self.conf.register))
  end
  function S:run()
    local n = (self.context.n or 0) + 1
    self.context.n = n
    if self:checkpoint() then tell(self.stream, self.token, n) end
    tiny.sleep(0.05)
  end"""


class Register:
    """Takes lines "TOKEN beat" and "TOKEN N", the latter of what a checkpoint holds."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.address = f"unix:{path}"
        self.token, self.n, self.beats, self.terms = 0, 0, 0, 0
        self.late, self.lost = [], []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, client):
        with client, client.makefile("rw") as lines:
            try:
                for line in lines:
                    token, what = line.split()
                    lines.write(self.take(int(token), what) + "\n")
                    lines.flush()
            except (OSError, ValueError):
                pass

    def take(self, token, what):
        with self.lock:
            if token < self.token:
                self.late.append(f"{what} of token {token} after token {self.token}")
                return "refused"
            self.terms += token > self.token
            self.token = token
            self.beats += 1
            if what != "beat":
                if int(what) <= self.n:
                    self.lost.append(f"{what} of token {token} after {self.n}")
                self.n = max(self.n, int(what))
            return "taken"


class Soak:
    def __init__(self, etcd, register, dice, machines):
        self.etcd, self.register, self.dice, self.machines = etcd, register, dice, machines
        self.stops = 0  # of an active: each may have been about to write
        self.forgiven = 0  # writes that came late for that
        conf = {"svr.cluster.etcd": etcd.urls, "svr.cluster.name": "soak", "svr.cluster.ttl": TTL,
                "svr.checkpoint.span": 3600, "register": register.address, "svr.close.wait_lock_delay": 0.5}
        self.projects = [Project(SCRIPT, conf=conf) for _ in range(3)]
        self.servers = [self.start(index) for index in range(3)]

    def start(self, index):
        return Server(self.projects[index], before=self.machines.on(index) if self.machines else ())

    def start_again(self, index):
        self.servers[index].exit_code()
        self.servers[index] = self.start(index)

    def revive(self):
        for index, server in enumerate(self.servers):
            if not server.alive():
                self.start_again(index)

    def active(self):
        for index, server in enumerate(self.servers):
            if server.alive() and server.state() == "running":
                return index
        return None

    def wait_active(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self.revive()
            before, index = self.register.beats, self.active()
            time.sleep(0.1)
            if index is not None and self.register.beats > before:
                return index
        raise AssertionError("nobody is the active:\n" + "".join(s.output()[-1500:] for s in self.servers))

    def pause(self, longest):
        time.sleep(self.dice.uniform(0.1, longest))

    # -- faults; 'active' is the index of the active

    def kill_active(self, active):
        self.servers[active].signal(signal.SIGKILL)

    def close_active(self, active):
        self.servers[active].signal(signal.SIGTERM)

    def stop_active(self, active):
        self.stops += 1
        self.servers[active].signal(signal.SIGSTOP)
        self.pause(2.5 * TTL)
        self.servers[active].signal(signal.SIGCONT)

    def hang_active(self, active):
        self.projects[active].tiny("eval", "--timeout", "30", f"os.execute('sleep {self.dice.uniform(0.1, 2 * TTL)}')")

    def depose_active(self, _active):
        self.etcd.wait_ready().delete("/tiny/soak/election/active")

    def reload_all(self, _active):
        for project in self.projects:
            project.tiny("reload")

    def kill_standby(self, active):
        self.servers[(active + 1) % 3].signal(signal.SIGKILL)

    def leader(self):
        leader = self.etcd.leader()
        return 0 if leader is None else leader

    def kill_leader(self, _active):
        leader = self.leader()
        self.etcd.kill(leader)
        self.pause(2 * TTL)
        self.etcd.start(leader)

    def kill_leader_and_active(self, active):
        leader = self.leader()
        self.etcd.kill(leader)
        self.servers[active].signal(signal.SIGKILL)
        self.pause(2 * TTL)
        self.etcd.start(leader)

    def stop_nodes(self, nodes):
        for node in nodes:
            self.etcd.signal(node, signal.SIGSTOP)
        self.pause(2.5 * TTL)
        for node in nodes:
            self.etcd.signal(node, signal.SIGCONT)

    def stop_leader(self, _active):
        self.stop_nodes([self.leader()])

    def lose_quorum(self, _active):
        self.stop_nodes(self.dice.sample(range(3), 2))

    def slow_etcd(self, _active):
        for _ in range(20):
            for node in range(3):
                self.etcd.signal(node, signal.SIGSTOP)
            time.sleep(self.dice.uniform(0.02, 0.3))
            for node in range(3):
                self.etcd.signal(node, signal.SIGCONT)
            time.sleep(0.02)

    def cut_off(self, index):
        self.machines.pull(index)
        self.pause(2.5 * TTL)
        self.machines.plug(index)

    def cut_off_active(self, active):
        self.cut_off(active)

    def cut_off_leader(self, _active):
        self.cut_off(self.leader())

    FAULTS = [kill_active, kill_active, close_active, stop_active, stop_active, hang_active, depose_active,
              reload_all, kill_standby, kill_leader, kill_leader_and_active, stop_leader, lose_quorum, slow_etcd]
    CUTS = [cut_off_active, cut_off_active, cut_off_leader]

    def run(self):
        faults = self.FAULTS + (self.CUTS if self.machines else [])
        for number in range(1, FAULTS + 1):
            active = self.wait_active()
            fault = self.dice.choice(faults)
            print(f"{number:4} {fault.__name__:24} token {self.register.token}, n {self.register.n}", flush=True)
            fault(self, active)
            self.pause(1)
            self.judge(fault)
        self.wait_active()

    def judge(self, fault):
        register = self.register
        if register.lost:
            raise AssertionError(f"lost: {register.lost}")
        late = register.late[self.forgiven:]
        self.forgiven = len(register.late)
        for line in late:
            print(f"     late: {line}", flush=True)
        if len(late) > (2 if fault is Soak.stop_active else 0):  # it writes over two streams
            raise AssertionError(f"written by a former active after {fault.__name__}: {late}")

    def end(self):
        for server in self.servers:
            server.kill()
        for project in self.projects:
            project.remove()


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 30)
    if not Etcd.installed():
        print("etcd is not installed (Debian: etcd-server)")
        return 77
    with contextlib.ExitStack() as stack:
        machines = stack.enter_context(Machines(3)) if can_have() else None
        print(f"seed {seed}, {'three machines' if machines else 'one machine: nobody is cut off'}")
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        etcd = stack.enter_context(Etcd(3, machines=machines)).wait_ready()
        soak = Soak(etcd, Register(Path(folder, "register")), random.Random(seed), machines)
        stack.callback(soak.end)
        soak.run()
    register = soak.register
    print(f"{FAULTS} faults, {register.terms} terms, {register.beats} writes; {len(register.late)} came late, of {soak.stops}"
          f" stops; {register.n} checkpoints, none lost")
    return 0 if register.terms > FAULTS // 10 else "there were too few terms for this to prove anything"


if __name__ == "__main__":
    sys.exit(main())
