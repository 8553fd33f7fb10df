"""Assembles the page of evaluations: league tables with their plots, and every question to read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markupsafe import Markup

from watari.evals.page.blocks import blocks_of, readable
from watari.evals.page.board import Board, Entry, bins_of, spread
from watari.evals.page.drawing import (
    DRAWN,
    bin_names,
    dot_plot,
    interval_rows,
    radar,
    told,
    turn_rows,
)
from watari.evals.page.gathering import Gathered
from watari.evals.page.sent import sent_prompts
from watari.evals.page.words import IN_SCRIPT, LABELS, WORDS, name_of
from watari.pages.labels import both, both_said, both_svg
from watari.pages.noted import japanese_of
from watari.pages.numbers import percent, whole
from watari.pages.page import Template
from watari.pages.visible import visible

COMPARED, ON = 16, 4
"""Models that can be set side by side, and that are at first."""
PLOTTED = 150
"""Models above which a table has no plots of rows: its own column of intervals is one."""


@dataclass(frozen=True)
class Shown:
    """A league table as the template shows it."""

    board: Board
    title: Markup
    several: bool

    @property
    def short(self) -> str:
        """What the page's contents call it."""
        name = self.board.spec.partition("/")[0]
        return f"{name} · {self.board.judge}" if self.board.judge and self.several else name

    @property
    def told_apart(self) -> bool:
        """Whether groups of models that are not told apart were looked for."""
        return any(entry.tied for entry in self.board.entries)

    @property
    def many_runs(self) -> bool:
        """Whether a model was run more than once."""
        return any(entry.result.runs > 1 for entry in self.board.entries)

    @property
    def invalid(self) -> bool:
        """Whether a unit is invalid."""
        return any(entry.invalid for entry in self.board.entries)

    @property
    def drawn(self) -> int:
        """Models in the interval plot."""
        return min(DRAWN, len(self.board.shown))

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Lowest and highest end of the intervals in the table."""
        values = [
            value
            for entry in self.board.shown
            for value in (entry.overall.low, entry.overall.value, entry.overall.high)
            if value is not None
        ]
        low, high = min(values, default=0.0), max(values, default=1.0)
        least = 0.02 * (self.board.scale[1] - self.board.scale[0])
        return (low, high) if high - low >= least else (low - least, high + least)

    def at(self, value: float) -> float:
        """Return where a value stands in the table's own plot, in percent."""
        low, high = self.ends
        return round(3 + 94 * (value - low) / (high - low), 1)

    def wide(self, value: float) -> float:
        """Return a bar's width on the whole scale, in percent."""
        low, high = min(0.0, self.board.scale[0]), self.board.scale[1]
        return round(min(100.0, max(0.0, 100 * (value - low) / (high - low))), 1)

    @cached_property
    def compared(self) -> list[Entry]:
        """The models that can be set side by side."""
        return self.board.shown[:COMPARED] if self.board.categories else []

    @property
    def on(self) -> int:
        """How many of them are shown at first."""
        return ON

    @cached_property
    def radar(self) -> Markup | None:
        """The categories as a radar."""
        return radar(self.board, self.compared, f"{self.board.id}-categories", lambda said: both_svg(*said))

    @cached_property
    def intervals(self) -> tuple[Markup, Markup] | None:
        """The interval plot for wide and narrow screens."""
        rows = interval_rows(self.board)
        if not rows or len(self.board.shown) > PLOTTED:
            return None
        return self._both_ways(rows, "intervals")

    @cached_property
    def turns(self) -> tuple[Markup, Markup] | None:
        """First against second turn, for wide and narrow screens."""
        rows = turn_rows(self.board)
        return self._both_ways(rows, "turns") if rows and len(self.board.shown) <= PLOTTED else None

    def _both_ways(self, rows: Any, name: str) -> tuple[Markup, Markup]:
        id = f"{self.board.id}-{name}"
        return dot_plot(self.board, rows, id), dot_plot(self.board, rows, id, narrow=True)

    @cached_property
    def bins(self) -> list[str]:
        """What stands above each bin of the distribution."""
        return bin_names(bins_of(self.board))

    @cached_property
    def spread(self) -> list[tuple[Entry, list[float]]]:
        """The distribution of values by model; the last share is the invalid."""
        bins = bins_of(self.board)
        return [(entry, spread(entry, bins)) for entry in self.board.entries]


def page(boards: Sequence[Board], gathered: Gathered, *, title: str = "") -> str:
    """Return the page as HTML. The same evaluations give the same text.

    Args:
        boards: The league tables of `gathered.results`.
        gathered: What the tables and texts come from.
        title: Shown above everything; default: the page's own name.
    """
    texts = gathered.texts
    readers = readable(boards, texts)
    index, blocks = blocks_of(readers, texts) if readers else (None, [])
    several = {board.spec for board in boards if sum(other.spec == board.spec for other in boards) > 1}
    models = {entry.model for board in boards for entry in board.entries}
    return _TEMPLATE.render(
        title=visible(title, lines=False),
        boards=[Shown(board, _title(gathered, board), board.spec in several) for board in boards],
        models=len(models),
        units=sum(entry.units for board in boards for entry in board.entries),
        index=index,
        blocks=blocks,
        has_texts=bool(texts),
        prompts=sent_prompts(gathered.folders),
        sources=gathered.sources,
        words={name: WORDS[name] for name in IN_SCRIPT},
    )


def _title(gathered: Gathered, board: Board) -> Markup:
    spec = gathered.specs.get(board.spec)
    if spec is None or "en" not in spec.title:
        return Markup("")
    english, japanese = spec.title["en"].rstrip("."), spec.title.get("ja", spec.title["en"]).rstrip("。")
    if board.spec == spec.label:
        return both(f"{english}.", f"{japanese}。")
    # An evaluation with other prompts or questions than upstream's: its label says so, and so must the page.
    return LABELS.t("own_words", title_en=english, title_ja=japanese)


def refused(entry: Entry) -> Markup:
    """Return why a model is refused, in both languages."""
    english, japanese = WORDS["refused"]
    return both(english.format(reason=entry.refused or ""), japanese.format(reason=entry.refused_in_japanese))


def noted(note: str) -> Markup:
    """Return a note in both languages; one that there is in one only, as it is."""
    return both_said(str(note), japanese_of(note))


def as_text(value: Any) -> str:
    """Return a setting as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


_TEMPLATE = Template(
    "watari.evals.page",
    LABELS,
    {
        "whole": whole,
        "percent": percent,
        "visible": visible,
        "name_of": name_of,
        "told": told,
        "as_text": as_text,
        "refused": refused,
        "noted": noted,
    },
)
