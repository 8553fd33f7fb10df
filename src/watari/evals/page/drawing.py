"""The plots of a league table as SVG: for the page in both languages, for files in one.

Every function takes `say`, which turns a pair of texts into what stands in the drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi, sin

from markupsafe import Markup

from watari.evals.page.board import Board, Entry, bins_of, spread
from watari.evals.page.words import WORDS, name_pair
from watari.evals.result import Figure
from watari.pages.axes import Scale, even
from watari.pages.labels import Pair
from watari.pages.numbers import tick_label
from watari.pages.svg import chart, level, number, path, text, upright
from watari.pages.visible import columns, fitted, visible

Say = Callable[[Pair], Markup]

WIDE, NARROW = 960.0, 400.0
DRAWN, COMPARED = 60, 8
"""Models that plots of rows show at most, and that plots side by side do."""
COLOURS = 8


@dataclass(frozen=True)
class Dot:
    """A figure on a row; `kind` is its class (c0 to c7)."""

    kind: str
    figure: Figure


@dataclass(frozen=True)
class DotRow:
    """One model's row."""

    label: str
    dots: tuple[Dot, ...]


def interval_rows(board: Board) -> list[DotRow]:
    """Return the rows of the interval plot: the models with a figure, best first."""
    return [DotRow(entry.model, (Dot("c0", entry.overall),)) for entry in board.shown[:DRAWN]]


def turn_rows(board: Board) -> list[DotRow]:
    """Return the rows of first against second turn; none if the spec has one turn only."""
    if len(board.turns) < 2:
        return []
    return [
        DotRow(
            entry.model,
            tuple(
                Dot(f"c{place}", figure)
                for place, name in enumerate(board.turns)
                if (figure := entry.figure(name)) is not None and figure.value is not None
            ),
        )
        for entry in board.shown[:DRAWN]
    ]


def dot_plot(board: Board, rows: Sequence[DotRow], id: str, *, narrow: bool = False) -> Markup:
    """Return dots with whiskers, a row a model. On narrow screens the name stands above its row."""
    width = NARROW if narrow else WIDE
    size = 8.6 if narrow else 7.5
    most = 40 if narrow else 36
    names = [fitted(visible(row.label, lines=False), most) for row in rows]
    left = 12.0 if narrow else min(300.0, 24 + size * max(map(columns, names), default=0))
    right = 62.0
    step = 52.0 if narrow else 26.0
    top, bottom = 8.0, 34.0
    height = top + step * len(rows) + bottom
    axis = _axis(rows, 4 if narrow else 8, board.scale)
    inner = width - left - right

    def at(value: float) -> float:
        return left + inner * axis.share(value)

    body: list[Markup] = []
    for mark in axis.marks:
        body.append(upright("grid", at(mark), top, height - bottom))
        body.append(text("tick", at(mark), height - 12, tick_label(mark, axis.high - axis.low), "middle"))
    for place, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = top + step * (place + 0.5) + (9 if narrow else 0)
        shown = Markup('<text class="name" x="{}" y="{}" text-anchor="{}">{}<title>{}</title></text>')
        across, down, anchor = (left, y - 15, "start") if narrow else (left - 14, y + 4, "end")
        body.append(shown.format(number(across), number(down), anchor, name, visible(row.label, lines=False)))
        apart = 5.0 if len(row.dots) > 1 else 0.0
        for order, dot in enumerate(row.dots):
            body.append(_dot(dot, at, y + apart * (order - (len(row.dots) - 1) / 2), board))
        if len(row.dots) == 1:
            body.append(
                text("value", width - right + 10, y + 4, board.written(row.dots[0].figure.value), "start")
            )
    return chart(width, height, id, body)


def _dot(dot: Dot, at: Callable[[float], float], y: float, board: Board) -> Markup:
    figure = dot.figure
    said = Markup("")
    if figure.low is not None and figure.high is not None:
        said += level(f"whisker {dot.kind}", at(figure.low), at(figure.high), y)
    if figure.value is not None:
        said += Markup('<circle class="dot {}" cx="{}" cy="{}" r="4.5"><title>{}</title></circle>').format(
            dot.kind, number(at(figure.value)), number(y), told(board, figure)
        )
    return said


def told(board: Board, figure: Figure) -> str:
    """Return a figure in a line: value, interval, n."""
    said = board.written(figure.value)
    if figure.low is not None and figure.high is not None:
        said += f" [{board.written(figure.low)}, {board.written(figure.high)}]"
    return f"{said}, n = {figure.n:,}"


def _axis(rows: Sequence[DotRow], count: int, scale: tuple[float, float]) -> Scale:
    values = [
        value
        for row in rows
        for dot in row.dots
        for value in (dot.figure.value, dot.figure.low, dot.figure.high)
        if value is not None
    ]
    low, high = min(values, default=scale[0]), max(values, default=scale[1])
    least = 0.02 * (scale[1] - scale[0])
    if high - low < least:  # all the same, but for a rounding's hair
        low, high = low - least, high + least
    return even(low, high, count)


def radar(board: Board, entries: Sequence[Entry], id: str, say: Say) -> Markup | None:
    """Return the categories as a radar from the scale's low end; None with fewer than three of them."""
    axes = board.categories
    if len(axes) < 3 or not entries:
        return None
    width, height, radius = 500.0, 400.0, 152.0
    middle = (width / 2, height / 2 + 4)
    low, high = min(0.0, board.scale[0]), board.scale[1]
    scale = even(low, high, 5, exact=True)

    def point(place: int, share: float) -> tuple[float, float]:
        angle = 2 * pi * place / len(axes) - pi / 2
        return middle[0] + radius * share * cos(angle), middle[1] + radius * share * sin(angle)

    body: list[Markup] = []
    for mark in scale.marks:
        ring = path([point(place, scale.share(mark)) for place in range(len(axes))])
        body.append(Markup('<path class="ring" d="{}Z"/>').format(ring))
    for place, name in enumerate(axes):
        x, y = point(place, 1)
        body.append(
            Markup('<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
                *map(number, (*middle, x, y))
            )
        )
        x, y = point(place, 1.1)
        anchor = "middle" if abs(x - middle[0]) < 12 else "start" if x > middle[0] else "end"
        english, japanese = name_pair(name)
        body.append(text("name", x, y + 4, say((fitted(english, 22), fitted(japanese, 22))), anchor))
    for mark in scale.marks[1:]:
        x, y = point(0, scale.share(mark))
        body.append(text("tick", x + 4, y + 4, tick_label(mark, high - low)))
    for place, entry in enumerate(entries):
        points = []
        for order, name in enumerate(axes):
            figure = entry.figure(name)
            value = low if figure is None or figure.value is None else figure.value
            points.append(point(order, scale.share(value)))
        body.append(
            Markup('<path class="web c{}" data-model="{}" d="{}Z"><title>{}</title></path>').format(
                place % COLOURS, place, path(points), visible(entry.model, lines=False)
            )
        )
    return chart(width, height, id, body)


def bars(board: Board, entries: Sequence[Entry], id: str, say: Say) -> Markup | None:
    """Return grouped bars: a group a category, a bar a model; None without categories."""
    if not board.categories or not entries:
        return None
    left, top, bottom, plot = 46.0, 10.0, 34.0, 250.0
    thick = max(5.0, min(22.0, 76.0 / len(entries)))
    group = max(84.0, thick * len(entries) + 22)
    width = left + group * len(board.categories) + 8
    low, high = min(0.0, board.scale[0]), board.scale[1]
    axis = even(low, high, 5, exact=True)
    height = top + plot + bottom

    def at(value: float) -> float:
        return top + plot * (1 - axis.share(value))

    body: list[Markup] = []
    for mark in axis.marks:
        body.append(level("grid", left, width - 8, at(mark)))
        body.append(text("tick", left - 8, at(mark) + 4, tick_label(mark, high - low), "end"))
    for place, name in enumerate(board.categories):
        start = left + group * place + (group - thick * len(entries)) / 2
        english, japanese = name_pair(name)
        most = int(group / 6.4)
        said = say((fitted(english, most), fitted(japanese, most)))
        body.append(text("name", left + group * (place + 0.5), height - 12, said, "middle"))
        for order, entry in enumerate(entries):
            figure = entry.figure(name)
            if figure is None or figure.value is None:
                continue
            x = start + thick * order
            body.append(_bar(board, figure, f"c{order % COLOURS}", x, thick, at, at(low)))
    return chart(width, height, id, body)


def _bar(
    board: Board, figure: Figure, kind: str, x: float, thick: float, at: Callable[[float], float], base: float
) -> Markup:
    assert figure.value is not None
    top = at(figure.value)
    said = Markup('<rect class="bar {}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
        kind, number(x + 0.5), number(top), number(thick - 1), number(max(0.0, base - top)), told(board, figure)
    )  # fmt: skip
    if figure.low is not None and figure.high is not None:
        said += upright("error", x + thick / 2, at(figure.high), at(figure.low))
    return said


def heat(board: Board, id: str, say: Say) -> Markup:
    """Return the distribution of values: a row a model, a cell a bin, the invalid last."""
    entries = board.entries[:DRAWN]
    bins = bins_of(board)
    names = [fitted(visible(entry.model, lines=False), 36) for entry in entries]
    left = min(300.0, 24 + 7.5 * max(map(columns, names), default=0))
    cell, step, top = (WIDE - left - 8) / (len(bins) + 1), 26.0, 26.0
    body: list[Markup] = []
    for place, said in enumerate([*map(Markup, bin_names(bins)), say(WORDS["invalid"])]):
        body.append(text("tick", left + cell * (place + 0.5), top - 9, said, "middle"))
    for row, (entry, name) in enumerate(zip(entries, names, strict=True)):
        y = top + step * row
        body.append(text("name", left - 14, y + 17, name, "end"))
        for place, share in enumerate(spread(entry, bins)):
            kind = "invalid" if place == len(bins) else "share"
            body.append(
                Markup(
                    '<rect class="{}" x="{}" y="{}" width="{}" height="{}" fill-opacity="{}"></rect>'
                ).format(
                    kind, number(left + cell * place + 1), number(y + 1), number(cell - 2), number(step - 2),
                    f"{share**0.5:.2f}",
                )
            )  # fmt: skip
            if share >= 0.005:
                body.append(
                    text(
                        "on" if share > 0.3 else "value",
                        left + cell * (place + 0.5),
                        y + 17,
                        f"{100 * share:.0f}",
                        "middle",
                    )
                )
    return chart(WIDE, top + step * len(entries) + 6, id, body)


def bin_names(bins: Sequence[tuple[float, float]]) -> list[str]:
    """Return what stands above each bin."""
    if all(low == high for low, high in bins):
        return [f"{low:g}" for low, _ in bins]
    return [f"≤ {high:.3g}" for _, high in bins]
