# SPDX-License-Identifier: MIT
"""Server-sent events through reloads: gone on with by name, or ended politely."""
import re
import socket
import time
import unittest

from tiny_server import WAIT, ServerCase, wait_for

# Counts from the last id on, whichever generation that was; %s is the options of serve.
COUNTER = """
local function count(events, req)
  for i = (events.last_id or 0) + 1, math.huge do
    if not events:send { id = i, data = S.number .. " " .. req.path .. " " .. req.query.who } then return end
    tiny.sleep(0.02)
  end
end
function S:on_start()
  S.number = self.generation
  local listener = assert(tiny.http.serve(self.conf.address, function(req)
    if req.path == "/plain" then return 200, self.generation end
    local events = req:events(nil, "count")
    self:info("left with %%s", pcall(count, events, req))
  end, %s))
  self:info("at %%s.", listener:address())
end
"""
CARRIED = COUNTER % "{ events = { count = count } }"
FORGOTTEN = COUNTER % "nil"


class Reader:
    """A client of one stream of events, which parses chunks and events."""

    def __init__(self, port, path="/a?who=me"):
        self.peer = socket.create_connection(("127.0.0.1", port), WAIT)
        self.file = self.peer.makefile("rb")
        self.ask(path)

    def ask(self, path):
        self.peer.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
        self.head = b"".join(iter(self.file.readline, b"\r\n"))

    def event(self):
        """The next event's fields by name; None at the end of the stream."""
        size = int(self.file.readline(), 16)
        text = self.file.read(size + 2)[:size].decode()
        if not size: return None
        assert text.endswith("\n\n"), text  # whole events only
        return dict(line.split(": ", 1) for line in text.splitlines() if line)

    def rest(self):
        return list(iter(self.event, None))


class Events(ServerCase):
    def serve(self, body, conf=None):
        server = self.start(body, {"address": "127.0.0.1:0", **(conf or {})})
        self.port = int(re.search(r"at \S+:(\d+)\.", server.wait_line("INFO at ")).group(1))
        return server

    def reader(self, path="/a?who=me"):
        reader = Reader(self.port, path)
        self.addCleanup(reader.peer.close)
        self.addCleanup(reader.file.close)
        return reader

    def test_closing_waits_for_none_and_ends_them_with_a_hint(self):
        server = self.serve(CARRIED, {"svr.close.force_close_delay": 10 * WAIT})
        readers = [self.reader(), self.reader("/slow?who=you")]
        self.assertTrue(all(reader.event() for reader in readers))
        self.assertEqual(server.project.tiny("close").returncode, 0)
        for reader in readers:
            self.assertRegex(reader.rest()[-1]["retry"], r"^\d+$")
        self.assertEqual(server.exit_code(), 0)

    def test_the_next_generation_goes_on_with_those_it_names(self):
        server = self.serve(CARRIED)
        readers = [self.reader(f"/path{i}?who=w{i}") for i in range(5)]
        seen = [[reader.event()] for reader in readers]
        for _ in range(5):
            self.assert_reloaded(server.project)
            for reader, events in zip(readers, seen):
                events.extend(reader.event() for _ in range(5))
        for i, events in enumerate(seen):
            self.assertEqual([int(event["id"]) for event in events], list(range(1, len(events) + 1)))  # none lost, none twice
            self.assertEqual({event["data"].split(" ", 1)[1] for event in events}, {f"/path{i} w{i}"})
            self.assertGreaterEqual(len({event["data"].split()[0] for event in events}), 4)
        wait_for(lambda: server.info()["generations_alive"] == 1, "the old generations to end")  # nothing holds them
        self.assertEqual(server.lines("ERROR"), [])

    def test_the_handler_that_was_replaced_is_cancelled(self):
        server = self.serve(CARRIED)
        reader = self.reader()
        reader.event()
        self.assert_reloaded(server.project)
        self.assertEqual(server.wait_line("left with"), "INFO left with false")

    def test_others_stay_with_their_handler_and_end_with_a_hint(self):
        server = self.serve(FORGOTTEN, {"svr.close.force_close_delay": 1})
        reader = self.reader()
        self.assert_reloaded(server.project)
        events = reader.rest()
        self.assertEqual({event["data"] for event in events[:-1]}, {"1 /a me"})
        self.assertEqual(list(events[-1]), ["retry"])
        self.assertIn(int(events[-1]["retry"]), range(1000, 2000))
        server.wait_line("generation 1 is ended")
        reader.ask("/plain")  # the connection is as good as new
        self.assertIn(b" 200 OK", reader.head)

    def test_the_hint_is_what_the_server_has_said_before(self):
        server = self.serve("""function S:on_start()
          local listener = assert(tiny.http.serve(self.conf.address, function(req)
            local events = req:events()
            events:send { data = "first", retry = 12.5 }
            tiny.sleep(60)
          end))
          self:info("at %s.", listener:address())
        end""", {"svr.close.force_close_delay": 1})
        reader = self.reader()
        self.assertEqual(reader.event(), {"retry": "12500", "data": "first"})
        self.assert_reloaded(server.project)
        self.assertEqual(reader.rest(), [{"retry": "12500"}])

    def test_when_the_server_closes_they_end_with_a_hint_too(self):
        server = self.serve(CARRIED, {"svr.close.force_close_delay": 2})
        reader = self.reader()
        reader.event()
        server.process.terminate()
        self.assertEqual(list(reader.rest()[-1]), ["retry"])
        self.assert_closed(server)

    def test_a_refused_reload_changes_nothing(self):
        server = self.serve(CARRIED)
        reader = self.reader()
        server.project.script(CARRIED.replace('self:info("at', 'error("no") self:info("at'))
        self.assert_refused(server.project, "no", 1)
        ids = [int(reader.event()["id"]) for _ in range(20)]
        self.assertEqual(ids, list(range(1, 21)))

    def test_a_client_that_does_not_keep_up_holds_nothing_up(self):
        server = self.serve(CARRIED.replace("tiny.sleep(0.02)", "").replace("req.query.who", '("x"):rep(10000)'))
        reader = self.reader()
        for _ in range(3):
            time.sleep(0.2)
            self.assert_reloaded(server.project)
        wait_for(lambda: server.info()["generations_alive"] == 1, "the old generations to end")
        ids = [int(reader.event()["id"]) for _ in range(2000)]
        self.assertEqual(ids, list(range(1, 2001)))

    def test_what_is_no_function_is_told(self):
        server = self.start("""function S:on_start()
          self:info("%s: %s", pcall(tiny.http.serve, "127.0.0.1:0", print, { events = { prices = 1 } }))
        end""")
        self.assertIn("a function is expected for prices", server.wait_line("INFO false: "))


if __name__ == "__main__":
    unittest.main()
