# SPDX-License-Identifier: MIT
"""The log as a whole server has it: what a script writes, where it arrives, and what stalled pipes,
full disks, stopped syslog daemons, rotation and reloads do to it."""
import json
import os
import re
import signal
import subprocess
import time
import unittest

from tiny_server import ServerCase, TINY, die_with_parent, wait_for

STARTED = 'function S:on_start() tiny.log.info("started") end\n'

# Numbered lines, a few every millisecond.
COUNTING = """
function S:run()
  local c = self.context
  c.n = c.n or 0
  for _ = 1, 20 do self:warn("number %d", c.n) c.n = c.n + 1 end
  tiny.sleep(0.001)
end
function S:on_close(reason) if reason == "close" then self:warn("total %d", self.context.n) end end
"""


def numbers(text):
    """All the numbers of counted lines, in the order of the text; a torn line is an error."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"(?:\[\w+\] |WARN |)number (\d+)", line)
        if match:
            found.append(int(match[1]))
        elif "number" in line:
            raise AssertionError(f"torn: {line!r}")
    return found


class FromLua(ServerCase):
    def test_the_default_format(self):
        server = self.start(STARTED + 'function S:run() self:info("hello %d", 5) tiny.sleep(60) end',
                            {"log.console.format": None})
        self.assertEqual(server.wait_line("hello 5"), f"<INFO: test({server.pid})> [main.lua: 4] >> hello 5 ")
        self.assertIn("[main.lua: 3] >> started ", server.output())

    def test_the_place_is_known_while_the_script_is_loaded(self):
        project = self.project('tiny.log.info("loading")', {"log.console.format": None})
        self.assertIn("[main.lua: 3] >> loading", project.said("check")[1])
        self.assertIn("[main.lua: 3] >> loading", self.launch(project).wait_ready().wait_line("loading"))

    def test_print_is_a_line(self):
        server = self.start('function S:on_start() print("a", 1, nil) end')
        self.assertEqual(server.wait_line("a\t1"), "INFO a\t1\tnil")

    def test_a_line_cannot_be_forged(self):
        server = self.start("""function S:on_start()
          self:info("user %s\\27[2J", "eve\\nERROR all is lost")
        end""")
        server.wait_line("user eve")
        self.assertIn("INFO user eve\n    ERROR all is lost\\x1b[2J\n", server.output())

    def test_json_lines(self):
        server = self.start("""function S:on_start()
          self:info("user %s", "x", {id = 5, tags = {"a", "b"}})
          tiny.log.warn("bytes \\0\\255")
        end""", {"log.console.format": "json"})
        server.wait_line("bytes")
        lines = {}
        for line in server.lines():
            entry = json.loads(line)
            lines[entry["msg"]] = entry
        entry = lines["user x"]
        self.assertEqual([entry[key] for key in ("level", "name", "pid", "file", "line", "id", "tags")],
                         ["INFO", "test", server.pid, "main.lua", 4, 5, ["a", "b"]])
        self.assertRegex(entry["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d$")
        self.assertIn("bytes \0\\xff", lines)

    def test_a_level_can_be_changed_while_it_runs(self):
        server = self.start('function S:run() self:debug("detail") tiny.sleep(0.01) end')
        self.assertEqual(server.project.tiny("loglevel", "console", "DEBUG").returncode, 0)
        server.wait_line("DEBUG detail")
        self.assertEqual(server.project.tiny("loglevel", "WARN").returncode, 0)
        wait_for(lambda: self.is_silent(server), "silence")
        self.assert_reloaded(server.project)
        server.wait_line("INFO reloaded: generation 2")
        self.assertTrue(self.is_silent(server))
        server.project.conf({"log.console.level": "DEBUG"})
        self.assert_reloaded(server.project)
        count = len(server.lines("DEBUG detail"))
        server.wait_line("DEBUG detail", times=count + 1)

    def is_silent(self, server):
        """Whether nothing is written for a while."""
        before = server.output()
        time.sleep(0.2)
        return server.output() == before

    def test_a_flood_of_one_line_is_held_back_and_counted(self):
        server = self.start("""function S:on_start()
          for _ = 1, 1000 do self:warn("again") end
        end""", {"log.repeat_limit": 10})
        server.wait_line("held back 990 times within a second: again")
        self.assertEqual(len(server.lines("WARN again")), 10)

    def test_os_exit_loses_nothing(self):
        project = self.project("""function S:run()
          for i = 1, 1000 do self:info("line %d", i) end
          os.exit(9)
        end""")
        server = self.launch(project)
        self.assertEqual(server.exit_code(), 9)
        self.assertEqual(len(server.lines("INFO line")), 1000)


class Files(ServerCase):
    def file_conf(self, **more):
        return {"log.file_log": "app.log", "log.file_log.format": "%(message)s", **more}

    def test_logrotate_moves_the_file_away_and_loses_nothing(self):
        server = self.start(COUNTING, self.file_conf(**{"log.file_log.rotate": False, "log.console.level": "ERROR"}))
        folder = server.project.dir
        rules = folder / "rotate.conf"
        rules.write_text(f"{folder}/app.log {{\n  rotate 100\n  missingok\n  nocreate\n  su root root\n"
                         f"  postrotate\n    kill -USR2 {server.pid}\n  endscript\n}}\n")
        os.chmod(folder, 0o755)
        for _ in range(5):
            time.sleep(0.3)
            subprocess.run(["logrotate", "-f", "-s", folder / "rotate.state", rules], check=True)
        self.assertEqual(server.close(), 0)
        names = [f"app.log.{i}" for i in range(5, 0, -1)] + ["app.log"]
        found = [n for name in names for n in numbers((folder / name).read_text())]
        self.assertEqual(found, list(range(len(found))))
        self.assertIn(f"total {len(found)}", (folder / "app.log").read_text())

    def test_reloads_lose_nothing_and_reorder_nothing(self):
        server = self.start(COUNTING, self.file_conf(**{"log.console.level": "ERROR"}))
        for i in range(12):
            server.project.conf(self.file_conf(**{
                "log.console.level": "ERROR", "log.file_log.format": f"[f{i}] %(message)s",
                "log.buffer": (4 + i % 3) * 1048576}))
            self.assert_reloaded(server.project)
        self.assertEqual(server.close(), 0)
        text = (server.project.dir / "app.log").read_text()
        found = numbers(text)
        self.assertEqual(found, list(range(len(found))))
        self.assertIn(f"[f11] total {len(found)}\n", text)
        formats = re.findall(r"^\[(\w+)\] number", text, re.M)
        self.assertEqual(list(dict.fromkeys(formats)), [f"f{i}" for i in range(12)])

    def test_a_full_disk_is_told_and_survived(self):
        project = self.project(COUNTING)
        disk = project.dir / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], check=False,
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest(f"no tmpfs: {mounted.stderr}")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        (disk / "ballast").write_bytes(b"x" * 200000)
        project.conf(self.file_conf(**{"log.file_log": "disk/app.log", "log.console.level": "ERROR"}))
        server = self.launch(project).wait_ready()
        line = server.wait_line("log.file_log does not work")
        self.assertIn("No space left on device", line)
        time.sleep(0.5)
        self.assertEqual(len(server.lines("log.file_log")), 1)
        (disk / "ballast").unlink()
        project.conf(self.file_conf(**{"log.file_log": "disk/app.log", "log.console.level": "WARN"}))
        self.assert_reloaded(project)
        wait_for(lambda: "log.file_log works again" in (disk / "app.log").read_text(), "the file to go on")
        self.assertEqual(server.close(), 0)
        found = numbers((disk / "app.log").read_text())
        self.assertEqual(found, sorted(set(found)))

    def test_new_settings_are_tried_at_once(self):
        server = self.start(COUNTING, self.file_conf(**{"log.file_log": "/dev/full", "log.console.level": "ERROR"}))
        server.wait_line("log.file_log does not work")
        time.sleep(1)  # the pause between its tries has grown: the next one is of 1.6 s
        server.project.conf(self.file_conf())
        self.assert_reloaded(server.project)
        wait_for((server.project.dir / "app.log").exists, "the file", 1.2)

    def test_a_missing_folder_refuses_the_start(self):
        server = self.launch(self.project(STARTED, self.file_conf(**{"log.file_log": "none/app.log"})))
        self.assertEqual(server.exit_code(), 1)
        self.assertRegex(server.output(), r'log.file_log: folder ".*/none": No such file or directory')


class Pipes(ServerCase):
    def test_a_stalled_multilog_stops_neither_the_server_nor_its_file(self):
        project = self.project(COUNTING, {"log.file_log": "app.log", "log.file_log.format": "%(message)s",
                                          "svr.timer.summary_output_time_point": False})
        archive = project.dir / "archive"
        with subprocess.Popen(["multilog", "s99999999", archive], stdin=subprocess.PIPE,
                              preexec_fn=die_with_parent) as multilog:
            with subprocess.Popen([TINY, "run", "-c", project.dir / "conf.lua"], stderr=multilog.stdin,
                                  stdin=subprocess.DEVNULL, preexec_fn=die_with_parent) as server:
                multilog.stdin.close()
                try:
                    wait_for(lambda: project.tiny("eval", "return 1").returncode == 0, "the server to answer")
                    multilog.send_signal(signal.SIGSTOP)
                    file = project.dir / "app.log"
                    wait_for(lambda: "log.console does not work" in file.read_text(), "the trouble in the file")
                    began = time.monotonic()
                    self.assertEqual(project.tiny("eval", "return 1").returncode, 0)
                    self.assertLess(time.monotonic() - began, 20)
                    multilog.send_signal(signal.SIGCONT)
                    wait_for(lambda: "log.console works again" in file.read_text(), "the console to work again")
                    server.send_signal(signal.SIGTERM)
                    self.assertEqual(server.wait(60), 0)
                    self.assertEqual(multilog.wait(60), 0)
                finally:
                    multilog.send_signal(signal.SIGCONT)
                    server.kill()
        in_file = numbers(file.read_text())
        self.assertEqual(in_file, list(range(len(in_file))))
        on_console = numbers((archive / "current").read_text())
        self.assertEqual(on_console, sorted(set(on_console)))
        lost = int(re.search(r"console works again .* (\d+) lines were lost", file.read_text())[1])
        self.assertEqual(len(on_console) + lost, len(in_file))

    def test_stdout_can_be_chosen(self):
        project = self.project(STARTED, {"log.console.stream": "stdout"})
        with subprocess.Popen([TINY, "run", "-c", project.dir / "conf.lua"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, preexec_fn=die_with_parent, text=True) as server:
            self.assertEqual(server.stdout.readline(), "INFO started\n")
            server.terminate()
            self.assertEqual(server.communicate()[1], "")


class Syslog(ServerCase):
    """Against a real rsyslogd with a socket of its own."""

    def setUp(self):
        self.it = self.project(COUNTING)
        self.folder = self.it.dir
        self.messages = self.folder / "messages"
        (self.folder / "rsyslog.conf").write_text(
            'module(load="imuxsock" SysSock.Use="off")\n'
            f'input(type="imuxsock" Socket="{self.folder}/dev_log" RateLimit.Interval="0")\n'
            f'local5.* action(type="omfile" file="{self.messages}" template="RSYSLOG_TraditionalFileFormat")\n')
        self.it.conf({"log.syslog": True, "log.syslog.address": "dev_log", "log.syslog.facility": "local5",
                      "log.syslog.format": "%(message)s", "log.console.level": "ERROR"})

    def daemon(self):
        process = subprocess.Popen(["rsyslogd", "-n", "-f", self.folder / "rsyslog.conf", "-i", self.folder / "pid"],
                                   preexec_fn=die_with_parent, stdin=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_for((self.folder / "dev_log").exists, "rsyslogd's socket")
        return process

    def stop(self, process):
        process.terminate()
        process.wait(60)

    def received(self):
        text = self.messages.read_text() if self.messages.exists() else ""
        return numbers("\n".join(line.split("]: ", 1)[-1] for line in text.splitlines()))

    def test_lines_arrive_with_tag_and_pid(self):
        self.daemon()
        server = self.launch(self.it).wait_ready()
        wait_for(self.received, "lines in rsyslogd's file")
        self.assertRegex(self.messages.read_text(), rf"(?m)^\w{{3}} [ \d]\d [\d:]{{8}} \S+ test\[{server.pid}\]: number 0$")

    def test_a_daemon_that_is_started_again_is_found_again(self):
        daemon = self.daemon()
        server = self.launch(self.it).wait_ready()
        wait_for(self.received, "lines in rsyslogd's file")
        self.stop(daemon)
        server.wait_line("log.syslog does not work")
        (self.folder / "dev_log").unlink(missing_ok=True)
        self.daemon()
        wait_for(lambda: "log.syslog works again" in self.messages.read_text(), "syslog to work again")
        found = self.received()
        self.assertEqual(found, sorted(set(found)))
        self.assertEqual(len(server.lines("log.syslog")), 1)
        self.assertEqual(server.close(), 0)

    def test_a_stopped_daemon_holds_nothing_up(self):
        daemon = self.daemon()
        server = self.launch(self.it).wait_ready()
        wait_for(self.received, "lines in rsyslogd's file")
        daemon.send_signal(signal.SIGSTOP)
        self.assertIn("it takes no more", server.wait_line("log.syslog does not work"))
        before = int(server.project.tiny("eval", "return self.context.n").stdout)
        wait_for(lambda: int(server.project.tiny("eval", "return self.context.n").stdout) > before + 1000,
                 "the server to go on")
        daemon.send_signal(signal.SIGCONT)
        wait_for(lambda: "log.syslog works again" in self.messages.read_text(), "syslog to work again")
        found = self.received()
        self.assertEqual(found, sorted(set(found)))
        self.assertEqual(server.close(), 0)


if __name__ == "__main__":
    unittest.main()
