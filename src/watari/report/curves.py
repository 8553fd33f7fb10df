"""Training curves from the logs of `train.*` stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from watari.report.chart import Line, Panel, chart_svg, smoothed, strided, thinned
from watari.report.figures import Figure, Figures, Origin, number, read_lines
from watari.report.stages import ReportStage
from watari.report.words import t, t_svg

LOG = "train_log.jsonl"
_POINTS = 500


@dataclass(frozen=True)
class CurveRow:
    """One stage's line in a chart, in figures."""

    stage: ReportStage
    colour: int
    first: Figure
    last: Figure
    least: Figure


@dataclass(frozen=True)
class Chart:
    """One chart with its title, its drawing, its table and the data for the hover read-out."""

    id: str
    title: Markup
    note: Markup
    svg: Markup
    rows: list[CurveRow]
    data: dict[str, Any]


@dataclass(frozen=True)
class _Log:
    stage: ReportStage
    file: str
    rows: list[dict[str, Any]]

    def has(self, name: str) -> bool:
        """True if the log has numbers under `name`."""
        return any(number(row.get(name)) is not None for row in self.rows)

    def pairs(self, x: str, y: str) -> list[tuple[float, float]]:
        """Return (x, y) of the rows that have both, x ascending."""
        found = [(number(row.get(x)), number(row.get(y))) for row in self.rows]
        return sorted((float(a), float(b)) for a, b in found if a is not None and b is not None)


def charts_of(stages: Sequence[ReportStage], figures: Figures) -> list[Chart]:
    """Return the charts: all pre-training in one, then one for each fine-tuning stage with its variants."""
    groups: dict[tuple[str, str], list[_Log]] = {}
    for stage in stages:
        if not stage.uses.startswith("train."):
            continue
        log = _read(stage)
        if log is not None:
            name = "" if stage.uses == "train.pretrain" else stage.base
            groups.setdefault((stage.uses, name), []).append(log)
    order = {"train.pretrain": 0, "train.sft": 1, "train.dpo": 2}
    ranked = sorted(groups.items(), key=lambda item: (order.get(item[0][0], 3), item[1][0].stage.position))
    return [_chart(f"chart{place}", key, logs, figures) for place, (key, logs) in enumerate(ranked, 1)]


def _read(stage: ReportStage) -> _Log | None:
    if not (stage.path / LOG).is_file():
        return None
    log = _Log(stage, LOG, read_lines(stage.path / LOG))
    return log if log.has("loss") else None


def _chart(id: str, key: tuple[str, str], logs: list[_Log], figures: Figures) -> Chart:
    uses, name = key
    x = "tokens" if uses == "train.pretrain" and all(log.has("tokens") for log in logs) else "step"
    loss = Panel(t_svg("dpo_loss" if uses == "train.dpo" else "loss"))
    rate = Panel(t_svg("lr"), height=44, floor=0.0, ticks=2)
    accuracy = Panel(t_svg("accuracy"), height=110, ticks=3)
    margin = Panel(t_svg("margin"), height=110, ticks=3)
    rows: list[CurveRow] = []
    data: list[dict[str, Any]] = []
    for colour, log in enumerate(logs):
        points = log.pairs(x, "loss")
        if not points:
            continue
        kept = thinned([y for _, y in points], _POINTS)
        soft = smoothed([y for _, y in points])
        loss.lines.append(Line([points[place] for place in kept], colour, "raw"))
        loss.lines.append(Line(_even(points, soft), colour, "smooth"))
        entry: dict[str, Any] = {
            "name": log.stage.name,
            "colour": colour % 8,
            "x": [points[place][0] for place in kept],
            "loss": [_short(points[place][1]) for place in kept],
            "smooth": [_short(soft[place]) for place in kept],
        }
        columns = (("lr", rate), ("accuracy", accuracy), ("margin", margin))
        for label, panel in columns:
            pairs = log.pairs(x, label)
            if not pairs:
                continue
            values = [y for _, y in pairs]
            spots = thinned(values, _POINTS)
            if panel is rate:
                panel.lines.append(Line([pairs[place] for place in spots], colour, "thin"))
            else:
                gentle = smoothed(values)
                panel.lines.append(Line([pairs[place] for place in spots], colour, "raw"))
                panel.lines.append(Line(_even(pairs, gentle), colour))
            lookup = dict(pairs)
            entry[label] = [
                _short(lookup[points[place][0]]) if points[place][0] in lookup else None for place in kept
            ]
        data.append(entry)
        rows.append(_row(log, colour % 8, figures))
    panels = [panel for panel in (loss, accuracy, margin, rate) if panel.lines]
    title = {
        "train.pretrain": t("curves_pretrain"),
        "train.sft": t("curves_sft", name=name),
        "train.dpo": t("curves_dpo", name=name),
    }.get(uses, t("curves_other", name=name))
    several = uses == "train.pretrain" and len(logs) > 1
    svg = chart_svg(
        panels, x_title=t_svg("tokens" if x == "tokens" else "steps"), labelled_by=f"{id}-title", name=id
    )
    note = t("curves_tokenizers") if several else Markup()
    return Chart(id, title, note, svg, rows, {"x": x, "lines": data})


def _row(log: _Log, colour: int, figures: Figures) -> CurveRow:
    found = [row for row in log.rows if number(row.get("loss")) is not None]

    def figure(name: str, row: dict[str, Any]) -> Figure:
        step = number(row.get("step"))
        where = {"step": step} if step is not None else {"line": log.rows.index(row) + 1}
        origin = Origin(log.stage, file=log.file, where={**where}, column="loss")
        return figures.add(name, row["loss"], origin)

    least = min(found, key=lambda row: (row["loss"], row.get("step") or 0))
    return CurveRow(
        log.stage,
        colour,
        figure("first_loss", found[0]),
        figure("last_loss", found[-1]),
        figure("least_loss", least),
    )


def _even(points: Sequence[tuple[float, float]], soft: Sequence[float]) -> list[tuple[float, float]]:
    return [(points[place][0], soft[place]) for place in strided(len(points), _POINTS // 2)]


def _short(value: float) -> float:
    return float(f"{value:.5g}")
