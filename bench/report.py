# SPDX-License-Identifier: MIT
"""report -- the goals and what was reached, as text and as bench/RESULTS.md."""
import statistics

import conditions


def number(value):
    """Three digits that say something."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}" if abs(value) < 1 else f"{value:.2f}"


class Row:
    """A goal and the figures that belong to it."""

    def __init__(self, goal, figures, command):
        self.goal, self.command = goal, command
        self.unit, self.samples = figures.get(goal.figure, ("", []))
        self.peers = {title: statistics.median(figures[name][1]) for title, name in goal.peers.items() if name in figures}
        base = figures.get(goal.times)
        self.base = statistics.median(base[1]) if base else None

    def value(self):
        return max(self.samples) if self.goal.worst else statistics.median(self.samples)

    def limit(self):
        """In the figure's unit; None where the peer is missing that it depends on."""
        if not self.goal.times:
            return self.goal.limit
        return self.base and self.goal.limit * self.base

    def held(self):
        """True, False, or None where it was not measured."""
        if not self.samples or self.limit() is None:
            return None
        return self.value() >= self.limit() if self.goal.least else self.value() <= self.limit()

    def verdict(self):
        return {True: "held", False: "MISSED", None: "not measured"}[self.held()]

    def goal_text(self):
        sign = ">=" if self.goal.least else "<="
        if self.goal.times:
            title = next(title for title, name in self.goal.peers.items() if name == self.goal.times)
            return f"{sign} {self.goal.limit}x {title}"
        return f"{sign} {self.goal.limit:,} {self.unit}"

    def reached_text(self):
        if not self.samples:
            return ""
        text = f"{number(self.value())} {self.unit} [{number(min(self.samples))}-{number(max(self.samples))}]"
        return text + (f", {self.value() / self.base:.2f}x" if self.base else "")

    def peers_text(self):
        """Each with how often its figure is ours."""
        mine = self.value() if self.samples else 0
        return ", ".join(f"{title} {number(value)}" + (f" ({number(value / mine)}x)" if mine else "")
                         for title, value in self.peers.items())


def text(rows):
    lines = [f"{'':6} {row.verdict():12} {row.goal.what}\n{'':20}{row.goal_text():26} reached {row.reached_text()}\n"
             f"{'':20}{row.peers_text() or 'no peer'}   {row.command}" for row in rows]
    held = [row.held() for row in rows]
    return "\n".join([*lines, "", f"{held.count(True)} goals held, {held.count(False)} missed, {held.count(None)} not measured"])


def table(header, rows):
    return "\n".join(["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)])


def excuse(row, others):
    noise = f"a time by the clock, while others kept {others:.1f} of the machine's CPUs busy" if row.goal.wall and others > 0.1 else ""
    return "; ".join(filter(None, (row.goal.why, noise))) or "not explained yet"


def notes(rows, others):
    missed = [f"- **{row.goal.what}**, reached {row.reached_text()}: {excuse(row, others)}." for row in rows if row.held() is False]
    return "\n## Missed, and why\n\n" + "\n".join(missed) + "\n" if missed else ""


def figures_table(figures):
    return table(["figure", "median", "least", "most", "unit", "samples"],
                 [[name, number(statistics.median(samples)), number(min(samples)), number(max(samples)), unit, str(len(samples))]
                  for name, (unit, samples) in sorted(figures.items())])


def markdown(rows, figures, failed, watched, date):
    held = [row.held() for row in rows]
    goals = table(["what", "goal", "reached [least-most]", "peers (times ours)", "", "again by"],
                  [[row.goal.what, row.goal_text(), row.reached_text(), row.peers_text(), row.verdict(), f"`{row.command}`"]
                   for row in rows])
    return f"""# Results

Written by `./svr.sh bench` on {date}, in {watched.minutes():.0f} minutes. All figures of a bench and its peers are from the same run,
taken in turns; they are medians of the rounds, with the least and the most.

- Machine: {conditions.machine()}
- Others kept {watched.others():.2f} CPUs busy meanwhile, on average: {'it was quiet' if watched.others() < 0.1 else 'times by the clock are worse for it, CPU times a little'}.
- Versions: {', '.join(conditions.versions())}
{'- Failed: ' + ', '.join(failed) + chr(10) if failed else ''}
## Goals

{held.count(True)} held, {held.count(False)} missed, {held.count(None)} not measured.

{goals}
{notes(rows, watched.others())}
## All figures

{figures_table(figures)}
"""
