# SPDX-License-Identifier: MIT
"""tiny new and tiny spec: the project that is made runs, reloads, tests and closes as it is."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from tiny_server import ROOT, TINY, WAIT, Project, ServerCase, wait_for


def tiny(*arguments, **options):
    done = subprocess.run([TINY, *map(str, arguments)], capture_output=True, text=True, timeout=WAIT, check=False,
                          stdin=subprocess.DEVNULL, **options)
    return done.returncode, done.stdout + done.stderr


class Made(Project):
    def __init__(self, folder):  # pylint: disable=super-init-not-called
        self.dir = folder

    def edit(self, name, old, new):
        text = (self.dir / name).read_text()
        assert old in text, text
        self.write(name, text.replace(old, new))


class NewCase(ServerCase):
    def setUp(self):
        self.base = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="tiny-")))
        self.env = dict(os.environ, PATH=f"{Path(TINY).parent}:{os.environ['PATH']}")

    def make(self, *arguments):
        folder = self.base / "shop"
        code, text = tiny("new", folder, *arguments)
        self.assertEqual(code, 0, text)
        return Made(folder)

    def svr(self, project, *arguments):
        done = subprocess.run([project.dir / "svr.sh", *arguments], capture_output=True, text=True, timeout=WAIT,
                              check=False, stdin=subprocess.DEVNULL, env=self.env)
        return done.returncode, done.stdout + done.stderr


class New(NewCase):
    def test_it_may_be_made_in_the_folder_where_one_is(self):
        folder = self.base / "shop"
        folder.mkdir()
        self.assertEqual(tiny("new", ".", cwd=folder)[0], 0)
        self.assertIn('["svr.name"] = "shop"', (folder / "conf.lua").read_text())
        self.assertIn(f"WorkingDirectory={folder.resolve()}\n", (folder / "shop.service").read_text())

    def test_it_runs_reloads_tests_and_closes_as_it_is(self):
        project = self.make()
        self.assertEqual(self.svr(project, "check"), (0, "ok\n"))
        code, text = self.svr(project, "test")
        self.assertEqual(code, 0, text)
        self.assertIn("2 successes / 0 failures / 0 errors", text)
        project.edit("conf.lua", '-- ["svr.monitor"] = true', '["svr.monitor"] = false')
        project.edit("conf.lua", '.interval"] = 10', '.interval"] = 0.02')
        server = self.launch(project).wait_ready()
        wait_for(lambda: int(project.said("eval", "self.context.beats")[1]) > 3, "some beats")
        self.assert_reloaded(project)
        self.assertGreater(int(project.said("eval", "self.context.beats")[1]), 3)
        self.assertEqual(self.svr(project, "close")[0], 0)
        self.assert_closed(server)
        self.assertRegex(server.output(), r"\d+ beats, closing: reload[^$]*\d+ beats, closing: close")

    def test_supervise_starts_it(self):
        project = self.make()
        project.edit("conf.lua", '-- ["svr.monitor"] = true', '["svr.monitor"] = false')
        link = self.base / "service"
        link.symlink_to(project.dir / "supervise")
        with subprocess.Popen([link / "run"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              env=self.env, cwd="/") as process:
            self.addCleanup(process.kill)
            wait_for(lambda: project.said("status")[0] == 0, "the server")
            process.terminate()
            text = process.communicate(timeout=WAIT)[0]
        self.assertEqual(process.returncode, 0, text)
        self.assertIn("started: generation 1", text)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")
    def test_systemd_finds_no_fault_with_its_unit(self):
        project = self.make()
        done = subprocess.run(["systemd-analyze", "verify", project.dir / "shop.service"], capture_output=True,
                              text=True, timeout=WAIT, check=False)
        self.assertNotIn("shop.service:", done.stderr)

    def test_conf_has_every_key_with_its_default(self):
        project = self.make()
        text = (project.dir / "conf.lua").read_text()
        keys = set(re.findall(r'^  \["([a-z_.]+)"\] = (?:\{|required)', (ROOT / "lua/tiny/conf/keys.lua").read_text(), re.M))
        self.assertGreater(len(keys), 50)
        shown = re.findall(r'^  (?:-- )?\["((?:svr|log)\.[a-z_.]+)"\]', text, re.M)
        self.assertEqual(sorted(shown), sorted(keys))
        given = re.sub(r'^  -- (\[.*default: .*)$', r"", text, flags=re.M)  # examples, not defaults
        given = re.sub(r'^  -- (\["(svr.group|svr.lua.memory_limit|log.email.config)".*)$', "", given, flags=re.M)
        given = re.sub(r"^  -- \[", "  [", given, flags=re.M)
        script = ('local conf = require "tiny.conf" local a, why = conf.load("given.lua") assert(a, why) '
                  'local b = assert(conf.load("plain.lua")) '
                  'for k, v in pairs(a) do local w = b[k] if k == "log.buffer" then v, w = 1, 1 end '
                  'assert(v == w, k .. ": " .. tostring(v) .. " and " .. tostring(w)) end print("same")')
        (self.base / "given.lua").write_text(given)
        (self.base / "plain.lua").write_text(text)
        done = subprocess.run(["luajit", "-e", f'package.path = "{ROOT}/lua/?.lua;" .. package.path {script}'],
                              capture_output=True, text=True, cwd=self.base, check=False)
        self.assertEqual((done.stdout, done.stderr), ("same\n", ""))

    def test_the_name_is_the_folders_or_the_one_given(self):
        project = self.make("corner-shop")
        self.assertIn('["svr.name"] = "corner-shop"', (project.dir / "conf.lua").read_text())
        self.assertTrue((project.dir / "corner-shop.service").exists())
        unit = (project.dir / "corner-shop.service").read_text()
        self.assertIn(f"WorkingDirectory={project.dir}\n", unit)
        self.assertNotIn("@", "".join(path.read_text() for path in project.dir.rglob("*") if path.is_file()
                                      and path.name not in ("svr.sh", "conf.lua")))
        self.assertEqual(tiny("new", "./here/", cwd=self.base)[0], 0)
        self.assertIn('"here"', (self.base / "here/conf.lua").read_text())

    def test_what_is_there_is_never_overwritten(self):
        self.base.joinpath("shop").mkdir()
        self.base.joinpath("shop/server.lua").write_text("mine")
        code, text = tiny("new", self.base / "shop")
        self.assertEqual((code, "server.lua: File exists" in text), (1, True), text)
        self.assertEqual([path.name for path in self.base.joinpath("shop").iterdir()], ["server.lua"])

    def test_bad_names_and_places_are_told(self):
        for arguments, code, word in ((["x", "a b"], 64, '"a b" is no name'), (["x", "y" * 65], 64, "is no name"),
                                      ([], 64, "missing"), (["/dev/null/x"], 1, "Not a directory"),
                                      (["a b"], 64, "is no name")):
            with self.subTest(arguments):
                said = tiny("new", *arguments, cwd=self.base)
                self.assertEqual((said[0], word in said[1]), (code, True), said)
        self.assertEqual(list(self.base.iterdir()), [])


SPEC = """
local spec = require "tiny.spec"
local tiny = require "tiny"
describe("inside the runtime", function()
  after_each(spec.thaw)
  it("waits", function()
    local began = tiny.now()
    tiny.sleep(0.01)
    assert.is_true(tiny.now() - began >= 0.01)
  end)
  it("has tasks and sockets", function()
    local listener = assert(tiny.tcp.listen("unix:@tiny-spec-%d", function(s) s:write("hello\\n") s:close() end))
    assert.truthy(listener:address())
    listener:close()
    assert.equal(5, tiny.go(function() tiny.sleep(0) return 5 end):join())
  end)
  it("turns the clock", function()
    spec.freeze()
    local seen, began = {}, tiny.now()
    local function note(what) seen[#seen + 1] = what .. math.floor(tiny.now() - began + 0.5) end
    tiny.go(function() tiny.sleep(3600) note("slept ") end)
    tiny.go(function() tiny.timeout(90, tiny.sleep, 1e9) note("timeout ") end)
    tiny.after(60, function() note("after ") end)
    spec.server({}):add_timer("t", tiny.PeriodTimer(function() note("period ") tiny.sleep(10) end, 1000))
    spec.advance(2500)
    assert.same({"timeout 90", "period 1000", "period 2000"}, seen)
    spec.advance(2501) -- a period begins at a full millisecond
    assert.same({"period 3000", "slept 3600", "period 4000", "period 5000"}, {unpack(seen, 4)})
  end)
  it("has the wall clock go along", function()
    spec.freeze()
    local days = 0
    spec.server({}):add_timer("d", tiny.FixedPeriodTimer(function() days = days + 1 end, "D"))
    spec.advance(2 * 86400)
    assert.is_true(days >= 1 and days <= 3, days) -- there are days of 23 and 25 hours
  end)
  it("checks the conf that it is given", function()
    assert.has_error(function() spec.server({}, {conf = {["svr.watch"] = 3}}) end)
    assert.equal(7, spec.server({}, {conf = {["my.key"] = 7}}).conf["my.key"])
  end)
end)
"""


class Spec(NewCase):
    def spec(self, text, *arguments):
        project = self.make()
        project.write("spec/server_spec.lua", text)
        return self.svr(project, "test", *arguments)

    def test_specs_have_the_real_bindings_and_a_clock(self):
        code, text = self.spec(SPEC % os.getpid())
        self.assertEqual(code, 0, text)
        self.assertIn("5 successes / 0 failures / 0 errors", text)

    def test_failures_are_told_with_their_place(self):
        code, text = self.spec('describe("x", function() it("fails", function() assert.equal(1, 2) end) '
                               'it("raises", function() local x = nil; x() end) end)')
        self.assertEqual(code, 1, text)
        self.assertIn("0 successes / 1 failure / 1 error", text)
        self.assertIn("server_spec.lua:1", text)

    def test_a_spec_that_does_not_load_fails(self):
        self.assertEqual(self.spec("describe(")[0], 1)

    def test_a_spec_that_leaves_by_os_exit_fails(self):
        self.assertNotEqual(self.spec('it("x", function() os.exit(3) end)')[0], 0)

    def test_files_and_bustedss_options_are_passed_on(self):
        project = self.make()
        project.write("other.lua", 'it("one", function() end) it("two", function() error("no") end)')
        code, text = self.svr(project, "test", "--filter=one", project.dir / "other.lua")
        self.assertEqual((code, "1 success / 0 failures / 0 errors" in text), (0, True), text)

    def test_a_running_server_is_not_in_the_way(self):
        project = self.make()
        project.edit("conf.lua", '-- ["svr.monitor"] = true', '["svr.monitor"] = false')
        self.launch(project).wait_ready()
        self.assertEqual(self.svr(project, "test")[0], 0)
        self.assertEqual(project.said("status")[0], 0)


if __name__ == "__main__":
    unittest.main()
