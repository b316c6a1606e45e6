# SPDX-License-Identifier: MIT
"""Reloads that are asked for in crowds, in a row, and while the server closes."""
import signal
import threading
import unittest
import urllib.request

from test_reload import SLOW_LOAD, TICKING, callbacks, calls
from tiny_server import SIGNALS, WAIT, ServerCase, wait_for


class Many(ServerCase):
    def test_those_who_ask_during_one_share_one_more(self):
        server = self.start(SLOW_LOAD)
        outcomes = []
        threads = [threading.Thread(target=lambda: outcomes.append(server.project.said("reload"))) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({code for code, _ in outcomes}, {0}, outcomes)
        self.assertLess(server.info()["generation"], 8)

    def test_a_thousand_signals(self):
        server = self.start(TICKING)
        for _ in range(1000):
            server.signal(signal.SIGHUP)
        self.assertGreaterEqual(self.assert_reloaded(server.project)[0], 2)
        wait_for(lambda: server.info()["generations_alive"] == 1, "one generation to be alive")
        server.close()
        self.assert_closed(server)

    def test_a_thousand_in_a_row(self):
        server = self.start("""
          function S:run()
            self.context.runs = (self.context.runs or 0) + 1
            if self.generation < 1000 then self:reload() end
            tiny.sleep(0.5)
          end""", {"log.console.level": "WARN"})
        wait_for(lambda: server.info()["generation"] >= 1000, "generation 1000", 240)
        self.assertEqual(server.state(), "running")
        server.close()
        self.assert_closed(server)

    def test_a_thousand_asked_for_in_one_turn_are_merged(self):
        server = self.start("""
          function S:on_start()
            if self.generation == 1 then for i = 1, 1000 do self:reload() end end
          end""")
        wait_for(lambda: server.info()["generation"] >= 2, "generation 2")
        self.assertLess(self.assert_reloaded(server.project)[0], 10)


SLOW = """
  function S:on_start()
    self.http = assert(tiny.http.serve("127.0.0.1:" .. (self.context.port or 0), function(req)
      if req.path == "/slow" then tiny.sleep(1) end
      if req.path == "/reload" then self:reload() tiny.sleep(0.3) end
      return 200, self.generation
    end))
    self.context.port = tonumber(self.http:address():match("%d+$"))
    self:info("port %d", self.context.port)
  end"""


class While(ServerCase):
    """A reload that is asked for while something else goes on has an outcome of its own."""

    def serve(self, body=SLOW, conf=None):
        server = self.start(body, conf)
        self.port = int(server.wait_line("port ").split()[-1])
        return server

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=WAIT) as answer:
            return int(answer.read())

    def later(self, act):
        """act() in a thread; returns a function that waits for what it gave."""
        results = []
        thread = threading.Thread(target=lambda: results.append(act()))
        thread.start()
        return lambda: (thread.join(WAIT), results)[1]

    def test_older_ones_drain(self):
        server = self.serve()
        answers = []
        for generation in (2, 3, 4):
            answers.append(self.later(lambda: self.get("/slow")))
            wait_for(lambda: server.info()["connections"] == len(answers), "the request")
            self.assertEqual(self.assert_reloaded(server.project)[0], generation)
        self.assertEqual([one["generation"] for one in server.info()["draining"]], [3, 2, 1])
        self.assertEqual([answer() for answer in answers], [[1], [2], [3]])
        wait_for(lambda: server.info()["generations_alive"] == 1, "the old ones to end")

    def test_a_handler_asks_for_it_and_answers_in_its_own_generation(self):
        server = self.serve()
        for generation in (1, 2, 3):
            self.assertEqual(self.get("/reload"), generation)
            wait_for(lambda wanted=generation + 1: server.info()["generation"] == wanted, "the reload")

    def test_on_start_on_close_and_run_ask_for_it(self):
        server = self.start("""
          function S:on_start() if self.generation == 2 then self:reload() end end
          function S:on_close() if self.generation == 1 then self:reload() end end
          function S:run() if self.generation == 1 then self:reload() end tiny.sleep(60) end""")
        wait_for(lambda: server.info()["generation"] >= 3, "both reloads")
        wait_for(lambda: server.info()["generations_alive"] == 1, "the old ones to end")

    def test_two_at_once_have_each_its_outcome(self):
        server = self.start(SLOW_LOAD)
        first = self.later(lambda: server.project.said("reload"))
        wait_for(lambda: server.info()["generations_alive"] == 2, "the first to load")
        server.project.script("\n=")  # of what the second finds
        [second] = self.later(lambda: server.project.said("reload"))()
        self.assertEqual([code for code, _ in first()], [0])
        self.assertEqual(second[0], 1)
        self.assertIn("main.lua:4:", second[1])
        self.assertEqual(server.info()["generation"], 2)

    def test_an_on_close_that_waits_lets_the_others_wait_too(self):
        server = self.start('function S:on_close() self:info("closing now") tiny.sleep(0.5) end')
        first = self.later(lambda: server.project.said("reload"))
        server.wait_line("closing now")
        others = [self.later(lambda: server.project.said("reload")) for _ in range(3)]
        self.assertEqual([code for code, _ in first()], [0])
        self.assertEqual({others[i]()[0] for i in range(3)}, {others[0]()[0]})  # one outcome for all
        self.assertEqual((others[0]()[0][0], server.info()["generation"]), (0, 3))

    @unittest.skipUnless(SIGNALS, "Lua that spins is interrupted by a signal")
    def test_lua_spins(self):
        server = self.start("""function S:run()
          if self.generation == 1 then self:info("spins") while true do end end
          tiny.sleep(1)
        end""", {"svr.watchdog.slice": 3, "svr.timer.run_status_check_time_span": 60})
        server.wait_line("spins")
        self.assertEqual(self.assert_reloaded(server.project)[0], 2)  # once the loop turns again


class WhileClosing(ServerCase):
    def test_it_is_refused(self):
        server = self.start('function S:on_close() self:info("closing now") tiny.sleep(1.5) end',
                            {"svr.close.force_close_delay": 30})
        server.signal(signal.SIGTERM)
        server.wait_line("closing now")
        code, text = server.project.said("reload")
        self.assertEqual(code, 1, text)
        self.assertIn("clos", text)
        self.assert_closed(server)

    def test_a_close_during_a_reload_wins(self):
        server = self.start(callbacks("old"))
        server.project.script(SLOW_LOAD + callbacks("new"))
        server.signal(signal.SIGHUP)
        self.assertEqual(server.project.said("close")[0], 0)
        self.assert_closed(server)
        self.assertIn(calls(server)[-1], ("old on_close close", "new on_close close"))

    def test_a_signal_for_it_changes_nothing(self):
        server = self.start('function S:on_close() self:info("closing now") tiny.sleep(0.5) end')
        server.signal(signal.SIGTERM)
        server.wait_line("closing now")
        for _ in range(20):
            server.signal(signal.SIGHUP)
        self.assert_closed(server)


if __name__ == "__main__":
    unittest.main()
