# SPDX-License-Identifier: MIT
"""The documentation does what it says: every code block and command in docs/ and the READMEs is run."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from certificates import certificate
from etcd_nodes import Etcd, needs_etcd
from tiny_build import BUILD, ROOT, TINY, Prefix, sanitize
from tiny_server import WAIT, Project, ServerCase, wait_for

PAGES = sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md")])
HTTP = (ROOT / "lua/tiny/http.lua").exists()
TABS = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.M | re.S)

# Commands that need more than a shell, or that would not end, and how they are run here instead.
INSTEAD = {
    "./svr.sh run": "./svr.sh start",
    "./svr.sh test": "tiny check",  # in the repository that is what runs this very test
    "tiny top": "tiny top --once --wait 0.1 ipc:///nowhere || [ $? = 1 ]",
    "tiny top tcp://db1:5558 tcp://db2:5558": "tiny top --once --wait 0.1 ipc://a ipc://b || [ $? = 1 ]",
    "tiny top --json tcp://db1:5558 | jq .[].info.state": "tiny top --json --wait 0.1 ipc://a || [ $? = 1 ]",
    "curl -s http://127.0.0.1:8090/api/servers | jq '.[] | select(.mood != \"fine\") | .id'": None,  # test_dashboard
    "cd examples/dashboard && tiny run": "tiny check -c examples/dashboard/conf.lua",
    "python3 -c 'import zmq; print(*(key.decode() for key in zmq.curve_keypair()))'": None,
}


def blocks(page, language):
    """The page's code blocks of a language, without their indentation."""
    return [re.sub(rf"^{m[1]}", "", m[3], flags=re.M) for m in TABS.finditer(page.read_text()) if m[2] == language]


def commands(page):
    """The commands of a page, each a line."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", "").splitlines()
    return [re.sub(r"\s{2,}#.*|^#.*", "", line).strip() for line in lines if line.strip()]


class Text(unittest.TestCase):
    def test_every_block_is_of_a_language_that_is_tested(self):
        known = {"", "sh", "lua", "c", "cmake", "json", "python"}
        known |= {"sql"}  # for other programs
        for page in PAGES:
            self.assertEqual(page.read_text().count("```") % 2, 0, page.name)
            self.assertLessEqual({m[2] for m in TABS.finditer(page.read_text())}, known, page.name)

    def test_every_link_leads_somewhere(self):
        for page in PAGES:
            for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text()):
                with self.subTest(page=page.name, target=target, anchor=anchor):
                    file = page.parent / target if target else page
                    self.assertTrue(file.exists())
                    titles = re.findall(r"^#+ (.*)$", file.read_text(), re.M) if anchor else []
                    slugs = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
                    if anchor:
                        self.assertIn(anchor, slugs)

    def test_every_page_is_in_the_overview(self):
        text = (ROOT / "docs/README.md").read_text()
        for page in ROOT.glob("docs/*.md"):
            if page.name != "README.md":
                self.assertIn(f"({page.name})", text)

    def test_the_references_are_made_from_their_sources_as_they_are(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["luajit", "docs/generate.lua", folder], cwd=ROOT, check=True)
            for name in ("lua-api.md", "c-api.md"):
                self.assertEqual((Path(folder) / name).read_text(), (ROOT / "docs" / name).read_text(),
                                 "run: luajit docs/generate.lua")

    def test_the_references_know_everything(self):
        text = (ROOT / "docs/c-api.md").read_text()
        for name in re.findall(r"TINY_API [^(;]*?\b(tiny_\w+)\(", (ROOT / "runtime/tiny.h").read_text()):
            self.assertIn(f"{name}(", text)
        text = (ROOT / "docs/lua-api.md").read_text()
        for name in ("tiny.sleep", "tiny.PeriodTimer", "self:add_timer", "task:join", "stream:read", "tiny.tcp.listen",
                     "tiny.remove_timer", "queue:put", "spec.advance"):
            self.assertIn(f"### `{name}(", text)
        for name in re.findall(r"^  ([A-Za-z]\w+) = ", (ROOT / "lua/tiny.lua").read_text(), re.M):
            self.assertTrue(f"`tiny.{name}" in text or f"\n- `{name}`" in text, name)

    def test_json_is_json(self):
        for page in PAGES:
            for text in blocks(page, "json"):
                self.assertIsInstance(json.loads(text), dict)

    def test_python_compiles(self):
        for page in PAGES:
            for text in blocks(page, "python"):
                compile(text, str(page), "exec")

    def test_both_readmes_show_the_same_server(self):
        def code(name):
            return [re.sub(r"\s*--.*", "", text) for text in blocks(ROOT / name, "lua")]
        self.assertEqual(code("README.md"), code("README.zh.md"))


# What the fragments of the guides find around them: anything unknown is something to be called.
FRAGMENT = """
package.loaded.jobs = { vacuum = function() end }
local anything
function anything(...)
  if select("#", ...) == 2 and ... == nil then return nil end -- a loop's iterator: at its end
  return anything
end
debug.setmetatable(anything, { __index = function() return anything end, __concat = function() return "" end })
local Class = tiny.Server:extend()
function S:on_start()
  local around = setmetatable({ self = self, tiny = tiny, Server = Class }, { __index = function(_, key)
    if _G[key] ~= nil then return _G[key] end
    return anything
  end })
  local chunk, why = loadstring(TEXT, "=fragment")
  if not chunk then chunk = loadstring("return {" .. TEXT .. "}", "=fragment") end
  if not chunk then error(why, 0) end
  tiny.timeout(0.3, setfenv(chunk, around))
  for name, fn in pairs(Class) do if type(fn) == "function" and name ~= "extend" then self[name] = fn end end
  if Class.on_start then tiny.timeout(0.3, Class.on_start, self) end
  self:close(0, 42)
end
"""


class Lua(ServerCase):
    def run_fragment(self, text):
        text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", text)
        project = self.project()
        if "cert.pem" in text:
            certificate(project.dir)
            text = re.sub(r'"[^"]*/(cert|key)\.pem"', lambda m: f'"{project.dir}/cert{"-key" * (m[1] == "key")}.pem"', text)
        project.script(FRAGMENT.replace("TEXT", f"[==[{text}]==]"))
        project.write("jobs.lua", "return { vacuum = function() end }")
        server = self.launch(project)
        self.assertEqual(server.exit_code(), 42, server.output())

    def run_conf(self, text):
        project = self.project()
        project.write(re.search(r'svr.script"\] = "(.*?)"', text)[1], "return {}")
        project.write("conf.lua", text)
        self.assertEqual(project.said("check"), (0, "ok\n"))

    def run_server(self, text):
        project = self.project(conf={"counter.step": 1, "guestbook.address": "127.0.0.1:0"})
        project.write("main.lua", text)
        server = self.launch(project).wait_ready()
        self.assert_reloaded(project)
        server.close()
        self.assert_closed(server)
        self.assertNotIn("ERROR", server.output())

    def test_every_block(self):
        count = 0
        for page in PAGES:
            for number, text in enumerate(blocks(page, "lua")):
                if page.name == "tutorial.md" or "describe(" in text:
                    continue  # these are run below
                with self.subTest(page=page.name, block=number):
                    count += 1
                    if text.startswith("return {"):
                        self.run_conf(text)
                    elif ":extend()" in text:
                        self.run_server(text)
                    else:
                        self.run_fragment(text)
        self.assertGreater(count, 8)


class Shell(ServerCase):
    """Commands run one after the other in one bash, in a copy of what the page speaks about."""

    def setUp(self):
        self.dir = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="tiny-docs-")))
        self.env = dict(os.environ, PATH=f"{Path(TINY).parent}:{os.environ['PATH']}")

    def bash(self, lines, **more):
        script = "set -e\n" + "\n".join(lines)
        done = subprocess.run(["bash", "-c", script], cwd=self.dir, env={**self.env, **more}, capture_output=True,
                              text=True, timeout=10 * WAIT, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, f"{script}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def preset(self, line):
        """cmake with a preset: it has to be there. The build itself is the one under test."""
        match = re.match(r"cmake (?:--build )?--preset (\w+)$", line)
        if match:
            presets = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
            self.assertIn(match[1], [preset["name"] for preset in presets])
        return bool(match)

    def test_the_readmes(self):
        for name in ("README.md", "README.zh.md"):
            for file in ("svr.sh", "conf.lua"):
                shutil.copy(ROOT / file, self.dir)
            shutil.copytree(ROOT / "examples", self.dir / "examples", dirs_exist_ok=True)
            conf = (self.dir / "conf.lua").read_text().replace('["svr.name"]', '["svr.monitor"] = false, ["svr.name"]')
            (self.dir / "conf.lua").write_text(conf)
            lines = [INSTEAD.get(line, line) for line in commands(ROOT / name)]
            self.assertIn("./svr.sh reload", lines)
            self.assertRegex(self.bash(lines), r"reloaded: generation 2")

    def test_the_guides(self):
        shutil.copytree(ROOT / "examples", self.dir / "examples")
        run = 0
        for page in ROOT.glob("docs/*.md"):
            if page.name in ("tutorial.md", "projects.md", "embedding.md", "security.md", "cluster.md"):
                continue  # these are run below
            for line in commands(page):
                instead = INSTEAD.get(line, line)
                run += 1
                if instead:
                    self.bash([instead])
        self.assertGreater(run, 3)

    @needs_etcd
    @unittest.skipUnless(shutil.which("etcdctl"), "etcdctl is not installed (Debian: etcd-client)")
    def test_cluster(self):
        conf = {"svr.cluster.conf_prefix": "/shop/conf/", "shop.price_limit": 100, "log.file_log": "file.log"}
        with Etcd(options=["--quota-backend-bytes", str(4 << 20)]) as etcd:
            etcd.wait_ready()
            server = self.start("", {**conf, "svr.cluster.etcd": etcd.urls}).wait_ready()
            lines = [line.split(" #")[0] for line in commands(ROOT / "docs/cluster.md")]
            env = {"ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": etcd.urls[0]}
            room, puts, away = lines[:3], lines[3:5], lines[5:]
            for some, limit in ((puts, "250"), (away, "100")):
                self.bash(some, **env)
                wait_for(lambda expected=limit: server.project.said(
                    "eval", 'self.conf["shop.price_limit"], self.conf["log.file_log.level"]') == (0, f"{expected}\tDEBUG\n"),
                    f"the limit to be {limit}")
            etcd.fill()
            self.bash(room, **env)
            etcd.put("x", "there is room again")
            server.close()

    def test_security(self):
        text = self.bash([line.replace("build/release", str(BUILD)) for line in commands(ROOT / "docs/security.md")])
        self.assertRegex(text, r"GNU_RELRO[^$]*TINY_HARDEN")

    def test_projects(self):
        lines = commands(ROOT / "docs/projects.md")
        [spec] = blocks(ROOT / "docs/projects.md", "lua")
        (self.dir / "spec.lua").write_text(spec)
        at = lines.index("./svr.sh start")
        lines[at:at] = ["""sed -i 's/-- \\["svr.monitor"\\] = true/["svr.monitor"] = false/' conf.lua""",
                        "tiny spec ../spec.lua"]
        text = self.bash(lines)
        self.assertRegex(text, r"2 successes[^$]*1 success[^$]*started: pid[^$]*running")

    @unittest.skipIf(sanitize(), "the page's compiler flags are for a plain build")
    def test_embedding(self):
        page = ROOT / "docs/embedding.md"
        (self.dir / "host.c").write_text(blocks(page, "c")[0])
        (self.dir / "loop.c").write_text(blocks(page, "c")[1])
        shutil.copytree(ROOT / "examples/embed", self.dir / "examples/embed")
        lines = [line.replace("build/release", str(BUILD)) for line in commands(page) if not self.preset(line)]
        installed = self.dir / "build/installed"
        [cc] = [line for line in lines if line.startswith("cc ")]
        at = lines.index(cc)
        lines[at:at + 1] = [f"export PKG_CONFIG_PATH=$(dirname $(find '{installed}' -name tiny.pc))", cc,
                            "cc -Wall -Werror -c loop.c $(pkg-config --cflags tiny)"]
        self.assertIn("exit codes 11 and 22", self.bash(lines))
        project = Project("function S:on_start() self:close(0, 9) end")
        self.addCleanup(project.remove)
        [library] = installed.rglob("libtiny.so.0")
        done = subprocess.run([self.dir / "host", project.dir / "conf.lua"], timeout=WAIT, capture_output=True,
                              check=False, env={"LD_LIBRARY_PATH": str(library.parent)})
        self.assertEqual(done.returncode, 9, done.stderr)

    def test_embedding_in_cmake(self):
        [text] = blocks(ROOT / "docs/embedding.md", "cmake")
        prefix = Prefix()
        self.addCleanup(prefix.remove)
        (self.dir / "host.c").write_text(blocks(ROOT / "docs/embedding.md", "c")[0])
        (self.dir / "CMakeLists.txt").write_text(
            f"cmake_minimum_required(VERSION 3.18)\nproject(host C)\nadd_executable(host host.c)\n{text}")
        flags = " ".join(sanitize())
        self.bash([f"cmake -S . -B b -DCMAKE_PREFIX_PATH='{prefix.dir}' -DCMAKE_C_FLAGS='{flags}'", "cmake --build b"])

    @unittest.skipUnless(HTTP, "tiny.http is not part of this build")
    def test_the_tutorial(self):
        page = ROOT / "docs/tutorial.md"
        server, conf, change, spec = blocks(page, "lua")
        conf = conf.replace("return {", 'return {\n  ["svr.monitor"] = false,').replace(":8070", ":18070")
        lines = [line.replace(":8070", ":18070") for line in commands(page)
                 if not self.preset(line) and not line.startswith("export PATH")]
        new, start, reload = (lines.index(line) for line in ("./svr.sh test", "./svr.sh start", "./svr.sh reload"))
        changed = server.replace('  return 200, table.concat(self.context.entries, "\\n") .. "\\n"\n', change)
        self.assertNotEqual(changed, server)
        for name, text in (("1.lua", server), ("conf.lua", conf), ("2.lua", changed), ("spec.lua", spec)):
            (self.dir / name).write_text(text)
        script = [*lines[:new + 1], "cp ../1.lua server.lua", "cp ../conf.lua conf.lua", *lines[new + 1:reload],
                  "cp ../2.lua server.lua", *lines[reload:-1], "cp ../spec.lua spec/server_spec.lua", lines[-1]]
        self.assertLess(start, reload)
        text = self.bash(script)
        self.assertRegex(text, r"Ada was here\nSo was Grace\n[^$]*1\. Ada was here\n2\. So was Grace\n")
        self.assertIn("1 success / 0 failures", text)


if __name__ == "__main__":
    unittest.main()
