"""`watari sweep` as a command."""

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
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sweeping_server import Scripted
from teachers import teacher
from watari.cli.main import app
from watari.endpoint.replay import Behaviour
from watari.errors import WatariError

GRID = "base: {max_new_tokens: 64}\ngrid:\n  temperature: [0.4, 1.0]\n  min_p: [0, 0.1]\nmarks: {now: {temperature: 1.0}}\n"


@pytest.fixture
def inputs(tmp_path: Path) -> list[str]:
    rows = [{"id": n, "prompt": f"What is question {n} about?", "expected_lang": "en"} for n in range(12)]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "grid.yaml").write_text(GRID, "utf-8")
    return [
        *("--prompts", str(tmp_path / "prompts.jsonl"), "--grid", str(tmp_path / "grid.yaml")),
        *("--out", str(tmp_path / "out")),
    ]


def watari(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["sweep", *arguments], catch_exceptions=True)


def refused(*arguments: str) -> WatariError:
    result = watari(*arguments)
    assert isinstance(result.exception, WatariError), result.exception
    return result.exception


def test_a_sweep_is_told_at_80_columns_and_goes_on(inputs: list[str], tmp_path: Path) -> None:
    server = Scripted()
    with teacher(server, "m") as model:
        address = f"--model=m={model.base_url}"
        result = watari(address, *inputs, "--repeats=3")
        assert result.exit_code == 0, result.exception
        asked = len(server.asked)
        again = watari(address, *inputs, "--repeats=3", "--json")
        assert len(server.asked) == asked
        other = refused(address, *inputs, "--repeats=4")
        shared = watari(
            address,
            *inputs[:-1],
            str(tmp_path / "more"),
            "--repeats=4",
            f"--ledger={tmp_path}/out/ledger.sqlite",
        )
    assert shared.exit_code == 0, shared.exception
    assert len(server.asked) == asked + 4 * 12
    assert max(map(len, result.stdout.splitlines())) <= max(
        80, len(f"written: {tmp_path}/out/generation_config.json")
    )
    for said in ("Recommended: ", "canary: applied: temperature, seed, min_p", "marked (+): now: T 1"):
        assert said in result.stdout
    shown = json.loads(again.stdout)
    assert [cell["name"] for cell in shown["cells"]] == ["T 0.4", "T 0.4, min_p 0.1", "T 1", "T 1, min_p 0.1"]
    assert shown["performance"]["requests_sent"] == 0
    assert "repeats is 3 there, 4 here" in other.message
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert (manifest["kind"], manifest["uses"]) == ("scores", "sweep.run")


def test_a_dry_run_asks_nothing(inputs: list[str], tmp_path: Path) -> None:
    nobody = "--model=m=http://127.0.0.1:1/v1"
    result = watari(nobody, *inputs, "--dry-run", "--repeats=3", "--set", "model.price.output=2")
    told = result.stdout
    assert "4 cells of" in told
    assert "T 1  (now)" in told
    assert "12 prompts x 3 = 36 responses a cell" in told
    assert "144 answers, 20 requests of the canary" in told
    assert "dry run" in str(result.exception)
    assert not (tmp_path / "out").exists()
    shown = json.loads(watari(nobody, *inputs, "--dry-run", "--json").stdout)
    assert shown["requests"] == 48 + 20
    assert shown["cells"][1]["sent"] == {"temperature": 0.4, "max_tokens": 64, "min_p": 0.1}


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (["--grid=/no/such.yaml"], "no such file"),
        (["--effect=0.1"], "--effect"),
        (["--effect=0.10:0.07"], "12 prompts are too few"),
        (["--judge=."], "a judge is a server"),
        (["--set", "canary=perhaps"], "canary"),
        (["--set", "icc=1"], "icc"),
        (["--set", "price=1"], "no such parameter"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    inputs: list[str], tmp_path: Path, more: list[str], what: str
) -> None:
    error = refused("--model=m=http://127.0.0.1:1/v1", *inputs, *more)
    assert what in error.message
    assert error.exit_code == 1
    assert not (tmp_path / "out").exists()


def test_kill_9_and_the_same_again_asks_only_what_is_missing(inputs: list[str], tmp_path: Path) -> None:
    server = Scripted()
    with teacher(server, "m", behaviour=Behaviour(latency=60, sd=0)) as model:
        command = [sys.executable, "-m", "watari", "sweep", f"--model=m={model.base_url}", *inputs]
        command += ["--repeats=6", "--set", "model.limits.concurrency=4"]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"COLUMNS": "80"}
        )
        try:
            deadline = time.monotonic() + 60
            while len(server.asked) < 60 and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        killed = len(server.asked)
        with closing(sqlite3.connect(tmp_path / "out" / "ledger.sqlite")) as ledger:
            (recorded,) = ledger.execute("SELECT count(*) FROM attempt WHERE status = 'answered'").fetchone()
        assert 40 <= recorded <= killed < 20 + 4 * 72
        result = watari(
            f"--model=m={model.base_url}", *inputs, "--repeats=6", "--set", "model.limits.concurrency=4"
        )
    assert result.exit_code == 0, result.exception
    assert len(server.asked) - killed == 20 + 4 * 72 - recorded
    shown: Any = json.loads((tmp_path / "out" / "sweep.json").read_text("utf-8"))
    assert [cell["figures"]["leaking"]["n"] for cell in shown["cells"]] == [72] * 4
