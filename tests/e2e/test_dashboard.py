# SPDX-License-Identifier: MIT
"""The dashboard example, from the feeds to what Chromium shows of them."""
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import unittest
import urllib.error
import urllib.request

import zmq

try:
    from selenium import webdriver
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    webdriver = None

from subscriber import FeedCase, free_endpoint
from tiny_server import ROOT, WAIT, lua, wait_for

BODY = """
function S:on_start() self:gauge("depth", 3) self:count("jobs", 2) end
function S:get_summary() return "all is <b>well</b>" end
"""
HOSTILE = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"


class DashboardCase(FeedCase):
    def watched(self, name, body=BODY, conf=None):
        return self.feed(body, {"svr.name": name, "svr.monitor.timer": 0.3, **(conf or {})})

    def dashboard(self, *feeds, curve=None, **alert):
        """A running copy of the example that watches these feeds; `url` is where its page is."""
        project = self.project()
        shutil.copytree(ROOT / "examples/dashboard", project.dir, dirs_exist_ok=True)
        address = free_endpoint().removeprefix("tcp://")
        keys = {"dashboard.listen": address, "dashboard.feeds": list(feeds), "dashboard.curve": curve or {},
                **{"dashboard.alert." + name: value for name, value in alert.items()}}
        text = (project.dir / "conf.lua").read_text()
        project.write("conf.lua", f"local keys = (function() {text} end)()\n"
                      f"for key, value in pairs({lua(keys)}) do keys[key] = value end\nreturn keys\n")
        server = self.launch(project).wait_ready()
        server.url = f"http://{address}"
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


class Api(DashboardCase):
    def test_all_that_is_known_is_told(self):
        one = self.watched("one", conf={"db.password": "hunter2"})
        dashboard = self.dashboard(one.endpoints[0], "tcp://127.0.0.1:1")
        server = self.wait_known(dashboard, "one")
        self.assertEqual((server["feed"], server["state"], server["mood"]), (one.endpoints[0], "running", "fine"))
        self.assertEqual((server["info"]["pid"], server["conf"]["db.password"]), (one.pid, "***"))
        self.assertEqual(len(server["history"]["lag"]), len(server["history"]["heap"]))
        self.assertEqual(self.known(dashboard)["tcp://127.0.0.1:1"]["state"], "waiting")

    def test_what_it_knows_outlives_its_own_reload(self):
        one = self.watched("one")
        dashboard = self.dashboard(one.endpoints[0])
        before = self.wait_known(dashboard, "one")
        self.assert_reloaded(dashboard.project)
        after = self.known(dashboard)["one"]
        self.assertEqual(after["history"]["heap"][:len(before["history"]["heap"]) - 1],
                         before["history"]["heap"][:-1])
        seq = after["info"]["uptime"]
        self.wait_known(dashboard, "one", lambda server: server["info"]["uptime"] > seq)

    def test_feeds_are_taken_over_by_a_reload(self):
        one, other = self.watched("one"), self.watched("other")
        dashboard = self.dashboard(one.endpoints[0])
        self.wait_known(dashboard, "one")
        conf = (dashboard.project.dir / "conf.lua").read_text()
        dashboard.project.write("conf.lua", conf.replace(one.endpoints[0], other.endpoints[0]))
        self.assert_reloaded(dashboard.project)
        self.wait_known(dashboard, "other")
        self.assertNotIn("one", self.known(dashboard))

    def test_a_feed_with_curve_is_followed(self):
        (public, secret), own = (tuple(key.decode() for key in zmq.curve_keypair()) for _ in range(2))
        one = self.watched("one", conf={"svr.monitor.curve": {"secret_key": secret, "clients": [own[0]]}})
        dashboard = self.dashboard({1: one.endpoints[0], "server_key": public},
                                   curve={"public_key": own[0], "secret_key": own[1]})
        self.wait_known(dashboard, "one")

    @unittest.skipUnless(shutil.which("promtool"), "needs the packages in .ci/packages/dashboard")
    def test_prometheus_understands_the_metrics(self):
        one = self.watched("one")
        dashboard = self.dashboard(one.endpoints[0])
        self.wait_known(dashboard, "one")
        text, headers = self.get(dashboard, "/metrics")
        self.assertTrue(headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        for line in (r'tiny_up{name="one",host="[^"]+"} 1', r'tiny_generation{[^}]*} 1',
                     r'tiny_app{[^}]*figure="jobs"} 2', r'tiny_resident_memory_bytes{[^}]*} \d{6,}'):
            self.assertRegex(text, "(?m)^" + line + "$")

    def test_what_is_not_there_is_not_found(self):
        dashboard = self.dashboard()
        for path in ("/nothing", "/conf.lua", "/../conf.lua", "/page/index.html"):
            with self.assertRaises(urllib.error.HTTPError) as error:
                self.get(dashboard, path)
            self.assertEqual(error.exception.code, 404, path)
            error.exception.close()

    def test_with_no_server_the_list_is_empty(self):
        dashboard = self.dashboard()
        self.assertEqual(self.get(dashboard, "/api/servers")[0], "[]")

    def test_one_that_reads_no_events_is_cut_off(self):
        one = self.watched("one", conf={"app.ballast": "x" * 300000, "svr.monitor.timer": 0.1})
        dashboard = self.dashboard(one.endpoints[0])
        self.wait_known(dashboard, "one")
        host, port = dashboard.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            dashboard.wait_line("a page is too slow")
        self.wait_known(dashboard, "one")


class Alerts(DashboardCase):
    def test_a_hang_is_one_line_at_error(self):
        one = self.watched("one", "function S:on_start() tiny.go(function() tiny.sleep(1) while true do end end) end",
                           {"svr.timer.run_status_check_time_span": 0.5, "svr.close.force_close_delay": 3})
        dashboard = self.dashboard(one.endpoints[0])
        dashboard.wait_line("ERROR")
        dashboard.wait_line("one@")
        self.assertEqual(len([line for line in dashboard.lines("is hung for") if "ERROR" in line]), 1)

    def test_silence_is_one_line_at_error_and_its_end_one_at_warn(self):
        one = self.watched("one")
        dashboard = self.dashboard(one.endpoints[0], silent=1)
        self.wait_known(dashboard, "one")
        one.signal(signal.SIGSTOP)
        dashboard.wait_line("is silent for 1 s")
        self.assertEqual(self.known(dashboard)["one"]["alerts"].keys(), {"silent"})
        one.signal(signal.SIGCONT)
        dashboard.wait_line("no longer silent")
        self.assertEqual((len(dashboard.lines("is silent")), len(dashboard.lines("no longer"))), (1, 1))

    def test_many_errors_in_a_minute_are_one_line(self):
        one = self.watched("one", "function S:on_start() self:add_timer('t', tiny.PeriodTimer("
                                  "function() error('boom') end, 0.05)) end")
        dashboard = self.dashboard(one.endpoints[0], errors=5)
        dashboard.wait_line("errors in a minute")
        self.assertEqual(len(dashboard.lines("errors in a minute")), 1)


@unittest.skipUnless(webdriver and shutil.which("chromedriver"), "needs the packages in .ci/packages/dashboard")
class Page(DashboardCase):
    @classmethod
    def setUpClass(cls):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        cls.browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()

    def open(self, *servers, **alert):
        dashboard = self.dashboard(*(server.endpoints[0] for server in servers), **alert)
        self.browser.get(dashboard.url)
        self.addCleanup(self.check_page)
        return dashboard

    def check_page(self):
        """Whatever a server said, the page's own title stands and nothing went wrong in it."""
        self.assertEqual(self.browser.title, "Tiny dashboard")
        lost = "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE"
        log = [entry for entry in self.browser.get_log("browser") if not any(text in entry["message"] for text in lost)]
        self.assertEqual(log, [])
        self.browser.get("about:blank")

    def card(self, name):
        return self.browser.execute_script(
            "return [...document.querySelectorAll('article')]"
            ".find((card) => card.querySelector('h2').textContent === arguments[0])", name)

    def wait_card(self, name, *texts):
        """The card of that name once it shows all these texts."""
        def found():
            with contextlib.suppress(StaleElementReferenceException):  # it has just gone
                card = self.card(name)
                return card and all(text in card.text for text in texts) and card
        return wait_for(found, f"a card {name} with {texts}")

    def unfold(self, card, name):
        card.find_element(By.CSS_SELECTOR, f".{name} summary").click()
        return card.find_element(By.CSS_SELECTOR, f".{name}")

    def test_a_server_is_shown_as_it_is(self):
        one = self.watched("one", conf={"app.step": 7})
        self.open(one)
        card = self.wait_card("one", "running", f"pid {one.pid}", "generation 1", "ms", "MB", "%")
        self.assertIn("7", self.unfold(card, "conf").text)
        self.assertIn("jobs 2", self.unfold(card, "app").text)
        self.assertEqual(self.browser.find_element(By.ID, "connection").text, "Live")
        self.assertEqual(self.browser.find_element(By.ID, "counts").text, "1 fine")

    def test_an_error_is_seen_with_its_traceback_and_as_text(self):
        one = self.watched("one", f'function S:on_start() tiny.go(function() error("{HOSTILE}") end) end')
        self.open(one)
        card = self.wait_card("one", "running, error", "Last error", HOSTILE)
        self.assertIn("stack traceback", self.unfold(card, "error").text)
        self.assertEqual(card.find_elements(By.TAG_NAME, "img"), [])

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
        card = self.wait_card("one", "generation 2", "2 changes")
        rows = self.unfold(card, "conf").text
        self.assertIn("app.step 7 8", rows)
        self.assertIn('app.gone "x"', rows)

    def test_a_hang_and_the_end_are_seen(self):
        one = self.watched("one", "function S:on_start() tiny.go(function() tiny.sleep(2) while true do end end) end",
                           {"svr.timer.run_status_check_time_span": 0.5, "svr.watchdog.interrupt": False,
                            "svr.close.force_close_delay": 4})
        self.open(one, silent=1)
        self.wait_card("one", "running")
        card = self.wait_card("one", "hung", "Hung for")
        self.assertTrue(self.unfold(card, "hang").text)
        self.wait_card("one", "silent for")
        self.assertIn("one is", self.browser.find_element(By.ID, "news").get_attribute("textContent"))

    def test_a_server_that_closes_is_shown_so(self):
        one = self.watched("one")
        self.open(one)
        self.wait_card("one", "running")
        one.close()
        self.wait_card("one", "closed")

    def test_a_feed_that_was_never_heard_gives_way_to_its_server(self):
        endpoint = free_endpoint()
        dashboard = self.dashboard(endpoint)
        self.browser.get(dashboard.url)
        self.addCleanup(self.check_page)
        self.wait_card(endpoint, "waiting")
        self.feed(BODY, {"svr.name": "late", "svr.monitor.host": endpoint})
        self.wait_card("late", "running")
        wait_for(lambda: self.card(endpoint) is None, "the feed's card to go")

    def test_it_comes_back_after_the_dashboards_own_restart(self):
        one = self.watched("one")
        dashboard = self.open(one)
        self.wait_card("one", "running")
        self.assert_reloaded(dashboard.project)
        dashboard.close()
        wait_for(lambda: "lost" in self.browser.find_element(By.ID, "connection").text, "the loss to show")
        self.launch(dashboard.project).wait_ready()
        wait_for(lambda: self.browser.find_element(By.ID, "connection").text == "Live", "the page to be live again")
        self.wait_card("one", "running")

    def test_the_filter_leaves_what_matches(self):
        one, other = self.watched("one"), self.watched("other")
        self.open(one, other)
        self.wait_card("one", "running")
        self.wait_card("other", "running")
        self.browser.find_element(By.ID, "filter").send_keys("oth")
        wait_for(lambda: [card.is_displayed() for card in self.browser.find_elements(By.TAG_NAME, "article")]
                 == [False, True], "the filter")

    def test_it_is_worked_by_keyboard(self):
        one = self.watched("one")
        self.open(one)
        self.wait_card("one", "running")
        self.browser.find_element(By.ID, "filter").send_keys(Keys.TAB)
        focused = self.browser.switch_to.active_element
        self.assertEqual(focused.tag_name, "summary")
        focused.send_keys(Keys.ENTER)
        details = focused.find_element(By.XPATH, "..")
        self.assertEqual(details.get_attribute("open"), "true")
        uptime = self.card("one").find_element(By.CLASS_NAME, "where").text
        wait_for(lambda: self.card("one").find_element(By.CLASS_NAME, "where").text != uptime, "an update")
        self.assertEqual(details.get_attribute("open"), "true")
        self.assertEqual(self.browser.switch_to.active_element, focused)

    def test_it_speaks_to_those_who_do_not_see_it(self):
        one = self.watched("one")
        self.open(one)
        card = self.wait_card("one", "running")
        self.assertEqual(card.accessible_name, "one")
        graphs = card.find_elements(By.TAG_NAME, "svg")
        self.assertEqual([graph.aria_role for graph in graphs], ["image"] * 3)
        self.assertRegex(graphs[0].accessible_name, r"Loop lag in the last hour, at most [\d.]+ ms")
        self.assertEqual(self.browser.find_element(By.ID, "filter").accessible_name, "Filter")
        self.assertEqual(self.browser.find_element(By.TAG_NAME, "html").get_attribute("lang"), "en")

    def emulate(self, width, scheme):
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                     {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600})
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                     {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def test_it_fits_a_phone_and_is_dark_and_light(self):
        one = self.watched("a-server-with-a-rather-long-name-that-does-not-fit-anywhere")
        self.open(one)
        self.addCleanup(self.emulate, 1200, "light")
        self.wait_card("a-server-with-a-rather-long-name-that-does-not-fit-anywhere", "running")
        papers = set()
        for width, scheme in ((320, "light"), (320, "dark"), (1200, "dark")):
            self.emulate(width, scheme)
            shown = self.browser.execute_script("return document.documentElement.scrollWidth")
            self.assertLessEqual(shown, width)
            papers.add(self.browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        self.assertEqual(len(papers), 2)

    def test_it_asks_nobody_else(self):
        one = self.watched("one")
        dashboard = self.open(one)
        self.wait_card("one", "running")
        names = self.browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
        self.assertEqual([name for name in names if not name.startswith(dashboard.url + "/")], [])
        policy = self.get(dashboard, "/")[1]["Content-Security-Policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe", policy)


if __name__ == "__main__":
    unittest.main()
