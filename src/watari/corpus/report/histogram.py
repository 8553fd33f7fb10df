"""A rule's values as inline SVG: stacked bars, and its thresholds with the band of ±10 % around them."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from watari.corpus.report import numbers
from watari.corpus.report.rules import CHANGE, RuleFigure
from watari.pages import axes, svg
from watari.pages.numbers import tick_label

WIDTH = 480.0
_LEFT, _RIGHT, _TOP, _HEIGHT, _BOTTOM = 8.0, 8.0, 22.0, 104.0, 24.0

Place = Callable[[float], float]


def histogram_svg(figure: RuleFigure, *, labelled_by: str) -> Markup:
    """Return the histogram of a rule; `labelled_by` is the id of its heading."""
    bins = figure.bins
    across = _across(figure)
    base = _TOP + _HEIGHT

    def at(value: float) -> float:
        return _LEFT + across.share(value) * (WIDTH - _LEFT - _RIGHT)

    most = max((bar.holding + bar.breaking for bar in bins), default=0) or 1
    body: list[Markup] = []
    for limit in figure.rule.limits.values():
        left, right = sorted((at(limit * (1 - CHANGE)), at(limit * (1 + CHANGE))))
        body.append(svg.box("around", left, _TOP, right - left, _HEIGHT))
    for bar in bins:
        left, right = at(bar.low), at(bar.high)
        y = base
        for kind, count in (("holding", bar.holding), ("breaking", bar.breaking)):
            if not count:
                continue
            height = max(count / most * (_HEIGHT - 4), 0.8)
            y -= height
            said = f"{numbers.figure(bar.low)} – {numbers.figure(bar.high)}: {count:,}"
            body.append(svg.box(kind, left + 0.5, y, max(right - left - 1, 0.5), height, said))
    body.append(svg.level("base", _LEFT, WIDTH - _RIGHT, base))
    if bins:
        body += _labels(across, at, base, logarithmic=figure.logarithmic)
    body += _thresholds(figure, at, base)
    return svg.chart(WIDTH, base + _BOTTOM, labelled_by, body)


def _across(figure: RuleFigure) -> axes.Scale:
    low, high = (figure.bins[0].low, figure.bins[-1].high) if figure.bins else (0.0, 1.0)
    return axes.logarithmic(low, high, 5) if figure.logarithmic else axes.even(low, high, 5, exact=True)


def _labels(across: axes.Scale, at: Place, base: float, *, logarithmic: bool) -> list[Markup]:
    found = []
    for mark in across.marks:
        x = at(mark)
        anchor = "start" if x < _LEFT + 14 else "end" if x > WIDTH - _RIGHT - 14 else "middle"
        # On a logarithmic axis a number's own size says how many decimals it needs.
        label = tick_label(mark, abs(mark) if logarithmic else across.high - across.low)
        found.append(svg.text("tick", x, base + 17, label, anchor))
    return found


def _thresholds(figure: RuleFigure, at: Place, base: float) -> list[Markup]:
    found = []
    for name, limit in figure.rule.limits.items():
        x = at(limit)
        # What stays lies to the right of a lower limit, to the left of an upper one.
        sign = {"min": "≥", "above": ">", "max": "≤", "below": "<"}[name]
        anchor, aside = ("start", -3) if x < WIDTH / 2 else ("end", 3)
        found.append(svg.upright("threshold", x, _TOP - 4, base))
        found.append(svg.text("limit", x + aside, _TOP - 8, f"{sign} {numbers.figure(limit)}", anchor))
    return found
