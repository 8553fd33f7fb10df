"""The stored llm-jp-eval runs, scored again: CPU seconds beside fuzzywuzzy-based scoring of the same rows.

Both sides have the rows in memory, by model and dataset, and give every figure of every run. The peer does it as llm-jp-eval
1.0 does: fuzzywuzzy an item, statistics.mean, scipy's correlations; with python-Levenshtein, and with difflib, on which
fuzzywuzzy falls back. All figures must be the same (correlations to 1e-9), or the script fails. Then the whole command, from
the file to the printed scores, with both backends and intervals, beside the peer's without intervals and one backend.

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

from watari.evals.jaster.figures import score  # noqa: E402
from watari.evals.jaster.ratio import BACKENDS, Backend  # noqa: E402
from watari.evals.jaster.reading import Answers, read_files  # noqa: E402
from watari.evals.jaster.spec import JasterSpec  # noqa: E402
from watari.evals.spec import load_spec  # noqa: E402

PEER = Peer(
    "fuzzywuzzy", "", "fuzzywuzzy/levenshtein", ("fuzzywuzzy==0.18.0", "python-Levenshtein", "scipy"), "scipy"
)
SCRIPT = Path(__file__).resolve().parent / "evals_peers" / "fuzzy.py"
SPEC = "llm-jp-eval-1.0"


def ours(spec: JasterSpec, answers: list[Answers], backends: tuple[Backend, ...]) -> list[dict[str, float]]:
    """Return the figures of every run by the first of some backends."""
    return [one.figures[backends[0]] for one in score(spec, answers, backends)]


def timed(spec: JasterSpec, answers: list[Answers], backends: tuple[Backend, ...]) -> float:
    """Return the CPU seconds of our scoring."""
    gc.collect()
    began = time.process_time()
    ours(spec, answers, backends)
    return time.process_time() - began


def peers(python: str, columns: Path, backend: str) -> dict[str, Any]:
    """Return what the peer's script says of one scoring."""
    command = [python, str(SCRIPT), str(columns), backend, "1"]
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
    answers = read_files([data])[: 3 if options.quick else None]
    repeats = options.repeats or (1 if options.quick else 7)
    python = python_of(PEER)
    if python is None:
        raise SystemExit("fuzzywuzzy cannot be installed: nothing to measure against")
    sizes = (
        f"{len(answers)} runs, {sum(len(c.items) for one in answers for c in one.columns.values()):,} rows"
    )
    with tempfile.TemporaryDirectory() as folder:
        columns = Path(folder) / "columns.json"
        whole = {one.model: {name: [c.preds, c.golds] for name, c in one.columns.items()} for one in answers}
        columns.write_text(json.dumps(whole), "utf-8")
        seconds: dict[str, list[float]] = {name: [] for name in ("levenshtein", "difflib", "both")}
        theirs: dict[str, list[float]] = {name: [] for name in BACKENDS}
        versions: dict[str, str] = {}
        for backend in BACKENDS:
            mine = dict(zip(whole, ours(spec, answers, (backend,)), strict=True))
            hold_beside(mine, peers(python, columns, backend)["figures"])
        for _ in range(repeats):
            for backend in BACKENDS:
                seconds[backend].append(timed(spec, answers, (backend,)))
                told = peers(python, columns, backend)
                theirs[backend] += told["seconds"]
                versions = told["versions"]
            seconds["both"].append(timed(spec, answers, BACKENDS))
        say(f"ours {seconds}, the peer's {theirs}")
        _claims(seconds, theirs, versions, sizes, repeats)
        if not options.quick:
            _command(data, python, columns, versions, sizes)


def _claims(
    seconds: dict[str, list[float]],
    theirs: dict[str, list[float]],
    versions: dict[str, str],
    sizes: str,
    repeats: int,
) -> None:
    packages = {"levenshtein": "fuzzywuzzy python-Levenshtein scipy", "difflib": "fuzzywuzzy scipy"}
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
            f"llm-jp-eval 1.0 scores of all stored runs, {backend} ratio",
            mine[backend], other[backend], unit="ms CPU", peer_name=named[backend], sizes=sizes,
        )  # fmt: skip
    tell(
        "llm-jp-eval 1.0 scores of all stored runs, both ratios",
        mine["both"], sum(other.values()), unit="ms CPU", peer_name="; then ".join(named.values()), sizes=sizes,
    )  # fmt: skip


def _command(data: Path, python: str, columns: Path, versions: dict[str, str], sizes: str) -> None:
    source = str(Path(__file__).resolve().parents[1] / "src")
    mine = [sys.executable, "-m", "watari", "eval", "score", SPEC, str(data), "--json"]
    theirs = [python, str(SCRIPT), str(columns), "levenshtein", "0"]
    pairs = [(wall(mine, source), wall(theirs, "")) for _ in range(4)][1:]
    tell(
        "watari eval score, whole: both ratios, 615 intervals; the peer: one ratio, none",
        statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), unit="s",
        peer_name=f"a script with fuzzywuzzy {versions['fuzzywuzzy']}, scipy {versions['scipy']}", sizes=sizes,
    )  # fmt: skip


if __name__ == "__main__":
    main()
