# SPDX-License-Identifier: MIT
"""What svr.sh installs in the repository, with apt and dpkg played by small scripts."""
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from tiny_server import ROOT, WAIT

PACKAGES = (ROOT / ".ci/packages/build").read_text().split()
TOOLS = ("bash", "cat", "comm", "dirname", "env", "grep", "sed", "sort", "paste")


class Install(unittest.TestCase):
    def setUp(self):
        self.dir = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="tiny-")))
        self.repo, self.bin = self.dir / "repo", self.dir / "bin"
        shutil.copytree(ROOT / ".ci", self.repo / ".ci")
        shutil.copy(ROOT / "svr.sh", self.repo)
        (self.repo / "runtime").mkdir()
        (self.repo / "runtime/tiny.h").touch()
        self.bin.mkdir()
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name))
        # A build that has nothing to do.
        (self.repo / "build/release").mkdir(parents=True)
        (self.repo / "build/release/build.ninja").touch()
        self.play("../repo/build/release/tiny", 'echo "tiny $1"')
        self.play("ninja", "")
        self.play("id", "echo 0")
        self.play("apt-get", f'echo "apt-get $*" >>{self.dir}/apt')
        self.installed(PACKAGES)

    def play(self, name, text):
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def installed(self, names):
        self.play("dpkg-query", "\n".join(f"echo installed {name}" for name in names))

    def run_svr(self, command="run"):
        done = subprocess.run([self.repo / "svr.sh", command], env={"PATH": str(self.bin)}, capture_output=True,
                              text=True, timeout=WAIT, check=False)
        return done.returncode, done.stdout, done.stderr

    def asked_of_apt(self):
        path = self.dir / "apt"
        return path.read_text().splitlines() if path.exists() else []

    def test_nothing_is_asked_of_apt_when_all_is_there(self):
        self.assertEqual(self.run_svr(), (0, "tiny run\n", ""))
        self.assertEqual(self.asked_of_apt(), [])

    def test_exactly_what_is_missing_is_installed_and_nothing_removed(self):
        self.installed(set(PACKAGES) - {"cmake", "luajit2"})
        code, _, err = self.run_svr()
        self.assertEqual(code, 0, err)
        self.assertIn("svr.sh: installing cmake luajit2", err)
        line = self.asked_of_apt()[-1]
        self.assertTrue(line.endswith("install -y --no-remove --no-install-recommends cmake luajit2"), line)

    def test_old_package_lists_are_renewed(self):
        self.installed(set(PACKAGES) - {"cmake"})
        self.play("apt-get", f'echo "apt-get $*" >>{self.dir}/apt; [ -e {self.dir}/new ] || '
                  f'{{ [[ $* == *update ]] && echo >{self.dir}/new; }}')
        code, _, err = self.run_svr()
        self.assertEqual(code, 0, err)
        self.assertEqual([line.split()[-1] for line in self.asked_of_apt()], ["cmake", "update", "cmake", "cmake"])

    def test_what_would_remove_a_package_is_refused(self):
        self.installed(set(PACKAGES) - {"libluajit2-5.1-dev"})
        self.play("apt-get", f'echo "apt-get $*" >>{self.dir}/apt; echo "Remv libluajit-5.1-dev [2.1]"')
        code, _, err = self.run_svr()
        self.assertEqual(code, 1)
        self.assertIn("nothing was installed", err)
        self.assertIn("remove libluajit-5.1-dev", err)
        self.assertEqual([line for line in self.asked_of_apt() if " -y " in line], [])

    def test_without_root_and_sudo_it_shows_what_to_type(self):
        self.installed(set(PACKAGES) - {"cmake"})
        self.play("id", "echo 1000")
        code, _, err = self.run_svr()
        self.assertEqual(code, 1)
        self.assertIn("apt-get install --no-remove --no-install-recommends cmake", err)
        self.assertEqual(self.asked_of_apt(), [])

    def test_without_root_sudo_is_asked(self):
        self.installed(set(PACKAGES) - {"cmake"})
        self.play("id", "echo 1000")
        self.play("sudo", f'echo sudo >>{self.dir}/apt; exec "$@"')
        self.assertEqual(self.run_svr()[0], 0)
        self.assertIn("sudo", self.asked_of_apt())

    def test_a_failed_install_is_told(self):
        self.installed(set(PACKAGES) - {"cmake"})
        self.play("apt-get", "exit 100")
        code, _, err = self.run_svr()
        self.assertEqual(code, 1)
        self.assertIn("could not install cmake", err)

    def test_commands_for_a_running_server_neither_install_nor_build(self):
        self.installed([])
        self.play("ninja", "exit 1")
        self.assertEqual(self.run_svr("status"), (0, "tiny status\n", ""))
        self.assertEqual(self.asked_of_apt(), [])

    def test_no_list_names_a_package_twice(self):
        for path in sorted((ROOT / ".ci/packages").iterdir()):
            with self.subTest(path.name):
                names = path.read_text().split()
                self.assertEqual(sorted(names), sorted(set(names)))


if __name__ == "__main__":
    unittest.main()
