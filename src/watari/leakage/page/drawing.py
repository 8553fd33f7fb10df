"""Curves of leakage as SVG: a line a series, an interval at each point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from watari.leakage.curves import Curve
from watari.leakage.tally import Count, Figure
from watari.pages.axes import even
from watari.pages.labels import both_svg
from watari.pages.numbers import tick_label
from watari.pages.svg import chart, level, number, path, text, upright
from watari.pages.visible import columns, fitted, visible

WIDTH, HEIGHT = 560.0, 330.0
COLOURS = 8
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 16.0, 12.0, 44.0
_APART = 5.0


@dataclass(frozen=True)
class Measure:
    """Which figure is drawn: `rate` or `share`."""

    name: str
    per_cent: bool

    def of(self, count: Count) -> Figure:
        """Return the figure of a count."""
        return count.share if self.per_cent else count.rate

    def written(self, value: float) -> str:
        """Return a value as text."""
        return f"{100 * value:.1f}%" if self.per_cent else f"{value:.3f}"

    def told(self, figure: Figure) -> str:
        """Return a figure in a line."""
        said = self.written(figure.value)
        if figure.low is None or figure.high is None:
            return said
        return f"{said} [{self.written(figure.low)}, {self.written(figure.high)}]"


MEASURES = (Measure("rate", False), Measure("share", True))


def curve_chart(curves: Sequence[Curve], measure: Measure, id: str) -> Markup:
    """Return the curves by one column in one drawing.

    Args:
        curves: Of the same column; numbers stand at their place, other values side by side.
        measure: What is drawn.
        id: Of the heading.
    """
    values = list(dict.fromkeys(value for curve in curves for value in curve.values))
    numeric = all(curve.numeric for curve in curves)
    if numeric:
        values.sort(key=float)
    figures = [measure.of(count) for curve in curves for count in curve.counts]
    highest = max((figure.high or figure.value for figure in figures), default=0.0)
    axis = even(0.0, highest or 1.0, 5, floored=True)
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    places = [float(value) for value in values] if numeric else [float(at) for at in range(len(values))]
    first, last = min(places, default=0.0), max(places, default=1.0)
    edge = 24.0 if numeric else (right - _LEFT) / max(2, 2 * len(values))
    spread = (last - first) or 1.0

    def across(value: object) -> float:
        place = places[values.index(value)]  # type: ignore[arg-type]
        share = (place - first) / spread if last > first else 0.5
        return _LEFT + edge + (right - _LEFT - 2 * edge) * share

    def down(value: float) -> float:
        return bottom - (bottom - _TOP) * axis.share(value)

    body: list[Markup] = []
    for mark in axis.marks:
        body.append(level("grid", _LEFT, right, down(mark)))
        said = f"{100 * mark:g}%" if measure.per_cent else tick_label(mark, axis.high - axis.low)
        body.append(text("tick", _LEFT - 8, down(mark) + 4, said, "end"))
    for value in values:
        shown = _ending(visible(str(value), lines=False), int((right - _LEFT) / len(values) / 6.6))
        body.append(text("tick", across(value), bottom + 18, shown, "middle"))
    name = visible(curves[0].column, lines=False)
    body.append(text("name", (_LEFT + right) / 2, HEIGHT - 6, both_svg(name, name), "middle"))
    for order, curve in enumerate(curves):
        aside = _APART * (order - (len(curves) - 1) / 2)
        points = []
        for value, count in zip(curve.values, curve.counts, strict=True):
            figure = measure.of(count)
            x = across(value) + aside
            points.append((x, down(figure.value)))
            if figure.low is not None and figure.high is not None:
                body.append(upright(f"whisker c{order % COLOURS}", x, down(figure.high), down(figure.low)))
        if numeric and len(points) > 1:
            body.append(Markup('<path class="line c{}" d="{}"/>').format(order % COLOURS, path(points)))
        for (x, y), count in zip(points, curve.counts, strict=True):
            body.append(
                Markup('<circle class="dot c{}" cx="{}" cy="{}" r="4"><title>{}</title></circle>').format(
                    order % COLOURS,
                    number(x),
                    number(y),
                    f"{_named(curve)}: {measure.told(measure.of(count))}",
                )
            )
    return chart(WIDTH, HEIGHT, id, body)


def _ending(said: str, width: int) -> str:
    """Return a name cut at its beginning: what tells models apart mostly stands behind."""
    return said if columns(said) <= width else fitted(said[::-1], max(width, 4))[::-1]


def _named(curve: Curve) -> str:
    return visible(", ".join(str(value) for value in curve.series.values()) or "all", lines=False)
