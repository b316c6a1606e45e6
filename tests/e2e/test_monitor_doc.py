# SPDX-License-Identifier: MIT
"""The subscriber that docs/monitor.md shows, run as it stands there."""
import re
import subprocess
import unittest

from subscriber import FeedCase
from tiny_server import ROOT


class Document(FeedCase):
    def test_the_python_subscriber_works(self):
        (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/monitor.md").read_text(), re.S)
        self.assertLessEqual(len(code.splitlines()), 10)
        server = self.feed()
        reader = subprocess.Popen(["/usr/bin/python3", "-c", code, server.endpoints[0]], stdout=subprocess.PIPE, text=True)
        self.addCleanup(reader.stdout.close)
        self.addCleanup(reader.wait)
        self.addCleanup(reader.kill)
        self.assertEqual(reader.stdout.readline(), "test running 1 None\n")
        self.assert_reloaded(server.project)
        self.assertEqual(reader.stdout.readline(), "test running 2 None\n")


if __name__ == "__main__":
    unittest.main()
