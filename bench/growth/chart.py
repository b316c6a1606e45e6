# SPDX-License-Identifier: MIT
"""chart -- curves over two logarithmic axes, as an SVG that can be read on light and on dark pages."""
import math

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 40, 48
COLOURS = ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#6e7781")

STYLE = """
    text { font: 13px sans-serif; fill: #57606a }
    .title { font-weight: bold; fill: #1f2328 }
    .grid { stroke: #8c959f; stroke-opacity: .35 }
    .curve { fill: none; stroke-width: 2 }
    @media (prefers-color-scheme: dark) { text { fill: #9198a1 } .title { fill: #f0f6fc } }"""


def shown(value):
    """A number on an axis."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def decades(values):
    """(first, last) power of ten around the values."""
    first, last = math.floor(math.log10(min(values)) + 1e-9), math.ceil(math.log10(max(values)) - 1e-9)
    return first, max(last, first + 1)


class Chart:
    """Curves of {name: [(x, y)]}, all above 0."""

    def __init__(self, title, x_title, curves):
        self.title, self.x_title, self.curves = title, x_title, curves
        points = [point for curve in curves.values() for point in curve]
        self.xs, self.y_range = sorted({x for x, _ in points}), decades([y for _, y in points])

    def x(self, value):
        first, last = math.log(self.xs[0]), math.log(self.xs[-1])
        return LEFT + (math.log(value) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        first, last = self.y_range
        return HEIGHT - BOTTOM - (math.log10(value) - first) / (last - first) * (HEIGHT - TOP - BOTTOM)

    def grid(self):
        for value in self.xs:
            x = self.x(value)
            yield f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
            yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{shown(value)}</text>'
        for power in range(self.y_range[0], self.y_range[1] + 1):
            y = self.y(10 ** power)
            yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
            yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{shown(10 ** power)}</text>'

    def names(self):
        """(y, name, colour) of the names beside the ends of the curves, no two on one another."""
        ends = sorted((self.y(curve[-1][1]) + 4, name, colour)
                      for (name, curve), colour in zip(self.curves.items(), COLOURS))
        lowest = TOP - 16
        for y, name, colour in ends:
            lowest = max(y, lowest + 16)
            yield lowest, name, colour

    def lines(self):
        for curve, colour in zip(self.curves.values(), COLOURS):
            path = "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in curve)
            yield f'<path class="curve" stroke="{colour}" d="M{path}"/>'
            yield from (f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3" fill="{colour}"/>' for x, y in curve)
        for y, name, colour in self.names():
            yield f'<text x="{WIDTH - RIGHT + 8}" y="{y:.1f}" style="fill: {colour}">{name}</text>'

    def svg(self):
        body = "\n  ".join([
            f'<text class="title" x="{LEFT}" y="22">{self.title}</text>',
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">{self.x_title}</text>',
            *self.grid(), *self.lines()])
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">\n  <style>{STYLE}\n  </style>\n'
                f'  {body}\n</svg>\n')


def slope(curve):
    """The power of x with which y grows, by least squares over the logarithms."""
    xs, ys = [math.log(x) for x, _ in curve], [math.log(y) for _, y in curve]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys)) / sum((a - x) ** 2 for a in xs)
