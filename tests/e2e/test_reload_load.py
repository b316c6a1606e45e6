# SPDX-License-Identifier: MIT
"""Reloads under full load, of everything at once: no connection, request, datagram, byte of a stream,
point of a timer or log line is lost, and what is in flight holds nothing up."""
import re
import socket
import threading
import time
import unittest

from http_load import HANDLER, HttpLoad
from tiny_server import WAIT, ServerCase

RELOADS = 100
PERIOD = 0.5  # seconds; longer than any pause, so that a timer has no excuse
WINDOW = 20   # datagrams under way: fewer than the kernel has room for

# HTTP, streams kept in the context, UDP, a timer, a program for each /exec; a line of the log for each datagram.
ALL = """
local function echo(self, stream)
  for line in stream:lines() do stream:write(self.generation, " ", line, "\\n") end
end

function S:on_start()
  local generation, context = self.generation, self.context
  local answer = """ + HANDLER + """
  self.http = assert(tiny.http.serve("127.0.0.1:" .. (context.http or 0), function(req)
    if req.path ~= "/exec" then return answer(req) end
    return 200, generation .. " " .. select(2, tiny.exec { "sh", "-c", "sleep 0.3; echo done" })
  end, { head_timeout = 600 }))
  self.tcp = assert(tiny.tcp.listen("127.0.0.1:" .. (context.tcp or 0), function(stream)
    table.insert(context.streams, stream)
    echo(self, stream)
  end))
  self.udp = assert(tiny.udp.bind("127.0.0.1:" .. (context.udp or 0)))
  context.streams = context.streams or {}
  for _, stream in ipairs(context.streams) do tiny.go(echo, self, stream) end
  for _, name in ipairs { "http", "tcp", "udp" } do context[name] = tonumber(self[name]:address():match("%d+$")) end
  tiny.go(function()
    while true do
      local data, from = self.udp:recv()
      self:info("datagram %s", data)
      self.udp:send(data, from)
    end
  end)
  self:add_timer("point", tiny.PeriodTimer(function() self:info("point %.6f", tiny.now()) end, self.conf.period))
  self:info("ports %d %d %d", context.http, context.tcp, context.udp)
end
"""


class Talker(threading.Thread):
    """A peer that talks until it is stopped; 'wrong' is what it did not like."""

    def __init__(self, port):
        super().__init__()
        self.port, self.count, self.generations, self.wrong = port, 0, set(), None
        self.stopped = threading.Event()

    def run(self):
        try:
            self.talk()
        except (OSError, ValueError, AssertionError) as err:
            self.wrong = f"after {self.count}: {err!r}"

    def stop(self):
        self.stopped.set()
        self.join(WAIT)
        return self.wrong


class TcpTalker(Talker):
    """Numbered lines, several ahead of their answers, the last one only begun."""

    def talk(self):
        with socket.create_connection(("127.0.0.1", self.port), WAIT) as peer:
            answers = peer.makefile("rb")
            peer.sendall(b"half ")
            while not self.stopped.is_set():
                first = self.count
                self.count += 10
                peer.sendall(b"".join(b"%d\nhalf " % i for i in range(first, self.count)))
                for i in range(first, self.count):
                    generation, _, number = answers.readline().partition(b" half ")
                    assert int(number) == i, number
                    self.generations.add(int(generation))


class UdpTalker(Talker):
    """Numbered datagrams, never more on their way than fit."""

    def talk(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(WAIT)
            peer.connect(("127.0.0.1", self.port))
            while not self.stopped.is_set():
                for i in range(self.count, self.count + WINDOW):
                    peer.send(b"%d" % i)
                for i in range(self.count, self.count + WINDOW):
                    assert int(peer.recv(99)) == i
                self.count += WINDOW


def ask(port, path):
    with socket.create_connection(("127.0.0.1", port), WAIT) as peer:
        peer.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path)
        return peer.makefile("rb").read().rpartition(b"\r\n")[2]


class Load(ServerCase):
    def points(self, server):
        return [float(line.split()[-1]) for line in server.lines("point ")]

    def test_nothing_is_lost(self):
        conf = {"period": PERIOD, "log.buffer": "64M", "log.file_log.level": "INFO"}
        server = self.start(ALL, {**conf, "log.file_log": "0.log"})
        http, tcp, udp = map(int, re.search(r"ports (\d+) (\d+) (\d+)", server.wait_line("ports")).groups())
        load = HttpLoad(http)
        self.addCleanup(load.kill)
        talkers = [TcpTalker(tcp) for _ in range(3)] + [UdpTalker(udp)]
        idle = [socket.create_connection(("127.0.0.1", http), WAIT) for _ in range(10)]
        programs = []
        for talker in talkers:
            talker.start()
        for turn in range(RELOADS):
            if turn % 10 == 0:
                programs.append(threading.Thread(target=lambda: programs.append(ask(http, b"/exec"))))
                programs[-1].start()
            server.project.conf({**conf, "log.file_log": f"{turn % 2}.log"})
            self.assert_reloaded(server.project)
            time.sleep(0.02)
        seen = load.stop()
        self.assertEqual([talker.stop() for talker in talkers], [None] * 4)
        self.assertEqual((seen["lost"], seen["wrong"]), (0, 0), seen["examples"])
        self.assertGreater(min(seen["kept"], seen["new"], seen["pipelined"]), 0)
        self.assertEqual(seen["generation"], RELOADS + 1)
        self.check_idle(idle)
        self.check_programs(programs)
        self.check_log(server, talkers[-1].count)
        self.assertGreater(len(talkers[0].generations), 2)

    def check_idle(self, idle):
        """A connection on which nothing was said lives on, whatever has come and gone meanwhile."""
        for peer in idle:
            peer.sendall(b"GET /?n=7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            self.assertTrue(peer.makefile("rb").read().endswith(b"\r\n7 %d" % (RELOADS + 1)))
            peer.close()

    def check_programs(self, programs):
        """Each was answered by the generation that had begun it, though that was replaced meanwhile."""
        for thread in [item for item in programs if isinstance(item, threading.Thread)]:
            thread.join()
        answers = [item for item in programs if isinstance(item, bytes)]
        self.assertEqual(len(answers), RELOADS // 10)
        for answer in answers:
            self.assertRegex(answer, rb"\A\d+ done\n\Z")

    def check_log(self, server, datagrams):
        server.wait_line(f"datagram {datagrams - 1}")
        numbers = [int(line.split()[-1]) for line in server.lines("INFO datagram ")]
        self.assertEqual(numbers, list(range(datagrams)))
        self.assertEqual(server.lines("dropped"), [])
        files = "".join((server.project.dir / name).read_text() for name in ("0.log", "1.log"))
        self.assertEqual(sorted(map(int, re.findall(r">> datagram (\d+)", files))), numbers)  # whichever was in force
        points = self.points(server)
        indices = [round((point - points[0]) / PERIOD) for point in points]
        self.assertEqual(indices, list(range(len(points))))
        self.assertGreater(len(points), 3)


class Timers(ServerCase):
    def test_reloads_more_often_than_a_timers_period_do_not_keep_it_from_firing(self):
        server = self.start("""function S:on_start()
          self:add_timer("slow", tiny.PeriodTimer(function() self:info("slow %d", self.generation) end, 1))
        end""")
        while len(server.lines("slow")) < 3:
            self.assert_reloaded(server.project)
            time.sleep(0.3)
        self.assertGreater(server.info()["generation"], 6)


if __name__ == "__main__":
    unittest.main()
