# SPDX-License-Identifier: MIT
"""A process that crashes: the log is written out, then where it was, then it dies of its signal."""
import resource
import signal
import unittest

from tiny_server import TINY, ServerCase

FFI = "local ffi = require 'ffi' ffi.cdef 'void abort(void); int raise(int); int usleep(unsigned);' "

with open(TINY, "rb") as binary:
    content = binary.read()
    OWN = b"__asan_init" not in content and b"__tsan_init" not in content  # they have handlers of their own


resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


@unittest.skipUnless(OWN, "the sanitizers handle crashes themselves")
class Crash(ServerCase):
    def crash(self, code, number, conf=None):
        """Run a server that dies of `code`, on line 4 of its script; returns its last words."""
        server = self.launch(self.project(f"""function S:run() self:info("until now")
          {FFI} {code}
        end""", conf))
        self.assertEqual(server.exit_code(), -number, server.output())
        log, found, words = server.output().partition("crash: ")
        self.assertTrue(found, server.output())
        self.assertIn("INFO until now", log)
        return words

    def test_a_bad_pointer(self):
        words = self.crash("local x = ffi.cast('int *', 8)[0]", signal.SIGSEGV)
        self.assertTrue(words.startswith("SIGSEGV at address 0x8, in thread tiny"), words)
        self.assertIn("generation 1", words)
        self.assertIn("generation 1, run\n", words)
        self.assertIn("main.lua:4: in ", words)
        self.assertRegex(words, r"C stack:\n +#0 libluajit")
        self.assertIn("tiny_run+0x", words)

    def test_an_abort_in_a_library(self):
        words = self.crash("ffi.C.abort()", signal.SIGABRT)
        self.assertIn("SIGABRT", words)
        self.assertIn("abort+0x", words)

    def test_a_signal_of_its_own(self):
        self.assertIn("SIGFPE", self.crash("ffi.C.raise(8)", signal.SIGFPE))

    def test_from_outside(self):
        server = self.start("function S:run() tiny.sleep(1) end")
        server.signal(signal.SIGSEGV)
        self.assertEqual(server.exit_code(), -signal.SIGSEGV)
        self.assertIn("crash: SIGSEGV sent by process ", server.output())

    def test_the_file_log_has_it_too(self):
        server = self.launch(self.project(f"function S:run() self:warn('until now') {FFI} ffi.C.abort() end",
                                          {"log.file_log": "server.log"}))
        self.assertEqual(server.exit_code(), -signal.SIGABRT)
        text = (server.project.dir / "server.log").read_text(errors="replace")
        self.assertIn("until now", text)
        self.assertIn("crash: SIGABRT", text)


if __name__ == "__main__":
    unittest.main()
