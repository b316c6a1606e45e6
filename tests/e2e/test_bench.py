# SPDX-License-Identifier: MIT
"""bench/run: that benches run, tell their figures, and that the goals find them. What they take is
nobody's business here."""
import os
import re
import subprocess
import unittest

from tiny_server import ROOT, TINY, WAIT


def bench(*words):
    done = subprocess.run([ROOT / "bench/run", *words], env=dict(os.environ, TINY_BIN=TINY), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=2 * WAIT, check=False)
    return done.returncode, done.stdout, done.stderr


class Bench(unittest.TestCase):
    def test_a_quick_round_of_one_says_which_goals_its_figures_hold(self):
        code, text, err = bench("quick", "context")
        self.assertEqual((code, err), (0, ""), text)
        self.assertRegex(text, r"(?m)^ +(held|MISSED) +context of 100,000 records")
        self.assertRegex(text, r"reached [\d.]+ ms \[[\d.]+-[\d.]+\]")
        self.assertRegex(text, r"(?m)^\d goals held, \d missed, 0 not measured$")
        self.assertNotIn("figure ", text)

    def test_every_goal_is_measured_by_a_bench_that_is_there(self):
        goals = (ROOT / "bench/goals.py").read_text()
        named = set(re.findall(r'"(\w+)\.\w+\.\w+"', goals))
        self.assertGreater(len(named), 5)
        self.assertEqual([name for name in named if not os.access(ROOT / f"bench/{name}/run", os.X_OK)], [])

    def test_a_name_that_is_no_bench_is_told_with_those_that_are(self):
        code, _, err = bench("nonsense")
        self.assertEqual(code, 1)
        self.assertRegex(err, "no bench is called nonsense; there are: .*timers")


if __name__ == "__main__":
    unittest.main()
