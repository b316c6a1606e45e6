# SPDX-License-Identifier: MIT
"""Reload: a new generation beside the old, refused when anything is wrong with it, its
outcome told to whoever asked."""
import signal
import time
import unittest

from tiny_server import ServerCase, wait_for

VERSION = 'function S:on_start() self:info("version {}") end'

TICKING = """
  function S:run()
    self.context.ticks = (self.context.ticks or 0) + 1
    self:info("tick %d", self.context.ticks)
    tiny.sleep(0.02)
  end"""

SLOW_LOAD = """
  local t = os.clock()
  while os.clock() - t < 0.3 do end"""


def callbacks(name, broken=""):
    """A script that tells each callback's name; 'broken' is Lua at the start of on_start."""
    return f"""
      function S:on_start() {broken} self:info("{name} on_start") end
      function S:on_reload() self:info("{name} on_reload") end
      function S:on_close(reason) self:info("{name} on_close %s", reason) end"""


def calls(server):
    return [line[len("INFO "):] for line in server.lines("INFO ") if " on_" in line]


class Accepted(ServerCase):
    def test_the_new_script_runs(self):
        server = self.start(VERSION.format(1))
        server.project.script(VERSION.format(2))
        self.assertEqual(self.assert_reloaded(server.project)[0], 2)
        server.wait_line("INFO version 2")
        self.assertEqual(server.info()["generation"], 2)

    def test_a_changed_module_runs(self):
        project = self.project('local part = require "part"\nfunction S:on_start() self:info("part %s", part) end')
        project.write("part.lua", 'return "old"')
        server = self.launch(project).wait_ready()
        project.write("part.lua", 'return "new"')
        self.assert_reloaded(project)
        server.wait_line("part new")

    def test_a_changed_conf_is_in_force(self):
        body = 'function S:on_start() self:info("city %s", self.conf.city) end'
        server = self.start(body, {"city": "Basel"})
        server.project.conf({"city": "Bern"})
        self.assert_reloaded(server.project)
        server.wait_line("city Bern")

    def test_a_changed_log_format_is_in_force(self):
        server = self.start()
        server.project.conf({"log.console.format": "changed: %(message)s"})
        self.assert_reloaded(server.project)
        server.wait_line("changed: ")

    def test_callbacks_come_in_order(self):
        server = self.start(callbacks("old"))
        server.project.script(callbacks("new"))
        self.assert_reloaded(server.project)
        server.wait_line("new on_start")
        server.close()
        self.assert_closed(server)
        self.assertEqual(calls(server), ["old on_start", "old on_close reload", "new on_reload", "new on_start",
                                         "new on_close close"])

    def test_nothing_of_lua_but_context_lives_on(self):
        server = self.start("""
          leak = (leak or 0) + 1
          package.loaded.mark = (package.loaded.mark or 0) + 1
          function S:on_start()
            self.context.starts = (self.context.starts or 0) + 1
            self:info("seen %d %d %d", leak, package.loaded.mark, self.context.starts)
          end""")
        self.assert_reloaded(server.project)
        server.wait_line("seen 1 1 2")

    def test_timers_of_the_old_one_fire_no_more(self):
        timer = """function S:on_start()
          self:add_timer("t", tiny.PeriodTimer(function() self:info("fired {}") end, 0.02))
        end"""
        server = self.start(timer.format("old"))
        server.wait_line("fired old")
        server.project.script(timer.format("new"))
        self.assert_reloaded(server.project)
        server.wait_line("fired new", times=3)
        output = server.output()
        self.assertNotIn("fired old", output[output.index("fired new"):])

    def test_a_waiting_run_is_cancelled_and_cleans_up(self):
        server = self.start("""
          function S:run()
            self:info("waiting")
            local ok, why = pcall(tiny.sleep, 300)
            self:info("run left %s", why == tiny.cancelled)
            error(why, 0)
          end
          function S:on_close() self:info("on_close") end
          function S:on_except(err) self:info("on_except") return true end""")
        server.wait_line("waiting")
        began = time.monotonic()
        self.assert_reloaded(server.project)
        self.assertLess(time.monotonic() - began, 30)
        server.wait_line("INFO on_close")
        lines = [line for line in server.lines("INFO ") if line in ("INFO run left true", "INFO on_close")]
        self.assertEqual(lines, ["INFO run left true", "INFO on_close"])
        self.assertEqual(server.lines("on_except"), [])

    def test_a_run_that_does_not_come_back_is_left_behind_after_wait_lock_delay(self):
        server = self.start("""
          function S:run() while true do pcall(tiny.sleep, 300) end end""", {"svr.close.wait_lock_delay": 0.2})
        began = time.monotonic()
        self.assert_reloaded(server.project)
        self.assertGreaterEqual(time.monotonic() - began, 0.2)

    def test_the_old_generation_goes(self):
        server = self.start(TICKING)
        for _ in range(5):
            self.assert_reloaded(server.project)
        wait_for(lambda: server.info()["generations_alive"] == 1, "one generation to be alive")

    def test_signals_ask_for_a_reload_too(self):
        server = self.start()
        for generation, number in ((2, signal.SIGHUP), (3, signal.SIGUSR1)):
            server.signal(number)
            wait_for(lambda wanted=generation: server.info()["generation"] == wanted, f"{number!r} to reload")

    def test_the_server_may_ask_for_it_itself(self):
        server = self.start("function S:on_start() if self.generation == 1 then self:reload() end end")
        wait_for(lambda: server.info()["generation"] == 2, "generation 2")

    def test_the_outcome_is_in_log_and_status(self):
        server = self.start()
        self.assertIsNone(server.info()["last_reload_result"])
        self.assert_reloaded(server.project)
        info = server.info()
        self.assertIn("generation 2", info["last_reload_result"])
        self.assertRegex(info["last_reload_time"], r"\A\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\Z")
        server.wait_line("generation 2, pause")

    def test_a_large_script_reloads(self):
        body = "\n".join(f"function S:f{i}(x) return x + {i} end" for i in range(5000))
        server = self.start(body)
        self.assert_reloaded(server.project)


class Refused(ServerCase):
    def refuse(self, reason, change, body=TICKING, conf=None):
        """A change that is refused; the server goes on as it was, and a good one is taken after it."""
        server = self.start(body, conf)
        change(server.project)
        self.assert_refused(server.project, reason, 1)
        ticks = len(server.lines("tick "))
        server.wait_line("tick ", times=ticks + 2)
        self.assertEqual(server.info()["generation"], 1)
        self.assertIn(reason, server.info()["last_reload_result"])
        server.project.script(TICKING)
        server.project.conf({})
        self.assertGreater(self.assert_reloaded(server.project)[0], 1)
        return server

    def test_a_script_that_does_not_parse(self):
        self.refuse("main.lua:3:", lambda project: project.script("= 1"))

    def test_a_script_that_raises(self):
        self.refuse("main.lua:3: no paper", lambda project: project.script('error("no paper")'))

    def test_a_script_that_is_gone(self):
        self.refuse("main.lua", lambda project: (project.dir / "main.lua").unlink())

    def test_a_script_that_returns_nonsense(self):
        self.refuse("number", lambda project: project.write("main.lua", "return 42"))

    def test_a_module_that_does_not_parse(self):
        def change(project):
            project.write("part.lua", "\n=")
            project.script('require "part"')
        self.refuse("part.lua:2:", change)

    def test_a_conf_that_does_not_parse(self):
        self.refuse("conf.lua:1:", lambda project: project.write("conf.lua", "return {{"))

    def test_a_conf_with_an_unknown_key(self):
        self.refuse("svr.watch", lambda project: project.conf({"svr.wacth": True}))

    def test_a_script_that_never_ends_loading(self):
        server = self.start(TICKING, {"svr.load_timeout": 0.5})
        server.project.script("while true do end")
        began, ticks = time.monotonic(), len(server.lines("tick "))
        self.assert_refused(server.project, "load_timeout", 1)
        self.assertLess(time.monotonic() - began, 20)
        self.assertGreater(len(server.lines("tick ")), ticks + 3)  # it went on meanwhile

    def test_a_module_that_swallows_the_end_of_its_loading_time(self):
        server = self.start(TICKING, {"svr.load_timeout": 0.5})
        server.project.script("while true do pcall(function() while true do end end) end")
        self.assert_refused(server.project, "load_timeout", 1)

    def test_keys_that_need_a_restart(self):
        server = self.start(TICKING)
        (server.project.dir / "other").mkdir()
        for key, value in (("svr.name", "other"), ("svr.run_dir", "other"), ("svr.user", "nobody"),
                           ("svr.group", "nogroup"), ("svr.cluster.name", "other")):
            server.project.conf({key: value})
            self.assertIn("restart", self.assert_refused(server.project, key, 1))

    def test_the_load_touches_nothing_of_the_runtime(self):
        self.refuse("main.lua:3:", lambda project: project.script(
            'tiny.every(0.01, function() end)'))


class RolledBack(ServerCase):
    def roll_back(self, broken, reason, conf=None):
        server = self.start(callbacks("old") + TICKING, conf)
        server.project.script(callbacks("new", broken))
        self.assert_refused(server.project, reason, 1)
        server.wait_line("old on_start", times=2)
        ticks = len(server.lines("tick "))
        server.wait_line("tick ", times=ticks + 2)
        return server

    def test_a_new_on_start_that_fails(self):
        server = self.roll_back('error("no ink")', "main.lua:4: no ink")
        self.assertEqual(calls(server), ["old on_start", "old on_close reload", "new on_reload", "old on_start"])
        self.assertEqual(server.output().count("INFO tick 1\n"), 1)  # its context went on too
        self.assertEqual(server.close(), 0)
        self.assertEqual(calls(server)[-1], "old on_close close")

    def test_a_new_on_start_that_does_not_come_back(self):
        self.roll_back("tiny.sleep(300)", "reload_timeout", {"svr.reload_timeout": 0.3})

    def test_a_new_on_reload_that_fails(self):
        server = self.start(callbacks("old"))
        server.project.script('function S:on_reload() error("no way") end')
        self.assert_refused(server.project, "main.lua:3: no way", 1)
        server.wait_line("ERROR on_reload failed: ")
        server.wait_line("old on_start", times=2)
        self.assertEqual(calls(server), ["old on_start", "old on_close reload", "old on_start"])

    def test_what_the_new_one_began_is_undone(self):
        server = self.start(TICKING)
        server.project.script("""
          function S:on_start()
            self:add_timer("t", tiny.PeriodTimer(function() self:info("stray") end, 0.01))
            error("no ink")
          end""")
        self.assert_refused(server.project, "no ink", 1)
        ticks = len(server.lines("tick "))
        server.wait_line("tick ", times=ticks + 5)
        self.assertEqual((server.lines("stray"), server.info()["timers"]), ([], 0))

    def test_the_old_timers_are_back_when_its_on_start_adds_them(self):
        server = self.start("""
          function S:on_start()
            local added = self:add_timer("t", tiny.PeriodTimer(function() self:info("fired") end, 0.02))
            self:info("added %s", added)
          end""")
        server.project.script('function S:on_start() error("no ink") end')
        self.assert_refused(server.project, "no ink", 1)
        server.wait_line("added true", times=2)
        fired = len(server.lines("fired"))
        server.wait_line("fired", times=fired + 2)
        self.assertEqual(server.info()["timers"], 1)

    def test_the_context_is_as_it_was(self):
        server = self.start("""
          function S:on_start()
            self.context.list = self.context.list or { "kept" }
            self:info("list %s %d", self.context.list[1], #self.context.list)
          end""")
        server.project.script("""
          function S:on_start()
            self.context.list[1] = "spoilt"
            table.insert(self.context.list, 2)
            error("no ink")
          end""")
        self.assert_refused(server.project, "no ink", 1)
        server.wait_line("list kept 1", times=2)

    def test_when_the_old_one_cannot_start_either_it_ends_with_254(self):
        server = self.start("""
          function S:on_start()
            self.context.starts = (self.context.starts or 0) + 1
            if self.context.starts > 1 then error("worn out") end
          end""")
        server.project.script('function S:on_start() error("no ink") end')
        code, text = server.project.said("reload")
        self.assertEqual(code, 1)
        self.assertIn("no ink", text)
        self.assertIn("generation 1 could not be resumed", text)
        self.assert_closed(server, 254)
        self.assertIn("worn out", server.output())

    def test_an_error_in_the_old_on_close_is_logged_and_nothing_more(self):
        server = self.start('function S:on_close() error("stuck drawer") end')
        self.assert_reloaded(server.project)
        self.assertIn("main.lua:3: stuck drawer", server.wait_line("stuck drawer"))


if __name__ == "__main__":
    unittest.main()
