# SPDX-License-Identifier: MIT
"""Asking a running server: eval, loglevel and status, also while Lua or the whole process is away."""
import json
import os
import signal
import socket
import subprocess
import unittest

from tiny_server import SIGNALS, TINY, WAIT, ServerCase, wait_for

AWAY = 'function S:run() tiny.sleep(0.05) self:info("away") while true do end end'
SOON = {"svr.close.wait_lock_delay": 0.1, "svr.close.force_close_delay": 0.3}


def thread_states(pid):
    """The states of a process's threads, a letter each."""
    states = ""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii") as stat:
            states += stat.read().rsplit(")", 1)[1].split()[0]
    return states


def waits_at_socket(pid):
    """Whether a process sleeps and has a socket open."""
    files = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    return thread_states(pid) == "S" and any(file.startswith("socket:") for file in files)


class Eval(ServerCase):
    def test_results_are_printed(self):
        server = self.start()
        self.assertEqual(server.project.tiny("eval", "return self.name, 6 * 7").stdout.split(), ["test", "42"])

    def test_a_nul_does_not_cut_them_short(self):
        self.assertEqual(self.start().project.tiny("eval", r'return "a\0b", 2').stdout, "a\\0b\t2\n")

    def test_an_error_is_said_on_stderr(self):
        done = self.start().project.tiny("eval", 'error("no ink")')
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("no ink", done.stderr)

    def test_a_syntax_error_is_said(self):
        code, text = self.start().project.said("eval", "x = = 1")
        self.assertEqual(code, 1)
        self.assertIn("unexpected symbol", text)

    def test_it_says_that_lua_is_busy_and_does_not_run_later(self):
        server = self.launch(self.project(AWAY, SOON))
        server.wait_line("away")
        code, text = server.project.said("eval", "--timeout", "0.2", 'self:info("ran")')
        self.assertEqual(code, 1)
        self.assertRegex(text, r"\Abusy: Lua has been running for \d+\.\d s\n\Z")
        server.project.said("close")
        self.assertEqual(server.exit_code(), 0 if SIGNALS else 252)  # interrupted, or ended by force
        self.assertEqual(server.lines("ran"), [])

    def test_options_and_code_are_told_apart(self):
        server = self.start()
        self.assertEqual(server.project.said("eval", "--", "-- nothing"), (0, ""))
        self.assertEqual(server.project.said("eval", "--timeout=2", "return 1")[0], 0)
        for wrong in (["--timeout", "soon", "return 1"], ["--timeout", "0", "return 1"], ["return 1", "--timeout"],
                      [], ["return 1", "return 2"], ["--tmeout=1", "return 1"]):
            with self.subTest(wrong=wrong):
                code, text = server.project.said("eval", *wrong)
                self.assertEqual(code, 64)
                self.assertIn("usage: tiny eval", text)


class LogLevel(ServerCase):
    def test_it_holds_until_the_next_reload(self):
        server = self.start('function S:run() tiny.sleep(0.02) self:debug("detail") end')
        self.assertEqual(server.project.said("loglevel", "console", "debug")[0], 0)
        server.wait_line("detail")
        self.assert_reloaded(server.project)
        server.project.said("eval", 'self:info("begin") require("tiny").sleep(0.1) self:info("end")')
        server.wait_line("end")
        output = server.output()
        self.assertNotIn("detail", output[output.index("begin"):])

    def test_unknown_words_and_sinks_that_are_off_are_refused_by_name(self):
        project = self.start().project
        for words in (["LOUD"], ["pigeon", "INFO"], ["syslog", "INFO"]):
            code, text = project.said("loglevel", *words)
            self.assertEqual(code, 1)
            self.assertIn(words[0], text)


class WhileAway(ServerCase):
    def test_status_answers_while_lua_is_away(self):
        server = self.launch(self.project(AWAY, SOON))
        server.wait_line("away")
        self.assertEqual(server.info()["pid"], server.pid)

    def test_a_stopped_process_is_said_to_be(self):
        server = self.start()
        server.signal(signal.SIGSTOP)
        wait_for(lambda: set(thread_states(server.pid)) == {"T"}, "all its threads to stop")
        code, text = server.project.said("status")
        server.signal(signal.SIGCONT)
        self.assertEqual(code, 2)
        self.assertIn(f"pid {server.pid} does not answer", text)
        self.assertEqual(server.info()["state"], "running")

    def test_a_killed_server_ends_the_waiting(self):
        for command in ("reload", "close"):
            with self.subTest(command=command):
                server = self.launch(self.project(AWAY))
                server.wait_line("away")
                asking = subprocess.Popen([TINY, command, "-c", str(server.project.dir / "conf.lua")],
                                          stderr=subprocess.PIPE, text=True)
                wait_for(lambda asking=asking: waits_at_socket(asking.pid), "the command to wait")
                server.kill()
                self.assertIn("has ended without an answer", asking.communicate(timeout=WAIT)[1])
                self.assertEqual(asking.returncode, 1)


class Asking(ServerCase):
    def test_c_may_stand_before_the_command(self):
        server = self.start()
        conf = str(server.project.dir / "conf.lua")
        for words in (["-c", conf, "status"], ["status", "-c", conf], ["status", "-c" + conf], ["status", "--json", "-c", conf]):
            done = subprocess.run([TINY, *words], capture_output=True, text=True, timeout=WAIT, check=False)
            self.assertEqual(done.returncode, 0, words)
            self.assertIn(str(server.pid), done.stdout)

    def test_a_near_command_is_proposed(self):
        done = subprocess.run([TINY, "relod"], capture_output=True, text=True, timeout=WAIT, check=False)
        self.assertEqual(done.returncode, 64)
        self.assertIn('"reload"', done.stderr)

    def test_a_full_output_is_an_error(self):
        server = self.start()
        with open("/dev/full", "wb") as full:
            done = subprocess.run([TINY, "status", "-c", str(server.project.dir / "conf.lua")], stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=WAIT, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left", done.stderr)

    def test_the_socket_speaks_one_line_of_json_each_way(self):
        server = self.start()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(WAIT)
            client.connect(str(server.project.dir / "test.sock"))
            client.sendall(b'{"do": "status"}\n')
            answer = client.makefile().read()
        self.assertEqual(answer.count("\n"), 1)
        self.assertEqual(json.loads(answer)["info"]["name"], "test")

    def test_children_get_default_signals(self):
        server = self.start('function S:on_start() os.execute("grep -E \'Sig(Blk|Ign)\' /proc/self/status") end')
        masks = [int(line.split()[1], 16) & 0x7FFFFFFF for line in server.lines("Sig")]
        self.assertEqual(masks, [0, 0])

    def test_signals_reload_while_it_runs(self):
        server = self.start('function S:on_start() self:info("started %d", self.generation) end')
        for generation, number in ((2, signal.SIGHUP), (3, signal.SIGUSR1)):
            server.signal(number)
            server.wait_line(f"started {generation}")
        for number in (signal.SIGPIPE, signal.SIGUSR2, signal.SIGQUIT):
            server.signal(number)
        self.assertEqual(server.info()["generation"], 3)

    @unittest.skipUnless(os.path.ismount("/proc"), "needs /proc")
    def test_a_long_run_dir_works(self):
        project = self.project()
        deep = project.dir / ("d" * 100) / ("e" * 100)
        deep.mkdir(parents=True)
        project.conf({"svr.run_dir": str(deep)})
        server = self.launch(project).wait_ready()
        self.assertTrue((deep / "test.sock").exists())
        self.assertEqual(project.said("close")[0], 0)
        self.assert_closed(server)
        self.assertEqual(list(deep.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
