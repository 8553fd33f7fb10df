"""`benchmarks/run.py`: what it lists, what it writes into the page, what a script prints."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / "benchmarks" / "run.py"
KEYS = {"claim", "ours", "peer", "ratio", "unit", "peer_version", "sizes", "machine"}


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "WATARI_TEST_DATA"}
    return subprocess.run(
        [sys.executable, str(RUN), *arguments],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        check=False,
    )


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("watari_benchmarks_run", RUN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def claim(name: str = "a step", **changes: Any) -> dict[str, Any]:
    values = {"claim": name, "ours": 1.5, "peer": 3.0, "ratio": 2.0, "unit": "CPU s"}
    return {**values, "peer_version": "peer 1.0", "sizes": "10 rows", "machine": "a computer", **changes}


def test_list_names_every_script() -> None:
    done = command("--list")
    assert done.returncode == 0
    there = [path.stem.removeprefix("bench_") for path in RUN.parent.glob("bench_*.py")]
    assert done.stdout.split() == sorted(
        [
            *there,
            "adaptation",
            "checks",
            "corpus",
            "endpoint",
            "evals",
            "leakage",
            "sweep",
            "tokenizer",
            "training",
        ]
    )
    assert {"graft", "greedy_eval"} <= set(there)


def test_a_wrong_name_is_told_with_the_known_ones() -> None:
    done = command("--only", "nothing")
    assert done.returncode == 2
    assert "no script named 'nothing'; known: " in done.stderr


def test_the_page_around_the_table_is_kept(bench: ModuleType) -> None:
    before, after = "# Page\n\ntext | with a bar\n\n", "\n\n## Demo\n\n| `a` | other table |\n"
    page = before + bench.BEGIN + "\n| `a` | old |\n" + bench.END + after
    written = bench.with_table(page, {"a": [claim(sizes="1 | 2"), claim("another", ratio=None)]}, ["a"])
    assert written.startswith(before + bench.BEGIN)
    assert written.endswith(bench.END + after)
    rows = written[len(before) : -len(after)].splitlines()[3:-1]
    assert rows == [
        "| `a` | a step | 1.5 | 3 | 2× | CPU s | peer 1.0 | 1 \\| 2 | a computer |",
        "| `a` | another | 1.5 | 3 | – | CPU s | peer 1.0 | 10 rows | a computer |",
    ]
    assert bench.with_table(written, {}, ["a"]) == written


def test_rows_of_scripts_not_run_stay_and_of_those_gone_go(bench: ModuleType) -> None:
    page = bench.with_table(
        f"{bench.BEGIN}\n{bench.END}\n",
        {"a": [claim("one")], "b": [claim("two")], "gone": [claim("three")]},
        ["a", "b", "gone"],
    )
    written = bench.with_table(page, {"b": [claim("new")]}, ["a", "b"])
    assert [line.split(" | ")[1] for line in written.splitlines()[3:-1]] == ["one", "new"]


@pytest.mark.parametrize("page", ["nothing", "{begin}", "{end} {begin}", "{begin} {end} {begin} {end}"])
def test_a_page_without_the_two_markers_is_refused(bench: ModuleType, page: str) -> None:
    with pytest.raises(bench.BenchmarkFailed, match="once each"):
        bench.with_table(page.format(begin=bench.BEGIN, end=bench.END), {"a": [claim()]}, ["a"])


def test_the_page_of_the_project_has_its_markers_and_places(bench: ModuleType) -> None:
    page = bench.PAGE.read_text("utf-8")
    assert (
        bench.with_table(page, {}, list(bench.scripts())).partition(bench.END)[2]
        == page.partition(bench.END)[2]
    )
    assert "\n## Demo\n" in page
    assert "\n## real-small\n" in page


def test_a_failing_script_or_other_keys_are_failures(bench: ModuleType, tmp_path: Path) -> None:
    script = tmp_path / "bench_bad.py"
    for text, told in (
        ("raise SystemExit(3)", "exit code 3"),
        ("print('no claim')", "no claim"),
        ("print('{\"claim\": 1}')", "keys"),
    ):
        script.write_text(text, "utf-8")
        with pytest.raises(bench.BenchmarkFailed, match=told):
            bench.measure(script, quick=True)


def test_a_script_prints_exactly_the_keys_and_quick_writes_no_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    done = command("--only", "greedy_eval", "--quick", "--page", str(page))
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert set(found) == KEYS
    assert found["ratio"] == pytest.approx(found["peer"] / found["ours"], rel=0.01)
    assert "the same answers" in found["sizes"]
    assert not page.exists()
