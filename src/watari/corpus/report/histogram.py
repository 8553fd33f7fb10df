"""A rule's values as inline SVG: stacked bars, and its thresholds with the band of ±10 % around them."""

from __future__ import annotations

import math
from collections.abc import Callable

from markupsafe import Markup

from watari.corpus.report import numbers
from watari.corpus.report.rules import CHANGE, RuleFigure

WIDTH = 480.0
_LEFT, _RIGHT, _TOP, _HEIGHT, _BOTTOM = 8.0, 8.0, 22.0, 104.0, 24.0

Place = Callable[[float], float]


def histogram_svg(figure: RuleFigure, *, labelled_by: str) -> Markup:
    """Return the histogram of a rule; `labelled_by` is the id of its heading."""
    bins = figure.bins
    at = _across(figure)
    most = max((bar.holding + bar.breaking for bar in bins), default=0) or 1
    body: list[Markup] = []
    base = _TOP + _HEIGHT
    for limit in figure.rule.limits.values():
        left, right = sorted((at(limit * (1 - CHANGE)), at(limit * (1 + CHANGE))))
        body.append(
            Markup('<rect class="around" x="{}" y="{}" width="{}" height="{}"/>').format(
                _n(left), _n(_TOP), _n(right - left), _n(_HEIGHT)
            )
        )
    for bar in bins:
        left, right = at(bar.low), at(bar.high)
        y = base
        for kind, count in (("holding", bar.holding), ("breaking", bar.breaking)):
            if not count:
                continue
            height = max(count / most * (_HEIGHT - 4), 0.8)
            y -= height
            body.append(
                Markup(
                    '<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
                ).format(
                    kind,
                    _n(left + 0.5),
                    _n(y),
                    _n(max(right - left - 1, 0.5)),
                    _n(height),
                    f"{numbers.figure(bar.low)} – {numbers.figure(bar.high)}: {count:,}",
                )
            )
    body.append(
        Markup('<line class="base" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            _n(_LEFT), _n(WIDTH - _RIGHT), _n(base), _n(base)
        )
    )
    body += _labels(figure, at, base)
    body += _thresholds(figure, at, base)
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="{}">{}</svg>').format(
        _n(WIDTH), _n(base + _BOTTOM), labelled_by, Markup("").join(body)
    )


def _across(figure: RuleFigure) -> Place:
    bins = figure.bins
    low, high = (bins[0].low, bins[-1].high) if bins else (0.0, 1.0)
    width = WIDTH - _LEFT - _RIGHT

    def at(value: float) -> float:
        value = min(max(value, low), high)
        if figure.logarithmic:
            return _LEFT + math.log(value / low) / math.log(high / low) * width
        return _LEFT + (value - low) / (high - low) * width

    return at


def _labels(figure: RuleFigure, at: Place, base: float) -> list[Markup]:
    if not figure.bins:
        return []
    low, high = figure.bins[0].low, figure.bins[-1].high
    marks = numbers.decades(low, high) if figure.logarithmic else numbers.ticks(low, high, 5)
    found = []
    for mark in marks:
        x = at(mark)
        anchor = "start" if x < _LEFT + 14 else "end" if x > WIDTH - _RIGHT - 14 else "middle"
        label = numbers.short(mark) if abs(mark) >= 1000 else numbers.figure(mark)
        found.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(
                _n(x), _n(base + 17), anchor, label
            )
        )
    return found


def _thresholds(figure: RuleFigure, at: Place, base: float) -> list[Markup]:
    found = []
    for name, limit in figure.rule.limits.items():
        x = at(limit)
        # What stays lies to the right of a lower limit, to the left of an upper one.
        sign = {"min": "≥", "above": ">", "max": "≤", "below": "<"}[name]
        anchor = "start" if x < WIDTH / 2 else "end"
        found.append(
            Markup(
                '<line class="threshold" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>'
                '<text class="limit" x="{3}" y="{4}" text-anchor="{5}">{6}</text>'
            ).format(
                _n(x),
                _n(_TOP - 4),
                _n(base),
                _n(x + (-3 if anchor == "start" else 3)),
                _n(_TOP - 8),
                anchor,
                f"{sign} {numbers.figure(limit)}",
            )
        )
    return found


def _n(value: float) -> str:
    return f"{round(value, 1):g}"
