# SPDX-License-Identifier: MIT
"""browser -- a page in headless Chromium, by browser.js and playwright-core. TINY_PLAYWRIGHT names the folder
that playwright-core is in; without it there is no browser to test with."""
import json
import os
import subprocess
import unittest

from tiny_server import ROOT, WAIT, die_with_parent

needs_browser = unittest.skipUnless(os.environ.get("TINY_PLAYWRIGHT"), "run by .ci/run's stage dashboard")


class Browser:
    def __init__(self):
        self.process = subprocess.Popen(["node", str(ROOT / "tests/e2e/browser.js")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.call("setDefaultTimeout", WAIT * 1000)

    def call(self, method, *args):
        """A method of Playwright's page, or of browser.js: its result as JSON has it."""
        self.process.stdin.write(json.dumps([method, *args]) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "the browser has ended"}')
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer.get("value")

    def wait(self, expression):
        """Wait until the expression is true in the page; returns its value."""
        return self.call("wait", expression, WAIT * 1000)

    def evaluate(self, expression):
        return self.call("evaluate", expression)

    def close(self):
        self.process.stdin.close()
        self.process.wait(WAIT)
        self.process.stdout.close()
