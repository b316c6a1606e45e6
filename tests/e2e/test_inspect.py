# SPDX-License-Identifier: MIT
"""Looking into a running server: stack, SIGQUIT, profile, and eval with its limits."""
import re
import signal
import subprocess
import threading
import time
import unittest
import xml.etree.ElementTree as xml

from tiny_server import SIGNALS, TINY, WAIT, ServerCase

BUSY = """
local function inner() local x = 0 for i = 1, 1e7 do x = x + i % 7 end return x end
local function outer() local x = inner() return x end
function S:run() self:running_report() for i = 1, 20 do outer() end tiny.sleep(0) end"""


@unittest.skipUnless(SIGNALS, "ThreadSanitizer holds signals back")
class Stack(ServerCase):
    def stack(self, server):
        code, text = server.project.said("stack")
        self.assertEqual(code, 0, text)
        return text

    def test_it_shows_the_line_that_runs_and_the_server_goes_on(self):
        server = self.start(BUSY)
        for _ in range(20):
            text = self.stack(server)
            self.assertIn("generation 1, run\n", text)
            self.assertRegex(text, r"main.lua:4: in function 'inner'\n.*main.lua:5: in function 'outer'\n.*main.lua:6: ")
        self.assertEqual(server.close(), 0)
        self.assertEqual(server.lines("ERROR"), [])

    def test_what_waits_is_shown_when_nothing_runs(self):
        server = self.start("""
          function S:on_start() tiny.go(function() tiny.sleep(300) end) end
          function S:run() tiny.sleep(0.5) end""")
        text = self.stack(server)
        self.assertIn("nothing runs; what waits:\n", text)
        self.assertIn("main.lua:5: in ", text)
        self.assertRegex(text, r"a task started at .*main.lua:4\n")
        self.assertLess(text.index("main.lua:5"), text.index("a task"))

    def test_an_on_start_that_waits_is_shown(self):
        server = self.launch(self.project('function S:on_start() self:info("starting") tiny.sleep(300) end'))
        server.wait_line("starting")
        self.assertRegex(self.stack(server), r"generation 1, on_start\n(.*\n)*.*main.lua:3: in function 'on_start'")

    def test_being_looked_at_while_idle_is_no_lag(self):
        server = self.start()
        time.sleep(2)
        for command in (["stack"], ["profile", "0.5"], ["eval", "return 1"]):
            self.assertEqual(server.project.said(*command)[0], 0)
        self.assertLess(server.info()["loop_lag_ms"], 2000)

    def test_sigquit_logs_it(self):
        server = self.start(BUSY)
        server.signal(signal.SIGQUIT)
        server.wait_line("stack asked for: generation 1, run")
        server.wait_line("main.lua:6: in ")
        self.assertEqual(server.state(), "running")

    def test_sigquit_says_what_waits_when_nothing_runs(self):
        server = self.start("function S:run() tiny.sleep(60) end")
        server.signal(signal.SIGQUIT)
        server.wait_line("stack asked for: nothing runs; what waits:")
        server.wait_line("generation 1, run")

    def test_an_old_generation_is_shown_too(self):
        server = self.start("""function S:on_start()
          self.context.n = self.generation
          if self.generation == 1 then
            tiny.go(function()
              while true do
                local ok = pcall(tiny.sleep, 0.01)
                if not ok then local t = tiny.now() while tiny.now() < t + 1 do end return end
              end
            end)
          end
        end""", {"svr.close.wait_lock_delay": 5})
        done = []
        reload = threading.Thread(target=lambda: done.append(server.project.said("reload")))
        reload.start()
        time.sleep(0.4)
        text = self.stack(server)
        reload.join()
        self.assertEqual(done[0][0], 0)
        self.assertIn("generation 1, a task", text)


@unittest.skipUnless(SIGNALS, "ThreadSanitizer holds signals back")
class Profile(ServerCase):
    def test_folded_stacks(self):
        server = self.start(BUSY)
        code, text = server.project.said("profile", "1")
        self.assertEqual(code, 0, text)
        counts = [line.rsplit(" ", 1) for line in text.splitlines()]
        total = sum(int(count) for _, count in counts)
        inside = sum(int(count) for stack, count in counts if re.search(";outer [^;]*main.lua:5;inner [^;]*main.lua:4;", stack))
        self.assertGreater(total, 50)
        self.assertGreater(inside, total * 0.8)

    def test_a_flame_graph_is_sound_xml_with_titles(self):
        server = self.start(BUSY)
        path = server.project.dir / "flame.svg"
        self.assertEqual(server.project.said("profile", "0.5", "--svg", str(path)), (0, ""))
        text = path.read_text()
        titles = [title.text for title in xml.fromstring(text).iter("{http://www.w3.org/2000/svg}title")]
        self.assertTrue(any(re.fullmatch(r"inner .*main.lua:4: \d+ samples, \d+\.\d %", title) for title in titles), titles)
        self.assertNotIn("<script", text)
        self.assertNotIn("href", text)

    def test_an_idle_server_gives_nothing(self):
        server = self.start("")
        self.assertEqual(server.project.said("profile", "0.3"), (0, ""))

    def test_one_at_a_time(self):
        server = self.start(BUSY)
        first = subprocess.Popen([TINY, "profile", "-c", str(server.project.dir / "conf.lua"), "3"],
                                 stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        self.assertEqual(server.project.said("profile", "1"), (1, "a profile is being taken already\n"))
        text, _ = first.communicate(timeout=WAIT)
        self.assertIn("inner", text)
        self.assertEqual(server.project.said("profile", "0.2")[0], 0)

    def test_a_client_that_goes_away_leaves_nothing_behind(self):
        server = self.start(BUSY)
        client = subprocess.Popen([TINY, "profile", "-c", str(server.project.dir / "conf.lua"), "1"])
        time.sleep(0.3)
        client.kill()
        client.wait()
        time.sleep(1.2)
        self.assertEqual(server.project.said("profile", "0.2")[0], 0)
        self.assertEqual(server.close(), 0)

    def test_it_lives_through_a_reload_and_ends_with_the_server(self):
        server = self.start(BUSY)
        client = subprocess.Popen([TINY, "profile", "-c", str(server.project.dir / "conf.lua"), "60"],
                                  stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)
        self.assert_reloaded(server.project)
        time.sleep(0.5)
        self.assertEqual(server.close(), 0)
        text, _ = client.communicate(timeout=WAIT)
        self.assertIn("inner", text)

    def test_seconds_are_checked(self):
        server = self.start("")
        for bad in ("0", "-1", "x", "601", "nan"):
            self.assertEqual(server.project.said("profile", bad)[0], 64, bad)


class Eval(ServerCase):
    @unittest.skipUnless(SIGNALS, "ThreadSanitizer holds signals back")
    def test_a_loop_without_end_is_interrupted_and_the_server_goes_on(self):
        server = self.start("function S:run() self:info('runs') tiny.sleep(0.05) end")
        code, text = server.project.said("eval", "--timeout", "0.3", "while true do pcall(tostring, 1) end")
        self.assertEqual(code, 1)
        self.assertIn("stopped: ran longer than its limit", text)
        self.assertIn("eval:1: in main chunk", text)
        before = len(server.lines("runs"))
        server.wait_line("runs", times=before + 2)
        self.assertEqual(server.project.said("eval", "1 + 1"), (0, "2\n"))

    def test_a_wait_without_end_is_cancelled(self):
        server = self.start("")
        before = server.info()["tasks"]
        code, text = server.project.said("eval", "--timeout", "0.3", 'require("tiny").sleep(300)')
        self.assertEqual(code, 1)
        self.assertIn("stopped: ran longer than its limit", text)
        self.assertEqual(server.info()["tasks"], before)

    def test_what_comes_in_time_may_wait(self):
        server = self.start("")
        self.assertEqual(server.project.said("eval", '(function() require("tiny").sleep(0.1) return 7 end)()'), (0, "7\n"))

    def test_a_long_result_is_cut(self):
        server = self.start("")
        code, text = server.project.said("eval", '("x"):rep(1e6)')
        self.assertEqual(code, 0)
        self.assertLess(len(text), 70000)
        self.assertTrue(text.endswith("... (1000000 bytes in all)\n"))

    def test_tables_are_shown(self):
        self.assertEqual(self.start("").project.said("eval", '{ a = { 1, { b = 2 } } }, "x"'),
                         (0, '{"a":[1,{"b":2}]}\tx\n'))

    def test_an_error_is_told_once_and_where_it_is(self):
        code, text = self.start("").project.said("eval", 'error("no ink")')
        self.assertEqual((code, text.count("eval:1: no ink")), (1, 1))
        code, text = self.start("").project.said("eval", 'error({ code = 5 })')
        self.assertIn("{code=5}", text.splitlines()[0])

    def test_no_result_is_nothing(self):
        server = self.start("")
        self.assertEqual(server.project.said("eval", "self.context.x = nil"), (0, ""))
        self.assertEqual(server.project.said("eval", "nil"), (0, "nil\n"))


if __name__ == "__main__":
    unittest.main()
