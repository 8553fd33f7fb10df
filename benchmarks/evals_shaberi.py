"""Shaberi's item scores of all stored models and judges, counted again: seconds, beside the way in which upstream counts.

Three claims over the same file (3,207 sheets of ratings):
- figures: upstream's whole table, beside upstream's steps in pandas (a frame a sheet, concat, groupby, mean, unstack). Every
  figure must be equal to 4e-15, or the script fails.
- intervals: a percentile bootstrap of 2,000 draws for every mean, beside the plain way in numpy (indices drawn for each
  figure, values gathered, quantiles). Upstream has none. The ends are held against each other: two seeds' worth apart.
- the whole command, process start included, as wall time, beside the bar of 5 seconds (issue 7).

    WATARI_TEST_DATA=... python benchmarks/evals_shaberi.py [--quick] [--repeats N]
"""

from __future__ import annotations

import gzip
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sides import alternate, arguments, one_thread, tell

one_thread()

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from watari.evals.result import Result  # noqa: E402
from watari.evals.shaberi.published import published  # noqa: E402
from watari.evals.shaberi.scoring import score_files  # noqa: E402
from watari.evals.shaberi.spec import ShaberiSpec  # noqa: E402
from watari.evals.spec import load_spec  # noqa: E402

Row = dict[str, Any]
ROUNDS = 2000
BAR = 5.0


def shaberi() -> ShaberiSpec:
    """Return the spec."""
    spec = load_spec("shaberi")
    assert isinstance(spec, ShaberiSpec)
    return spec


def read(path: Path) -> list[Row]:
    """Return the sheets of a file of scores."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def frame(row: Row, spec: ShaberiSpec) -> pd.DataFrame:
    """Return one sheet as upstream's script has it: without the excluded items, ELYZA's scores doubled."""
    dataset = spec.dataset(row["dataset"])
    assert dataset is not None
    scores = [score if isinstance(score, int | float) else None for score in row["scores"]]
    found = pd.DataFrame({"score": pd.Series(scores, dtype="float64"), "id": range(1, len(scores) + 1)})
    if dataset.excluded:
        found = found[~found["id"].isin(dataset.excluded)]
    found["eval_dataset"] = dataset.short
    found["model_name"] = row["model"]
    found["score"] = found["score"] * dataset.factor
    return found


def pandas_table(path: Path, spec: ShaberiSpec) -> pd.DataFrame:
    """Return the means of upstream's table, by its own steps."""
    by_judge: dict[str, list[pd.DataFrame]] = {}
    for row in read(path):
        by_judge.setdefault(row["judge"], []).append(frame(row, spec))
    columns = []
    for judge, frames in [("All", [one for many in by_judge.values() for one in many]), *by_judge.items()]:
        label = spec.published.judges.get(judge, judge)
        means = pd.concat(frames).groupby(["model_name", "eval_dataset"]).score.mean().unstack()
        means.columns = [f"{name} ({label})" for name in means.columns]
        means[f"Average ({label})"] = means.mean(axis=1)
        columns.append(means)
    table = columns[0]
    for other in columns[1:]:
        table = table.join(other, how="outer")
    table.index = table.index.str.replace("__", "/")
    return table


def numpy_intervals(values: Sequence[Sequence[np.ndarray[Any, Any]]]) -> list[tuple[float, float]]:
    """Return the ends of each figure's interval, one figure after another, in the plain way."""
    found = []
    for number, parts in enumerate(values):
        drawn = np.zeros(ROUNDS)
        for part in parts:
            picks = np.random.default_rng(number).integers(len(part), size=(ROUNDS, len(part)))
            drawn += np.nanmean(part[picks], axis=1)
        low, high = np.quantile(drawn / len(parts), [0.025, 0.975])
        found.append((float(low), float(high)))
    return found


def arrays(results: Sequence[Result]) -> list[list[np.ndarray[Any, Any]]]:
    """Return what each figure is drawn from, in the order of the results' figures."""
    found = []
    for result in results:
        parts: dict[str, list[float]] = {}
        for unit in result.units:
            parts.setdefault(unit.stratum, []).append(math.nan if unit.value is None else unit.value)
        made = {name: np.array(values) for name, values in parts.items()}
        full = [one for one in made.values() if not np.isnan(one).all()]
        found += [full if name == result.overall else [made[name]] for name in result.figures]
    return found


def figures(path: Path, spec: ShaberiSpec, repeats: int) -> None:
    """Hold the table against upstream's steps."""

    def ours() -> dict[str, dict[str, float | int]]:
        return published(score_files(spec, [path], rounds=0), spec)

    def theirs() -> pd.DataFrame:
        return pandas_table(path, spec)

    seconds = alternate(ours, theirs, repeats=repeats)
    mine, table = ours(), theirs()
    compared, worst = 0, 0.0
    for model, row in table.iterrows():
        for column, value in row.items():
            if not math.isnan(value):
                worst = max(worst, abs(mine[str(model)][str(column)] - value))
                compared += 1
    if worst > 4e-15:
        raise SystemExit(f"a figure differs from upstream's steps by {worst:.2g}")
    tell(
        "Shaberi: upstream's table counted again",
        *seconds,
        unit="s",
        peer_name="upstream's steps in",
        peer_packages=("pandas",),
        sizes=f"{len(read(path)):,} sheets, {len(table)} models; {compared:,} figures, largest difference {worst:.1g}",
    )


def intervals(path: Path, spec: ShaberiSpec, repeats: int) -> None:
    """Hold the intervals against the plain way."""
    values = arrays(score_files(spec, [path], rounds=0))

    def ours() -> list[Result]:
        return score_files(spec, [path], rounds=ROUNDS)

    seconds = alternate(ours, lambda: numpy_intervals(values), repeats=repeats, warm_up=False)
    mine = [figure for result in ours() for figure in result.figures.values()]
    plain = numpy_intervals(values)
    apart = statistics.median(
        max(abs((figure.low or 0) - low), abs((figure.high or 0) - high)) / figure.stderr
        for figure, (low, high) in zip(mine, plain, strict=True)
        if figure.stderr
    )
    if apart > 0.2:
        raise SystemExit(f"intervals are {apart:.2f} standard errors apart")
    tell(
        "Shaberi: every mean with its interval (reading and figures included on our side)",
        *seconds,
        unit="s",
        peer_name="a draw for each figure in",
        peer_packages=("numpy",),
        sizes=f"{len(mine):,} figures, {ROUNDS:,} draws; ends apart by {apart:.2f} standard errors (median)",
    )


def command(path: Path, repeats: int) -> None:
    """Measure the command, process start included."""
    source = str(Path(__file__).resolve().parent.parent / "src")
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "watari",
                "eval",
                "score",
                "shaberi",
                str(path),
                "--json",
                "--invalid",
                "drop",
            ],
            capture_output=True,
            env={**os.environ, "PYTHONPATH": source},
            check=False,
        )
        found.append(time.perf_counter() - began)
        if done.returncode:
            raise SystemExit(done.stderr.decode()[-2000:])
        json.loads(done.stdout)
    tell(
        "Shaberi: watari eval score with all intervals, process start included; bar 5 s",
        statistics.median(found),
        BAR,
        unit="s wall",
        peer_name="the bar",
        sizes=f"{len(read(path)):,} sheets",
    )


def main() -> None:
    """Measure all three."""
    args = arguments(__doc__)
    data = os.environ.get("WATARI_TEST_DATA")
    if not data:
        raise SystemExit("set WATARI_TEST_DATA to the folder of test data")
    repeats = args.repeats or (1 if args.quick else 3)
    path = Path(data) / "shaberi" / "scores.jsonl.gz"
    with tempfile.TemporaryDirectory() as folder:
        if args.quick:
            rows = read(path)
            few = sorted({row["model"] for row in rows})[:8]
            path = Path(folder) / "few.jsonl.gz"
            with gzip.open(path, "wt", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows if row["model"] in few)
        spec = shaberi()
        figures(path, spec, repeats)
        intervals(path, spec, repeats)
        command(path, repeats)


if __name__ == "__main__":
    main()
