"""The stored llm-jp-eval runs, scored again: CPU seconds beside fuzzywuzzy-based scoring of the same rows.

Both sides have the rows in memory, by model and dataset, and give every figure of every run. The peer does it as llm-jp-eval
1.0 does, run by run: fuzzywuzzy an item, scikit-learn's accuracy_score, scipy's correlations, statistics.mean; with
python-Levenshtein, and with difflib, on which fuzzywuzzy falls back; with the packages of autumn 2023, and with today's. Both
read the rows anew before each measurement, so that no hash or number of a text is known from the last. All figures must be
the same (correlations to 1e-9), or the script fails. Then figures with intervals,
beside scipy.stats.bootstrap; the ends must be as near as two seeds' are. Last the whole command, from the file to the
printed scores, both ratios with intervals, beside the peer's script with one ratio and none.

    WATARI_TEST_DATA=... python benchmarks/evals_jaster.py [--quick] [--repeats N]
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from endpoint_bench import Peer, python_of, say
from sides import arguments, one_thread, tell

one_thread()

from watari.evals.jaster import metrics  # noqa: E402
from watari.evals.jaster.figures import score  # noqa: E402
from watari.evals.jaster.ratio import BACKENDS, Backend  # noqa: E402
from watari.evals.jaster.reading import Answers, read_files  # noqa: E402
from watari.evals.jaster.scoring import results_of  # noqa: E402
from watari.evals.jaster.spec import JasterSpec  # noqa: E402
from watari.evals.spec import load_spec  # noqa: E402

THEN = Peer(
    "the packages of 2023",
    "",
    "fuzzywuzzy/then",
    ("fuzzywuzzy==0.18.0", "python-Levenshtein==0.23.0", "scikit-learn==1.3.2", "scipy==1.11.4", "numpy<2"),
    "scikit-learn",
)
NOW = Peer(
    "today's packages",
    "",
    "fuzzywuzzy/now",
    ("fuzzywuzzy==0.18.0", "python-Levenshtein", "scikit-learn", "scipy"),
    "scikit-learn",
)
SCRIPT = Path(__file__).resolve().parent / "evals_peers" / "fuzzy.py"
SPEC = "llm-jp-eval-1.0"
_FEW = 3
"""Runs with intervals: the peer takes seconds for one."""


def ours(spec: JasterSpec, answers: list[Answers], backends: tuple[Backend, ...]) -> list[dict[str, float]]:
    """Return the figures of every run by the first of some backends."""
    return [one.figures[backends[0]] for one in score(spec, answers, backends)]


def timed(spec: JasterSpec, data: Path, models: int | None, backends: tuple[Backend, ...]) -> float:
    """Return the CPU seconds of our scoring of rows that were just read."""
    answers = read_files([data])[:models]
    metrics._NUMBERS.clear()  # what it remembers of answers to JSTS
    gc.collect()
    began = time.process_time()
    score(spec, answers, backends)
    return time.process_time() - began


def peers(python: str, columns: Path, backend: str, *more: str) -> dict[str, Any]:
    """Return what the peer's script says of one scoring."""
    command = [python, str(SCRIPT), str(columns), backend, "1", *more]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise SystemExit(f"{SCRIPT.name}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def hold_beside(mine: dict[str, dict[str, float]], theirs: dict[str, dict[str, float]]) -> None:
    """Stop if a figure differs: in anything, or in more than 1e-9 for a correlation."""
    assert mine.keys() == theirs.keys()
    for model, figures in theirs.items():
        assert mine[model].keys() == figures.keys(), model
        for name, value in figures.items():
            same = (
                abs(mine[model][name] - value) < 1e-9
                if name.startswith("jsts")
                else mine[model][name] == value
            )
            assert same, f"{model}: {name}: ours {mine[model][name]}, the peer's {value}"


def columns_of(answers: list[Answers], path: Path) -> Path:
    """Write answers as the peer's script reads them."""
    whole = {one.model: {name: [c.preds, c.golds] for name, c in one.columns.items()} for one in answers}
    path.write_text(json.dumps(whole), "utf-8")
    return path


def wall(command: list[str], path: str) -> float:
    """Return the seconds of a process from start to end."""
    began = time.perf_counter()
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure both backends, each alone and both together, and the whole command."""
    options = arguments(__doc__)
    data = Path(os.environ["WATARI_TEST_DATA"]) / "shisa-llm-jp-eval" / "predictions.jsonl.gz"
    spec = load_spec(SPEC)
    assert isinstance(spec, JasterSpec)
    models = 3 if options.quick else None
    answers = read_files([data])[:models]
    repeats = options.repeats or (1 if options.quick else 7)
    pythons = {peer.name: python for peer in (THEN, NOW) if (python := python_of(peer)) is not None}
    if len(pythons) < 2:
        raise SystemExit("fuzzywuzzy cannot be installed: nothing to measure against")
    sizes = (
        f"{len(answers)} runs, {sum(len(c.items) for one in answers for c in one.columns.values()):,} rows"
    )
    with tempfile.TemporaryDirectory() as folder:
        columns = columns_of(answers, Path(folder) / "columns.json")
        seconds: dict[str, list[float]] = {name: [] for name in ("levenshtein", "difflib", "both")}
        theirs: dict[str, dict[str, list[float]]] = {name: {b: [] for b in BACKENDS} for name in pythons}
        versions: dict[str, dict[str, str]] = {}
        for backend in BACKENDS:
            mine = dict(zip((one.model for one in answers), ours(spec, answers, (backend,)), strict=True))
            for python in pythons.values():
                hold_beside(mine, peers(python, columns, backend)["figures"])
        for _ in range(repeats):
            for backend in BACKENDS:
                seconds[backend].append(timed(spec, data, models, (backend,)))
                for name, python in pythons.items():
                    told = peers(python, columns, backend)
                    theirs[name][backend] += told["seconds"]
                    versions[name] = told["versions"]
            seconds["both"].append(timed(spec, data, models, BACKENDS))
        say(f"ours {seconds}, the peers' {theirs}")
        for name in pythons:
            _claims(name, seconds, theirs[name], versions[name], sizes, repeats)
        python = pythons[NOW.name]
        _intervals(spec, answers[:_FEW], python, Path(folder), versions[NOW.name], repeats)
        if not options.quick:
            _command(data, python, columns, versions[NOW.name], sizes)


def _claims(
    peer: str,
    seconds: dict[str, list[float]],
    theirs: dict[str, list[float]],
    versions: dict[str, str],
    sizes: str,
    repeats: int,
) -> None:
    packages = {
        "levenshtein": "fuzzywuzzy python-Levenshtein scikit-learn scipy",
        "difflib": "fuzzywuzzy scikit-learn scipy",
    }
    named = {
        backend: ", ".join(f"{name} {versions[name]}" for name in of.split())
        for backend, of in packages.items()
    }
    named["difflib"] += " (difflib)"
    sizes += f", every figure the same, median of {repeats}"
    mine = {name: statistics.median(values) * 1000 for name, values in seconds.items()}
    other = {name: statistics.median(values) * 1000 for name, values in theirs.items()}
    for backend in BACKENDS:
        tell(
            f"llm-jp-eval 1.0 scores of all stored runs, {backend} ratio; the peer with {peer}",
            mine[backend], other[backend], unit="ms CPU", peer_name=named[backend], sizes=sizes,
        )  # fmt: skip
    tell(
        f"llm-jp-eval 1.0 scores of all stored runs, both ratios; the peer with {peer}",
        mine["both"], sum(other.values()), unit="ms CPU", peer_name="; then ".join(named.values()), sizes=sizes,
    )  # fmt: skip


def _intervals(
    spec: JasterSpec,
    answers: list[Answers],
    python: str,
    folder: Path,
    versions: dict[str, str],
    repeats: int,
) -> None:
    told = peers(python, columns_of(answers, folder / "few.json"), "levenshtein", "--intervals")
    results, seconds = [], []
    for _ in range(repeats + 1):
        gc.collect()
        began = time.process_time()
        results = results_of(spec, answers)
        seconds.append(time.process_time() - began)
    for result in results:
        for name, (low, high) in told["intervals"][result.model].items():
            figure = next(one for of, one in result.figures.items() if of in (name, *_named(name)))
            near = 0.02 if name.startswith("jsts") else 0.011  # a step of one item in a hundred
            for mine, theirs in ((figure.low, low), (figure.high, high)):
                assert mine is not None
                assert abs(mine - theirs) <= near, (result.model, name, mine, theirs)
    tell(
        "llm-jp-eval 1.0 scores with 95 % intervals of 2,000 draws",
        statistics.median(seconds[1:]) * 1000, told["seconds"][0] * 1000, unit="ms CPU",
        peer_name=f"fuzzywuzzy {versions['fuzzywuzzy']}, scipy.stats.bootstrap {versions['scipy']}",
        sizes=f"{len(answers)} runs, {len(answers) * 16} figures; ours with both ratios; ends as near as those of two seeds",
    )  # fmt: skip


def _named(dataset: str) -> tuple[str, str]:
    return f"{dataset}_exact_match", f"{dataset}_char_f1"


def _command(data: Path, python: str, columns: Path, versions: dict[str, str], sizes: str) -> None:
    source = str(Path(__file__).resolve().parents[1] / "src")
    mine = [sys.executable, "-m", "watari", "eval", "score", SPEC, str(data), "--json"]
    theirs = [python, str(SCRIPT), str(columns), "levenshtein", "0"]
    pairs = [(wall(mine, source), wall(theirs, "")) for _ in range(4)][1:]
    tell(
        "watari eval score, the whole process: both ratios, with intervals; the peer: one ratio, none",
        statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), unit="s",
        peer_name=f"a script with fuzzywuzzy {versions['fuzzywuzzy']}, scipy {versions['scipy']}", sizes=sizes,
    )  # fmt: skip


if __name__ == "__main__":
    main()
