"""Line charts as SVG: panels one below the other over one shared x axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from watari.pages import svg
from watari.pages.axes import Scale, even, logarithmic
from watari.pages.numbers import tick_label
from watari.pages.visible import fitted

_LEFT, _RIGHT, _TOP, _GAP, _BOTTOM = 50.0, 14.0, 10.0, 22.0, 34.0
_SHORTEST = 6
"""Letters of a stretch's name at least, or its number must do."""
WIDTH = 560.0
NEUTRAL = -1
"""The colour of what belongs to no variant in particular."""


@dataclass(frozen=True)
class Line:
    """One line of a panel.

    Args:
        points: (x, y), x ascending.
        colour: The index of its colour and dash, or `NEUTRAL`.
        style: "raw" (faint), "smooth" (bold), "thin", "level" (dashed, to compare with), or "dots".
    """

    points: Sequence[tuple[float, float]]
    colour: int
    style: str = "smooth"


@dataclass(frozen=True)
class Mark:
    """A step that went wrong.

    Args:
        x: Where it stands.
        y: Its value, or None if it is no number; a value above the axis stands at the axis's end.
        skipped: True if the step was left out of the training.
        colour: As for a line.
    """

    x: float
    y: float | None
    skipped: bool
    colour: int


@dataclass(frozen=True)
class Panel:
    """One plot area.

    Args:
        title: What the y axis shows, as markup (both languages).
        lines: Its lines; they alone give the axis its ends.
        marks: Steps to point out.
        height: Of the plot area, in user units.
        floor: A value that the y axis must reach down to, e.g. 0.
        ticks: About how many y ticks.
        log: True for a logarithmic axis; values at or below 0 then stand at its lower end.
        least: The lower end of a logarithmic axis if values lie below it.
    """

    title: Markup
    lines: list[Line] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    height: float = 220.0
    floor: float | None = None
    ticks: int = 5
    log: bool = False
    least: float = 0.0

    def scale(self) -> Scale:
        """Return its y axis."""
        ys = [y for line in self.lines for _, y in line.points]
        if self.log:
            above = [y for y in ys if y > 0 and y >= self.least] or [1.0]
            return logarithmic(min(above), max(above), self.ticks)
        ys += [] if self.floor is None else [self.floor]
        low, high = (min(ys), max(ys)) if ys else (0.0, 1.0)
        return even(low, high, self.ticks, floored=self.floor is not None)


@dataclass(frozen=True)
class Band:
    """A stretch of the x axis with a name: its number, and what else is written where there is room."""

    low: float
    high: float
    number: int
    name: str


@dataclass(frozen=True)
class Axis:
    """An x axis that is not one even scale: its ends, its labels, and the stretches that it is made of."""

    low: float
    high: float
    labels: Sequence[tuple[float, str]]
    bands: Sequence[Band]


def chart_svg(
    panels: Sequence[Panel],
    *,
    x_title: Markup,
    labelled_by: str,
    name: str,
    width: float = WIDTH,
    axis: Axis | None = None,
) -> Markup:
    """Return the chart as inline SVG; `name` ties it to its data block for the hover read-out.

    Args:
        panels: From the top down.
        x_title: Of the x axis.
        labelled_by: The id of its heading.
        name: Of its data.
        width: In user units.
        axis: The x axis, if it is no even one over the points.
    """
    axis = axis or _even_axis(panels)
    low, high = axis.low, axis.high
    plot = width - _LEFT - _RIGHT

    def at_x(x: float) -> float:
        return _LEFT + (x - low) / (high - low) * plot

    top = _TOP + (33 if axis.bands else 0)
    y = top
    body: list[Markup] = []
    for panel in panels:
        y += 16
        body.append(_panel(panel, y, at_x, width - _RIGHT))
        y += panel.height + _GAP
    bottom = y - _GAP
    body += _labels(axis, at_x, bottom + 16, width)
    body.append(svg.text("axis", width - _RIGHT, bottom + 31 + (4 if axis.bands else 0), x_title, "end"))
    body[:0] = _bands(axis, at_x, top - 26, bottom)
    height = bottom + _BOTTOM + (4 if axis.bands else 0)
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{by}" tabindex="0" '
        'data-chart="{name}" data-low="{low}" data-high="{high}" data-left="{left}" data-right="{right}">'
        '{body}<line class="cursor" x1="0" x2="0" y1="{top}" y2="{bottom}" visibility="hidden"/></svg>'
    ).format(
        w=svg.number(width),
        h=svg.number(height),
        by=labelled_by,
        name=name,
        low=repr(float(low)),
        high=repr(float(high)),
        left=svg.number(_LEFT),
        right=svg.number(width - _RIGHT),
        body=Markup("").join(body),
        top=svg.number(top + 16),
        bottom=svg.number(bottom),
    )


def _even_axis(panels: Sequence[Panel]) -> Axis:
    xs = [x for panel in panels for line in panel.lines for x, _ in line.points]
    xs += [mark.x for panel in panels for mark in panel.marks]
    scale = even(*((min(xs), max(xs)) if xs else (0.0, 1.0)), 5, exact=True)
    labels = [(mark, tick_label(mark, scale.high - scale.low)) for mark in scale.marks]
    return Axis(scale.low, scale.high, labels, ())


def _labels(axis: Axis, at_x: Callable[[float], float], y: float, width: float) -> list[Markup]:
    """Write the x axis's labels; where stretches leave no room for all, the last one stays and the others give way."""
    body = []
    taken, end = 0.0, width
    if axis.bands:
        *others, (x, label) = axis.labels
        end = at_x(x) + 4 - 9.2 * len(label)
        body.append(svg.text("tick", at_x(x) + 4, y, label, "end"))
    else:
        others = list(axis.labels)
    for x, label in others:
        at, half = at_x(x), 4.6 * len(label) if axis.bands else 0.0
        if half and (at - half < taken or at + half + 6 > end):
            continue
        taken = at + half + 6
        body.append(svg.text("tick", at, y, label, "middle"))
    return body


def _bands(axis: Axis, at_x: Callable[[float], float], top: float, bottom: float) -> list[Markup]:
    """Draw every second stretch's ground, the border between two, and their names."""
    body = []
    for place, band in enumerate(axis.bands):
        left, right = at_x(band.low), at_x(band.high)
        if place % 2:
            body.append(svg.box("band", left, top, right - left, bottom - top))
        if place:
            body.append(svg.upright("border", left, top, bottom))
        # Narrow drawings have letters of 16 units, wide ones of 11.5: about 0.55 of it for each.
        em = 8.8 if at_x(axis.high) < 700 else 6.8
        room = int((right - left - 8) / em) - len(f"{band.number} ")
        name = fitted(band.name, room)
        said = f"{band.number} {name}" if name == band.name or room >= _SHORTEST else str(band.number)
        body.append(svg.text("band-name", left + 5, top + 17, said))
    return body


def _panel(panel: Panel, top: float, at_x: Callable[[float], float], right: float) -> Markup:
    scale = panel.scale()

    def at_y(y: float) -> float:
        return top + panel.height - scale.share(y) * panel.height

    parts = [svg.text("axis", _LEFT, top - 6, panel.title)]
    for mark in scale.marks:
        # On a logarithmic axis a number's own size says how many decimals it needs.
        label = tick_label(mark, abs(mark) if panel.log else scale.high - scale.low)
        parts.append(svg.level("grid", _LEFT, right, at_y(mark)))
        parts.append(svg.text("tick", _LEFT - 7, at_y(mark) + 4, label, "end"))
    for line in panel.lines:
        if line.style == "dots" or len(line.points) == 1:
            parts += [
                Markup('<circle class="dot {}" cx="{}" cy="{}" r="3"/>').format(
                    _colour(line.colour), svg.number(at_x(x)), svg.number(at_y(y))
                )
                for x, y in line.points
            ]
            continue
        path = svg.path((at_x(x), at_y(y)) for x, y in line.points)
        parts.append(Markup('<path class="{} {}" d="{}"/>').format(line.style, _colour(line.colour), path))
    for spot in panel.marks:
        x, y = at_x(spot.x), at_y(scale.high if spot.y is None else spot.y)
        shape = (
            f"M{svg.number(x - 4)} {svg.number(y - 4)}l8 8m0 -8l-8 8"
            if spot.skipped
            else f"M{svg.number(x)} {svg.number(y - 5)}l5 9h-10z"
        )
        kind = "skipped" if spot.skipped else "spike"
        parts.append(Markup('<path class="mark {} {}" d="{}"/>').format(kind, _colour(spot.colour), shape))
    return Markup("").join(parts)


def _colour(index: int) -> str:
    return "cn" if index == NEUTRAL else f"c{index % 8}"
