"""The gain as a chart and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from watari.tokenizer.page.chart import Line, chart_svg
from watari.tokenizer.page.gain import Learning, Measured, embedding_parameters
from watari.tokenizer.page.words import LABELS

_POINTS = 120
"""Places at which the learning text's curve is drawn."""


@dataclass(frozen=True)
class Key:
    """An entry of the chart's legend."""

    name: str
    colour: int


@dataclass(frozen=True)
class Cell:
    """Characters per token at one size, and its ratio to the base's."""

    value: float | None
    ratio: float | None


@dataclass(frozen=True)
class SizeRow:
    """One size in the table.

    Args:
        pieces: New pieces.
        vocabulary: Entries in all.
        learning: On the learning text; None where that is not known.
        measured: On each text given.
        next_saves: Tokens saved in a million characters by the next 1,000 pieces, on the learning text where it is
            known, else on the first text given.
        parameters: (untied, tied) for each hidden size.
    """

    pieces: int
    vocabulary: int
    learning: Cell | None
    measured: list[Cell]
    next_saves: float | None
    parameters: list[tuple[int, int]]


@dataclass(frozen=True)
class Chart:
    """A chart and the id of the heading that names it."""

    svg: Markup
    title: str


def gain_charts(
    learning: Learning | None, measured: Sequence[Measured], sizes: Sequence[int]
) -> tuple[list[Chart], list[Key]]:
    """Return what there is to draw, and whose lines the charts hold ("" is the learning text).

    The first is the characters per token over the number of pieces, the second what the next 1,000 pieces save.
    """
    gain: list[Line] = []
    value: list[Line] = []
    keys: list[Key] = []
    first = sizes[1]
    if learning is not None:
        places = _spread(first, sizes[-1])
        gain.append(Line([(k, learning.characters_per_token(k)) for k in (0, *places)], 0))
        saves = [(k, saved) for k in places if (saved := learning.next_saves(k)) is not None]
        value.append(Line(saves, 0))
        keys.append(Key("", 0))
    for colour, item in enumerate(measured, 1):
        points = [
            (size, figures.chars_per_token)
            for size, figures in zip(item.sizes, item.figures, strict=True)
            if figures.chars_per_token is not None
        ]
        gain.append(Line(points, colour, marked=True, name=item.name))
        saves = [(k, saved) for k in item.sizes[1:] if (saved := item.next_saves(k)) is not None]
        value.append(Line(saves, colour, marked=True, name=item.name))
        keys.append(Key(item.name, colour))
    charts = []
    if gain:
        charts.append(
            Chart(chart_svg(gain, x_title=LABELS.t_svg("pieces_axis"), labelled_by="chart-gain"), "gain")
        )
    if any(len(line.points) > 1 for line in value):
        svg = chart_svg(
            value, x_title=LABELS.t_svg("pieces_axis"), labelled_by="chart-marginal", logarithmic=True
        )
        charts.append(Chart(svg, "marginal"))
    return charts, keys


def size_rows(
    learning: Learning | None,
    measured: Sequence[Measured],
    sizes: Sequence[int],
    base_vocabulary: int,
    hidden: Sequence[int],
) -> list[SizeRow]:
    """Return the table, one row a size."""
    rows = []
    for place, size in enumerate(sizes):
        saves = learning.next_saves(size) if learning is not None else None
        if learning is None and measured:
            saves = measured[0].next_saves(size)
        rows.append(
            SizeRow(
                pieces=size,
                vocabulary=base_vocabulary + size,
                learning=_learned(learning, size),
                measured=[_given(item, place) for item in measured],
                next_saves=saves,
                parameters=[
                    (embedding_parameters(size, h, tied=False), embedding_parameters(size, h, tied=True))
                    for h in hidden
                ],
            )
        )
    return rows


def _learned(learning: Learning | None, size: int) -> Cell | None:
    if learning is None:
        return None
    value = learning.characters_per_token(size)
    return Cell(value, value / learning.characters_per_token(0))


def _given(item: Measured, place: int) -> Cell:
    value, base = item.figures[place].chars_per_token, item.figures[0].chars_per_token
    return Cell(value, value / base if value and base else None)


def _spread(low: int, high: int) -> list[int]:
    """Return numbers from `low` to `high`, evenly spread on a logarithmic axis."""
    ratio = high / low
    return sorted({round(low * ratio ** (place / (_POINTS - 1))) for place in range(_POINTS)})
