# SPDX-License-Identifier: MIT
"""Old generations: shown with what holds them, cut off in time, named in the log; and svr.watch."""
import re
import socket
import unittest

from tiny_server import ServerCase, wait_for

NEVER_ENDS = """
  function S:on_start()
    if self.generation == 1 then tiny.go(function() while true do pcall(tiny.sleep, 1) end end) end
  end"""

SHORT = {"svr.close.wait_lock_delay": 0.1, "svr.close.force_close_delay": 2}


class OldGenerations(ServerCase):
    def test_what_holds_one_is_shown_until_it_is_cut_off_and_named(self):
        server = self.start(NEVER_ENDS, SHORT)
        self.assert_reloaded(server.project)
        self.assertEqual(server.info()["draining"], [{"generation": 1, "tasks": 1, "requests": 0, "handles": 0}])
        self.assertIn("generation 1: 1 tasks", server.project.said("status")[1])
        server.wait_line("generation 1 is ended with 1 tasks")
        wait_for(lambda: server.info()["generations_alive"] == 1, "the old generation's end")
        self.assertEqual(server.info()["draining"], [])
        self.assertRegex(server.output(), r"generation 1, a task started at \S+/main.lua:5\n")
        self.assertRegex(server.output(), r" +\S+/main.lua:5: in function <")

    def test_a_request_that_waits_and_a_stream_that_nobody_closes_are_named(self):
        server = self.start("""
          local streams = {}
          local function wait_for_more(stream)
            streams[#streams + 1] = stream
            local data = stream:read(100)
            return data
          end
          function S:on_start()
            local listener = assert(tiny.tcp.listen(self.conf.address, function(stream)
              self:info("reading")
              wait_for_more(stream)
            end))
            self:info("at %s.", listener:address())
          end""", {"address": "127.0.0.1:0", **SHORT})
        host, port = re.search(r"at (\S+):(\d+)\.", server.wait_line("INFO at ")).groups()
        with socket.create_connection((host, int(port))):
            server.wait_line("reading")
            server.project.script("")
            self.assert_reloaded(server.project)
            server.wait_line("generation 1 is ended with 1 tasks (1 of requests)")
        output = wait_for(lambda: "open: " in server.output() and server.output(), "the list of handles")
        self.assertIn("generation 1, a request\n", output)
        self.assertRegex(output, r"main.lua:7: in function 'wait_for_more'\n")
        self.assertRegex(output, r"open:.* 1 tiny.stream")

    def test_one_that_holds_nothing_is_gone_at_once(self):
        server = self.start()
        for _ in range(5):
            self.assert_reloaded(server.project)
        wait_for(lambda: server.info()["generations_alive"] == 1, "the end of all old generations")
        self.assertNotIn("is ended with", server.output())


class Watch(ServerCase):
    def test_a_change_of_script_or_module_reloads(self):
        project = self.project('local part = require "part"\nfunction S:on_start() self:info("part %s", part) end',
                               {"svr.watch": True})
        project.write("part.lua", 'return "old"')
        server = self.launch(project).wait_ready()
        server.wait_line("part old")
        project.write("part.lua", 'return "new"')
        server.wait_line("part new")
        self.assertEqual(server.info()["generation"], 2)

    def test_other_files_do_not(self):
        server = self.start("", {"svr.watch": True})
        server.project.write("unrelated.txt", "x")
        server.project.write("another.lua", "return 1")
        server.project.conf({"svr.watch": True, "round": 2})
        wait_for(lambda: server.info()["generation"] == 2, "the reload by conf.lua")
        self.assertEqual(server.info()["generation"], 2)


if __name__ == "__main__":
    unittest.main()
