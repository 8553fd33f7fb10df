"""Lines over the number of new pieces as inline SVG: a logarithmic axis with a place for 0 before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from watari.pages import axes, svg
from watari.pages.numbers import tick_label

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
    xs = [x for points in drawn for x, _ in points]
    from_zero = any(x <= 0 for x in xs)
    across = axes.logarithmic(*_ends([x for x in xs if x > 0], 1.0, 10.0), 10)
    up = _up([y for points in drawn for _, y in points], logarithmic)
    start, end = _LEFT + (_ZERO if from_zero else 6), WIDTH - _RIGHT - 4
    bottom = _TOP + _HEIGHT

    def at_x(x: float) -> float:
        return _LEFT + 6 if x <= 0 else start + across.share(x) * (end - start)

    def at_y(y: float) -> float:
        return bottom - up.share(y) * _HEIGHT

    body: list[Markup] = []
    for mark in up.marks:
        # On a logarithmic axis a number's own size says how many decimals it needs.
        label = tick_label(mark, abs(mark) if logarithmic else up.high - up.low)
        body.append(svg.level("grid", _LEFT, WIDTH - _RIGHT, at_y(mark)))
        body.append(svg.text("tick", _LEFT - 7, at_y(mark) + 4, label, "end"))
    for x in ([0.0] if from_zero else []) + across.marks:
        body.append(svg.text("tick", at_x(x), bottom + 19, tick_label(x, across.high), "middle"))
    body.append(svg.text("axis", WIDTH - _RIGHT, bottom + 39, x_title, "end"))
    body += [_line(line, points, at_x, at_y) for line, points in zip(lines, drawn, strict=True)]
    return svg.chart(WIDTH, bottom + _BOTTOM, labelled_by, body)


def _ends(values: Sequence[float], low: float, high: float) -> tuple[float, float]:
    """Return the least and the greatest value, or what stands for them where there is none."""
    return (min(values), max(values)) if values else (low, high)


def _up(values: Sequence[float], logarithmic: bool) -> axes.Scale:
    if logarithmic:
        low, high = _ends(values, 1.0, 10.0)
        return axes.logarithmic(low / 1.1, high * 1.1, 8)
    return axes.even(*_ends(values, 0.0, 1.0), 5)


def _line(line: Line, points: Sequence[tuple[float, float]], at_x: Place, at_y: Place) -> Markup:
    parts = []
    colour = line.colour % 8
    placed = [(at_x(x), at_y(y)) for x, y in points]
    path = placed
    if points and points[0][0] <= 0 < len(points) - 1:
        parts.append(Markup('<path class="from-zero c{}" d="{}"/>').format(colour, svg.path(placed[:2])))
        path = placed[1:]
    if len(path) > 1:
        parts.append(Markup('<path class="line c{}" d="{}"/>').format(colour, svg.path(path)))
    if line.marked or len(points) == 1:
        for (x, y), (px, py) in zip(points, placed, strict=True):
            parts.append(
                Markup('<circle class="dot c{}" cx="{}" cy="{}" r="3.4"><title>{}</title></circle>').format(
                    colour, svg.number(px), svg.number(py), f"{line.name} +{x:,.0f}: {y:,.4g}".strip()
                )
            )
    return Markup("").join(parts)
