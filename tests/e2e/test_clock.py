# SPDX-License-Identifier: MIT
"""Calendar timers of a real server on a faked wall clock (libfaketime): over both changes of the
clock in several zones, over leap day, and when the clock is stepped."""
import glob
import os
import re
import time
import unittest
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from tiny_build import sanitize
from tiny_server import ServerCase, wait_for

LIBRARY = (glob.glob("/usr/lib/*/faketime/libfaketime.so.1") or [None])[0]
UTC = timezone.utc

# Nothing of the runtime's own may mind that its seconds are short.
PATIENT = {
    "svr.load_timeout": 1e6, "svr.reload_timeout": 1e6, "svr.close.wait_lock_delay": 1e5,
    "svr.close.force_close_delay": 1e6, "svr.timer.run_status_check_time_span": 0,
    "svr.timer.summary_output_time_point": False,
}

SCRIPT = """
  local lines = {%s}
  function S:on_start()
    for i, line in ipairs(lines) do
      local function note(missed, due) self:info("%%d due %%d missed %%d", i, due, missed) end
      local span = #line == 1 and tiny.FixedPeriodTimer(note, line)
      self:add_timer("t" .. i, span or tiny.CronTimer(note, line%s))
    end
  end"""


def script(lines, zone=None):
    options = f', {{tz = "{zone}"}}' if zone else ""
    return SCRIPT % (", ".join(f'"{line}"' for line in lines), options)


def environment(**more):
    return {**os.environ, "LD_PRELOAD": LIBRARY, **more}


def fired(server, number):
    """What timer 'number' has said: (due, missed) in order."""
    return [(datetime.fromtimestamp(int(due), UTC), int(missed)) for due, missed
            in re.findall(rf"^INFO {number} due (\d+) missed (\d+)$", server.output(), re.M)]


def matches(line, local):
    """Whether a cron line of numbers, steps, lists and stars suits a local time: five fields, no names."""
    line = {"M": "* * * * *", "H": "0 * * * *", "D": "0 0 * * *"}.get(line, line)
    values = (local.minute, local.hour, local.day, local.month, local.isoweekday() % 7)
    return all(any(item == "*" or item.startswith("*/") and value % int(item[2:]) == 0 or item == str(value)
                   for item in field.split(",")) for field, value in zip(line.split(), values))


def every_hour(line):
    return line in "MH" or line.split()[1] == "*" if len(line) > 1 else line != "D"


def expected(line, zone, begin, end):
    """The due times of a line between two moments, found by looking at each minute that passes."""
    dues, seen = [], set()
    moment = begin - timedelta(days=1)
    last = (moment - timedelta(minutes=1)).astimezone(zone).replace(tzinfo=None)
    while moment <= end:
        now = moment.astimezone(zone).replace(tzinfo=None)
        shown = [now]
        if not every_hour(line):  # a skipped local time is due at the jump, one that comes twice only once
            skipped = int((now - last).total_seconds() // 60) - 1
            shown += [last + timedelta(minutes=i + 1) for i in range(skipped)]
            shown = [local for local in shown if local not in seen]
            seen.add(now)
        if moment > begin and any(matches(line, local) for local in shown):
            dues.append(moment)
        last = max(now, last) if not every_hour(line) else now
        moment += timedelta(minutes=1)
    return dues


@unittest.skipUnless(LIBRARY and not sanitize(), "needs libfaketime, and no sanitizer, which comes first itself")
class FastClock(ServerCase):
    LINES = ["30 2 * * *", "*/30 0,1,2,3 * * *", "30 * * * *", "15 23,0 * * *"]

    def runs(self, zone, begin, hours, by_name=False):
        """A server whose clock begins at a moment and is fast. The zone is its own, or named in its timers."""
        lines = (["* * * * *", "0 * * * *", "0 0 * * *"] if by_name else ["M", "H", "D"]) + self.LINES
        home = "UTC" if by_name else zone
        local = begin.astimezone(ZoneInfo(home))
        env = environment(TZ=home, FAKETIME=f"@{local:%Y-%m-%d %H:%M:%S} x900")
        server = self.started(script(lines, zone if by_name else None), env)
        server.plan = (lines, ZoneInfo(zone), begin, begin + timedelta(hours=hours))
        return server

    def started(self, body, env):
        """The 5 s that conf.lua has for loading are 5 ms here: on a busy machine not every start succeeds."""
        for _ in range(50):
            server = self.launch(self.project(body, PATIENT), env=env)
            wait_for(lambda: server.lines("started: ") or not server.alive(), "a start or its failure")
            if server.alive():
                return server
        self.fail(server.output())

    def check(self, server):
        lines, zone, begin, end = server.plan
        over = end + timedelta(minutes=5)  # late ones have come by then
        wait_for(lambda: not server.alive() or any(due >= over for due, _ in fired(server, 1)), "the time to pass")
        server.kill()
        for number, line in enumerate(lines, 1):
            with self.subTest(zone=zone, line=line):
                dues, told = expected(line, zone, begin, over), []
                for due, missed in fired(server, number):
                    if due in dues:  # it may come late, with a count of those before it
                        told += dues[dues.index(due) - missed:dues.index(due) + 1]
                    else:
                        self.assertGreater(due, over)
                self.assertEqual([due for due in told if due <= end], [due for due in dues if due <= end])

    def test_over_both_changes_in_zurich_and_sao_paulo(self):
        servers = [self.runs("Europe/Zurich", datetime(2026, 3, 28, 23, 50, tzinfo=UTC), 3),
                   self.runs("Europe/Zurich", datetime(2026, 10, 24, 22, 50, tzinfo=UTC), 4),
                   self.runs("America/Sao_Paulo", datetime(2018, 11, 4, 1, 50, tzinfo=UTC), 3),
                   self.runs("America/Sao_Paulo", datetime(2019, 2, 17, 0, 50, tzinfo=UTC), 4)]
        for server in servers:
            self.check(server)

    def test_in_a_zone_by_name_while_the_process_is_in_another(self):
        servers = [self.runs("Europe/Zurich", datetime(2026, 3, 28, 23, 50, tzinfo=UTC), 3, by_name=True),
                   self.runs("America/Sao_Paulo", datetime(2019, 2, 17, 0, 50, tzinfo=UTC), 4, by_name=True)]
        for server in servers:
            self.check(server)

    def test_in_kolkata_over_leap_day_and_over_its_lack(self):
        servers = [self.runs("Asia/Kolkata", datetime(2028, 2, 28, 17, 20, tzinfo=UTC), 5),
                   self.runs("Asia/Kolkata", datetime(2028, 2, 29, 17, 20, tzinfo=UTC), 5),
                   self.runs("Asia/Kolkata", datetime(2027, 2, 28, 17, 20, tzinfo=UTC), 5)]
        for server in servers:
            self.check(server)
        self.assertIn(datetime(2028, 2, 28, 18, 30, tzinfo=UTC), [due for due, _ in fired(servers[0], 3)])


@unittest.skipUnless(LIBRARY and not sanitize(), "needs libfaketime, and no sanitizer, which comes first itself")
class SteppedClock(ServerCase):
    LINES = ["0 * * * *", "*/30 * * * *"]

    def begin(self, at):
        """A server whose wall clock shows 'at' and can be stepped, while the monotonic one is real."""
        self.project_dir = self.project(script(self.LINES, "UTC"), PATIENT)
        self.offset_file = self.project_dir.dir / "clock"
        self.set_clock(at)
        env = environment(FAKETIME_TIMESTAMP_FILE=str(self.offset_file), FAKETIME_NO_CACHE="1",
                          DONT_FAKE_MONOTONIC="1")
        server = self.launch(self.project_dir, env=env)
        server.wait_line("started")
        return server

    def set_clock(self, at):
        offset = at.timestamp() - time.time()
        self.project_dir.write("clock", f"{offset:+.3f}\n")

    def wait_fired(self, server, number, count):
        wait_for(lambda: len(fired(server, number)) >= count, f"timer {number} to fire {count} times")
        return fired(server, number)

    DAY = datetime(2026, 5, 1, tzinfo=UTC)

    def at(self, hour, minute, second):
        return self.DAY + timedelta(hours=hour, minutes=minute, seconds=second)

    def test_forward_by_two_hours_runs_what_was_jumped_over_once(self):
        server = self.begin(self.at(11, 59, 58))
        self.wait_fired(server, 1, 1)
        self.set_clock(self.at(14, 0, 10))
        self.wait_fired(server, 1, 2)
        self.wait_fired(server, 2, 2)
        self.set_clock(self.at(14, 29, 58))
        self.wait_fired(server, 2, 3)
        self.assertEqual(fired(server, 1), [(self.at(12, 0, 0), 0), (self.at(14, 0, 0), 1)])
        self.assertEqual(fired(server, 2), [(self.at(12, 0, 0), 0), (self.at(14, 0, 0), 3), (self.at(14, 30, 0), 0)])

    def test_back_by_two_hours_runs_nothing_twice(self):
        server = self.begin(self.at(11, 59, 58))
        self.wait_fired(server, 2, 1)
        self.set_clock(self.at(10, 0, 5))
        time.sleep(2.5)  # it looks once a second
        self.set_clock(self.at(10, 29, 58))
        time.sleep(3.5)
        self.set_clock(self.at(11, 59, 58))
        time.sleep(3.5)
        self.assertEqual(fired(server, 2), [(self.at(12, 0, 0), 0)])
        self.set_clock(self.at(12, 29, 58))
        self.wait_fired(server, 2, 2)
        self.assertEqual(fired(server, 1), [(self.at(12, 0, 0), 0)])
        self.assertEqual(fired(server, 2), [(self.at(12, 0, 0), 0), (self.at(12, 30, 0), 0)])

    def test_back_before_anything_has_run_runs_what_comes_again(self):
        server = self.begin(self.at(12, 0, 10))
        time.sleep(1.5)
        self.set_clock(self.at(11, 59, 58))
        self.wait_fired(server, 1, 1)
        self.assertEqual(fired(server, 1), [(self.at(12, 0, 0), 0)])

    def test_the_mending_of_a_clock_that_was_a_decade_ahead_begins_anew(self):
        server = self.begin(self.at(11, 59, 58).replace(year=2036))
        self.wait_fired(server, 1, 1)
        self.set_clock(self.at(11, 59, 57))
        self.wait_fired(server, 1, 2)
        self.assertEqual(fired(server, 1)[1], (self.at(12, 0, 0), 0))


if __name__ == "__main__":
    unittest.main()
