"""Lines over the number of new pieces as inline SVG: a logarithmic axis with a place for 0 before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup

WIDTH = 560.0
_LEFT, _RIGHT, _TOP, _BOTTOM, _HEIGHT = 52.0, 16.0, 10.0, 46.0, 270.0
_ZERO = 46.0
"""Room between the place of 0 and the first size of the logarithmic axis."""

Place = Callable[[float], float]


@dataclass(frozen=True)
class Line:
    """One line.

    Args:
        points: (pieces, value), ascending; a first point at 0 pieces is joined by dots.
        colour: The index of its colour.
        marked: Put a dot at every point, with its value as a tooltip.
        name: Whose line it is, for the tooltips.
    """

    points: Sequence[tuple[float, float]]
    colour: int
    marked: bool = False
    name: str = ""


def chart_svg(
    lines: Sequence[Line], *, x_title: Markup, labelled_by: str, logarithmic: bool = False
) -> Markup:
    """Return lines over an axis of numbers of pieces.

    Args:
        lines: What to draw.
        x_title: Under the axis, as markup.
        labelled_by: The id of the heading that says what the y axis shows.
        logarithmic: Whether the y axis is, too; values that are not positive are left out then.
    """
    drawn = [[(x, y) for x, y in line.points if y > 0 or not logarithmic] for line in lines]
    xs = [x for points in drawn for x, _ in points if x > 0]
    values = [y for points in drawn for _, y in points]
    low, high = (min(xs), max(xs)) if xs else (1.0, 10.0)
    at_x = _across(low, high, any(x <= 0 for points in drawn for x, _ in points))
    at_y, marks = (_log_scale if logarithmic else _linear_scale)(values)
    body: list[Markup] = []
    for mark in marks:
        body.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                _n(_LEFT), _n(WIDTH - _RIGHT), _n(at_y(mark)), _n(at_y(mark))
            )
        )
        body.append(_text("tick", _LEFT - 7, at_y(mark) + 4, "end", _short(mark)))
    bottom = _TOP + _HEIGHT
    for x, label in _sizes(low, high):
        if x > 0 or any(px <= 0 for points in drawn for px, _ in points):
            body.append(_text("tick", at_x(x), bottom + 19, "middle", label))
    body.append(_text("axis", WIDTH - _RIGHT, bottom + 39, "end", x_title))
    body += [_line(line, points, at_x, at_y) for line, points in zip(lines, drawn, strict=True)]
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="{}">{}</svg>').format(
        _n(WIDTH), _n(bottom + _BOTTOM), labelled_by, Markup("").join(body)
    )


def _across(low: float, high: float, zero: bool) -> Place:
    start, end = _LEFT + (_ZERO if zero else 6), WIDTH - _RIGHT - 4
    span = log10(high / low) or 1.0

    def at(x: float) -> float:
        return _LEFT + 6 if x <= 0 else start + log10(x / low) / span * (end - start)

    return at


def _sizes(low: float, high: float) -> list[tuple[float, str]]:
    """Return the labelled places: 0, and the powers of ten with as many steps between as there is room for."""
    steps = (1, 2, 5) if high / low < 3000 else (1,)
    found = [
        m * 10.0**power
        for power in range(floor(log10(low)), ceil(log10(high)) + 1)
        for m in steps
        if low * 0.999 <= m * 10.0**power <= high * 1.001
    ]
    return [(0.0, "0"), *((x, _short(x)) for x in found)]


def _line(line: Line, points: Sequence[tuple[float, float]], at_x: Place, at_y: Place) -> Markup:
    parts = []
    placed = [(at_x(x), at_y(y)) for x, y in points]
    if points and points[0][0] <= 0 < len(points) - 1:
        (x1, y1), (x2, y2) = placed[:2]
        parts.append(
            Markup('<path class="from-zero c{}" d="M{} {}L{} {}"/>').format(
                line.colour % 8, _n(x1), _n(y1), _n(x2), _n(y2)
            )
        )
        path = placed[1:]
    else:
        path = placed
    if len(path) > 1:
        d = "".join(f"{'L' if place else 'M'}{_n(x)} {_n(y)}" for place, (x, y) in enumerate(path))
        parts.append(Markup('<path class="line c{}" d="{}"/>').format(line.colour % 8, d))
    if line.marked or len(points) == 1:
        for (x, y), (px, py) in zip(points, placed, strict=True):
            parts.append(
                Markup('<circle class="dot c{}" cx="{}" cy="{}" r="3.4"><title>{}</title></circle>').format(
                    line.colour % 8, _n(px), _n(py), f"{line.name} +{x:,.0f}: {y:,.4g}".strip()
                )
            )
    return Markup("").join(parts)


def _linear_scale(values: Sequence[float]) -> tuple[Place, list[float]]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 5
    power = 10.0 ** floor(log10(rough))
    step = next((m * power for m in (1, 2, 2.5, 5) if m * power >= rough * 0.999), 10 * power)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    marks = [round(place * step, 12) for place in range(first, last + 1)]

    def at(y: float) -> float:
        return _TOP + _HEIGHT - (y - marks[0]) / (marks[-1] - marks[0]) * _HEIGHT

    return at, marks


def _log_scale(values: Sequence[float]) -> tuple[Place, list[float]]:
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    low, high = low / 1.1, high * 1.1
    steps = (1, 2, 5) if high / low < 2000 else (1,)
    marks = [
        m * 10.0**power
        for power in range(floor(log10(low)), ceil(log10(high)) + 1)
        for m in steps
        if low <= m * 10.0**power <= high
    ]

    def at(y: float) -> float:
        return _TOP + _HEIGHT - log10(y / low) / log10(high / low) * _HEIGHT

    return at, marks


def _text(kind: str, x: float, y: float, anchor: str, label: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        kind, _n(x), _n(y), anchor, label
    )


def _short(value: float) -> str:
    """Return 20k for 20,000 and 0.5 for 0.5."""
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{round(value / unit, 3):g}{letter}"
    return f"{round(value, 6):g}"


def _n(value: float) -> str:
    return f"{round(value, 1):g}"
