# SPDX-License-Identifier: MIT
"""Reloads that are asked for in crowds, in a row, and while the server closes."""
import signal
import threading
import unittest

from test_reload import SLOW_LOAD, TICKING, callbacks, calls
from tiny_server import ServerCase, wait_for


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
