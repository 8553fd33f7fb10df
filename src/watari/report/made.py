"""The table of made data: which faults were caught on which rung, how many rows were mended, what it cost."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from watari.report.figures import Figure, Figures
from watari.report.numbers import link
from watari.report.stages import ReportStage
from watari.report.table import Cell, Column, Row, Table, trimmed, two_lines
from watari.report.words import t


def made_table(stages: Sequence[ReportStage], figures: Figures) -> Table:
    """Return one row a rung of every stage that asked a teacher; the stage's own figures stand in its first row."""
    rows = []
    for stage in stages:
        rungs = stage.manifest.metrics.get("rungs")
        if not isinstance(rungs, list):
            continue
        for place, rung in enumerate(rungs):
            faults = rung.get("faults") if isinstance(rung, dict) else None
            names = sorted(faults, key=lambda name: (-faults[name], name)) if isinstance(faults, dict) else []
            at = ("rungs", str(place))
            cells = [
                Cell(figures.metric(stage, *at, "asked", group=str(place))),
                Cell(figures.metric(stage, *at, "accepted", group=str(place))),
                Cell(markup=_list(figures, stage, (*at, "faults"), names)),
                *(
                    Cell(figures.metric(stage, name) if place == 0 else None)
                    for name in ("repaired", "escalated", "dropped", "cost")
                ),
            ]
            label = Markup("{} · {}").format(two_lines(stage.name), str(rung.get("name", place + 1)))
            rows.append(Row(label, cells, stage.anchor))
    columns = [
        Column(t("asked")),
        Column(t("accepted")),
        Column(t("faults_caught"), words=True),
        Column(t("repaired")),
        Column(t("escalated")),
        Column(t("dropped")),
        Column(t("cost")),
    ]
    return trimmed(Table("made", t("made_table"), t("made_note"), t("stage_and_rung"), columns, rows))


def _list(figures: Figures, stage: ReportStage, path: tuple[str, ...], names: Sequence[str]) -> Markup:
    found: list[tuple[str, Figure]] = []
    for name in names:
        figure = figures.metric(stage, *path, name, group=name)
        if figure is not None:
            found.append((name, figure))
    return Markup("").join(
        Markup('<span class="pair"><span>{}</span> {}</span>').format(name, link(figure))
        for name, figure in found
    )
