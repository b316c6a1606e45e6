# SPDX-License-Identifier: MIT
"""The commands: what they print, their exit codes, and how they find the server."""
import os
import re
import shutil
import subprocess
import unittest

from tiny_server import CONF, TINY, WAIT, ServerCase, lua

INFO_KEYS = """last_error last_error_time last_reload_time last_summary last_summary_time last_trace start_time
name pid host state role token generation generations_alive last_reload_result uptime loop_lag_ms lua_heap_bytes
rss_bytes cpu_seconds timers tasks connections log_lines log_dropped hung_for hung_stack app""".split()


def tiny(*args, **options):
    done = subprocess.run([TINY, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=WAIT, check=False, **options)
    return done.returncode, done.stdout, done.stderr


def lua_conf(keys):
    """A conf.lua of the tests' keys and these."""
    return "return " + lua({**CONF, **keys})


class WithoutServer(ServerCase):
    def test_version_is_one_line(self):
        code, out, err = tiny("--version")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"\Atiny \d+\.\d+\.\d+\n\Z")

    def test_help_names_every_command(self):
        code, out, err = tiny("--help")
        self.assertEqual((code, err), (0, ""))
        for command in ("run", "check", "reload", "close", "status"):
            self.assertRegex(out, rf"(?m)^\s*(tiny )?{command}\b")

    def test_each_command_has_help(self):
        for command in ("run", "check", "reload", "close", "status"):
            code, out, _ = tiny(command, "--help")
            self.assertEqual(code, 0)
            self.assertIn(command, out)

    def test_an_unknown_command_is_refused_by_name(self):
        code, out, err = tiny("relaod")
        self.assertNotEqual(code, 0)
        self.assertEqual(out, "")
        self.assertIn("relaod", err)

    def test_an_unknown_option_is_refused_by_name(self):
        code, _, err = tiny("status", "--jsno")
        self.assertNotIn(code, (0, 2, 3))
        self.assertIn("--jsno", err)

    def test_no_command_shows_the_usage_and_fails(self):
        code, _, err = tiny()
        self.assertNotEqual(code, 0)
        self.assertIn("run", err)

    def test_exit_codes_when_no_server_runs(self):
        project = self.project()
        self.assertEqual([project.said(command)[0] for command in ("reload", "status", "close")], [3, 3, 0])

    def test_commands_need_no_conf_to_see_that_no_server_runs(self):
        project = self.project()
        (project.dir / "conf.lua").unlink()
        self.assertEqual([project.said(command)[0] for command in ("reload", "status", "close")], [3, 3, 0])

    def test_check_accepts_a_good_project_and_does_nothing_else(self):
        project = self.project('function S:on_start() io.open(self.conf.mark, "w"):close() end')
        mark = project.dir / "mark"
        project.conf({"mark": str(mark)})
        before = sorted(os.listdir(project.dir))
        self.assertEqual(project.said("check"), (0, "ok\n"))
        self.assertEqual(sorted(os.listdir(project.dir)), before)

    def test_check_names_file_and_line_of_an_error(self):
        project = self.project("\nlocal x = = 1")
        code, text = project.said("check")
        self.assertEqual(code, 1)
        self.assertIn("main.lua:4:", text)

    def test_check_ends_a_script_that_loads_for_ever(self):
        project = self.project("while true do end", {"svr.load_timeout": 0.3})
        code, text = project.said("check")
        self.assertEqual(code, 1)
        self.assertIn("load_timeout", text)

    def test_check_says_nothing_while_a_server_runs(self):
        server = self.start()
        self.assertEqual(server.project.said("check"), (0, "ok\n"))
        self.assertEqual(server.info()["generation"], 1)

    def test_check_finds_what_a_reload_would_refuse_and_says_the_same(self):
        server = self.start("", {"svr.load_timeout": 0.5})
        project = server.project
        for name, text in (
            ("conf.lua", "return {"), ("conf.lua", "return 7"), ("conf.lua", 'error("torn")'),
            ("conf.lua", lua_conf({"svr.nmae": "x"})), ("conf.lua", lua_conf({"svr.monitor.timer": "often"})),
            ("conf.lua", lua_conf({"log.file_log": "/nowhere/at/all.log"})),
            ("conf.lua", lua_conf({"svr.checkpoint.span": 1, "svr.checkpoint.path": "/nowhere/x.ckpt"})),
            ("conf.lua", lua_conf({"svr.script": "gone.lua"})),
            ("main.lua", "return = 1"), ("main.lua", 'error("torn")'), ("main.lua", "return 7"),
            ("main.lua", 'require "nowhere"'), ("main.lua", "while true do end"),
            ("main.lua", 'require("tiny").sleep(1)'), ("main.lua", 'require("tiny").every(1, print)'),
            ("main.lua", 'return { run = 7 }'),
        ):
            with self.subTest(name, text=text):
                good = (project.dir / name).read_text()
                project.write(name, text)
                code, said = project.said("check")
                self.assertEqual(code, 1, said)
                reason = self.assert_refused(project, "refused: ", 1)
                self.assertEqual(f"refused: {said.rstrip()}; generation 1 goes on\n", reason)
                project.write(name, good)
                self.assertEqual(project.said("check"), (0, "ok\n"))


class WithServer(ServerCase):
    def test_conf_lua_of_the_current_folder_is_the_default(self):
        server = self.start()
        code, out, _ = tiny("status", cwd=server.project.dir)
        self.assertEqual(code, 0)
        self.assertIn(str(server.pid), out)

    def test_the_last_c_option_counts(self):
        server = self.start()
        code, _, _ = tiny("status", "-c", "/nowhere/conf.lua", "-c", str(server.project.dir / "conf.lua"))
        self.assertEqual(code, 0)

    def test_status_shows_name_pid_and_state(self):
        server = self.start(conf={"svr.name": "abacus"})
        code, text = server.project.said("status")
        self.assertEqual(code, 0)
        for word in ("abacus", str(server.pid), "running"):
            self.assertIn(word, text)

    def test_status_json_has_every_key_of_the_feed(self):
        server = self.start()
        info = server.info()
        self.assertEqual(sorted(set(INFO_KEYS) - set(info)), [])
        self.assertEqual((info["name"], info["pid"], info["state"]), ("test", server.pid, "running"))
        self.assertEqual((info["generation"], info["generations_alive"]), (1, 1))
        self.assertIsNone(info["last_error"])
        self.assertRegex(info["start_time"], r"\A\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\Z")
        self.assertGreater(info["lua_heap_bytes"], 0)
        self.assertGreater(info["rss_bytes"], 0)
        self.assertGreaterEqual(info["uptime"], 0)

    def test_status_tells_the_last_error(self):
        server = self.start('function S:run() tiny.sleep(0.05) error("no ink") end')
        server.wait_line("no ink")
        info = server.info()
        self.assertRegex(info["last_error"], r"main\.lua:3: no ink")
        self.assertIn("stack traceback", info["last_trace"])
        self.assertRegex(info["last_error_time"], r"\A\d{4}/")
        self.assertIn("no ink", server.project.said("status")[1])

    def test_status_counts_timers(self):
        server = self.start("function S:on_start() for i = 1, 5 do"
                            " self:add_timer(i, tiny.PeriodTimer(function() end, 60)) end end")
        self.assertEqual(server.info()["timers"], 5)

    def test_commands_work_while_conf_lua_is_broken(self):
        server = self.start()
        server.project.write("conf.lua", "return {")
        self.assertEqual(server.project.said("status")[0], 0)
        self.assertEqual(server.project.said("close")[0], 0)
        self.assert_closed(server)

    def test_commands_work_after_the_name_in_conf_changed(self):
        server = self.start()
        server.project.conf({"svr.name": "other"})
        self.assertEqual(server.info()["name"], "test")

    def test_a_killed_server_is_not_there(self):
        server = self.start()
        server.kill()
        self.assertEqual([server.project.said(command)[0] for command in ("reload", "status", "close")], [3, 3, 0])

    def test_the_script_can_be_given_with_its_arguments(self):
        project = self.project()
        project.write("other.lua", 'local S = require("tiny").Server:extend()\n'
                      'function S:on_start() self:info("args %s", table.concat(self.args, "|")) end\nreturn S\n')
        server = self.launch(project, str(project.dir / "other.lua"), "one", "-c", "two words").wait_ready()
        self.assertTrue(server.wait_line("args ").endswith("args one|-c|two words"))

    def test_arguments_stay_after_a_reload(self):
        project = self.project()
        project.write("other.lua", 'local S = require("tiny").Server:extend()\n'
                      'function S:on_start() self:info("generation %d args %s", self.generation, self.args[1]) end\n'
                      "return S\n")
        server = self.launch(project, str(project.dir / "other.lua"), "one").wait_ready()
        self.assert_reloaded(project)
        server.wait_line("generation 2 args one")

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become someone else")
    def test_another_user_is_not_served(self):
        server = self.start()
        os.chmod(server.project.dir, 0o755)
        copy = shutil.copy(TINY, server.project.dir / "tiny")
        done = subprocess.run([copy, "close"], cwd=server.project.dir, capture_output=True, text=True, check=False,
                              timeout=WAIT, user="nobody", group="nogroup", extra_groups=[])
        self.assertNotIn(done.returncode, (0, 3))
        self.assertRegex(done.stderr, "(?i)permission|denied|not allowed")
        self.assertTrue(server.alive())

    def test_status_is_text_for_people(self):
        _, text = self.start().project.said("status")
        for row in ("state", "uptime", "generation", "timers"):
            self.assertTrue(re.search(rf"(?m)^{row}\b", text), text)


if __name__ == "__main__":
    unittest.main()
