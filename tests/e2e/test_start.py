# SPDX-License-Identifier: MIT
"""How long `tiny run` takes to be ready, and what it shows of itself then."""
import subprocess
import time
import unittest
from pathlib import Path

from tiny_server import TINY, WAIT, ServerCase, build_option

READY = 'function S:on_start() io.stdout:write("ready\\n") io.stdout:flush() self:close() end'


class Start(ServerCase):
    def seconds_to_ready(self, project):
        began = time.monotonic()
        with subprocess.Popen([TINY, "run", "-c", project.dir / "conf.lua"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            self.assertEqual(process.stdout.readline(), b"ready\n")
            seconds = time.monotonic() - began
            self.assertEqual(process.wait(WAIT), 0)
        return seconds

    @unittest.skipUnless(build_option("CMAKE_BUILD_TYPE") == "Release", "a promise of the release build")
    def test_it_is_ready_within_15_ms(self):
        project = self.project(READY)
        spans = []
        while min(spans, default=1) >= 0.015 and len(spans) < 200:  # on a busy machine not each time
            spans.append(self.seconds_to_ready(project))
        self.assertLess(min(spans), 0.015, spans)

    def test_it_does_not_fork(self):
        server = self.start()
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
        self.assertEqual((children, server.info()["pid"]), ("", server.pid))

    def test_it_needs_no_standard_streams(self):
        project = self.project('function S:on_start() self:info("into nothing") end')
        script = f"exec {TINY} run -c {project.dir}/conf.lua <&- >&- 2>&-"
        with subprocess.Popen(["/bin/sh", "-c", script]) as process:
            while project.tiny("status").returncode != 0 and process.poll() is None:
                time.sleep(0.01)
            self.assertEqual(project.said("close")[0], 0)
            self.assertEqual(process.wait(WAIT), 0)


if __name__ == "__main__":
    unittest.main()
