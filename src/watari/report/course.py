"""The course of the whole recipe in one picture: every training stage that the model went through, one after the other.

The stages stand side by side along the tokens that were trained on. Within a stage the axis is even; a stage that is
short beside the others is drawn wider than its share, or preference training would be a hair's breadth after
pre-training. Variants of a matrix are lines of other colours over the same stretches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from watari.pages.numbers import tick_label
from watari.report.bits import Measured, bits_panels, bits_table, measured
from watari.report.chart import NEUTRAL, WIDTH, Axis, Band, Line, Panel, chart_svg
from watari.report.curves import PREFERENCE, Panels, draw, draw_bits, wrong_note
from watari.report.figures import Figure, Figures, number
from watari.report.logs import CurveRow, TrainLog, curve_row
from watari.report.stages import ReportStage
from watari.report.stretches import LENGTH, Strand, Stretch, colours_of, predecessors, stretches_of
from watari.report.table import Table
from watari.report.words import t, t_svg

WIDE = 1120.0
_POINTS = 240
_LOG_LOSS, _LOG_RATE = 6.0, 8.0
"""From this ratio of the greatest to the least on an axis is logarithmic."""


@dataclass(frozen=True)
class CourseRow:
    """One stage in the picture's table."""

    number: int
    curve: CurveRow
    tokens: Figure | None


@dataclass(frozen=True)
class Course:
    """The picture, drawn for wide and narrow screens, with its legend, notes, tables and data for the read-out."""

    id: str
    wide: Markup
    narrow: Markup
    strands: list[Strand]
    shares: bool
    stretches: list[Stretch]
    notes: list[Markup]
    rows: list[CourseRow]
    bits: Table | None
    data: dict[str, Any]


def course_of(logs: Sequence[TrainLog], figures: Figures) -> Course | None:
    """Return the picture, or None if no stage was trained on after another."""
    logs = [log for log in logs if log.pairs("tokens", "loss", calm=True)]
    before = predecessors(logs)
    stretches = stretches_of(logs, before)
    if len(stretches) < 2:
        return None
    colours, strands = colours_of(logs, before)
    found = measured(logs)
    panels = Panels(
        Panel(t_svg("loss"), height=190),
        bits_panels(found),
        {label: Panel(t_svg(label), height=72, ticks=2) for label in PREFERENCE},
        Panel(t_svg("lr"), height=56, floor=0.0, ticks=2),
    )
    lines = []
    for stretch in stretches:
        for log in stretch.logs:
            colour = colours[log.stage.position]
            placed = _placed(log, stretch)
            entry = draw(panels, placed, "place", colour, points=_POINTS)
            assert entry is not None  # logs without a loss are left out above
            tokens = dict(placed.pairs("place", "tokens"))
            entry["tokens"] = [tokens[place] for place in entry["x"]]
            # The read-out's heading has the stage's name; beside it the variant is enough.
            entry["name"] = log.stage.variant or log.stage.name
            entry["bits"] = [
                draw_bits(panels.bits[item.language], _moved(item, placed), "place", colour)
                for item in found
                if item.log is log
            ]
            lines.append(entry)
    _levels(panels, found, stretches, colours)
    panels.loss, panels.rate = _log_loss(panels.loss), _log_rate(panels.rate)
    id = "course"
    axis = _axis(stretches)
    wide, narrow = (
        chart_svg(
            panels.drawn,
            x_title=t_svg("course_tokens"),
            labelled_by=f"{id}-title",
            name=id,
            width=width,
            axis=axis,
        )
        for width in (WIDE, WIDTH)
    )
    rows = [
        CourseRow(
            stretch.number,
            curve_row(log, colours[log.stage.position], figures),
            figures.metric(log.stage, "tokens"),
        )
        for stretch in stretches
        for log in stretch.logs
    ]
    bands = [{"name": s.name, "high": round(s.high, 3)} for s in stretches]
    return Course(
        id,
        wide,
        narrow,
        strands if len(strands) > 1 else [],
        NEUTRAL in colours.values(),
        stretches,
        _notes(panels, found, [log.stage for s in stretches for log in s.logs], figures),
        rows,
        bits_table(f"{id}-bits", found, figures),
        {"lines": lines, "bands": bands},
    )


def _placed(log: TrainLog, stretch: Stretch) -> TrainLog:
    """Return the log with each line's place on the axis as its column `place`."""

    def moved(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = []
        for row in rows:
            tokens = number(row.get("tokens"))
            found.append(row if tokens is None else row | {"place": round(stretch.at(tokens), 3)})
        return found

    return TrainLog(log.stage, moved(log.rows), moved(log.bits), log.held)


def _moved(item: Measured, placed: TrainLog) -> Measured:
    """Return the measurements with their places; the level of the base is drawn over several stages at once."""
    return Measured(placed, item.language, placed.lines_of(item.language), None)


def _levels(
    panels: Panels, found: Sequence[Measured], stretches: Sequence[Stretch], colours: dict[int, int]
) -> None:
    """Draw what each base had as a dashed line, from there to the last stage that measured the same text."""
    spans: dict[tuple[str, int], tuple[float, float, float]] = {}
    for item in found:
        if item.base is None or item.from_base is None:
            continue
        low = next(s.low for s in stretches if item.base.log in s.logs)
        high = next(s.high for s in stretches if item.log in s.logs)
        key = (item.language, item.base.log.stage.position)
        _, _, far = spans.get(key, (0.0, 0.0, high))
        spans[key] = (item.from_base, low, max(high, far))
    drawn: dict[tuple[str, float, float, float], set[int]] = {}
    for (language, position), (level, low, high) in spans.items():
        drawn.setdefault((language, float(f"{level:.4g}"), low, high), set()).add(colours[position])
    for (language, level, low, high), owners in drawn.items():
        colour = owners.pop() if len(owners) == 1 else NEUTRAL
        panels.bits[language].lines.append(Line([(low, level), (high, level)], colour, "level"))


def _log_loss(panel: Panel) -> Panel:
    """Return the panel with a logarithmic axis if one stage's losses would be a flat line under another's."""
    ys = [y for line in panel.lines if line.style == "smooth" for _, y in line.points]
    if min(ys) <= 0 or max(ys) < _LOG_LOSS * min(ys):
        return panel
    return Panel(
        t_svg("loss_log"), panel.lines, panel.marks, panel.height, log=True, least=min(ys) / 2, ticks=5
    )


def _log_rate(panel: Panel) -> Panel:
    """Return the panel with a logarithmic axis if one stage's highest rate is far below another's."""
    peaks = [max(y for _, y in line.points) for line in panel.lines]
    if not peaks or min(peaks) <= 0 or max(peaks) < _LOG_RATE * min(peaks):
        return panel
    return Panel(t_svg("lr_log"), panel.lines, height=panel.height, log=True, least=min(peaks) / 20, ticks=3)


def _axis(stretches: Sequence[Stretch]) -> Axis:
    whole = sum(s.tokens for s in stretches)
    labels, passed = [(0.0, "0")], 0.0
    for stretch in stretches:
        passed += stretch.tokens
        labels.append((stretch.high, tick_label(passed, whole)))
    return Axis(0.0, LENGTH, labels, [Band(s.low, s.high, s.number, s.name) for s in stretches])


def _notes(
    panels: Panels, found: Sequence[Measured], stages: Sequence[ReportStage], figures: Figures
) -> list[Markup]:
    notes = [t("course_note")]
    if any(item.base is not None for item in found):
        notes.append(t("bits_line_note"))
    if any(stage.uses == "train.dpo" for stage in stages):
        notes.append(t("course_dpo"))
    if any(stage.uses == "train.repair" for stage in stages):
        notes.append(t("course_repair"))
    if any(line.style == "dots" for panel in panels.preference.values() for line in panel.lines):
        notes.append(t("held_note"))
    if panels.loss.marks:
        notes.append(t("marks_note"))
    return notes + wrong_note(stages, figures)
