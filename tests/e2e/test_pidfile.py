# SPDX-License-Identifier: MIT
"""One server of a name: the locked pid file, the control socket, the note beside conf.lua."""
import signal
import socket
import stat
import tempfile
import unittest

from tiny_server import ServerCase


class Files(ServerCase):
    def test_the_pid_file_holds_the_pid(self):
        server = self.start()
        self.assertEqual((server.project.dir / "test.pid").read_text().strip(), str(server.pid))

    def test_the_socket_is_for_its_owner_only(self):
        server = self.start()
        mode = (server.project.dir / "test.sock").stat().st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)

    def test_they_lie_in_run_dir(self):
        project = self.project()
        (project.dir / "run").mkdir()
        project.conf({"svr.run_dir": "run"})
        server = self.launch(project).wait_ready()
        self.assertTrue((project.dir / "run/test.pid").exists())
        self.assertTrue((project.dir / "run/test.sock").exists())
        self.assertTrue((project.dir / "conf.lua.run").exists())
        self.assertEqual(server.close(), 0)
        self.assertEqual(list((project.dir / "run").iterdir()), [])

    def test_nothing_is_left_after_a_close(self):
        server = self.start()
        server.close()
        self.assert_closed(server)

    def test_a_missing_run_dir_refuses_the_start(self):
        project = self.project(conf={"svr.run_dir": "nowhere"})
        server = self.launch(project)
        self.assert_closed(server, 1)
        self.assertIn("nowhere", server.output())


class SecondServer(ServerCase):
    def test_a_second_start_names_the_pid_of_the_first(self):
        first = self.start()
        second = self.launch(first.project)
        self.assertEqual(second.exit_code(), 1)
        self.assertIn(str(first.pid), second.output())
        self.assertEqual(first.info()["pid"], first.pid)
        first.close()
        self.assert_closed(first)

    def test_a_second_start_runs_no_lua_of_its_own_start(self):
        first = self.start('function S:on_start() self:info("on_start") end')
        second = self.launch(first.project)
        second.exit_code()
        self.assertEqual(second.lines("INFO on_start"), [])

    def test_the_same_name_in_the_same_run_dir_is_refused_for_another_conf(self):
        with tempfile.TemporaryDirectory(prefix="tiny-") as run_dir:
            first = self.start(conf={"svr.run_dir": run_dir})
            second = self.launch(self.project(conf={"svr.run_dir": run_dir}))
            self.assert_closed(second, 1)
            self.assertIn(str(first.pid), second.output())
            self.assertEqual(first.close(), 0)

    def test_two_names_share_a_run_dir(self):
        with tempfile.TemporaryDirectory(prefix="tiny-") as run_dir:
            first = self.start(conf={"svr.run_dir": run_dir, "svr.name": "one"})
            second = self.start(conf={"svr.run_dir": run_dir, "svr.name": "two"})
            self.assertEqual([first.info()["name"], second.info()["name"]], ["one", "two"])
            self.assertEqual([first.close(), second.close()], [0, 0])


class StaleFiles(ServerCase):
    def test_what_a_killed_server_left_is_taken_over(self):
        first = self.start()
        first.kill()
        self.assertTrue((first.project.dir / "test.pid").exists())
        second = self.launch(first.project).wait_ready()
        self.assertEqual(second.info()["pid"], second.pid)
        second.close()
        self.assert_closed(second)

    def test_a_pid_file_of_a_living_stranger_is_taken_over(self):
        project = self.project()
        (project.dir / "test.pid").write_text("1\n")
        server = self.launch(project).wait_ready()
        self.assertEqual((project.dir / "test.pid").read_text().strip(), str(server.pid))

    def test_a_socket_left_behind_is_replaced(self):
        project = self.project()
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(project.dir / "test.sock"))
        self.launch(project).wait_ready()

    def test_a_child_that_lives_on_does_not_hold_the_name(self):
        first = self.start('function S:on_start() os.execute("sleep 30 &") end')
        first.signal(signal.SIGKILL)
        first.process.wait()
        self.launch(first.project).wait_ready()


if __name__ == "__main__":
    unittest.main()
