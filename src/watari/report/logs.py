"""What `train.*` stages wrote while they trained: a line a step, and bits per character of held-back text.

`train_log.jsonl`: {step, loss, lr, grad_norm, tokens, ...}; a step that went wrong has `spike` (what gave it away), and
`skipped` if it was left out of the training. `eval_log.jsonl`: {step, tokens, language, bits_per_character, characters,
documents}, from before the first step on. `holdout_log.jsonl`, where preference training was asked for it: {step,
reward_accuracy, margin, ...} of pairs held back. An older stage may have neither spikes nor the last two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from watari.artifact.kinds import Kind
from watari.report.figures import Figure, Figures, Origin, number, read_lines
from watari.report.stages import ReportStage

LOG = "train_log.jsonl"
EVAL_LOG = "eval_log.jsonl"
HOLDOUT_LOG = "holdout_log.jsonl"
BITS = "bits_per_character"


@dataclass(frozen=True)
class Wrong:
    """A step that went wrong: its place, its value (None if it was no number), and whether it was left out."""

    x: float
    value: float | None
    skipped: bool


@dataclass(frozen=True)
class TrainLog:
    """One stage's logs.

    Args:
        stage: The stage.
        rows: Lines of its train_log.jsonl.
        bits: Lines of its eval_log.jsonl that hold a figure.
        held: Lines of its holdout_log.jsonl.
    """

    stage: ReportStage
    rows: list[dict[str, Any]]
    bits: list[dict[str, Any]]
    held: list[dict[str, Any]] = field(default_factory=list)

    def has(self, name: str) -> bool:
        """True if the log has numbers under `name`."""
        return any(number(row.get(name)) is not None for row in self.rows)

    def pairs(self, x: str, y: str, *, calm: bool = False) -> list[tuple[float, float]]:
        """Return (x, y) of the rows that have both, x ascending; `calm` leaves out steps that went wrong."""
        rows = [row for row in self.rows if not (calm and row.get("spike"))]
        found = [(number(row.get(x)), number(row.get(y))) for row in rows]
        return sorted((float(a), float(b)) for a, b in found if a is not None and b is not None)

    def wrong(self, x: str, y: str) -> list[Wrong]:
        """Return the steps that went wrong, with their x and y."""
        found = []
        for row in self.rows:
            place, value = number(row.get(x)), number(row.get(y))
            if row.get("spike") and place is not None:
                found.append(
                    Wrong(float(place), None if value is None else float(value), row.get("skipped") is True)
                )
        return sorted(found, key=lambda step: step.x)

    def held_pairs(self, x: str, y: str) -> list[tuple[float, float]]:
        """Return (x, y) of the held-back pairs, where the log has the x of the step."""
        places = dict(self.pairs("step", x))
        found = [(number(row.get("step")), number(row.get(y))) for row in self.held]
        return sorted((places[a], float(b)) for a, b in found if a in places and b is not None)

    @property
    def languages(self) -> list[str]:
        """The languages of the held-back text, in the order of the log."""
        return list(dict.fromkeys(str(row["language"]) for row in self.bits))

    def lines_of(self, language: str) -> list[dict[str, Any]]:
        """Return one language's lines, by step."""
        return sorted((row for row in self.bits if row["language"] == language), key=lambda row: row["step"])

    def bits_figure(self, name: str, row: dict[str, Any], figures: Figures) -> Figure:
        """Return a measurement of held-back text as a figure."""
        where = {"step": row["step"], "language": row["language"]}
        origin = Origin(self.stage, file=EVAL_LOG, where=where, column=BITS)
        documents = row.get("documents")
        return figures.add(
            name,
            row[BITS],
            origin,
            group=str(row["language"]),
            n=documents if isinstance(documents, int) else None,
        )

    def loss_figure(self, name: str, row: dict[str, Any], figures: Figures) -> Figure:
        """Return a step's loss as a figure."""
        step = number(row.get("step"))
        where = {"step": step} if step is not None else {"line": self.rows.index(row) + 1}
        return figures.add(name, row["loss"], Origin(self.stage, file=LOG, where={**where}, column="loss"))

    @property
    def from_scratch(self) -> bool:
        """True if what it trained was a model of random weights, from which nothing can be forgotten."""
        stage = model_before(self.stage)
        while stage is not None and not stage.uses.startswith("train."):
            if stage.uses == "model.init":
                return True
            stage = model_before(stage)
        return False


@dataclass(frozen=True)
class CurveRow:
    """One stage's line in a chart, in figures."""

    stage: ReportStage
    colour: int
    first: Figure
    last: Figure
    least: Figure


def curve_row(log: TrainLog, colour: int, figures: Figures) -> CurveRow:
    """Return the first, last and least loss of a log that has a loss."""
    found = [row for row in log.rows if number(row.get("loss")) is not None]
    least = min(found, key=lambda row: (row["loss"], row.get("step") or 0))
    return CurveRow(
        log.stage,
        colour,
        log.loss_figure("first_loss", found[0], figures),
        log.loss_figure("last_loss", found[-1], figures),
        log.loss_figure("least_loss", least, figures),
    )


def read_logs(stages: Sequence[ReportStage]) -> list[TrainLog]:
    """Return the logs of every training stage that has one with a loss in it, in the order of the recipe."""
    logs = []
    for stage in stages:
        if not stage.uses.startswith("train.") or not (stage.path / LOG).is_file():
            continue
        log = TrainLog(
            stage,
            read_lines(stage.path / LOG),
            [row for row in _lines(stage, EVAL_LOG) if _is_measurement(row)],
            _lines(stage, HOLDOUT_LOG),
        )
        if log.has("loss"):
            logs.append(log)
    return logs


def _lines(stage: ReportStage, name: str) -> list[dict[str, Any]]:
    return read_lines(stage.path / name) if (stage.path / name).is_file() else []


def _is_measurement(row: dict[str, Any]) -> bool:
    return bool(row.get("language")) and all(
        number(row.get(name)) is not None for name in ("step", "tokens", BITS)
    )


def model_before(stage: ReportStage) -> ReportStage | None:
    """Return the stage whose model this one takes and changes, if it is one of the run's."""
    models = [source for source in stage.sources if source.kind == Kind.MODEL]
    named = [source for source in models if source.parameter in ("model", "base")]
    return (named or models)[0].stage if models else None


def trained_before(stage: ReportStage) -> ReportStage | None:
    """Return the training stage before this one on the model's way: `model.graft` and the like are passed over."""
    before = model_before(stage)
    while before is not None and not before.uses.startswith("train."):
        before = model_before(before)
    return before
