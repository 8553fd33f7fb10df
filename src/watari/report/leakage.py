"""Language leakage in a run: its scans side by side, the sampler sweeps, what was mined and what a repair came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from watari.pages.labels import language_name
from watari.report.cards import Card, CardRow
from watari.report.figures import Figure, Figures, Score, dig, number
from watari.report.leakage_curves import LeakCurve, leak_curves
from watari.report.numbers import link
from watari.report.pages_made import page_of
from watari.report.stages import ReportStage
from watari.report.sweeps import sweep_card, sweep_table
from watari.report.table import Cell, Column, Row, Table, trimmed, two_lines
from watari.report.words import t
from watari.stats.intervals import wilson

SCAN, SWEEP, MINE, REPAIR = "leakage.scan", "sweep.run", "leakage.mine", "train.repair"
RATE, SHARE = "events_per_1000", "responses_with_any"
_CLASSES = ("glyph", "switch", "token")

Scores = dict[str, list[Score]]


@dataclass(frozen=True)
class Leakage:
    """What the page has of leakage."""

    curves: list[LeakCurve]
    tables: list[Table]

    def __bool__(self) -> bool:
        return bool(self.curves or self.tables)


def leakage_of(stages: Sequence[ReportStage], scores: Scores, figures: Figures) -> Leakage:
    """Return the curves and tables of everything that looks at leaks or mends them."""
    scans = [stage for stage in stages if stage.uses == SCAN and scores.get(stage.name)]
    swept = [stage for stage in stages if stage.uses == SWEEP and scores.get(stage.name)]
    tables = [
        _scan_table(scans, scores),
        *(
            sweep_table(f"sweep{place}", stage, scores[stage.name], figures)
            for place, stage in enumerate(swept, 1)
        ),
        _repair_table(stages, figures),
        _mine_table(stages, figures),
    ]
    return Leakage(
        leak_curves(scans, scores),
        [table for table in tables if table is not None and table.rows],
    )


def leakage_cards(stages: Sequence[ReportStage], scores: Scores, figures: Figures) -> list[Card]:
    """Return the headline cards: share of leaking responses by the language they should be in; sweeps; repairs."""
    by_language: dict[str, list[CardRow]] = {}
    for stage in stages:
        for score in scores.get(stage.name, []) if stage.uses == SCAN else []:
            language = _expected(score.group)
            if score.metric == SHARE and language and "/" not in score.group:
                by_language.setdefault(language, []).append(CardRow(stage.name, stage, score.figure))
    cards = []
    for language, rows in by_language.items():
        top = max(row.figure.high or row.figure.value for row in rows)
        about = t("leakage_answers_in", language=language_name(language))
        cards.append(Card(t("leakage_card"), about, t("leakage_card_note"), rows, None, 0.0, _end(top)))
    cards += [
        card
        for stage in stages
        if stage.uses == SWEEP and (card := sweep_card(stage, scores.get(stage.name, []))) is not None
    ]
    rows = [
        CardRow(stage.name, stage, after, before)
        for stage in stages
        if stage.uses == REPAIR
        for part in ("holdout", "train")[:: 1 if dig(stage.manifest.metrics, ("after", "holdout")) else -1][
            :1
        ]
        if (before := _metric(figures, stage, "before", part, "p_bad")) is not None
        and (after := _metric(figures, stage, "after", part, "p_bad")) is not None
    ]
    if rows:
        top = max(max(row.figure.value, row.before.value if row.before else 0) for row in rows)
        cards.append(
            Card(t("repair_card"), None, t("repair_card_note"), rows, None, 0.0, _end(top), last=True)
        )
    return cards


def _end(top: float) -> float:
    """Return the end of a card's axis: a little beyond the highest value, never nothing."""
    return min(1.0, top * 1.15) or 1.0


def _expected(group: str) -> str:
    """Return the language of a group `expected en` or `expected en/leaked ja`; "" of any other."""
    head = group.partition("/")[0]
    return head.removeprefix("expected ") if head.startswith("expected ") else ""


def _scan_table(scans: Sequence[ReportStage], scores: Scores) -> Table | None:
    """One row a part of the responses; the share of each scan first, then the rates."""
    if not scans:
        return None
    cells: dict[tuple[str, str, str], Figure] = {}
    groups: dict[str, None] = {}
    for stage in scans:
        for score in scores[stage.name]:
            cells[stage.name, score.metric, score.group] = score.figure
            groups[score.group] = None
    named = [("all", t("all_groups"), False)]
    named += [(name, Markup("<code>{}</code>").format(name), True) for name in _CLASSES if name in groups]
    for own in sorted(group for group in groups if _expected(group) and "/" not in group):
        named.append((own, t("leakage_expected", language=language_name(_expected(own))), False))
        for group in groups:
            if group.startswith(f"{own}/leaked "):
                leaked = language_name(group.removeprefix(f"{own}/leaked "))
                named.append((group, t("leakage_leaked", language=leaked), True))
    measures = ((SHARE, "leakage_share"), (RATE, "leakage_rate"))
    columns = [
        Column(two_lines(stage.name) + Markup("<small>{}</small>").format(t(label)), stage.anchor)
        for _, label in measures
        for stage in scans
    ]
    rows = [
        Row(
            label,
            [
                Cell(cells.get((stage.name, metric, group)), detail=True)
                for metric, _ in measures
                for stage in scans
            ],
            indent=indent,
        )
        for group, label, indent in named
    ]
    # A class that no scan found anything of says nothing beside the others.
    rows = [
        row for row in rows if not row.indent or any(cell.figure and cell.figure.value for cell in row.cells)
    ]
    pages = [page for stage in scans if (page := page_of(stage)) is not None]
    note = t("leakage_table_note", pages=Markup(" ").join(pages)) if pages else Markup()
    return Table("leakage", t("leakage_table"), note, t("leakage_part"), columns, rows)


def _repair_table(stages: Sequence[ReportStage], figures: Figures) -> Table | None:
    rows = []
    for stage in stages:
        if stage.uses != REPAIR:
            continue
        for part in ("holdout", "train"):
            pairs = figures.metric(stage, "after", part, "pairs", name="pairs", group=part)
            cells = [Cell(pairs)]
            for name in ("p_bad", "first_p_bad", "p_good"):
                cells += [Cell(_metric(figures, stage, when, part, name)) for when in ("before", "after")]
            cells += [Cell(_mended(figures, stage, when, part), detail=True) for when in ("before", "after")]
            if any(cell.figure for cell in cells):
                label = Markup("{} · {}").format(two_lines(stage.name), t(f"pairs_{part}"))
                rows.append(Row(label, cells, stage.anchor))
    names = ("repair_p_bad", "repair_first_p_bad", "repair_p_good", "repair_mended")
    columns = [Column(t("pairs"))]
    columns += [Column(t(name, when=t(when))) for name in names for when in ("before", "after")]
    return trimmed(Table("repairs", t("repair_table"), t("repair_note"), t("stage"), columns, rows))


def _metric(figures: Figures, stage: ReportStage, when: str, part: str, name: str) -> Figure | None:
    return figures.metric(stage, when, part, name, name=name, group=part)


def _mended(figures: Figures, stage: ReportStage, when: str, part: str) -> Figure | None:
    value = number(dig(stage.manifest.metrics, (when, part, "mended")))
    n = dig(stage.manifest.metrics, (when, part, "pairs"))
    if value is None or not isinstance(n, int) or n < 1:
        return None
    ends = wilson(round(value * n), n)
    said: dict[str, Any] = {
        "low": ends.low,
        "high": ends.high,
        "interval": "Wilson's score interval of value and n",
    }
    return figures.metric(stage, when, part, "mended", name="mended_share", group=part, n=n, **said)


def _mine_table(stages: Sequence[ReportStage], figures: Figures) -> Table | None:
    rows = []
    for stage in stages:
        if stage.uses != MINE:
            continue
        classes = dig(stage.manifest.metrics, ("by_class",))
        found = [
            (name, figure)
            for name in (classes if isinstance(classes, dict) else {})
            if (figure := figures.metric(stage, "by_class", name, group=name)) is not None
        ]
        said = [
            Markup('<span class="pair"><span>{}</span> {}</span>').format(name, link(figure))
            for name, figure in found
        ]
        cells = [
            Cell(figures.metric(stage, "rows_in")),
            Cell(figures.metric(stage, "leaking", name="leaking_responses")),
            Cell(figures.metric(stage, "kept")),
            Cell(figures.metric(stage, "leaks_mended")),
            Cell(markup=Markup("").join(said)),
        ]
        rows.append(Row(two_lines(stage.name), cells, stage.anchor))
    columns = [
        Column(t("rows_in")),
        Column(t("mine_leaking")),
        Column(t("kept")),
        Column(t("mine_mended")),
        Column(t("mine_classes"), words=True),
    ]
    return trimmed(Table("mined", t("mine_table"), Markup(), t("stage"), columns, rows))
