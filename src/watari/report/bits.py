"""Bits per character of held-back text over the training, by language: what was learned, and what was forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from watari.pages.labels import language_name, language_svg
from watari.report.cards import language_rank
from watari.report.chart import Panel
from watari.report.figures import Figure, Figures, Origin
from watari.report.logs import BITS, EVAL_LOG, TrainLog, trained_before
from watari.report.table import Cell, Column, Row, Table, trimmed, two_lines
from watari.report.words import t, t_svg


@dataclass(frozen=True)
class Measured:
    """One language's held-back text over one stage.

    Args:
        log: The stage's logs.
        language: Its code.
        lines: Of eval_log.jsonl, by step; never empty.
        base: The stage before whose first step the base was measured on the same text; None if there is none.
    """

    log: TrainLog
    language: str
    lines: list[dict[str, Any]]
    base: Measured | None

    @property
    def text(self) -> tuple[Any, Any]:
        """What tells one text from another: its characters and documents."""
        return self.lines[0].get("characters"), self.lines[0].get("documents")

    @property
    def from_base(self) -> float | None:
        """Bits per character of the base, or None."""
        return None if self.base is None else float(self.base.lines[0][BITS])


def measured(logs: Sequence[TrainLog]) -> list[Measured]:
    """Return every stage's measurements, new language first within each stage.

    The base is the model before the first of the stages, along the model's way, that measured the language and did not
    start from random weights. Where another text was measured than then, there is nothing to compare with.
    """
    by_stage = {log.stage.position: log for log in logs}
    found: list[Measured] = []
    for log in logs:
        for language in sorted(log.languages, key=language_rank):
            this = Measured(log, language, log.lines_of(language), None)
            start = this
            stage = log.stage
            while (before := trained_before(stage)) is not None:
                stage = before
                earlier = by_stage.get(stage.position)
                lines = earlier.lines_of(language) if earlier is not None else []
                if earlier is not None and lines and not earlier.from_scratch:
                    start = Measured(earlier, language, lines, None)
            if start.text == this.text and not start.log.from_scratch:
                this = Measured(log, language, this.lines, start)
            found.append(this)
    return found


def bits_panels(found: Sequence[Measured]) -> dict[str, Panel]:
    """Return an empty panel for each language that was measured, new language first."""
    languages = sorted({item.language for item in found}, key=language_rank)
    return {
        language: Panel(t_svg("bits_of", language=language_svg(language)), height=92, ticks=3)
        for language in languages
    }


def bits_table(id: str, found: Sequence[Measured], figures: Figures) -> Table | None:
    """Return first, last and best bits per character and their change, a row a stage and language."""
    rows = []
    for item in found:
        log, path = item.log, ("bits_per_character", item.language)
        first = log.bits_figure("bits_per_character_first", item.lines[0], figures)
        last = log.bits_figure("bits_per_character_last", item.lines[-1], figures)
        best = log.bits_figure(
            "bits_per_character_best", min(item.lines, key=lambda row: (row[BITS], row["step"])), figures
        )
        name = "bits_per_character_change"
        change = figures.metric(log.stage, *path, "change", name=name, group=item.language)
        if change is None and first.value:
            change = figures.derive(
                name, last.value / first.value - 1, f"{last.id} / {first.id} - 1", (last, first)
            )
        cells = [
            Cell(markup=language_name(item.language)),
            Cell(first),
            Cell(last),
            Cell(best),
            Cell(change),
            Cell(_against_base(item, last, figures)),
            Cell(_characters(item, figures)),
        ]
        rows.append(Row(two_lines(log.stage.name), cells, log.stage.anchor))
    if not rows:
        return None
    columns = [
        Column(t("language"), words=True),
        Column(t("bits_first")),
        Column(t("bits_last")),
        Column(t("bits_best")),
        Column(t("bits_change")),
        Column(t("bits_base")),
        Column(t("bits_characters")),
    ]
    return trimmed(Table(id, t("bits_table"), t("bits_note"), t("stage"), columns, rows))


def _against_base(item: Measured, last: Figure, figures: Figures) -> Figure | None:
    """Return the change since the base, where that is another stage's beginning."""
    if item.base is None or item.base.log is item.log or not item.from_base:
        return None
    base = item.base.log.bits_figure("bits_per_character_first", item.base.lines[0], figures)
    how = f"{last.id} / {base.id} - 1"
    return figures.derive("bits_per_character_change", last.value / base.value - 1, how, (last, base))


def _characters(item: Measured, figures: Figures) -> Figure | None:
    row = item.lines[0]
    if not isinstance(row.get("characters"), int):
        return None
    where = {"step": row["step"], "language": item.language}
    origin = Origin(item.log.stage, file=EVAL_LOG, where=where, column="characters")
    return figures.add("characters", row["characters"], origin, group=item.language)
