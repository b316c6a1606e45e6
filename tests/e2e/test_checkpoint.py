# SPDX-License-Identifier: MIT
"""Checkpoints: what a server knows comes back after a crash, a restart and damage, and only then."""
import os
import signal
import socket
import subprocess
import unittest

from tiny_server import ServerCase, wait_for

ON = {"svr.checkpoint.span": 3600, "log.console.level": "DEBUG"}
COUNT = """
  function S:on_start()
    local c = self.context
    self:info("found %s", tostring(c.n))
    c.n = (c.n or 0) + 1
    self:info("has %d", c.n)
  end"""
SAVE = COUNT + """
  function S:run()
    self:info("saved %s %s %s", unpack({ self:checkpoint() }, 1, 3))
    tiny.sleep(3600)
  end"""


def flip_last_byte(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


class CheckpointCase(ServerCase):
    def path(self, project, extension=""):
        return project.dir / ("test.ckpt" + extension)

    def again(self, server, *args):
        """The same project once more, after the server has ended."""
        return self.launch(server.project, *args).wait_ready()

    def run_once(self, project, *args):
        """Start, and close in order: that saves."""
        server = self.launch(project, *args).wait_ready()
        self.assertEqual(server.close(), 0, server.output())
        return server

    def run_times(self, times, conf=None):
        project = self.project(COUNT, {**ON, **(conf or {})})
        for _ in range(times):
            server = self.run_once(project)
        return project, server


class Kept(CheckpointCase):
    def test_across_a_close(self):
        project, server = self.run_times(2)
        self.assertTrue(server.lines("found 1"), server.output())
        self.assertTrue(server.lines("context restored: checkpoint 1 of "), server.output())
        self.assertEqual(self.path(project).stat().st_mode & 0o777, 0o600)

    def test_what_on_close_wrote(self):
        server = self.start(COUNT + "\nfunction S:on_close() self.context.n = 41 end", ON)
        server.close()
        self.again(server).wait_line("found 41")

    def test_across_a_kill_when_asked_for(self):
        server = self.start(SAVE, ON)
        server.wait_line("saved true nil nil")
        server.signal(signal.SIGKILL)
        server.exit_code()
        self.again(server).wait_line("found 1")

    def test_across_a_kill_every_span(self):
        server = self.start(COUNT + "\nfunction S:run() self.context.n = self.context.n + 1 tiny.sleep(0.01) end",
                            {**ON, "svr.checkpoint.span": 0.1})
        server.wait_line("DEBUG checkpoint 5:")
        server.signal(signal.SIGKILL)
        server.exit_code()
        server = self.again(server)
        self.assertGreater(int(server.wait_line("found ").split()[-1]), 5)
        server.wait_line("DEBUG checkpoint 9:")  # it goes on counting

    def test_everything_that_a_reload_carries(self):
        server = self.start("""
          local ffi, null = require "ffi", require("cjson").null
          function S:on_start()
            local c = self.context
            if not c.t then
              local t = { 1, 2, 3 }
              c.t, c.same, c.self, c[1.5], c[true] = t, { t }, c, "key", 0
              c.int, c.uint, c.null, c.bytes = -9007199254740993LL, 18446744073709551615ULL, null, "\\0\\255"
              local deep = c
              for _ = 1, 10000 do deep.next = {} deep = deep.next end
              return
            end
            assert(#c.t == 3 and c.same[1] == c.t and c.self == c and c[1.5] == "key" and c[true] == 0)
            assert(c.int == -9007199254740993LL and ffi.istype("int64_t", c.int))
            assert(c.uint == 18446744073709551615ULL and c.null == null and c.bytes == "\\0\\255")
            local n, deep = 0, c
            while deep.next do n, deep = n + 1, deep.next end
            assert(n == 10000)
            self:info("all there")
          end""", ON)
        server.close()
        self.again(server).wait_line("all there")

    def test_but_for_streams(self):
        project = self.project("""
          function S:on_start()
            local c, address = self.context, "unix:" .. self.conf.address
            self:info("found %s %s %s %s", tostring(c.kept), tostring(c.stream), tostring(next(c.names or {})),
              tostring(c.list and c.list[3]))
            if c.kept then return end
            tiny.tcp.listen(address, function(stream) stream:read() end)
            local stream = assert(tiny.tcp.connect(address))
            c.kept, c.stream, c.names, c.list = true, stream, { [stream] = "peer" }, { 1, stream, 3 }
            self:info("filled %s", tostring(self:checkpoint()))
          end""")
        project.conf({**ON, "address": str(project.dir / "peer")})
        server = self.launch(project).wait_ready()
        server.wait_line("filled true")
        server.signal(signal.SIGKILL)
        server.exit_code()
        self.again(server).wait_line("found true nil nil 3")

    def test_where_svr_checkpoint_path_says(self):
        project = self.project(COUNT, {**ON, "svr.checkpoint.path": "var/state"})
        (project.dir / "var").mkdir()
        self.run_once(project)
        self.assertEqual([path.name for path in (project.dir / "var").iterdir()], ["state"])
        self.run_once(project)
        self.assertEqual(sorted(path.name for path in (project.dir / "var").iterdir()), ["state", "state.1"])

    def test_across_an_end_because_of_an_error(self):
        server = self.launch(self.project(COUNT + """
          function S:run() error("no") end
          function S:on_except() return false end""", ON))
        self.assertEqual(server.exit_code(), 254)
        server.project.script(COUNT)
        self.again(server).wait_line("found 1")

    def test_across_a_reload_that_neither_side_survives(self):
        server = self.launch(self.project(COUNT + """
          function S:on_reload() error("no") end
          function S:run() if not self.context.again then self.context.again = true self:reload() end tiny.sleep(9) end
          local on_start = S.on_start
          function S:on_start() on_start(self) if self.context.again then error("neither") end end""", ON))
        self.assertEqual(server.exit_code(), 254)
        server.project.script(COUNT)
        self.again(server).wait_line("found 2")


class NotKept(CheckpointCase):
    def test_when_off(self):
        project = self.project(SAVE)
        server = self.launch(project).wait_ready()
        self.assertIn("saved nil checkpoints are off (svr.checkpoint.span is 0) ENOTSUP", server.wait_line("saved"))
        server.close()
        self.assertEqual(list(project.dir.glob("*.ckpt*")), [])

    def test_files_of_before_are_not_looked_at_when_off(self):
        project, _ = self.run_times(1)
        project.conf({})
        server = self.run_once(project)
        self.assertTrue(server.lines("found nil"), server.output())
        self.assertTrue(self.path(project).exists())

    def test_with_fresh(self):
        project, _ = self.run_times(3)
        server = self.run_once(project, "--fresh")
        self.assertTrue(server.lines("found nil"), server.output())
        self.assertFalse(self.path(project, ".1").exists())
        server = self.run_once(project)
        self.assertTrue(server.lines("found 1"), server.output())

    def test_fresh_is_the_runtimes_and_what_follows_the_script_is_not(self):
        project = self.project(COUNT + '\nfunction S:on_close() self:info("args %s", self.args[1]) end', ON)
        self.run_once(project)
        server = self.run_once(project, str(project.dir / "main.lua"), "--fresh")
        self.assertTrue(server.lines("found 1") and server.lines("args --fresh"), server.output())

    def test_with_fresh_even_when_all_is_damaged(self):
        project, _ = self.run_times(2, {"svr.checkpoint.on_damage": "stop"})
        flip_last_byte(self.path(project))
        flip_last_byte(self.path(project, ".1"))
        server = self.run_once(project, "--fresh")
        self.assertTrue(server.lines("found nil"), server.output())

    def test_when_on_start_failed(self):
        project, _ = self.run_times(1)
        project.script('function S:on_start() self.context.n = 99 error("no") end')
        self.assertEqual(self.launch(project).exit_code(), 1)
        project.script(COUNT)
        self.assertTrue(self.run_once(project).lines("found 1"))

    def test_by_a_reload(self):
        server = self.start(COUNT, ON)
        self.assert_reloaded(server.project)
        server.wait_line("found 1")
        self.assertFalse(self.path(server.project).exists())


class Damaged(CheckpointCase):
    def test_the_newest_one_only(self):
        project, _ = self.run_times(3)
        flip_last_byte(self.path(project))
        server = self.run_once(project)
        self.assertTrue(server.lines("found 2"), server.output())
        error = server.lines("ERROR checkpoint")[0]
        self.assertIn("test.ckpt is damaged: its checksum is wrong", error)
        self.assertTrue(self.path(project, ".damaged").exists())
        self.assertTrue(self.run_once(project).lines("found 3"))

    def test_the_good_one_before_is_not_pushed_out_by_the_damaged_one(self):
        project, _ = self.run_times(3)
        flip_last_byte(self.path(project))
        self.run_once(project)
        flip_last_byte(self.path(project))
        self.assertTrue(self.run_once(project).lines("found 2"))

    def test_in_every_way(self):
        def cut(path):
            os.truncate(path, path.stat().st_size - 3)

        def empty(path):
            os.truncate(path, 0)

        def garbage(path):
            path.write_bytes(os.urandom(5000))

        def longer(path):
            with open(path, "ab") as file:
                file.write(b"x")

        for damage in (cut, empty, garbage, longer, flip_last_byte):
            with self.subTest(damage=damage.__name__):
                project, _ = self.run_times(2)
                damage(self.path(project))
                server = self.run_once(project)
                self.assertTrue(server.lines("found 1"), server.output())
                self.assertTrue(server.lines("ERROR checkpoint"), server.output())

    def test_a_newest_one_that_is_not_there(self):
        project, _ = self.run_times(3)
        self.path(project).unlink()
        server = self.run_once(project)
        self.assertTrue(server.lines("found 2"), server.output())
        self.assertEqual(server.lines("ERROR"), [])

    def test_both_begin_with_nothing(self):
        project, _ = self.run_times(2)
        flip_last_byte(self.path(project))
        flip_last_byte(self.path(project, ".1"))
        server = self.run_once(project)
        self.assertTrue(server.lines("found nil"), server.output())
        self.assertTrue(server.lines("ERROR the context is lost"), server.output())
        self.assertTrue(self.run_once(project).lines("found 1"))

    def test_both_stop_the_start_when_told_to(self):
        project, _ = self.run_times(2, {"svr.checkpoint.on_damage": "stop"})
        before = {}
        for extension in ("", ".1"):
            flip_last_byte(self.path(project, extension))
            before[extension] = self.path(project, extension).read_bytes()
        server = self.launch(project)
        self.assert_closed(server, 1)
        self.assertEqual(server.lines("found"), [])
        reason = server.lines("cannot start")[0]
        self.assertIn("damaged", reason)
        self.assertIn("svr.checkpoint.on_damage", reason)
        self.assertIn("--fresh", reason)
        for extension, data in before.items():
            self.assertEqual(self.path(project, extension).read_bytes(), data)

    def test_the_only_one_stops_the_start_too(self):
        project, _ = self.run_times(1, {"svr.checkpoint.on_damage": "stop"})
        flip_last_byte(self.path(project))
        self.assert_closed(self.launch(project), 1)

    def test_one_that_memory_does_not_suffice_for_is_no_damage(self):
        project = self.project("""
          function S:on_start()
            local c = self.context
            self:info("found %s", c.list and #c.list)
            c.list = {}
            for i = 1, 200000 do c.list[i] = "entry " .. i end
          end""", ON)
        self.run_once(project)
        project.conf({**ON, "svr.lua.memory_limit": "4M"})
        server = self.launch(project)
        self.assert_closed(server, 1)
        self.assertIn("memory", server.lines("cannot start")[0])
        project.conf(ON)
        self.assertTrue(self.run_once(project).lines("found 200000"))


class InTrouble(CheckpointCase):
    def test_a_folder_that_is_not_there_stops_the_start(self):
        project = self.project(COUNT, {**ON, "svr.checkpoint.path": "none/state"})
        server = self.launch(project)
        self.assert_closed(server, 1)
        self.assertIn("svr.checkpoint.path", server.lines("cannot start")[0])
        self.assertEqual(project.said("check")[0], 1)

    def test_and_refuses_a_reload(self):
        server = self.start(COUNT, ON)
        server.project.conf({**ON, "svr.checkpoint.path": "none/state"})
        self.assert_refused(server.project, "svr.checkpoint.path", 1)

    def test_what_cannot_be_saved_is_named_and_the_last_one_kept(self):
        server = self.start(COUNT + """
          function S:on_close()
            self.context.n = 99
            self.context.db = { conn = io.stdout }
            self:info("said %s %s %s", self:checkpoint())
          end
          function S:run() if not self.saved then self.saved = self:checkpoint() end tiny.sleep(60) end""", ON)
        server.wait_line("DEBUG checkpoint 1")
        self.assertEqual(server.close(), 0)
        self.assertIn("said nil context.db.conn is a userdata", server.lines("said")[0])
        self.assertIn("EINVAL", server.lines("said")[0])
        self.assertEqual(len(server.lines("WARN no checkpoint was made: context.db.conn is a userdata")), 1)
        server.project.script(COUNT)
        self.again(server).wait_line("found 1")

    def test_left_overs_of_a_killed_process_are_removed(self):
        project, _ = self.run_times(1)
        draft = self.path(project, ".tmp")
        draft.write_bytes(b"half")
        server = self.launch(project).wait_ready()
        self.assertFalse(draft.exists())
        server.close()

    def test_asked_for_by_many_at_once(self):
        server = self.start(COUNT + """
          function S:run()
            local tasks = {}
            for i = 1, 50 do
              tasks[i] = tiny.go(function() self.context.n = self.context.n + 1 return self:checkpoint() end)
            end
            for i = 1, 50 do assert(tasks[i]:join() == true) end
            self:info("all saved")
            tiny.sleep(60)
          end""", ON)
        server.wait_line("all saved")
        self.assertLess(len(server.lines("DEBUG checkpoint")), 5)
        server.signal(signal.SIGKILL)
        server.exit_code()
        self.again(server).wait_line("found 51")

    def test_none_of_an_old_context_is_made_once_a_newer_one_is_in_force(self):
        project = self.project("""
          local function save(self, pause) -- so that some ask while another's is under way
            repeat tiny.sleep(pause) until not self:checkpoint()
            self:info("no more in %d", self.generation)
          end
          function S:on_start()
            tiny.tcp.listen("unix:" .. self.conf.address, function()
              for i = 0, 2 do tiny.go(save, self, i * 0.001) end
            end)
          end""")
        address = str(project.dir / "socket")
        project.conf({**ON, "address": address})
        server = self.launch(project).wait_ready()
        for generation in range(1, 9):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(address)
                server.wait_line("checkpoint", times=len(server.lines("checkpoint")) + 3)
                self.assert_reloaded(project)
            server.wait_line(f"no more in {generation}", times=3)
            since = server.output().split(f"reloaded: generation {generation + 1}")[1]
            self.assertLessEqual(since.count("DEBUG checkpoint"), 1)  # that one had begun before

    def test_a_cancelled_wait_for_one_leaves_the_others(self):
        server = self.start(COUNT + """
          function S:run()
            local task = tiny.go(function() self:checkpoint() end)
            tiny.go(function() self:info("other %s", tostring(self:checkpoint())) end)
            tiny.sleep(0)
            task:cancel()
            local ok, err = pcall(task.join, task)
            self:info("cancelled %s", tostring(not ok and err == tiny.cancelled))
            tiny.sleep(60)
          end""", ON)
        server.wait_line("other true")
        server.wait_line("cancelled true")

    def test_outside_of_a_task_it_raises(self):
        server = self.start(COUNT + """
          function S:run()
            local ok, err = coroutine.resume(coroutine.create(function() self:checkpoint() end))
            self:info("raised %s", err)
            tiny.sleep(60)
          end""", ON)
        self.assertIn("self:checkpoint", server.wait_line("raised"))


@unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
class FullDisk(CheckpointCase):
    def mount(self, project):
        folder = project.dir / "small"
        folder.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("cannot mount here")
        self.addCleanup(subprocess.run, ["umount", folder], check=True)
        return folder

    def test_keeps_the_last_good_one_and_says_so_once(self):
        project = self.project(COUNT + """
          function S:run()
            self.context.blob = self.context.n == 1 and ("x"):rep(100000) or nil
            tiny.sleep(0.01)
          end""", {**ON, "svr.checkpoint.span": 0.05, "svr.checkpoint.path": "small/state"})
        folder = self.mount(project)
        server = self.launch(project).wait_ready()
        server.wait_line("DEBUG checkpoint 2")
        (folder / "ballast").write_bytes(b"x" * 130000)
        warning = server.wait_line("WARN no checkpoint was made")
        self.assertIn("No space left on device", warning)
        wait_for(lambda: len(list(folder.glob("*.tmp"))) == 0, "the draft to be removed")
        (folder / "ballast").unlink()
        server.wait_line("INFO checkpoints are made again")
        self.assertEqual(len(server.lines("WARN no checkpoint was made")), 1)
        (folder / "ballast").write_bytes(b"x" * 130000)
        server.wait_line("WARN no checkpoint was made", times=2)
        server.signal(signal.SIGKILL)
        server.exit_code()
        self.again(server).wait_line("found 1")


del CheckpointCase  # the loader would take it for a test case of its own

if __name__ == "__main__":
    unittest.main()
