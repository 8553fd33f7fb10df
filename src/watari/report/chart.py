"""Line charts as SVG: panels one below the other over one shared x axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, floor, isfinite, log10

from markupsafe import Markup

_LEFT, _RIGHT, _TOP, _GAP, _BOTTOM = 50.0, 14.0, 10.0, 22.0, 34.0
WIDTH = 560.0


@dataclass(frozen=True)
class Line:
    """One line of a panel.

    Args:
        points: (x, y), x ascending.
        colour: The index of its colour and dash.
        style: "raw" (faint), "smooth" (bold), "thin", or "dots".
    """

    points: Sequence[tuple[float, float]]
    colour: int
    style: str = "smooth"


@dataclass(frozen=True)
class Panel:
    """One plot area.

    Args:
        title: What the y axis shows, as markup (both languages).
        lines: Its lines.
        height: Of the plot area, in user units.
        floor: A value that the y axis must reach down to, e.g. 0.
        ticks: About how many y ticks.
    """

    title: Markup
    lines: list[Line] = field(default_factory=list)
    height: float = 220.0
    floor: float | None = None
    ticks: int = 5


def chart_svg(panels: Sequence[Panel], *, x_title: Markup, labelled_by: str, name: str) -> Markup:
    """Return the chart as inline SVG; `name` ties it to its data block for the hover read-out."""
    xs = [x for panel in panels for line in panel.lines for x, _ in line.points]
    low, high = (min(xs), max(xs)) if xs else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    plot = WIDTH - _LEFT - _RIGHT

    def at_x(x: float) -> float:
        return _LEFT + (x - low) / (high - low) * plot

    y = _TOP
    body: list[Markup] = []
    for panel in panels:
        y += 16
        body.append(_panel(panel, y, at_x))
        y += panel.height + _GAP
    bottom = y - _GAP
    for tick in ticks(low, high, 5):
        if low <= tick <= high:
            body.append(
                Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                    _n(at_x(tick)), _n(bottom + 16), short(tick, high - low)
                )
            )
    body.append(
        Markup('<text class="axis" x="{}" y="{}" text-anchor="end">{}</text>').format(
            _n(WIDTH - _RIGHT), _n(bottom + 31), x_title
        )
    )
    height = bottom + _BOTTOM
    top = _TOP + 16
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{by}" tabindex="0" '
        'data-chart="{name}" data-low="{low}" data-high="{high}" data-left="{left}" data-right="{right}">'
        '{body}<line class="cursor" x1="0" x2="0" y1="{top}" y2="{bottom}" visibility="hidden"/></svg>'
    ).format(
        w=_n(WIDTH),
        h=_n(height),
        by=labelled_by,
        name=name,
        low=repr(float(low)),
        high=repr(float(high)),
        left=_n(_LEFT),
        right=_n(WIDTH - _RIGHT),
        body=Markup("").join(body),
        top=_n(top),
        bottom=_n(bottom),
    )


def _panel(panel: Panel, top: float, at_x: object) -> Markup:
    assert callable(at_x)
    ys = [y for line in panel.lines for _, y in line.points]
    ys += [] if panel.floor is None else [panel.floor]
    low, high = (min(ys), max(ys)) if ys else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    marks = ticks(low, high, panel.ticks)
    low, high = min(low, marks[0]) if panel.floor is None else low, max(high, marks[-1])

    def at_y(y: float) -> float:
        return top + panel.height - (y - low) / (high - low) * panel.height

    parts = [Markup('<text class="axis" x="{}" y="{}">{}</text>').format(_n(_LEFT), _n(top - 6), panel.title)]
    for mark in marks:
        if low <= mark <= high:
            parts.append(
                Markup(
                    '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>'
                    '<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>'
                ).format(
                    _n(_LEFT),
                    _n(WIDTH - _RIGHT),
                    _n(at_y(mark)),
                    _n(at_y(mark)),
                    _n(_LEFT - 7),
                    _n(at_y(mark) + 4),
                    short(mark, high - low),
                )
            )
    for line in panel.lines:
        if line.style == "dots" or len(line.points) == 1:
            parts += [
                Markup('<circle class="dot c{}" cx="{}" cy="{}" r="3"/>').format(
                    line.colour % 8, _n(at_x(x)), _n(at_y(y))
                )
                for x, y in line.points
            ]
            continue
        path = "".join(
            f"{'L' if place else 'M'}{_n(at_x(x))} {_n(at_y(y))}" for place, (x, y) in enumerate(line.points)
        )
        parts.append(Markup('<path class="{} c{}" d="{}"/>').format(line.style, line.colour % 8, path))
    return Markup("").join(parts)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return round numbers (1, 2, 2.5 or 5 times a power of ten) from at or below `low` to at or above `high`.

    Raises:
        ValueError: if an end is not finite.
    """
    if not (isfinite(low) and isfinite(high)):
        raise ValueError(f"no axis from {low} to {high}")
    span = (high - low) or abs(high) or 1.0
    rough = span / max(1, count)
    power = 10.0 ** floor(log10(rough))
    step = next((m * power for m in (1, 2, 2.5, 5) if m * power >= rough * 0.999), 10 * power)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def short(value: float, span: float) -> str:
    """Return a tick's label: 1.5M, 20k, 0.25, 2e-5; decimals as the axis's span needs."""
    size = abs(value)
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        # Steps of a short training stay as they are: 1200, not 1.2k.
        if size >= unit and (letter != "k" or span >= 1e4):
            return f"{round(value / unit, 3):g}{letter}"
    if size and size < 1e-3:
        return f"{value:.2g}".replace("e-0", "e-")
    decimals = max(0, min(6, 2 - floor(log10(span)))) if span > 0 else 0
    return f"{round(value, decimals):g}"


def smoothed(values: Sequence[float]) -> list[float]:
    """Return the centred moving average over about a twentieth of the line; it does not lag behind as an EMA does.

    Towards an end the window shrinks on both sides alike.
    """
    half = len(values) // 40
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    found = []
    for place in range(len(values)):
        reach = min(half, place, len(values) - 1 - place)
        found.append((sums[place + reach + 1] - sums[place - reach]) / (2 * reach + 1))
    return found


def strided(count: int, most: int) -> list[int]:
    """Return at most `most` evenly spaced positions of `count`, both ends among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(place * (count - 1) / (most - 1)) for place in range(most)})


def thinned(values: Sequence[float], most: int) -> list[int]:
    """Return at most about `most` positions that keep the line's shape: each bucket's least and greatest, both ends."""
    if len(values) <= most:
        return list(range(len(values)))
    buckets = max(1, most // 2)
    kept = {0, len(values) - 1}
    for bucket in range(buckets):
        span = range(bucket * len(values) // buckets, (bucket + 1) * len(values) // buckets)
        kept.add(min(span, key=lambda place: (values[place], place)))
        kept.add(max(span, key=lambda place: (values[place], -place)))
    return sorted(kept)


def _n(value: float) -> str:
    return f"{round(value, 1):g}"
