"""A sampler sweep on the page: every setting with its figures, and which is recommended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from watari.pages.labels import both_said
from watari.report.cards import Card, CardRow
from watari.report.figures import Figure, Figures, Score, dig, number, read_object
from watari.report.numbers import link
from watari.report.pages_made import page_of
from watari.report.stages import ReportStage
from watari.report.table import Cell, Column, Row, Table, trimmed
from watari.report.words import t

SWEEP = "sweep.json"
LEAKING = "leaking"
_COLUMNS = (
    LEAKING,
    "events",
    "sound",
    "judge",
    "loops",
    "truncated",
    "empty",
    "distinct_2",
    "self_repetition",
    "characters",
)


def sweep_table(id: str, stage: ReportStage, scores: Sequence[Score], figures: Figures) -> Table:
    """Return one row a setting, in the order of the grid, with the figures that choose between them.

    Raises:
        UserError: if the sweep's own file cannot be read.
    """
    known = {(score.metric, score.group): score.figure for score in scores}
    path = stage.path / SWEEP
    whole: dict[str, Any] = read_object(path) if path.is_file() else {}
    cells = dig(whole, ("cells",))
    about = (
        {str(cell.get("name")): cell for cell in cells if isinstance(cell, dict)}
        if isinstance(cells, list)
        else {}
    )
    names = list(about) or list(dict.fromkeys(score.group for score in scores))
    rows = [
        Row(
            _label(name, about.get(name, {}), stage),
            [Cell(known.get((metric, name)), detail=True) for metric in _COLUMNS],
        )
        for name in names
    ]
    columns = [Column(t(f"metric_{metric}")) for metric in _COLUMNS]
    return trimmed(
        Table(
            id,
            t("sweep_table", name=stage.name),
            _note(stage, whole, figures),
            t("sweep_setting"),
            columns,
            rows,
        )
    )


def sweep_card(stage: ReportStage, scores: Sequence[Score]) -> Card | None:
    """Return the card of a sweep: how often the recommended setting leaks, after what the default does; None without."""
    known = {score.group: score.figure for score in scores if score.metric == LEAKING}
    best = known.get(str(stage.manifest.metrics.get("recommended")))
    default = known.get(str(stage.manifest.metrics.get("default")))
    if best is None:
        return None
    kept = best is default
    top = max(one.high or one.value for one in (best, default) if one is not None)
    row = CardRow(stage.name, stage, best, None if kept else default)
    said = Markup("<code>{}</code>").format(best.group)
    note = t("sweep_card_kept" if kept else "sweep_card_note")
    return Card(t("sweep_card"), said, note, [row], None, 0.0, min(1.0, top * 1.15) or 1.0)


def _label(name: str, cell: dict[str, Any], stage: ReportStage) -> Markup:
    said = [
        t(key)
        for key, holds in (
            ("sweep_recommended", name == stage.manifest.metrics.get("recommended")),
            ("sweep_default", name == stage.manifest.metrics.get("default")),
            ("sweep_front", bool(cell.get("on_front"))),
        )
        if holds
    ]
    marks = cell.get("marks")
    said += [Markup.escape(str(mark)) for mark in marks] if isinstance(marks, list) else []
    return Markup("<code>{}</code>").format(name) + Markup("").join(
        Markup("<small>{}</small>").format(part) for part in said
    )


def _reasons(reasons: Any, in_japanese: Any) -> Markup:
    """Return why that setting, in both languages where the sweep says it in both."""
    if not isinstance(reasons, list):
        return Markup()
    english = [str(reason) for reason in reasons]
    known = in_japanese if isinstance(in_japanese, dict) else {}
    if not all(reason in known for reason in english):
        return Markup('<span lang="en">{}</span>').format(" ".join(english))
    return both_said(" ".join(english), "".join(str(known[reason]) for reason in english))


def _note(stage: ReportStage, whole: dict[str, Any], figures: Figures) -> Markup:
    said = _reasons(stage.manifest.metrics.get("reason"), dig(whole, ("in_japanese",)))
    prompts: Figure | None = None
    if number(dig(whole, ("prompts", "count"))) is not None:
        prompts = figures.stored(stage, SWEEP, whole, "prompts", "count", name="prompts")
    about = t(
        "sweep_table_note",
        model=str(stage.manifest.metrics.get("model", "")),
        prompts=link(prompts) if prompts else "–",
        page=page_of(stage) or Markup("–"),
    )
    return Markup("{} {}").format(said, about)
