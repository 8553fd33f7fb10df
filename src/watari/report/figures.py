"""Every number that the page shows, each with where it comes from (DESIGN law 3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from watari.artifact.rows import read_rows, row_files
from watari.errors import UserError
from watari.report.stages import ReportStage

Number = int | float
SUITES = ("eval.jaster", "eval.mtbench", "eval.shaberi")
"""Stages that leave an evaluation folder: scores with spec, runs and judge, and every answer."""


_SWEPT_SHARES = ("leaking", "sound", "loops", "truncated", "empty")
"""Metrics of a sampler sweep that are shares of its answers."""


@dataclass(frozen=True)
class Origin:
    """Where a figure stands.

    Args:
        stage: The stage that says it.
        field: A JSON pointer (RFC 6901) into the stage's manifest.json, or into `file` if that is a JSON file.
        file: A file of the artifact; None means the manifest.
        where: For a file of rows: the columns that single out the row; the figure is its column `column`.
        column: See `where`.
    """

    stage: ReportStage
    field: str | None = None
    file: str | None = None
    where: dict[str, str | int | float] | None = None
    column: str | None = None

    @property
    def text(self) -> str:
        """A short form for a tooltip: `sft · manifest.json#/metrics/loss`."""
        place = f"{self.file or 'manifest.json'}{'#' + self.field if self.field else ''}"
        rows = ", ".join(f"{name}={value}" for name, value in (self.where or {}).items())
        return f"{self.stage.name} · {place}" + (f" · {rows} · {self.column}" if rows else "")


@dataclass(frozen=True)
class Figure:
    """One number on the page.

    Args:
        id: `f1`, `f2`, … in the order of the page.
        name: What it is: `bits_per_character`.
        value: The number, in the unit of its source.
        origin: Where it stands; None for a derived figure.
        group: The language, or language and task, that it is about.
        n: How many items it is over.
        invalid: How many of the answers could not be read.
        low, high: The ends of its 95 % interval.
        interval: How the report computed the interval, if its source gives none.
        runs, run_sd: Of how many runs, and the standard deviation of their own figures.
        judge, spec: Who rated it by which rules, for a figure of an evaluation suite.
        derived: Ids of the figures that it is computed from, and how, for a derived figure.
    """

    id: str
    name: str
    value: Number
    origin: Origin | None
    group: str = ""
    n: int | None = None
    invalid: int | None = None
    low: float | None = None
    high: float | None = None
    interval: str = ""
    derived: tuple[str, tuple[str, ...]] | None = None
    runs: int | None = None
    run_sd: float | None = None
    judge: str = ""
    spec: str = ""


@dataclass
class Figures:
    """Hands out figures and keeps them for report.json; the same number of the same place is one figure."""

    all: list[Figure] = field(default_factory=list)
    _known: dict[str, Figure] = field(default_factory=dict)

    def add(
        self,
        name: str,
        value: Number,
        origin: Origin,
        *,
        group: str = "",
        n: int | None = None,
        invalid: int | None = None,
        low: float | None = None,
        high: float | None = None,
        interval: str = "",
        **more: Any,
    ) -> Figure:
        """Record a number and return its figure; `more`: runs, run_sd, judge, spec."""
        known = f"{name}\0{origin.stage.position}\0{origin.text}"
        if known not in self._known:
            id = f"f{len(self.all) + 1}"
            figure = Figure(id, name, value, origin, group, n, invalid, low, high, interval, **more)
            self._known[known] = figure
            self.all.append(figure)
        return self._known[known]

    def derive(self, name: str, value: Number, how: str, sources: tuple[Figure, ...]) -> Figure:
        """Record a number computed from others: `how` names the sum, e.g. `f2 / f1`."""
        figure = Figure(
            f"f{len(self.all) + 1}",
            name,
            value,
            None,
            derived=(how, tuple(source.id for source in sources)),
        )
        self.all.append(figure)
        return figure

    def metric(self, stage: ReportStage, *path: str, name: str | None = None, **more: Any) -> Figure | None:
        """Return the figure at `metrics` / path of the stage's manifest, or None if there is no number there."""
        value = number(dig(stage.manifest.metrics, path))
        if value is None:
            return None
        return self.add(name or path[-1], value, Origin(stage, pointer("metrics", *path)), **more)

    def parameter(self, stage: ReportStage, *path: str, name: str | None = None) -> Figure | None:
        """Return the figure at `parameters` / path of the stage's manifest, or None if there is no number there."""
        value = number(dig(stage.manifest.parameters, path))
        if value is None:
            return None
        return self.add(name or path[-1], value, Origin(stage, pointer("parameters", *path)))

    def stored(
        self,
        stage: ReportStage,
        file: str,
        content: Any,
        *path: str,
        name: str | None = None,
        group: str = "",
    ) -> Figure | None:
        """Return the figure at `path` of a JSON file of the artifact, given its content, or None if there is none."""
        value = number(dig(content, path))
        if value is None:
            return None
        return self.add(name or path[-1], value, Origin(stage, pointer(*path), file=file), group=group)

    def to_json(self) -> list[dict[str, Any]]:
        """Return every figure as plain data for report.json."""
        return [_plain(figure) for figure in self.all]


def _plain(figure: Figure) -> dict[str, Any]:
    said: dict[str, Any] = {"id": figure.id, "name": figure.name, "value": figure.value}
    optional = {
        "group": figure.group or None,
        "n": figure.n,
        "invalid": figure.invalid,
        "ci_low": figure.low,
        "ci_high": figure.high,
        "interval": figure.interval or None,
        "runs": figure.runs,
        "run_sd": figure.run_sd,
        "judge": figure.judge or None,
        "spec": figure.spec or None,
    }
    said |= {key: value for key, value in optional.items() if value is not None}
    if figure.origin is not None:
        origin = figure.origin
        said |= {"stage": origin.stage.name, "artifact": origin.stage.manifest.key}
        said |= {"file": origin.file or "manifest.json"}
        if origin.field is not None:
            said["field"] = origin.field
        if origin.where is not None:
            said |= {"where": origin.where, "column": origin.column}
    if figure.derived is not None:
        said |= {"derived": figure.derived[0], "from": list(figure.derived[1])}
    return said


def number(value: Any) -> Number | None:
    """Return `value` if it is a finite number (a bool is none), else None."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if isfinite(value) else None


def dig(value: Any, path: tuple[str, ...]) -> Any:
    """Return what lies at `path` in nested maps and lists (there the key is the index), or None."""
    for key in path:
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            return None
    return value


def pointer(*path: str) -> str:
    """Return the JSON pointer (RFC 6901) of a path of keys."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in path)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield (path, value) for everything in nested maps that is no map; an empty map is a leaf."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, str(key)))
    else:
        yield path, value


@dataclass(frozen=True)
class Score:
    """One row of an evaluation."""

    metric: str
    group: str
    figure: Figure


def scores_of(stage: ReportStage, figures: Figures) -> list[Score]:
    """Return the rows of a `scores` artifact, in order, each as a figure; rows without a value are left out."""
    found = []
    files = row_files(stage.path)
    for row in read_rows(stage.path) if files else ():
        value = number(row.get("value"))
        if value is None:
            continue
        metric, group = str(row.get("metric") or ""), str(row.get("group") or "")
        origin = Origin(
            stage,
            file=files[0].name if len(files) == 1 else "rows-*.parquet",
            where={"metric": metric, "group": group},
            column="value",
        )
        figure = figures.add(
            f"{metric}_share" if stage.uses == "sweep.run" and metric in _SWEPT_SHARES else metric,
            value,
            origin,
            group=group,
            n=row.get("n"),
            invalid=row.get("invalid"),
            low=number(row.get("ci_low")),
            high=number(row.get("ci_high")),
            **(_of_a_suite(row) if stage.uses in SUITES else {}),
        )
        found.append(Score(metric, group, figure))
    return found


def _of_a_suite(row: dict[str, Any]) -> dict[str, Any]:
    runs = row.get("runs")
    return {
        "runs": runs if isinstance(runs, int) else None,
        "run_sd": number(row.get("run_sd")),
        "judge": str(row.get("judge") or ""),
        "spec": str(row.get("spec") or ""),
    }


def read_object(path: Path) -> dict[str, Any]:
    """Return the object that a .json file holds.

    Raises:
        UserError: if it holds none.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(
            f"{path.name}: not a JSON object", "run `watari verify` to see which artifact is damaged"
        )
    return found


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a .jsonl file.

    Raises:
        UserError: naming the line that is no JSON object.
    """
    rows = []
    with path.open(encoding="utf-8") as handle:
        for index, line in enumerate(handle, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                row = None
            if not isinstance(row, dict):
                raise UserError(
                    f"{path.name}:{index}: not a JSON object",
                    "run `watari verify` to see which artifact is damaged",
                )
            rows.append(row)
    return rows
