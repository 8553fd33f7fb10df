"""Whole builds, as a user runs them, of real and broken input: the same bytes whoever does the work and however often
it is killed."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import mixed_input
from mixed_input import MixedInput

MANIFEST = "manifest.json"


@pytest.fixture(scope="session")
def made(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> MixedInput:
    return mixed_input.make(tmp_path_factory.mktemp("mixed"), test_data)


@pytest.fixture(scope="session")
def reference(made: MixedInput, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one worker makes of it, the files in the order of their names."""
    out = tmp_path_factory.mktemp("reference") / "corpus"
    build(made, out, "--workers", "1")
    return digests(out)


def command(made: MixedInput, out: Path, *arguments: str, files: list[Path] | None = None) -> list[str]:
    inputs = map(str, files or made.files)
    return [
        *(sys.executable, "-m", "watari", "corpus", "build", "--profile", "ja-swallow", "--quiet"),
        *("--input", *inputs, "--decontaminate", str(made.evaluation)),
        # Some shards, though the files are small.
        *(
            "--set",
            "shard=600k",
            "--target",
            str(made.target),
            "--share",
            "0.7",
            "--out",
            str(out),
            *arguments,
        ),
    ]


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join(path for path in sys.path if path)
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | more


def build(made: MixedInput, out: Path, *arguments: str, files: list[Path] | None = None, **more: str) -> None:
    program = command(made, out, *arguments, files=files)
    done = subprocess.run(program, env=environment(**more), capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr


def digests(out: Path) -> dict[str, str]:
    """Return a hash of every content file by its path, and the digest that the manifest tells."""
    found = {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != MANIFEST and path.relative_to(out).parts[0] != "logs"
    }
    manifest = json.loads((out / MANIFEST).read_text("utf-8"))
    return found | {MANIFEST: manifest["digest"]}


def rows(out: Path, name: str) -> list[dict[str, Any]]:
    return [row for path in sorted((out / name).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.mark.slow
def test_every_row_is_accounted_for_and_neither_workers_nor_order_matter(
    made: MixedInput, reference: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "corpus"
    files = list(made.files)
    random.Random(1).shuffle(files)
    assert files != made.files
    build(made, out, "--workers", "2", files=files)
    assert digests(out) == reference
    ledger, documents = rows(out, "ledger"), rows(out, "documents")
    assert len(ledger) == made.rows
    kept = [row for row in ledger if row["disposition"] == "kept"]
    dropped = [row for row in ledger if row["disposition"] == "dropped"]
    assert len(kept) + len(dropped) == made.rows
    assert kept
    assert sorted(row["doc_id"] for row in kept) == sorted(row["id"] for row in documents)
    assert len({row["doc_id"] for row in ledger}) == made.rows
    assert all(row["reason"] for row in dropped)
    reasons = {row["reason"] for row in dropped}
    assert {"not JSON", "not UTF-8", "empty", "other language"} <= reasons
    assert {"exact duplicate", "near duplicate", "contaminated", "not selected"} <= reasons
    names = {row["doc_id"] for row in ledger}
    twins = [row for row in dropped if row["reason"] in ("exact duplicate", "near duplicate")]
    assert all(row["survivor"] in names for row in twins)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "seed"), [(8, 3)])
def test_any_number_of_workers_and_any_order(
    workers: int, seed: int, made: MixedInput, reference: dict[str, str], tmp_path: Path
) -> None:
    files = list(made.files)
    random.Random(seed).shuffle(files)
    build(made, tmp_path / "corpus", "--workers", str(workers), files=files)
    assert digests(tmp_path / "corpus") == reference


@pytest.mark.slow
def test_numpy_kernels(made: MixedInput, reference: dict[str, str], tmp_path: Path) -> None:
    build(made, tmp_path / "corpus", "--workers", "2", WATARI_KERNELS="numpy")
    assert digests(tmp_path / "corpus") == reference


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["datatrove-local", "datatrove-ray"])
def test_any_engine(engine: str, made: MixedInput, reference: dict[str, str], tmp_path: Path) -> None:
    build(made, tmp_path / "corpus", "--workers", "2", "--engine", engine)
    assert digests(tmp_path / "corpus") == reference


def marks(out: Path) -> int:
    """Return how many tasks of all steps are done."""
    return len(list((out / "work").glob("*/[0-9][0-9][0-9][0-9][0-9].json")))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "kills", "whole_group"), [("pool", 4, True), ("pool", 4, False), ("datatrove-local", 2, True)]
)
def test_killed_at_random_points(
    engine: str, kills: int, whole_group: bool, made: MixedInput, reference: dict[str, str], tmp_path: Path
) -> None:
    draw = random.Random(f"{engine} {whole_group}")
    out = tmp_path / "corpus"
    program = command(made, out, "--workers", "2", "--engine", engine)
    killed = 0
    for _ in range(kills):
        process = subprocess.Popen(
            program,
            env=environment(),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # Some tasks further than the last time, in whatever step that is.
        goal = marks(out) + draw.randint(1, 11)
        while process.poll() is None and marks(out) < goal:
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 0.3))
        if process.poll() is None:
            if whole_group:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            killed += 1
        process.wait()
        if (out / MANIFEST).is_file():
            break
        if not whole_group:
            # The next run may find workers of this one that are still ending.
            time.sleep(draw.choice((0, 0.5)))
    assert killed
    if not (out / MANIFEST).is_file():
        build(made, out, "--workers", "2", "--engine", engine)
    assert digests(out) == reference
