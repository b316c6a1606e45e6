# SPDX-License-Identifier: MIT
"""conf.lua and script as they should not be: `tiny run` and `tiny check` both refuse with
exit code 1 and a reason that says where."""
import unittest

from tiny_server import ServerCase

HEAD = 'return { ["svr.name"] = "test", ["svr.script"] = "main.lua", ["svr.monitor"] = false,\n'


class Refused(ServerCase):
    def assert_refused_with(self, project, *words):
        code, text = project.said("check")
        server = self.launch(project)
        self.assertEqual((code, server.exit_code()), (1, 1), text + server.output())
        for word in words:
            self.assertIn(word, text)
            self.assertIn(word, server.output())
        self.assert_closed(server, 1)

    def refuse_conf(self, text, *words):
        project = self.project()
        project.write("conf.lua", text)
        self.assert_refused_with(project, *words)

    def refuse_key(self, line, *words):
        self.refuse_conf(HEAD + line + " }\n", *words)

    def refuse_script(self, text, *words):
        project = self.project()
        project.write("main.lua", text)
        self.assert_refused_with(project, *words)


class Conf(Refused):
    def test_missing(self):
        project = self.project()
        (project.dir / "conf.lua").unlink()
        self.assert_refused_with(project, "conf.lua", "No such file")

    def test_syntax_error(self):
        self.refuse_conf('return {\n  ["svr.name"] = = 1\n}\n', "conf.lua:2:")

    def test_runtime_error(self):
        self.refuse_conf("local x = nil\nreturn x.y\n", "conf.lua:2:")

    def test_error_that_is_a_table(self):
        self.refuse_conf("error({ code = 7 })\n", "conf.lua")

    def test_not_returning_a_table(self):
        self.refuse_conf("return 42\n", "conf.lua", "must return a table")

    def test_returning_nothing(self):
        self.refuse_conf("local x = 1\n", "conf.lua", "table")

    def test_that_never_ends(self):
        self.refuse_conf("while true do end\n", "conf.lua")

    def test_name_missing(self):
        self.refuse_conf('return { ["svr.script"] = "main.lua" }\n', "svr.name")

    def test_script_missing(self):
        self.refuse_conf('return { ["svr.name"] = "test" }\n', "svr.script")

    def test_name_with_a_slash(self):
        self.refuse_conf('return { ["svr.name"] = "a/b", ["svr.script"] = "main.lua" }\n', "svr.name", "a/b")

    def test_name_too_long(self):
        self.refuse_conf('return { ["svr.name"] = ("a"):rep(65), ["svr.script"] = "main.lua" }\n', "svr.name")

    def test_unknown_runtime_key_with_the_nearest(self):
        self.refuse_key('["svr.load_timout"] = 5', "svr.load_timout", "svr.load_timeout")

    def test_unknown_log_key_with_the_nearest(self):
        self.refuse_key('["log.consol.level"] = "INFO"', "log.consol.level", "log.console.level")

    def test_wrong_type(self):
        self.refuse_key('["svr.load_timeout"] = "soon"', "conf.lua:2:", "svr.load_timeout", "soon", "seconds")

    def test_negative_time(self):
        self.refuse_key('["svr.load_timeout"] = -1', "svr.load_timeout", "-1")

    def test_bad_level(self):
        self.refuse_key('["log.console.level"] = "LOUD"', "log.console.level", "LOUD")

    def test_bad_format_field(self):
        self.refuse_key('["log.console.format"] = "%(mesage)s"', "log.console.format", "mesage")

    def test_bad_stream(self):
        self.refuse_key('["log.console.stream"] = "stdin"', "log.console.stream", "stdin")

    def test_bad_summary_time_point(self):
        self.refuse_key('["svr.timer.summary_output_time_point"] = "Y"', "svr.timer.summary_output_time_point", "Y")

    def test_bad_memory_limit(self):
        self.refuse_key('["svr.lua.memory_limit"] = "lots"', "svr.lua.memory_limit", "lots")

    def test_a_function_in_a_runtime_key(self):
        self.refuse_key('["svr.script"] = function() end', "svr.script", "function")

    def test_nan(self):
        self.refuse_key('["svr.reload_timeout"] = 0/0', "svr.reload_timeout")

    def test_every_key_of_the_contract_is_known(self):
        project = self.project()
        project.write("conf.lua", HEAD + """
          ["svr.run_dir"] = ".", ["svr.watch"] = false, ["svr.load_timeout"] = 5, ["svr.reload_timeout"] = 10,
          ["svr.log_conf_on_reload"] = true, ["svr.timer.min_span"] = 0.001,
          ["svr.timer.run_status_check_time_span"] = 60, ["svr.timer.summary_output_time_point"] = "M",
          ["svr.watchdog.interrupt"] = true, ["svr.watchdog.slice"] = 0, ["svr.close.wait_lock_delay"] = 1,
          ["svr.close.force_close_delay"] = 10, ["svr.lua.memory_limit"] = "512M", ["svr.monitor.timer"] = 10,
          ["svr.monitor.host"] = "tcp://127.0.0.1:5558", ["svr.checkpoint.span"] = 0,
          ["svr.checkpoint.path"] = "test.ckpt", ["svr.checkpoint.on_damage"] = "fresh",
          ["log.console"] = true, ["log.syslog"] = false, ["log.file_log"] = "", ["log.email"] = false,
          ["log.console.level"] = "INFO", ["log.syslog.level"] = "WARN", ["log.file_log.level"] = "WARNING",
          ["log.email.level"] = "CRITICAL", ["log.console.format"] = "%(asctime)s %(levelname)-8s %(message)s",
          ["log.syslog.format"] = "%(message)s", ["log.file_log.format"] = "json", ["log.email.format"] = "%(message)s",
          ["log.console.stream"] = "stderr", ["log.file_log.rotate"] = { size = "100M" }, ["log.file_log.keep"] = 7,
          ["log.syslog.address"] = "/dev/log", ["log.syslog.facility"] = "local3", ["log.email.span"] = 60,
          ["log.buffer"] = "4M", ["log.repeat_limit"] = 10 }\n""")
        self.assertEqual(project.said("check"), (0, "ok\n"))


class Script(Refused):
    def test_missing(self):
        project = self.project(conf={"svr.script": "nowhere.lua"})
        self.assert_refused_with(project, "nowhere.lua")

    def test_syntax_error(self):
        self.refuse_script('local tiny = require "tiny"\n\nreturn = 1\n', "main.lua:3:")

    def test_error_while_loading(self):
        self.refuse_script('local tiny = require "tiny"\nerror("no paper")\n', "main.lua:2: no paper")

    def test_error_while_loading_that_is_nil(self):
        self.refuse_script("error(nil)\n", "main.lua")

    def test_error_in_a_required_module(self):
        project = self.project()
        project.write("part.lua", "return {\n  = \n}\n")
        project.write("main.lua", 'require "part"\n')
        self.assert_refused_with(project, "part.lua:2:")

    def test_returning_nothing(self):
        self.refuse_script('local tiny = require "tiny"\n', "main.lua", "tiny.Server")

    def test_returning_a_number(self):
        self.refuse_script("return 42\n", "main.lua", "number")

    def test_a_callback_that_is_no_function(self):
        self.refuse_script("return { run = 42 }\n", "run", "number")

    def test_waiting_while_loading(self):
        self.refuse_script('local tiny = require "tiny"\ntiny.sleep(0.1)\nreturn tiny.Server:extend()\n', "main.lua:2:")

    def test_that_never_ends(self):
        project = self.project("while true do end", {"svr.load_timeout": 0.3})
        self.assert_refused_with(project, "load_timeout")

    def test_on_start_raising(self):
        project = self.project('function S:on_start()\n  error("no ink")\nend')
        server = self.launch(project)
        self.assert_closed(server, 1)
        self.assertIn("main.lua:4: no ink", server.output())
        self.assertEqual(project.said("check"), (0, "ok\n"))

    def test_on_start_raising_a_table(self):
        server = self.launch(self.project("function S:on_start() error({ code = 7 }) end"))
        self.assert_closed(server, 1)
        self.assertIn("on_start", server.output())


class Accepted(ServerCase):
    def test_a_plain_table_is_a_server(self):
        project = self.project()
        project.write("main.lua", 'return { on_start = function(self) self:info("plain %s", self.name) end }\n')
        self.launch(project).wait_ready().wait_line("INFO plain test")

    def test_the_servers_own_keys_reach_it_as_they_are(self):
        conf = {"counter.step": 3, "deep": {"list": [1, 2.5, "x"], "on": True}, "plain": "text"}
        server = self.start("""
          function S:on_start()
            local c = self.conf
            self:info("conf %d %s %s %s %s", c["counter.step"], c.deep.list[2], c.deep.list[3], c.deep.on, c.plain)
          end""", conf)
        self.assertTrue(server.wait_line("conf ").endswith("conf 3 2.5 x true text"))

    def test_defaults_are_filled_in(self):
        server = self.start("""
          function S:on_start()
            self:info("defaults %s %s", self.conf["svr.load_timeout"], self.conf["svr.close.force_close_delay"])
          end""")
        self.assertTrue(server.wait_line("defaults ").endswith("defaults 5 10"))

    def test_conf_is_shown_at_start_with_secrets_masked(self):
        server = self.start(conf={"svr.log_conf_on_reload": True, "shop.city": "Basel", "shop.password": "hunter2",
                                  "shop.api_token": "t0k3n", "shop.url": "http://me:pa55@example.org/"})
        server.wait_line("Basel")
        for secret in ("hunter2", "t0k3n", "pa55"):
            self.assertNotIn(secret, server.output())
        self.assertIn("***", server.output())

    def test_conf_may_compute(self):
        project = self.project('function S:on_start() self:info("sum %d", self.conf.sum) end')
        project.write("conf.lua", 'local keys = { ["svr.name"] = "test", ["svr.script"] = "main.lua" }\n'
                      'keys["svr.monitor"] = false\nkeys.sum = 40 + 2\nreturn keys\n')
        self.launch(project).wait_ready().wait_line("sum 42")

    def test_modules_are_found_beside_the_script_before_conf(self):
        project = self.project(conf={"svr.script": "src/main.lua"})
        project.write("part.lua", 'return "beside conf"')
        project.write("other.lua", 'return "beside conf"')
        project.write("src/part.lua", 'return "beside script"')
        project.write("src/main.lua", 'local S = require("tiny").Server:extend()\n'
                      'local a, b = require "part", require "other"\n'
                      'function S:on_start() self:info("found %s, %s", a, b) end\nreturn S\n')
        server = self.launch(project).wait_ready()
        self.assertTrue(server.wait_line("found ").endswith("found beside script, beside conf"))

    def test_conf_finds_modules_beside_itself(self):
        project = self.project('function S:on_start() self:info("sum %s", self.conf.sum) end')
        project.write("keys.lua", 'return { ["svr.name"] = "test", ["svr.script"] = "main.lua", ["svr.monitor"] = false, sum = 42 }')
        project.write("conf.lua", 'return require "keys"')
        self.launch(project, cwd="/").wait_ready().wait_line("sum 42")


if __name__ == "__main__":
    unittest.main()
