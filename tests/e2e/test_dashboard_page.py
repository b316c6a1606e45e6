# SPDX-License-Identifier: MIT
"""The dashboard example, as Chromium shows it and as Prometheus reads it."""
import json
import re
import subprocess
import unittest

from browser import Browser, needs_browser
from dashboard_case import BODY, DashboardCase
from subscriber import free_endpoint
from tiny_server import ROOT, SIGNALS

HOSTILE = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
HANGS = "function S:on_start() tiny.go(function() tiny.sleep(1) while true do end end) end"
LONG = "a-server-with-a-rather-long-name-that-does-not-fit-anywhere"
# What Chromium says by itself when a server that it follows goes.
GONE = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET")


def card(name):
    """A card, as an expression in the page."""
    return f"[...document.querySelectorAll('article')].find((c) => c.querySelector('h2').textContent === {json.dumps(name)})"


def inside(name, selector):
    """Something in a card, as a selector of Playwright's."""
    return f'article:has(h2:text-is("{name}")) {selector}'


@needs_browser
class PageCase(DashboardCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()

    def open(self, *feeds, **alert):
        """A dashboard that watches servers or endpoints, and its page."""
        endpoints = [feed if isinstance(feed, str) else feed.endpoints[0] for feed in feeds]
        dashboard = self.dashboard(*endpoints, **alert)
        self.addCleanup(self.check_page, dashboard.url)
        self.browser.call("goto", dashboard.url)
        return dashboard

    def check_page(self, url):
        """Whatever a server said, the page's own title stands, nothing went wrong in it, nobody else was asked."""
        self.assertRegex(self.evaluate("document.title"), r"^(\(\d+\) )?Tiny dashboard$")
        self.browser.call("goto", "about:blank")
        strange = [line for line in self.browser.call("log")
                   if not line.startswith((f"asks {url}/", "asks about:")) and not any(text in line for text in GONE)]
        self.assertEqual(strange, [])

    def wait(self, expression):
        return self.browser.wait(expression)

    def evaluate(self, expression):
        return self.browser.evaluate(expression)

    def wait_card(self, name, *texts):
        """Wait until the card of that name shows all these texts; returns all that it shows."""
        found = f"(() => {{ const c = {card(name)}; const text = c && c.innerText; "
        return self.wait(found + f"return text && {json.dumps(texts)}.every((t) => text.includes(t)) && text; }})()")

    def unfold(self, name, part):
        """What is in a folded part of a card."""
        self.browser.call("click", inside(name, f".{part} summary"))
        return self.evaluate(f"{card(name)}.querySelector('.{part}').innerText")


class Shown(PageCase):
    def test_a_server_is_shown_as_it_is(self):
        self.open(one := self.watched("one", conf={"app.step": 7}))
        self.wait_card("one", "running", f"pid {one.pid}", "generation 1", "ms", "MB", "%")
        self.assertRegex(self.unfold("one", "conf"), r"app.step\s+7\b")
        self.assertRegex(self.unfold("one", "app"), r"jobs\s+2\b")
        self.assertEqual(self.wait("document.getElementById('connection').textContent"), "Live")
        self.assertEqual(self.evaluate("document.getElementById('counts').textContent"), "1 fine")

    def test_an_error_is_seen_with_its_traceback_and_as_text(self):
        one = self.watched("one")
        self.open(one)
        self.wait_card("one", "running")
        one.project.said("eval", f'require("tiny").go(function() error("{HOSTILE}") end)')
        self.wait_card("one", "running, error", "Last error", HOSTILE)
        self.assertIn("stack traceback", self.unfold("one", "error"))
        self.assertEqual(self.evaluate("document.querySelectorAll('img, article script').length"), 0)

    def test_a_server_may_say_anything(self):
        publisher = self.publisher()
        self.open(publisher.endpoint, self.watched("one"))
        for odd in (HOSTILE, None, [], {"__proto__": {"x": HOSTILE}}, -1, 1e999, True, "\u202e\0"):
            publisher.send({key: odd for key in (
                "errors", "uptime", "cpu_seconds", "loop_lag_ms", "lua_heap_bytes", "rss_bytes", "state", "hung_for",
                "hung_stack", "last_error", "last_error_time", "last_trace", "last_summary", "last_reload_time", "app",
                "role", "token", "members", "pid", "generation", "timers")}, {HOSTILE: odd})
        publisher.send({"last_summary": f"the last {HOSTILE}"}, {HOSTILE: HOSTILE})
        self.wait_card("fake", "running", f"the last {HOSTILE}")
        self.assertIn(HOSTILE, self.unfold("fake", "conf"))
        self.wait_card("one", "running")

    def test_a_summary_is_text(self):
        one = self.watched("one")
        self.assert_reloaded(one.project)
        self.open(one)
        self.wait_card("one", "all is <b>well</b>")

    def test_a_reload_shows_what_it_changed(self):
        one = self.watched("one", conf={"app.step": 7, "app.gone": "x"})
        self.open(one)
        self.wait_card("one", "generation 1")
        one.project.conf({"svr.name": "one", "svr.monitor": True, "svr.monitor.host": "tcp://127.0.0.1:*",
                          "svr.monitor.timer": 0.3, "app.step": 8})
        self.assert_reloaded(one.project)
        self.wait_card("one", "generation 2", "2 changes")
        rows = self.unfold("one", "conf")
        self.assertRegex(rows, r"app.step\s+7 8\b")
        self.assertRegex(rows, r'app.gone\s+"x"')

    def test_a_hang_is_seen_and_where(self):
        conf = {"svr.timer.run_status_check_time_span": 0.5, "svr.watchdog.interrupt": False, "svr.monitor.timer": 600}
        self.open(self.watched("one", HANGS, conf), self.watched("two"))
        self.wait_card("one", "running")
        self.wait_card("one", "hung", "Hung for")
        self.assertRegex(self.unfold("one", "hang"), "main.lua" if SIGNALS else "main.lua|the loop thread")
        self.wait("document.getElementById('news').textContent.includes('one is hung')")
        self.assertEqual(self.evaluate("document.title"), "(1) Tiny dashboard")
        self.assertEqual(self.evaluate("[...document.querySelectorAll('h2')].map((h) => h.textContent)"), ["one", "two"])

    def test_one_that_dies_is_seen(self):
        self.open(one := self.watched("one"), silent=1)
        self.wait_card("one", "running")
        one.kill()
        self.wait_card("one", "silent for", "last heard at")
        self.wait("document.getElementById('news').textContent.includes('one is silent')")

    def test_one_that_closes_is_seen(self):
        self.open(one := self.watched("one"))
        self.wait_card("one", "running")
        one.close()
        self.wait_card("one", "closed")

    def test_a_cluster_is_shown_with_its_members(self):
        publisher = self.publisher()
        self.open(publisher.endpoint)
        members = [{"name": "fake", "host": host, "pid": 1, "role": role}
                   for host, role in (("elsewhere", "active"), ("north", "standby"), ("south", "standby"))]
        publisher.send({"role": "active", "token": 17, "members": members}, {"svr.cluster.name": "shop"})
        self.wait_card("fake", "active in cluster shop, token 17; fake@north standby, fake@south standby")
        publisher.send({"role": "standby", "state": "standby", "token": None, "members": members[:1]},
                       {"svr.cluster.name": "shop"})
        self.wait_card("fake", "standby in cluster shop; no other member")

    def test_a_feed_that_was_never_heard_gives_way_to_its_server(self):
        endpoint = free_endpoint()
        self.open(endpoint)
        self.wait_card(endpoint, "waiting")
        self.feed(BODY, {"svr.name": "late", "svr.monitor.host": endpoint})
        self.wait_card("late", "running")
        self.wait(f"!{card(endpoint)}")


class Used(PageCase):
    def test_it_comes_back_after_the_dashboards_own_restart(self):
        dashboard = self.open(self.watched("one"))
        self.wait_card("one", "running")
        self.assert_reloaded(dashboard.project)
        dashboard.close()
        self.wait("document.getElementById('connection').textContent.includes('lost')")
        conf = (dashboard.project.dir / "conf.lua").read_text()
        dashboard.project.write("conf.lua", conf.replace("127.0.0.1:0", dashboard.url.removeprefix("http://")))
        self.launch(dashboard.project).wait_ready()
        self.wait("document.getElementById('connection').textContent === 'Live'")
        self.wait_card("one", "running")

    def test_the_filter_leaves_what_matches(self):
        self.open(self.watched("one"), self.watched("other"))
        self.wait_card("one", "running")
        self.wait_card("other", "running")
        self.browser.call("fill", "#filter", "oth")
        self.wait("[...document.querySelectorAll('article:not([hidden]) h2')].map((h) => h.textContent).join() === 'other'")

    def test_it_is_worked_by_keyboard(self):
        self.open(self.watched("one"))
        self.wait_card("one", "running")
        self.browser.call("focus", "#filter")
        self.browser.call("keyboard.press", "Tab")
        self.assertEqual(self.evaluate("document.activeElement.tagName"), "SUMMARY")
        self.browser.call("keyboard.press", "Enter")
        uptime = self.evaluate(f"{card('one')}.querySelector('.where').textContent")
        self.wait(f"{card('one')}.querySelector('.where').textContent !== {json.dumps(uptime)}")
        self.assertTrue(self.evaluate("document.activeElement.parentElement.open"))

    def test_what_has_the_focus_keeps_it_when_the_order_changes(self):
        first, second = self.publisher(), self.publisher()
        self.open(first.endpoint, second.endpoint)
        conf = {"svr.monitor.timer": 600}
        first.send({"name": "a"}, conf)
        second.send({"name": "b"}, conf)
        self.wait_card("a", "running")
        self.wait_card("b", "running")
        self.browser.call("focus", inside("b", ".conf summary"))
        second.send({"name": "b", "state": "hung"}, conf)
        self.wait("document.querySelector('h2').textContent === 'b'")
        self.assertTrue(self.evaluate(f"{card('b')}.contains(document.activeElement)"))

    def test_it_speaks_to_those_who_do_not_see_it(self):
        self.open(self.watched("one"))
        self.wait_card("one", "running")
        spoken = self.browser.call("aria", "body")
        for text in (r'article "one"', r'heading "one" \[level=2\]', r'searchbox "Filter"', r'list "How they are"',
                     r'img "Loop lag in the last 10 min, at most [\d.]+ ms"', r'img "CPU in the last'):
            self.assertRegex(spoken, text)
        self.assertEqual(self.evaluate("document.documentElement.lang"), "en")

    def test_it_fits_a_phone_and_is_dark_and_light(self):
        self.open(self.watched(LONG))
        self.addCleanup(self.browser.call, "setViewportSize", {"width": 1280, "height": 800})
        self.wait_card(LONG, "running")
        papers = set()
        for width, scheme in ((320, "light"), (320, "dark"), (1200, "dark")):
            self.browser.call("setViewportSize", {"width": width, "height": 800})
            self.browser.call("emulateMedia", {"colorScheme": scheme})
            self.assertLessEqual(self.evaluate("document.documentElement.scrollWidth"), width)
            papers.add(self.evaluate("getComputedStyle(document.body).backgroundColor"))
        self.assertEqual(len(papers), 2)

    def contrast(self, selector):
        """Of a text with the card behind it, as WCAG counts it."""
        colours = self.evaluate(f"[[document.querySelector('{selector}'), 'color'], [document.querySelector('article'), "
                                "'backgroundColor']].map(([e, name]) => getComputedStyle(e)[name])")
        light, dark = sorted((luminance(colour) for colour in colours), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    def test_every_colour_can_be_read(self):
        publisher = self.publisher()
        self.open(publisher.endpoint)
        for scheme in ("light", "dark"):
            self.browser.call("emulateMedia", {"colorScheme": scheme})
            for state in ("running", "starting", "hung"):
                publisher.send({"state": state}, {"svr.monitor.timer": 600})
                self.wait_card("fake", state)
                for selector in (".state", ".where", "h2", ".counts"):
                    self.assertGreater(self.contrast(selector), 4.5, (scheme, state, selector))


def luminance(colour):
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@needs_browser
class Prometheus(DashboardCase):
    def test_it_understands_the_metrics(self):
        publisher = self.publisher()
        dashboard = self.dashboard(self.watched("one").endpoints[0], publisher.endpoint, "tcp://127.0.0.1:1")
        publisher.send({"app": {'a "b" \\ c\nd': 1.5}, "role": "active", "token": 17, "errors": 1e999})
        self.wait_known(dashboard, "one")
        self.wait_known(dashboard, "fake")
        text = self.get(dashboard, "/metrics")[0]
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        for line in (r"tiny_active{[^}]*} 1", r"tiny_cluster_token{[^}]*} 17", r'tiny_feed_heard{feed="tcp://127.0.0.1:1"} 0'):
            self.assertRegex(text, "(?m)^" + line + "$")

    def test_the_documented_configuration_is_one(self):
        [text] = re.findall(r"```\n(scrape_configs:.*?)```", (ROOT / "docs/monitor.md").read_text(), re.S)
        project = self.project()
        path = project.write("prometheus.yml", text)
        done = subprocess.run(["promtool", "check", "config", path], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
