# SPDX-License-Identifier: MIT
"""dashboard_case -- a running copy of the dashboard example, and feeds for it to watch."""
import json
import shutil
import urllib.request

from subscriber import FeedCase
from tiny_server import ROOT, WAIT, lua, wait_for

BODY = """
function S:on_start() self:gauge("depth", 3) self:count("jobs", 2) end
function S:get_summary() return "all is <b>well</b>" end
"""


class DashboardCase(FeedCase):
    def watched(self, name, body=BODY, conf=None):
        return self.feed(body, {"svr.name": name, "svr.monitor.timer": 0.3, **(conf or {})})

    def copy(self, *feeds, curve=None, **alert):
        """A copy of the example that watches these feeds."""
        project = self.project()
        shutil.copytree(ROOT / "examples/dashboard", project.dir, dirs_exist_ok=True)
        keys = {"listen": "127.0.0.1:0", "feeds": list(feeds), **({"curve": curve} if curve else {}),
                **{"alert." + name: value for name, value in alert.items()}}
        text = (project.dir / "conf.lua").read_text()
        project.write("conf.lua", f"local keys = (function() {text} end)()\n"
                      f"for key, value in pairs({lua(keys)}) do keys['dashboard.' .. key] = value end\nreturn keys\n")
        return project

    def dashboard(self, *feeds, **more):
        """A dashboard that runs; `url` is where its page is."""
        server = self.launch(self.copy(*feeds, **more)).wait_ready()
        server.url = server.wait_line("the page is at").split()[-1].rstrip("/")
        return server

    def get(self, dashboard, path):
        with urllib.request.urlopen(dashboard.url + path, timeout=WAIT) as answer:
            return answer.read().decode(), answer.headers

    def known(self, dashboard):
        """What /api/servers says, by name (a feed's own address while it has not been heard)."""
        servers = json.loads(self.get(dashboard, "/api/servers")[0])
        return {server["info"]["name"] if "info" in server else server["id"]: server for server in servers}

    def wait_known(self, dashboard, name, condition=lambda server: True):
        return wait_for(lambda: (server := self.known(dashboard).get(name)) and condition(server) and server, name)
