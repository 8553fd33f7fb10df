"""Leakage against quality as SVG: a point a setting, its intervals, the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from watari.leakage.sweep.page.words import LABELS
from watari.pages.axes import even
from watari.pages.numbers import tick_label
from watari.pages.svg import chart, level, number, path, text, upright
from watari.pages.visible import visible

WIDTH, HEIGHT = 900.0, 430.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 18.0, 34.0, 50.0
_BARS = 16
"""Settings up to which all have bars; above it only those on the front, the recommended one and the default."""


def front_chart(
    cells: Sequence[Mapping[str, Any]], quality: str, best: str, default: str | None, id: str
) -> Markup:
    """Return the drawing.

    Args:
        cells: Those of `sweep.json` that have both figures.
        quality: `sound` or `judge`.
        best, default: Names of cells.
        id: Of the heading.
    """
    scale = 1.0 if quality == "judge" else 100.0
    points = [(100 * _value(cell, "leaking"), scale * _value(cell, quality)) for cell in cells]
    shown = [len(cells) <= _BARS or cell["on_front"] or cell["name"] in (best, default) for cell in cells]
    ends = [(_ends(cell, "leaking", 100.0), _ends(cell, quality, scale)) for cell in cells]
    wide = [
        x
        for (x, _), (own, _), bars in zip(points, ends, shown, strict=True)
        for x in (x, *(own if bars else ()))
    ]
    tall = [
        y
        for (_, y), (_, own), bars in zip(points, ends, shown, strict=True)
        for y in (y, *(own if bars else ()))
    ]
    across, up = even(0.0, max(wide) or 1.0, 6, floored=True), even(min(tall), max(tall), 5)
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM

    def x(value: float) -> float:
        return _LEFT + (right - _LEFT) * across.share(value)

    def y(value: float) -> float:
        return bottom - (bottom - _TOP) * up.share(value)

    body: list[Markup] = []
    for mark in up.marks:
        body += [
            level("grid", _LEFT, right, y(mark)),
            text("tick", _LEFT - 8, y(mark) + 4, tick_label(mark, up.high - up.low), "end"),
        ]
    for mark in across.marks:
        body += [
            upright("grid", x(mark), _TOP, bottom),
            text("tick", x(mark), bottom + 18, tick_label(mark, across.high - across.low), "middle"),
        ]
    body.append(
        text(
            "axis",
            (_LEFT + right) / 2,
            HEIGHT - 8,
            Markup("{} (%)").format(LABELS.t_svg("leaking")),
            "middle",
        )
    )
    unit = "" if quality == "judge" else " (%)"
    body.append(text("axis", 8, 16, Markup("{}{}").format(LABELS.t_svg(quality), unit)))
    line = sorted(point for point, cell in zip(points, cells, strict=True) if cell["on_front"])
    body.append(Markup('<path class="front" d="{}"/>').format(path((x(a), y(b)) for a, b in line)))
    for cell, (a, b), (level_ends, upright_ends), bars in zip(cells, points, ends, shown, strict=True):
        if bars and level_ends:
            body.append(level("bar", x(level_ends[0]), x(level_ends[1]), y(b)))
        if bars and upright_ends:
            body.append(upright("bar", x(a), y(upright_ends[1]), y(upright_ends[0])))
        body.append(_point(cell, x(a), y(b), best, default))
    return chart(WIDTH, HEIGHT, id, body)


def _point(cell: Mapping[str, Any], a: float, b: float, best: str, default: str | None) -> Markup:
    kind = "point on" if cell["on_front"] else "point"
    title = Markup("<title>{}</title>").format(visible(cell["name"], lines=False))
    if cell["name"] == default:
        corners = ((a, b - 6), (a + 6, b), (a, b + 6), (a - 6, b))
        shape = Markup('<path class="{}" d="{}Z">{}</path>').format(kind, path(corners), title)
    else:
        shape = Markup('<circle class="{}" cx="{}" cy="{}" r="4.5">{}</circle>').format(
            kind, number(a), number(b), title
        )
    if cell["name"] == best:
        shape += Markup('<circle class="ring" cx="{}" cy="{}" r="10"/>').format(number(a), number(b))
    return shape


def _value(cell: Mapping[str, Any], name: str) -> float:
    return float(cell["figures"][name]["value"])


def _ends(cell: Mapping[str, Any], name: str, scale: float) -> tuple[float, ...]:
    figure = cell["figures"][name]
    if figure["low"] is None or figure["high"] is None:
        return ()
    return scale * figure["low"], scale * figure["high"]
