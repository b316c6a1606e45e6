# SPDX-License-Identifier: MIT
"""tiny_build -- what the tests of the installed library share: the build under test, installed to a
folder of its own, and compilers that suit it."""
import subprocess
import tempfile
from pathlib import Path

from tiny_server import ROOT, TINY, WAIT, build_option

BUILD = Path(TINY).resolve().parent
BUILD_WAIT = 600  # seconds, on a busy machine


def sanitize():
    """The flags that a program needs which is to be linked with this build."""
    return [f"-fsanitize={build_option('TINY_SANITIZE')}"] if build_option("TINY_SANITIZE") else []


def said(*command, seconds=BUILD_WAIT, **options):
    """What a command says; it has to succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=seconds,
                          stdin=subprocess.DEVNULL, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


class Prefix:
    """`cmake --install` to a new folder."""

    def __init__(self):
        self.holder = tempfile.TemporaryDirectory(prefix="tiny-prefix-")
        self.dir = Path(self.holder.name) / "pre fix"
        said("cmake", "--build", BUILD)
        said("cmake", "--install", BUILD, "--prefix", self.dir)
        [self.pc] = self.dir.rglob("tiny.pc")
        self.lib = self.pc.parent.parent

    def remove(self):
        self.holder.cleanup()

    def examples(self, library):
        """Build examples/embed out of the tree with tiny::tiny or tiny::static; returns the folder."""
        folder = self.dir.parent / library.replace("::", "-")
        flags = " ".join(["-Wall -Wextra -Werror -g", *sanitize()])
        said("cmake", "-S", ROOT / "examples/embed", "-B", folder, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.dir}",
             f"-DEMBED_TINY={library}", f"-DCMAKE_C_FLAGS={flags}")
        said("cmake", "--build", folder)
        return folder

    def compile(self, compiler, source, *flags):
        """Compile a source text with the flags of pkg-config; returns the program."""
        suffix = ".cc" if compiler.endswith("++") else ".c"
        path = self.dir.parent / f"program{suffix}"
        path.write_text(source)
        pkg = said("pkg-config", "--cflags", "--libs", "tiny", "luajit", env=self.env()).replace("\\ ", "\0").split()
        said(compiler, *flags, *sanitize(), path, "-o", path.with_suffix(""), *(word.replace("\0", " ") for word in pkg),
             f"-Wl,-rpath,{self.lib}")
        return path.with_suffix("")

    def env(self):
        return {"PATH": "/usr/bin:/bin", "PKG_CONFIG_PATH": str(self.pc.parent)}


__all__ = ["BUILD", "BUILD_WAIT", "Prefix", "ROOT", "TINY", "WAIT", "build_option", "said", "sanitize"]
