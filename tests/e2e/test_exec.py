# SPDX-License-Identifier: MIT
"""tiny.exec: other programs, what they leave behind, and what they may not."""
import os
import unittest
from pathlib import Path

from tiny_server import ServerCase, wait_for

# Shows what a call gives on one line.
SHOW = """
local function show(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = ("%q"):format(tostring((select(i, ...)))):gsub("\\n", "n") end
  tiny.log.info("got %s", table.concat(parts, " "))
end
"""


def children(pid):
    """The processes below pid, zombies too."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return list(map(int, text.split()))


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Exec(ServerCase):
    def on_start(self, code, conf=None):
        return self.start(SHOW + f"function S:on_start()\n{code}\nend", conf)

    def gives(self, code, expected):
        server = self.on_start(f"show({code})")
        self.assertEqual(server.wait_line("got ").split("got ")[1], expected)
        wait_for(lambda: children(server.pid) == [], "no child to be left")
        return server

    def test_code_stdout_and_stderr_come_back(self):
        self.gives('tiny.exec({ "sh", "-c", "echo out; echo err >&2; exit 3" })', r'"3" "out\n" "err\n"')

    def test_it_reads_what_it_is_given(self):
        self.gives('tiny.exec({ "tr", "a-z", "A-Z" }, { stdin = "abc" })', '"0" "ABC" ""')

    def test_without_input_it_reads_nothing(self):
        self.gives('tiny.exec({ "cat" })', '"0" "" ""')

    def test_much_goes_through_both_ways(self):
        self.gives("""(function()
          local text = ("0123456789abcde\\n"):rep(2 ^ 18)
          local code, out = tiny.exec({ "cat" }, { stdin = text })
          return code, out == text
        end)()""", '"0" "true"')

    def test_one_that_does_not_read_its_input_is_no_trouble(self):
        self.gives('tiny.exec({ "true" }, { stdin = ("x"):rep(1e6) })', '"0" "" ""')

    def test_a_signal_is_128_and_its_number(self):
        self.gives('tiny.exec({ "sh", "-c", "kill -SEGV $$" })', '"139" "" ""')

    def test_folder_and_environment(self):
        os.environ["TINY_TEST_GONE"] = "x"
        self.addCleanup(os.environ.pop, "TINY_TEST_GONE")
        self.gives("""tiny.exec({ "sh", "-c", "pwd; echo $A ${TINY_TEST_GONE-gone} ${PATH:+path}" },
          { cwd = "/usr", env = { A = "a b", TINY_TEST_GONE = false } })""", r'"0" "/usr\na b gone path\n" ""')

    def test_what_cannot_be_started_is_told(self):
        server = self.on_start("""
          show(tiny.exec({ "/nonexistent/program" })) show(tiny.exec({ "/etc/passwd" }))
          show(tiny.exec({ "true" }, { cwd = "/nonexistent" }))
          for _, bad in ipairs { {}, "ls", { 1 }, { "a\\0b" } } do self:info("bad %s: %s", pcall(tiny.exec, bad)) end
          self:info("bad %s: %s", pcall(tiny.exec, { "ls" }, { timeout = 0 }))""")
        server.wait_line("got ", times=3)
        self.assertEqual([line.split()[-1] for line in server.lines("INFO got ")], ['"ENOENT"', '"EACCES"', '"ENOENT"'])
        self.assertIn("true in /nonexistent: no such file", server.lines("INFO got ")[2])
        self.assertEqual(len(server.lines("bad false: ")), 5)

    def test_a_timeout_ends_all_that_it_started(self):
        project = self.project()
        project.script(SHOW + f"""function S:on_start()
          show(tiny.exec({{ "sh", "-c", "sleep 300 & echo $$ $! >pids; trap '' TERM; wait" }},
            {{ timeout = 0.5, cwd = "{project.dir}" }}))
        end""")
        server = self.launch(project)
        self.assertEqual(server.wait_line("got ").split("got ")[1], '"nil" "timeout" "ETIMEDOUT"')
        pids = list(map(int, (project.dir / "pids").read_text(encoding="ascii").split()))
        self.assertEqual(len(pids), 2)
        wait_for(lambda: not any(map(alive, pids)), "both to have ended")
        wait_for(lambda: children(server.pid) == [], "no child to be left")

    def test_its_children_do_not_hold_it_up(self):
        self.gives("""tiny.exec({ "sh", "-c", "sleep 5 & echo done" }, { timeout = 4 })""", r'"0" "done\n" ""')

    def test_one_that_writes_without_end_is_ended(self):
        self.gives('tiny.exec({ "yes" }, { limit = 1e6 })', '"nil" "message too long" "EMSGSIZE"')

    def test_options_are_checked(self):
        server = self.on_start("""
          for _, opts in ipairs { { stdn = "x" }, { stdin = 5 }, { timeout = 0 }, { timeout = "1" }, { env = "A=b" } } do
            self:info("wrong: %s", select(2, pcall(tiny.exec, { "true" }, opts)))
          end""")
        server.wait_line("wrong: ", times=5)
        self.assertIn("tiny.exec: unknown option stdn", server.lines("wrong: ")[0])

    def test_nothing_of_ours_is_open_in_it(self):
        server = self.on_start("""
          local file = assert(io.open("/etc/passwd"))
          assert(tiny.tcp.listen("127.0.0.1:0", print))
          local _, out = tiny.exec({ "ls", "/proc/self/fd" })
          self:info("open: %s", out:gsub("\\n", " "))
          local _, mask = tiny.exec({ "grep", "-E", "Sig(Blk|Ign)", "/proc/self/status" })
          self:info("signals: %s", mask:gsub("%s+", " "))
          file:close()""")
        self.assertEqual(server.wait_line("open: ").split("open: ")[1].split(), ["0", "1", "2", "3"])  # 3: the folder
        masks = server.wait_line("signals: ").split("signals: ")[1].split()[1::2]
        self.assertEqual([int(mask, 16) & 0x7FFFFFFF for mask in masks], [0, 0])  # 32 and 33 are the C library's

    def test_many_at_once(self):
        server = self.on_start("""
          local before, tasks = tiny.now(), {}
          for i = 1, 50 do
            tasks[i] = tiny.go(function() return (select(2, tiny.exec({ "sh", "-c", "sleep 0.2; echo " .. i }))) end)
          end
          local sum = 0
          for _, task in ipairs(tasks) do sum = sum + tonumber(task:join()) end
          self:info("sum %d, side by side %s", sum, tiny.now() - before < 50 * 0.2)""")
        server.wait_line("sum 1275, side by side true")
        wait_for(lambda: children(server.pid) == [], "no child to be left")

    def test_a_cancelled_task_has_its_program_ended(self):
        server = self.on_start("""
          local task = tiny.go(function() tiny.exec({ "sleep", "300" }) end)
          tiny.sleep(0.05)
          task:cancel()
          self:info("cancelled %s", select(2, pcall(task.join, task)) == tiny.cancelled)
          self:info("timeout %s %s", tiny.timeout(0.05, tiny.exec, { "sleep", "300" }))""")
        server.wait_line("cancelled true")
        server.wait_line("timeout nil timeout")
        wait_for(lambda: children(server.pid) == [], "no child to be left")

    def test_closing_ends_what_runs(self):
        server = self.start("""function S:run() tiny.exec({ "sh", "-c", "sleep 301 & wait" }) end""")
        shell, = wait_for(lambda: children(server.pid), "the program to run")
        sleep, = wait_for(lambda: children(shell), "its own child")
        server.close()
        self.assert_closed(server)
        wait_for(lambda: not alive(shell) and not alive(sleep), "both to have ended")

    def test_a_reload_ends_what_runs_in_the_old_generation(self):
        server = self.start("""function S:run() tiny.exec({ "sleep", "302" }) end""")
        wait_for(lambda: children(server.pid), "the program to run")
        server.project.script("")
        self.assert_reloaded(server.project)
        wait_for(lambda: children(server.pid) == [], "the program to end")


if __name__ == "__main__":
    unittest.main()
