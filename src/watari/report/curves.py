"""Each training stage's own curves, from the logs of `train.*` stages; `course.py` has all of them in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from watari.report.bits import Measured, bits_panels, bits_table, measured
from watari.report.chart import NEUTRAL, Line, Mark, Panel, chart_svg
from watari.report.figures import Figures
from watari.report.logs import BITS, CurveRow, TrainLog, curve_row
from watari.report.numbers import link
from watari.report.stages import ReportStage
from watari.report.table import Table
from watari.report.thinning import smoothed, strided, thinned
from watari.report.words import t, t_svg

_POINTS = 500
_DOTTED = 25
"""Up to so many measurements each is a dot."""
COLUMNS = {
    "lr": ("lr",),
    "accuracy": ("accuracy",),
    "margin": ("margin",),
    "rewards": ("chosen_reward", "rejected_reward"),
    "kl": ("kl_chosen", "kl_rejected"),
    "length_gap": ("length_gap",),
    "leaks": ("leaking_reward", "clean_reward"),
    "chosen_nll": ("chosen_nll",),
    "spans": ("p_bad", "p_good"),
}
"""The columns of the log that a panel shows; the first is the bold line, the second the thin one."""
PREFERENCE = ("accuracy", "margin", "spans")
_OWN_LOSS = ("train.dpo", "train.repair")
"""Stages whose loss is no mean over a text's tokens."""
_DRIFT = ("rewards", "kl", "length_gap", "leaks", "chosen_nll")
_HELD = {"accuracy": "reward_accuracy", "margin": "margin"}
"""What held-back pairs have of it."""


@dataclass(frozen=True)
class Chart:
    """One chart with its title, its drawing, its table and the data for the hover read-out."""

    id: str
    title: Markup
    notes: list[Markup]
    svg: Markup
    rows: list[CurveRow]
    data: dict[str, Any]
    bits: Table | None = None
    under: list[Chart] = field(default_factory=list)


@dataclass
class Panels:
    """The panels of a chart, from the top down, filled line by line."""

    loss: Panel
    bits: dict[str, Panel]
    preference: dict[str, Panel]
    rate: Panel

    @property
    def drawn(self) -> list[Panel]:
        """Those with something in them."""
        every = [self.loss, *self.bits.values(), *self.preference.values(), self.rate]
        return [panel for panel in every if panel.lines]


def charts_of(logs: Sequence[TrainLog], figures: Figures, *, bits: bool = True) -> list[Chart]:
    """Return the charts: all pre-training in one, then one for each fine-tuning stage with its variants.

    Args:
        logs: Of the training stages.
        figures: The page's.
        bits: Whether they show bits per character as well; False if another picture does.
    """
    groups: dict[tuple[str, str], list[TrainLog]] = {}
    for log in logs:
        name = "" if log.stage.uses == "train.pretrain" else log.stage.base
        groups.setdefault((log.stage.uses, name), []).append(log)
    order = {"train.pretrain": 0, "train.sft": 1, "train.dpo": 2, "train.repair": 3}
    ranked = sorted(
        groups.items(), key=lambda item: (order.get(item[0][0], len(order)), item[1][0].stage.position)
    )
    found = measured(logs) if bits else []
    return [
        _chart(f"chart{place}", key, group, found, figures) for place, (key, group) in enumerate(ranked, 1)
    ]


def _chart(
    id: str, key: tuple[str, str], logs: list[TrainLog], found: Sequence[Measured], figures: Figures
) -> Chart:
    uses, name = key
    x = "tokens" if uses == "train.pretrain" and all(log.has("tokens") for log in logs) else "step"
    mine = [item for item in found if item.log in logs]
    panels = Panels(
        Panel(t_svg("dpo_loss" if uses in _OWN_LOSS else "loss")),
        bits_panels(mine),
        {label: Panel(t_svg(label), height=110, ticks=3) for label in PREFERENCE},
        Panel(t_svg("lr"), height=44, floor=0.0, ticks=2),
    )
    norm = Panel(t_svg("grad_norm"), height=44, ticks=2)
    norms: list[dict[str, Any]] = []
    drift = {label: Panel(t_svg(label), height=80, ticks=3) for label in _DRIFT}
    drifts: list[dict[str, Any]] = []
    rows: list[CurveRow] = []
    data: list[dict[str, Any]] = []
    for colour, log in enumerate(logs):
        entry = draw(panels, log, x, colour, points=_POINTS)
        if entry is None:
            continue
        data.append(entry)
        rows.append(curve_row(log, colour % 8, figures))
        norms += draw_norm(norm, log, x, colour)
        if said := _draw_columns(drift, log, x, colour, entry["x"], points=_POINTS):
            drifts.append({name: entry[name] for name in ("name", "colour", "x")} | said)
        entry["bits"] = [
            draw_bits(panels.bits[item.language], item, x, colour) for item in mine if item.log is log
        ]
    title = {
        "train.pretrain": t("curves_pretrain"),
        "train.sft": t("curves_sft", name=name),
        "train.dpo": t("curves_dpo", name=name),
        "train.repair": t("curves_repair", name=name),
    }.get(uses, t("curves_other", name=name))
    notes = [t("curves_tokenizers")] if uses == "train.pretrain" and len(logs) > 1 else []
    notes += wrong_note([log.stage for log in logs], figures)
    if panels.loss.marks:
        notes.append(t("marks_note"))
    if any(item.base is not None for item in mine):
        notes.append(t("bits_line_note"))
    x_title = t_svg("tokens" if x == "tokens" else "steps")
    svg = chart_svg(panels.drawn, x_title=x_title, labelled_by=f"{id}-title", name=id)
    under = []
    folded = (
        ("n", "grad_norm", [norm] if norm.lines else [], norms),
        ("p", "drift", [panel for panel in drift.values() if panel.lines], drifts),
    )
    for letter, label, shown, lines in folded:
        if shown:
            name = f"{id}{letter}"
            small = chart_svg(shown, x_title=x_title, labelled_by=f"{name}-title", name=name)
            under.append(Chart(name, t(label), [], small, [], {"x": x, "lines": lines}))
    if any(line.style == "dots" for panel in panels.preference.values() for line in panel.lines):
        notes.append(t("held_note"))
    table = bits_table(f"{id}-bits", mine, figures)
    return Chart(id, title, notes, svg, rows, {"x": x, "lines": data}, table, under)


def draw(
    panels: Panels,
    log: TrainLog,
    x: str,
    colour: int,
    *,
    points: int,
    raw: bool = True,
) -> dict[str, Any] | None:
    """Draw a log's loss, learning rate and other figures into `panels`; return its data for the read-out.

    Args:
        panels: Where it goes.
        log: The log.
        x: The name of its column that is the x axis.
        colour: Its colour.
        points: Most points of a line.
        raw: Whether the logged values stand behind their moving average.
    """
    spots = log.pairs(x, "loss", calm=True)
    if not spots:
        return None
    kept = thinned([y for _, y in spots], points)
    soft = smoothed([y for _, y in spots])
    if raw:
        panels.loss.lines.append(Line([spots[place] for place in kept], colour, "raw"))
    panels.loss.lines.append(Line(_even(spots, soft, points), colour, "smooth"))
    panels.loss.marks.extend(Mark(step.x, step.value, step.skipped, colour) for step in log.wrong(x, "loss"))
    entry: dict[str, Any] = {
        "name": log.stage.name,
        "colour": colour % 8 if colour != NEUTRAL else NEUTRAL,
        "x": [spots[place][0] for place in kept],
        "loss": [_short(spots[place][1]) for place in kept],
        "smooth": [_short(soft[place]) for place in kept],
    }
    shown = {"lr": panels.rate, **panels.preference}
    return entry | _draw_columns(shown, log, x, colour, entry["x"], points=points, raw=raw)


def _draw_columns(
    panels: dict[str, Panel],
    log: TrainLog,
    x: str,
    colour: int,
    at: Sequence[float],
    *,
    points: int,
    raw: bool = True,
) -> dict[str, Any]:
    """Draw a log's other columns; return their values `at` places of the x axis, for the read-out."""
    said: dict[str, Any] = {}
    for label, panel in panels.items():
        for place, column in enumerate(COLUMNS[label]):
            pairs = log.pairs(x, column)
            if not pairs:
                continue
            values = [y for _, y in pairs]
            if label == "lr":
                panel.lines.append(Line([pairs[spot] for spot in thinned(values, points)], colour, "thin"))
            else:
                if raw:
                    panel.lines.append(Line([pairs[spot] for spot in thinned(values, points)], colour, "raw"))
                style = "thin" if place else "smooth"
                panel.lines.append(Line(_even(pairs, smoothed(values), points), colour, style))
            lookup = dict(pairs)
            said[column] = [_short(lookup[spot]) if spot in lookup else None for spot in at]
        if label in _HELD and (held := log.held_pairs(x, _HELD[label])):
            panel.lines.append(Line(held, colour, "dots"))
    return said


def draw_bits(panel: Panel, item: Measured, x: str, colour: int) -> dict[str, Any]:
    """Draw one language's bits per character into its panel; return the data for the read-out."""
    spots = [(float(row[x]), float(row[BITS])) for row in item.lines]
    panel.lines.append(Line(spots, colour))
    if len(spots) <= _DOTTED:
        panel.lines.append(Line(spots, colour, "dots"))
    if item.base is not None and item.base.log is item.log:
        level = float(item.base.lines[0][BITS])
        panel.lines.append(Line([(spots[0][0], level), (spots[-1][0], level)], colour, "level"))
    return {
        "language": item.language,
        "x": [place for place, _ in spots],
        "y": [_short(value) for _, value in spots],
    }


def draw_norm(panel: Panel, log: TrainLog, x: str, colour: int) -> list[dict[str, Any]]:
    """Draw a log's gradient norm; return its data for the read-out, or nothing if it has none."""
    pairs = log.pairs(x, "grad_norm", calm=True)
    if not pairs:
        return []
    kept = [pairs[place] for place in thinned([y for _, y in pairs], _POINTS)]
    panel.lines.append(Line(kept, colour, "thin"))
    panel.marks.extend(Mark(step.x, step.value, step.skipped, colour) for step in log.wrong(x, "grad_norm"))
    said = {"name": log.stage.name, "colour": colour % 8, "x": [a for a, _ in kept]}
    return [{**said, "grad_norm": [_short(b) for _, b in kept]}]


def wrong_note(stages: Sequence[ReportStage], figures: Figures) -> list[Markup]:
    """Return a note of how many spikes each stage had and how many steps were left out; none if all is well."""
    said = []
    for stage in stages:
        spikes = figures.metric(stage, "spikes")
        if spikes is None or not spikes.value:
            continue
        skipped = figures.metric(stage, "skipped_steps")
        count = (
            t("spikes_skipped", n=link(spikes), skipped=link(skipped))
            if skipped is not None and skipped.value
            else t("spikes_noted", n=link(spikes))
        )
        said.append(Markup('<span class="entry"><b>{}</b> {}</span>').format(stage.name, count))
    return [Markup(" ").join(said)] if said else []


def _even(
    points: Sequence[tuple[float, float]], soft: Sequence[float], most: int
) -> list[tuple[float, float]]:
    return [(points[place][0], soft[place]) for place in strided(len(points), most // 2)]


def _short(value: float) -> float:
    return float(f"{value:.5g}")
