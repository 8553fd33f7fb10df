"""`benchmarks/endpoint.py`: each part runs in its quick form and prints claims; every client does the same rows."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
KEYS = {"claim", "ours", "peer", "ratio", "unit", "peer_version", "sizes", "machine"}


@pytest.fixture(scope="module", autouse=True)
def path() -> Any:
    sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS / "endpoint_clients")]
    yield
    sys.path.remove(str(BENCHMARKS))
    sys.path.remove(str(BENCHMARKS / "endpoint_clients"))


def module(name: str) -> ModuleType:
    return importlib.import_module(name)


def quick(*parts: str) -> dict[str, dict[str, Any]]:
    """The claims of some parts by their names, in their quick form."""
    chosen = [word for part in parts for word in ("--only", part)]
    environment = {name: value for name, value in os.environ.items() if name != "WATARI_TEST_DATA"}
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "endpoint.py"), "--quick", *chosen],
        capture_output=True,
        encoding="utf-8",
        env={**environment, "PYTHONPATH": str(ROOT / "src")},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    claims = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(set(claim) == KEYS for claim in claims)
    return {claim["claim"]: claim for claim in claims}


@pytest.mark.slow
def test_speed_has_ours_beside_plain_aiohttp() -> None:
    claims = quick("speed")
    assert all(claim["ours"] > 0 and claim["peer"] > 0 for claim in claims.values())
    assert {claim["unit"] for claim in claims.values()} == {"rows/s", "ms"}
    assert "lost" not in "".join(claim["sizes"] for claim in claims.values())


@pytest.mark.slow
def test_a_cap_and_a_budget_are_kept_to() -> None:
    claims = quick("storm", "budget")
    for words in ("headers tell it", "no header tells it"):
        assert claims[f"429s a row under a cap, {words}"]["ours"] <= 0.5
        assert claims[f"rows lost under a cap, {words}"]["ours"] == 0
    assert claims["spent above a budget in money"]["ours"] == 0
    assert claims["requests above a budget in requests"]["ours"] == 0
    assert claims["share of a budget in money that was used"]["ours"] > 50


@pytest.mark.slow
def test_kills_lose_nothing() -> None:
    claims = quick("crash")
    assert claims["rows lost to kill -9"]["ours"] == 0
    assert claims["requests of a finished run, run again"]["ours"] == 0
    again = claims["answers paid for twice, after all kills"]
    assert again["ours"] <= again["peer"]


@pytest.mark.slow
def test_memory_and_checks() -> None:
    claims = quick("million", "checks")
    assert claims["peak memory of a client"]["ours"] < 400
    assert claims["CPU a row with every check"]["ours"] > 0


def test_rows_are_1300_bytes_and_differ() -> None:
    rows = module("rows")
    texts = list(rows.prompts(300))
    assert len(set(texts)) == 300
    assert {len(text.encode()) for text in texts} == {rows.PROMPT_BYTES}


def test_a_client_that_does_not_end_is_told_and_killed() -> None:
    bench = module("endpoint_bench")
    with bench.server(settings="rate_hang=1") as base:
        ran = bench.run_client(bench.AIOHTTP, base, 20, 4, limit=1.0)
    assert not ran.finished
    assert ran.why == "not finished in 1 s"
    assert ran.rows == 0


def test_a_client_that_fails_is_told_with_its_last_words() -> None:
    bench = module("endpoint_bench")
    with bench.server() as base:
        ran = bench.run_client(bench.AIOHTTP, base, 5, 2, limit=30.0, more=("--nonsense",))
    assert not ran.finished
    assert "--nonsense" in ran.why


@pytest.mark.slow
def test_a_peer_that_cannot_be_installed_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = module("endpoint_bench")
    monkeypatch.setenv("WATARI_PEERS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    nobody = bench.Peer("nobody", "none.py", "nobody", ("watari-no-such-package",), "watari-no-such-package")
    assert bench.python_of(nobody) is None
    assert "nobody is left out" in capsys.readouterr().err
