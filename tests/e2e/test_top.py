# SPDX-License-Identifier: MIT
"""tiny top: once for scripts, and live in a terminal that tmux provides."""
import itertools
import json
import os
import re
import signal
import subprocess
import unittest

import zmq

from subscriber import FeedCase
from tiny_server import SIGNALS, TINY, WAIT, wait_for

NOBODY = "tcp://127.0.0.1:1"
ERRS = "function S:on_start() tiny.go(function() error('boom \\27[31m red <b>') end) end"


class Terminal:
    """`tiny top` in a terminal of its own."""

    numbers = itertools.count()

    def __init__(self, *arguments, columns=80, rows=24, **env):
        self.socket = f"tiny-top-{os.getpid()}-{next(self.numbers)}"
        env = "".join(f"{name}='{value}' " for name, value in {"LANG": "C.UTF-8", **env}.items())
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                  f"echo before; env {env} {TINY} top {' '.join(arguments)}; echo ended $?; sleep 600")

    def tmux(self, *arguments):
        return subprocess.run(["tmux", "-L", self.socket, *arguments], check=True, capture_output=True, text=True,
                              timeout=WAIT).stdout

    def screen(self, *options):
        return self.tmux("capture-pane", "-p", *options)

    def lines(self, word):
        return [line for line in self.screen().splitlines() if word in line]

    def wait(self, pattern):
        """Wait until the screen shows what the pattern says; returns the screen."""
        return wait_for(lambda: (text := self.screen()) and re.search(pattern, text, re.M) and text, pattern)

    def keys(self, *names):
        self.tmux("send-keys", *names)

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def close(self):
        subprocess.run(["tmux", "-L", self.socket, "kill-server"], check=False, capture_output=True, timeout=WAIT)


class TopCase(FeedCase):
    def named(self, name, body="", conf=None, **options):
        return self.feed(body, {"svr.name": name, "svr.monitor.timer": 0.2, **(conf or {})}, **options)

    def top(self, *arguments, wait=str(WAIT)):
        return subprocess.run([TINY, "top", "--wait", wait, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=WAIT, check=False)


class Once(TopCase):
    def test_a_line_for_each_server(self):
        one, other = self.named("one"), self.named("other", ERRS)
        done = self.top("--once", one.endpoints[0], other.endpoints[0])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        title, head, *rows = done.stdout.splitlines()
        self.assertIn("2 servers, 1 with errors, 1 running", title)
        self.assertEqual(head.split(), "NAME STATE LAGms CPU% HEAP RSS UP GEN ERR AGE CONN TASKS".split())
        self.assertRegex(rows[0], r"^  one +running +[\d.]+ +[\d.]+ +[\d.]+[KM] +[\d.]+M +\d+s +1 +0 ")
        self.assertRegex(rows[1], r"^  other +running! .* +1 +1 +\d+s ")

    def test_one_that_is_not_there_is_shown_and_told_by_the_exit_code(self):
        server = self.named("one")
        done = self.top("--once", server.endpoints[0], NOBODY, wait="3")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, rf"(?m)^  {NOBODY} +waiting +-")

    def test_json_holds_all_that_is_known(self):
        server = self.named("one", conf={"db.password": "hunter2"})
        done = self.top("--json", server.endpoints[0])
        (entry,) = json.loads(done.stdout)
        self.assertEqual((done.returncode, entry["endpoint"], entry["state"]), (0, server.endpoints[0], "running"))
        self.assertEqual((entry["info"]["pid"], entry["conf"]["db.password"]), (server.pid, "***"))

    def test_what_cannot_be_is_told(self):
        self.assertEqual(self.top("--once", "nonsense").returncode, 1)
        self.assertIn("no terminal", self.top(NOBODY).stderr)
        self.assertEqual(self.top("--once", wait="x").returncode, 64)
        self.assertEqual(self.top("--nonsense").returncode, 64)

    def test_a_feed_with_curve_needs_the_keys(self):
        (public, secret), client = (tuple(k.decode() for k in zmq.curve_keypair()) for _ in range(2))
        server = self.named("one", conf={"svr.monitor.curve": {"secret_key": secret, "clients": [client[0]]}})
        keys = server.project.write("keys", "curve\n" + "".join(
            f'    {name}-key = "{value}"\n'
            for name, value in (("server", public), ("public", client[0]), ("secret", client[1]))))
        self.assertEqual(self.top("--once", "--curve", keys, server.endpoints[0]).returncode, 0)
        self.assertEqual(self.top("--once", server.endpoints[0], wait="0.5").returncode, 1)
        self.assertEqual(self.top("--once", "--curve", "/dev/null", server.endpoints[0]).returncode, 64)


class Live(TopCase):
    def terminal(self, *arguments, **options):
        terminal = Terminal(*arguments, **options)
        self.addCleanup(terminal.close)
        return terminal

    def test_it_follows_the_servers(self):
        server = self.named("one")
        terminal = self.terminal(server.endpoints[0])
        screen = terminal.wait(r"^> one +running .* +1 +0 +\d+s$")
        self.assertEqual(len(screen.splitlines()), 24)
        self.assert_reloaded(server.project)
        terminal.wait(r"^> one +running .* +2 +0 +\d+s$")
        server.close()
        terminal.wait(r"^> one +(closing|closed|silent) ")

    def test_quitting_leaves_the_terminal_as_it_was(self):
        terminal = self.terminal(NOBODY)
        terminal.wait("^> tcp")
        terminal.keys("q")
        terminal.wait(r"^before\nended 0$")

    def test_keys_sort_and_choose(self):
        one = self.named("one", "function S:on_start() self.x = ('x'):rep(2^24) end")
        other = self.named("other")
        terminal = self.terminal(one.endpoints[0], other.endpoints[0])
        terminal.wait(r"^> one +running(.*\n)+  other +running")
        terminal.keys("r")
        terminal.wait(r"^> other +running(.*\n)+  one +running")
        terminal.keys("Down")
        terminal.wait(r"^  other +running(.*\n)+> one +running")
        terminal.keys("h")
        terminal.wait(r"^> one +running(.*\n)+  other +running")
        terminal.keys("End")
        terminal.wait(r"^> other")
        terminal.keys("Home")
        terminal.wait(r"^> one")

    def test_one_server_is_looked_into(self):
        server = self.named("one", ERRS + " function S:get_summary() return 'sum ' .. self.generation end",
                            {"db.password": "hunter2", "app.step": 7})
        self.assert_reloaded(server.project)
        terminal = self.terminal(server.endpoints[0], rows=60)
        terminal.wait("^> one")
        terminal.keys("Enter")
        screen = terminal.wait(r"^configuration in force$")
        self.assertIn(f"pid {server.pid}", screen)
        self.assertRegex(screen, r"(?m)^last error \d{4}/\d\d/\d\d \d\d:\d\d:\d\d$")
        self.assertIn("boom ?[31m red <b>", screen)
        self.assertIn("stack traceback", screen)
        self.assertRegex(screen, r"(?m)^  \d{4}/\S+ \S+  sum 1$")
        self.assertIn("  app.step = 7", screen)
        self.assertNotIn("hunter2", screen)
        terminal.keys("Escape")
        terminal.wait("^> one")

    def test_a_long_page_is_scrolled(self):
        server = self.named("one")
        terminal = self.terminal(server.endpoints[0])
        terminal.wait("^> one")
        terminal.keys("Enter")
        terminal.wait("^one: running")
        terminal.keys("End")
        screen = terminal.wait(r"^  svr.watchdog.slice = 0$")
        self.assertNotIn("one: running", screen)
        terminal.keys("PPage", "PPage", "PPage", "PPage", "PPage")
        terminal.wait("^one: running")

    def test_long_lines_go_on_in_the_next(self):
        server = self.named("one", conf={"app.long": "a" * 100 + "é" * 100 + "end"})
        terminal = self.terminal(server.endpoints[0], rows=60)
        terminal.wait("^> one")
        terminal.keys("Enter")
        screen = terminal.wait(r"^  app.long = \"aaaa")
        self.assertIn('app.long="' + "a" * 100 + "é" * 100 + 'end"', re.sub(r"\s", "", screen))

    def test_it_fits_any_size(self):
        server = self.named("a-server-with-a-rather-long-name-indeed")
        terminal = self.terminal(server.endpoints[0])
        for columns, rows in ((80, 24), (200, 50), (40, 6), (20, 4), (120, 30)):
            terminal.resize(columns, rows)
            terminal.wait("^> a-server-with-a" + (r"\S+ +running .*" if columns >= 80 else ""))
            lines = terminal.screen().splitlines()
            self.assertEqual(len(lines), rows)
            self.assertLessEqual(max(map(len, lines)), columns)

    def test_moods_have_colours_and_words(self):
        server = self.named("one", ERRS)
        terminal = self.terminal(server.endpoints[0])
        terminal.wait("^> one +running!")
        self.assertIn("\x1b[33m", terminal.screen("-e"))

    def test_it_works_without_colours_and_without_utf8(self):
        server = self.named("one", ERRS)
        terminal = self.terminal(server.endpoints[0], columns=120, NO_COLOR="1", LANG="C")
        terminal.wait("^> one +running! .* [_.:=+*#-]+$")
        self.assertNotRegex(terminal.screen("-e"), "\x1b\\[3[0-8]m")
        self.assertTrue(terminal.screen().isascii())

    def test_it_ends_when_told(self):
        terminal = self.terminal(NOBODY)
        terminal.wait("^> tcp")
        terminal.keys("C-c")
        terminal.wait(r"^ended 0$")

    def test_a_hang_is_red_and_shows_where(self):
        server = self.named("one", "function S:on_start() tiny.go(function() tiny.sleep(1) while true do end end) end",
                            {"svr.timer.run_status_check_time_span": 0.5, "svr.watchdog.interrupt": False,
                             "svr.monitor.timer": 600})
        terminal = self.terminal(server.endpoints[0], rows=60)
        terminal.wait("^> one +hung ")
        self.assertIn("\x1b[31m", terminal.screen("-e"))
        terminal.keys("Enter")
        self.assertRegex(terminal.wait(r"^hung for \d+s$"), "main.lua" if SIGNALS else "main.lua|the loop thread")

    def test_one_that_says_nothing_is_silent(self):
        server = self.named("one")
        terminal = self.terminal(server.endpoints[0])
        terminal.wait("^> one +running")
        server.signal(signal.SIGSTOP)
        terminal.wait("^> one +silent ")
        server.signal(signal.SIGCONT)
        terminal.wait("^> one +running")

    def test_figures_are_drawn_over_time(self):
        terminal = self.terminal(self.named("one").endpoints[0])
        terminal.wait("^> one")
        terminal.keys("Enter")
        terminal.wait(r"^loop lag +[\d.]+ ms, mean [\d.]+ ms +[▁-█]{3,}$(.*\n)+memory .* RSS +[▁-█]{3,}$(.*\n)+CPU .* in all +[▁-█]{3,}$")

    def test_a_cluster_is_shown_with_its_members(self):
        publisher = self.publisher()
        terminal = self.terminal(publisher.endpoint)
        publisher.send({"role": "active", "token": 17, "members": [
            {"name": "fake", "host": "north", "pid": 12, "role": "active"}, {"name": "fake", "role": "standby"}]})
        terminal.wait("^> fake")
        terminal.keys("Enter")
        terminal.wait(r"^role +active, token 17$(.*\n)members +fake@north, pid 12, active$(.*\n) +fake@\?, pid 0, standby$")

    def test_a_busy_server_shows_its_lag(self):
        server = self.named("one", "function S:on_start() tiny.go(function() tiny.sleep(0.2) while true do end end) end")
        terminal = self.terminal(server.endpoints[0])
        terminal.wait(r"^> one +(running|hung) +[1-9]\d{3} ")


if __name__ == "__main__":
    unittest.main()
