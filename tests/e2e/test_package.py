# SPDX-License-Identifier: MIT
"""The Debian packages, installed into a root of their own and removed again; and what comes with them:
manual pages and completions."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from tiny_build import BUILD, ROOT, TINY, WAIT, said, sanitize

PACKAGES = ("tiny", "libtiny", "libtiny-dev")


def commands():
    return re.findall(r"^  (\w+) +\S", said(TINY, "--help"), re.M)


@unittest.skipIf(sanitize() or not shutil.which("dpkg-shlibdeps") or os.getuid() != 0,
                 "needs dpkg-dev, root and a build without sanitizers")
class Packages(unittest.TestCase):
    def setUp(self):
        self.base = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="tiny-deb-")))
        self.root = self.base / "root"
        (self.root / "var/lib/dpkg/info").mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").touch()
        (self.root / "var/lib/dpkg/updates").mkdir()
        said("cmake", "--build", BUILD)
        said("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", self.base / "debs")
        self.debs = list((self.base / "debs").glob("*.deb"))

    def dpkg(self, *arguments):
        # There is no shell in this root, so what their scripts do (ldconfig) is left out.
        return said("dpkg", f"--root={self.root}", f"--admindir={self.root}/var/lib/dpkg", "--force-depends",
                    "--force-script-chrootless", "--log=/dev/null", *arguments)

    def files(self):
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*")
                if not path.is_dir() and "var/lib/dpkg" not in str(path)}

    def test_they_install_work_and_go_without_a_trace(self):
        names = {re.match(r"[a-z-]+", path.name)[0] for path in self.debs}
        self.assertEqual(names, set(PACKAGES))
        self.dpkg("--install", *self.debs)
        files = self.files()
        for name in ("usr/bin/tiny", "usr/lib/libtiny.so.0", "usr/lib/libtiny.a", "usr/include/tiny.h",
                     "usr/lib/tiny/tiny-mail.so", "usr/lib/pkgconfig/tiny.pc", "usr/share/man/man1/tiny.1.gz",
                     "usr/share/man/man5/conf.lua.5.gz", "usr/share/bash-completion/completions/tiny"):
            self.assertIn(name, files)
        self.assertEqual(said(self.root / "usr/bin/tiny", "--version"), said(TINY, "--version"))
        said(self.root / "usr/bin/tiny", "new", self.base / "project")
        said(self.root / "usr/bin/tiny", "check", "-c", self.base / "project/conf.lua")
        self.dpkg("--purge", *PACKAGES)
        self.assertEqual(self.files(), set())

    def test_they_depend_on_what_they_need(self):
        for path in self.debs:
            name = path.name.split("_")[0]
            depends = said("dpkg-deb", "--field", path, "Depends")
            with self.subTest(name):
                if name == "libtiny":
                    self.assertRegex(depends, r"libcurl4[^,]*,.*libluajit.*libuv1.*libzmq5")
                    self.assertIn("lua-cjson", depends)
                else:
                    self.assertRegex(depends, r"libtiny \(= \d+\.\d+\.\d+\)")


class Pages(unittest.TestCase):
    def page(self, name):
        subprocess.run(["ninja", "-C", BUILD, f"man/{name}.gz"], check=True, capture_output=True, timeout=WAIT)
        path = BUILD / f"man/{name}.gz"
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", path], capture_output=True, text=True,
                              timeout=WAIT, check=False, env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return re.sub(r".\x08", "", done.stdout)

    @unittest.skipUnless(shutil.which("man"), "needs man")
    def test_tiny_1_tells_every_command_and_exit_code(self):
        text = self.page("tiny.1")
        for command in commands():
            self.assertRegex(text, rf"tiny {command}\b")
        for code in (64, 252, 253, 254, 255):
            self.assertRegex(text, rf"\b{code}\b")

    @unittest.skipUnless(shutil.which("man"), "needs man")
    def test_conf_lua_5_tells_every_section_of_keys(self):
        text = self.page("conf.lua.5")
        for key in ("svr.name", "svr.script", "svr.monitor.host", "svr.watchdog.slice", "log.repeat_limit"):
            self.assertIn(key, text)


class Completion(unittest.TestCase):
    FILES = {"bash": "tiny.bash", "zsh": "_tiny", "fish": "tiny.fish"}

    def complete(self, *words):
        script = (f'source "{ROOT}/runtime/command/completions/tiny.bash"; COMP_WORDS=({" ".join(map(repr, words))}); '
                  f'COMP_CWORD={len(words) - 1}; _tiny; printf "%s\\n" "${{COMPREPLY[@]}}"')
        return said("bash", "-c", script).split()

    def test_bash_knows_every_command_and_its_options(self):
        self.assertEqual(set(self.complete("tiny", "")) - {"--version", "--help", "-c"}, set(commands()))
        self.assertEqual(self.complete("tiny", "rel"), ["reload"])
        self.assertEqual(self.complete("tiny", "-c", "x.lua", "stat"), ["status"])
        self.assertEqual(self.complete("tiny", "loglevel", "file_log", "E"), ["ERROR"])
        for command in commands():
            usage = said(TINY, command, "--help").splitlines()[0]
            shown = set(self.complete("tiny", command, "-"))
            with self.subTest(command):
                self.assertEqual(shown - {"--help"}, set(re.findall(r"(?<![\w-])--?[a-z]+", usage)))

    def test_all_shells_know_every_command(self):
        for shell, name in self.FILES.items():
            text = (ROOT / "runtime/command/completions" / name).read_text()
            for command in commands():
                with self.subTest(f"{shell} {command}"):
                    self.assertRegex(text, rf"['\s]{command}[:\t\s]")

    def test_all_shells_can_read_theirs(self):
        for shell, name in self.FILES.items():
            with self.subTest(shell):
                if not shutil.which(shell):
                    self.skipTest(f"needs {shell}")
                said(shell, "-n", ROOT / "runtime/command/completions" / name)


if __name__ == "__main__":
    unittest.main()
