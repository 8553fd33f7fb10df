"""kill -9 in the midst of a sweep, over real HTTP with faults: the same bytes, and nothing on record is asked again."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

import watari
from sweeping_server import Scripted
from teachers import teacher
from watari.endpoint.replay import Behaviour

GRID = (
    "base: {max_new_tokens: 32}\ngrid: {temperature: [0.5, 1.0], extra_body: [none, {dry_multiplier: 0.8}]}\n"
)
CANARY, ANSWERS = 6 * 4, 4 * 6 * 3
FAULTS = {"rate_429": 0.05, "rate_500": 0.03, "rate_reset": 0.02, "rate_garbage": 0.02}


def command(folder: Path, url: str, out: str) -> list[str]:
    return [
        *(sys.executable, "-m", "watari", "sweep", "--model", f"model-1={url}", "--out", out),
        *("--prompts", "prompts.jsonl", "--grid", "grid.yaml", "--repeats", "3"),
        *("--set", "model.limits.concurrency=3", "--set", "model.attempts=12"),
    ]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(watari.__file__).parents[1])}


def finish(folder: Path, url: str, out: str) -> None:
    done = subprocess.run(
        command(folder, url, out), cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def recorded(folder: Path) -> list[str]:
    """The keys of all answers on record, as often as they are there."""
    ledger = folder / "ledger.sqlite"
    if not ledger.exists():
        return []
    try:
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as open_:
            return [str(key) for (key,) in open_.execute("SELECT key FROM attempt WHERE status = 'answered'")]
    except sqlite3.Error:  # it is just being made
        return []


def files(folder: Path) -> dict[str, bytes]:
    told = ("ledger.sqlite", "run.json", "manifest.json")
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(told)
    }


@pytest.mark.parametrize(
    ("moments", "faults"),
    [
        ((CANARY + 20,), {}),
        pytest.param((5, CANARY + 1, CANARY + 60), FAULTS, marks=pytest.mark.slow),
    ],
    ids=["once", "three times, with faults"],
)
def test_a_killed_sweep_goes_on(tmp_path: Path, moments: tuple[int, ...], faults: dict[str, float]) -> None:
    (tmp_path / "grid.yaml").write_text(GRID, "utf-8")
    rows = [{"id": f"p{n}", "prompt": f"What is question {n}?", "expected_lang": "en"} for n in range(6)]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    server = Scripted()
    with teacher(server, "model", behaviour=Behaviour(latency=25, sd=5, **faults)) as model:
        url = model.base_url
        for moment in moments:
            child = subprocess.Popen(
                command(tmp_path, url, "out"),
                cwd=tmp_path,
                env=environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            while child.poll() is None and len(recorded(tmp_path / "out")) < moment:
                time.sleep(0.005)
            assert child.poll() is None, "it was done before the kill"
            child.send_signal(signal.SIGKILL)
            child.wait()
            assert not (tmp_path / "out" / "sweep.json").exists()
        kept, asked = recorded(tmp_path / "out"), len(server.asked)
        assert moments[-1] <= len(kept) < CANARY + ANSWERS
        finish(tmp_path, url, "out")
        after = recorded(tmp_path / "out")
        assert len(after) == len(set(after)) == CANARY + ANSWERS
        assert set(kept) <= set(after)
        if not faults:
            assert len(server.asked) - asked == CANARY + ANSWERS - len(kept)
        finish(tmp_path, url, "whole")
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert {"sweep.json", "generation_config.json", "generations.parquet"} <= set(files(tmp_path / "out"))
