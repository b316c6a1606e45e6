# SPDX-License-Identifier: MIT
"""libtiny installed to some prefix, and programs built against it out of the tree."""
import re
import shutil
import signal
import socket
import subprocess
import unittest

from tiny_build import BUILD, ROOT, WAIT, Prefix, build_option, said, sanitize
from tiny_server import SANITIZER, ServerCase, die_with_parent, wait_for

VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"]

PROGRAM = """
#include <errno.h>
#include <stdio.h>
#include <tiny.h>
int main(void) {
  char why[64];
  printf("%s %d\\n", tiny_version(), tiny_free(NULL) == 0 && tiny_new(NULL, why, sizeof why) == NULL);
  return tiny_run(NULL) != -EINVAL;
}
"""


def setUpModule():
    global prefix
    prefix = Prefix()


def tearDownModule():
    prefix.remove()


def declared():
    """The functions that tiny.h declares."""
    return set(re.findall(r"TINY_API [^(;]*?\b(tiny_\w+)\(", (ROOT / "runtime/tiny.h").read_text()))


def symbols(*arguments):
    return {line.split()[2].split("@")[0] for line in said("nm", "--defined-only", *arguments).splitlines()
            if re.match(r"[0-9a-f]+ T ", line)}


class Library(unittest.TestCase):
    def test_the_header_declares_what_the_libraries_show(self):
        self.assertGreater(len(declared()), 15)
        self.assertEqual(symbols("-D", BUILD / "libtiny.so"), declared())
        self.assertEqual({name for name in symbols("-g", BUILD / "libtiny.a") if "san" not in name}, declared())

    def test_it_has_a_soname_and_versions(self):
        said_of = said("readelf", "-dW", prefix.lib / "libtiny.so")
        self.assertIn("soname: [libtiny.so.0]", said_of)
        self.assertIn("@@TINY_0", said("nm", "-D", prefix.lib / "libtiny.so"))

    def test_everything_is_hardened(self):
        if build_option("TINY_HARDEN") != "ON":
            self.skipTest("built without")
        files = [prefix.dir / "bin/tiny", prefix.lib / "libtiny.so", *(prefix.lib / "tiny").iterdir()]
        self.assertGreater(len(files), 3)
        for file in files:
            with self.subTest(file=file.name):
                text = said("readelf", "-dlhW", file)
                self.assertRegex(text, r"Type:\s+DYN")
                self.assertIn("GNU_RELRO", text)
                self.assertRegex(text, r"BIND_NOW|FLAGS.*NOW")
                self.assertRegex(text, r"GNU_STACK.* RW ")
                self.assertNotRegex(text, r"R(UN)?PATH")

    def test_the_header_is_c11_and_cpp17(self):
        strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
        for compiler, standard in (("gcc", "c11"), ("g++", "c++17")):
            with self.subTest(standard):
                program = prefix.compile(compiler, PROGRAM, f"-std={standard}", *strict)
                self.assertEqual(said(program), f"{build_option('CMAKE_PROJECT_VERSION')} 1\n")

    def test_no_path_of_the_build_is_in_what_is_installed(self):
        for file in prefix.dir.rglob("*"):
            if file.is_file() and not file.is_symlink() and not sanitize():
                self.assertNotIn(str(ROOT).encode() + b"/", file.read_bytes(), file)

    def test_the_installed_command_finds_its_plugins_at_any_prefix(self):
        moved = prefix.dir.parent / "moved"
        shutil.copytree(prefix.dir, moved, symlinks=True)
        done = subprocess.run([moved / "bin/tiny", "top", "--once", "--timeout", "0.1", "ipc:///nowhere"], check=False,
                              capture_output=True, text=True, timeout=WAIT)
        self.assertNotIn("tiny-feed.so", done.stderr)


class Kv(ServerCase):
    def setUp(self):
        self.folder = self.project().dir
        shutil.copytree(ROOT / "examples/embed/kv", self.folder, dirs_exist_ok=True)

    def begin(self, *command):
        self.err = open(self.folder / "err", "w+", encoding="utf8")
        self.addCleanup(self.err.close)
        self.host = subprocess.Popen([*command, self.folder / "conf.lua"], stdout=subprocess.PIPE, stderr=self.err,
                                     text=True, preexec_fn=die_with_parent)
        self.addCleanup(self.host.stdout.close)
        self.addCleanup(self.host.wait)
        self.addCleanup(self.host.kill)
        self.port = int(self.host.stdout.readline().rsplit(":", 1)[1])

    def connect(self):
        peer = socket.create_connection(("127.0.0.1", self.port), WAIT)
        self.addCleanup(peer.close)
        lines = peer.makefile("r")
        self.addCleanup(lines.close)

        def ask(line):
            peer.sendall(f"{line}\n".encode())
            return lines.readline().rstrip("\n")
        return ask

    def change(self, old, new):
        path = self.folder / "policy.lua"
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new))
        self.host.send_signal(signal.SIGHUP)
        return self.host.stdout.readline()

    def exercise(self, *command):
        self.begin(*command)
        ask = self.connect()
        self.assertEqual(ask("SET color red  "), "OK red")
        self.assertEqual(ask("GET color"), "OK red")
        self.assertEqual(ask("GET secret.key"), "DENIED secret")
        self.assertEqual(ask("SET nothing"), "DENIED a value is missing")
        self.assertEqual(ask("DANCE"), "ERROR GET key, SET key value or DEL key")
        self.assertRegex(self.change('"^secret%."', '"^color"'), r"^new policy: reloaded: generation 2, pause ")
        self.assertEqual(ask("GET color"), "DENIED secret")
        self.assertEqual([ask("DEL other"), ask("GET other")], ["OK", "NONE"])
        self.assertRegex(self.change("local Policy", "local = Policy"), r"^old policy: refused: .*policy.lua:5:")
        self.assertEqual(ask("GET color"), "DENIED secret")
        self.assertRegex(self.change("local = Policy", "local Policy"), r"^new policy: reloaded: generation 3")
        self.assertRegex(self.change('"^color"', 'nil'), r"^new policy: reloaded: generation 4")
        self.assertEqual(ask("GET color"), "ERROR the policy failed")
        self.host.send_signal(signal.SIGTERM)
        self.assertEqual(self.host.wait(WAIT), 0, (self.folder / "err").read_text())
        text = (self.folder / "err").read_text()
        self.assertIn("kv info: policy 2, 1 keys", text)
        self.assertIsNone(SANITIZER.search(text), text)

    def test_with_the_shared_library(self):
        self.exercise(prefix.examples("tiny::tiny") / "kv")

    def test_with_the_static_library(self):
        self.exercise(prefix.examples("tiny::static") / "kv")

    @unittest.skipIf(sanitize() or not shutil.which("valgrind"), "needs valgrind, and no sanitizer")
    def test_under_valgrind(self):
        self.exercise(*VALGRIND, prefix.examples("tiny::tiny") / "kv")

    def test_what_is_asked_before_there_is_a_policy_is_answered_all_the_same(self):
        path = self.folder / "policy.lua"
        path.write_text('local since = os.clock() while os.clock() < since + 0.5 do end\n' + path.read_text())
        self.begin(prefix.examples("tiny::tiny") / "kv")
        with socket.create_connection(("127.0.0.1", self.port), WAIT) as peer:
            peer.sendall(b"GET nothing\n" * 500)
            with peer.makefile("rb") as lines:
                self.assertEqual([lines.readline() for _ in range(500)], [b"NONE\n"] * 500)

    def test_no_answer_is_lost_in_reloads(self):
        self.begin(prefix.examples("tiny::tiny") / "kv")
        asks = [self.connect() for _ in range(4)]
        for round_ in range(20):
            self.host.send_signal(signal.SIGHUP)
            for number, ask in enumerate(asks):
                self.assertEqual(ask(f"SET k{number} {round_}"), f"OK {round_}")
        wait_for(lambda: "policy 3," in (self.folder / "err").read_text(), "some reloads")


class Two(ServerCase):
    def exercise(self, *command):
        folder = self.project().dir
        shutil.copytree(ROOT / "examples/embed/two", folder, dirs_exist_ok=True)
        text = said(*command, folder / "left/conf.lua", folder / "right/conf.lua", seconds=WAIT)
        self.assertIn("exit codes 11 and 22", text)
        for side in ("left", "right"):
            self.assertEqual(len(re.findall(rf"^{side}: yes: reloaded: generation", text, re.M)), 3, text)
            self.assertIn(f"{side}: start 3 of {side}", text)
        self.assertIsNone(SANITIZER.search(text), text)

    def test_with_the_shared_library(self):
        self.exercise(prefix.examples("tiny::tiny") / "two")

    @unittest.skipIf(sanitize() or not shutil.which("valgrind"), "needs valgrind, and no sanitizer")
    def test_under_valgrind(self):
        self.exercise(*VALGRIND, prefix.examples("tiny::static") / "two")


if __name__ == "__main__":
    unittest.main()
