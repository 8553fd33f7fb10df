"""`watari eval run shaberi` and `watari eval score shaberi`, from the outside."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from teachers import Body, last, teacher
from watari.cli.main import app
from watari.endpoint.ledger import open_ledger
from watari.endpoint.replay import Behaviour
from watari.errors import CheckFailed, UserError


def invoke(*words: str | Path, catch: bool = False) -> Result:
    return CliRunner().invoke(app, ["eval", *map(str, words)], catch_exceptions=catch)


def answer(body: Body) -> str:
    return "はい。" + last(body)[:3]


def rate(body: Body) -> str:
    return "良い。\nFINAL SCORE: 7"


def sheets(folder: Path, **scores: list[Any]) -> Path:
    path = folder / "scores.jsonl"
    rows = [
        {"judge": "j", "dataset": "Rakuda", "model": name, "scores": made} for name, made in scores.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_run_then_score_then_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked: list[str] = []

    def rates(body: Body) -> str:
        asked.append(last(body))
        return rate(body)

    with teacher(answer, "model") as model, teacher(rates, "judge") as judge:
        words = [
            "run",
            "shaberi",
            "--model",
            f"m-1={model.base_url}",
            "--judge",
            f"j-1={judge.base_url}",
            "--out",
            out,
        ]
        told = invoke(*words, "--limit", "3", "--dry-run", "--json")
        plan = json.loads(told.stdout)
        assert plan["questions"] == {"own": 3}
        assert (plan["answers"], plan["judgments"]) == (3, {"least": 3, "most": 6})
        assert plan["prompts"]["own"]["verdict"] == "not checkable"
        assert not out.exists()
        assert not asked
        done = json.loads(invoke(*words, "--limit", "3", "--json").stdout)
        assert done["models"]["m-1"]["average"] == 7
        assert done["label"] == "watari-shaberi-ja/1 (shaberi/1)"
        assert len(asked) == 3
        again = invoke(*words, "--limit", "3").stdout
        assert len(asked) == 3
        assert "7.00" in again
        assert max(map(len, again.splitlines())) <= 90 + len(str(out))
        with pytest.raises(UserError, match="holds another evaluation: limit is 3 there, 4 here"):
            invoke(*words, "--limit", "4")
    scored = json.loads(invoke("score", "shaberi", out, "--json").stdout)
    assert scored["models"] == done["models"]
    assert scored["models"]["m-1"]["intervals"]["average"] == [None, None]  # three of 7: no certainty


def test_a_run_with_unreadable_ratings_is_kept_and_refused(tmp_path: Path) -> None:
    with teacher(answer, "model") as model, teacher(lambda body: "わかりません", "judge") as judge:
        words = ["--model", f"m={model.base_url}", "--judge", f"j={judge.base_url}", "--limit", "2"]
        with pytest.raises(CheckFailed, match=r"100\.0 % of 2 ratings are invalid"):
            invoke("run", "shaberi", *words, "--out", tmp_path / "out")
    assert (tmp_path / "out" / "judgments.parquet").is_file()


def test_a_judge_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--judge: who rates"):
        invoke("run", "shaberi", "--model", "m=http://127.0.0.1:9/v1", "--out", tmp_path / "out")
    with pytest.raises(UserError, match="a judge is a server"):
        invoke(
            "run",
            "shaberi",
            "--model",
            "m=http://127.0.0.1:9/v1",
            "--judge",
            tmp_path,
            "--out",
            tmp_path / "out",
        )


def test_what_is_refused_and_what_is_told(tmp_path: Path) -> None:
    path = sheets(tmp_path, good=[7] * 40, bad=[None] * 3 + [9] * 37)
    refused = invoke("score", "shaberi", path, "--json")
    assert "refused: bad (7.5 % of 40 ratings are invalid)" in refused.stderr
    models = json.loads(refused.stdout)["judges"]["j"]["models"]
    assert refused.exit_code == 0  # the other has its scores
    assert models["bad"]["refused"] == "7.5 % of 40 ratings are invalid"
    assert models["bad"]["average"] == 9
    assert "refused" not in models["good"]
    for option in (("--invalid", "drop"), ("--max-invalid", "0.1")):
        told = invoke("score", "shaberi", path, "--json", *option)
        assert told.exit_code == 0
        assert "refused" not in told.stdout
    table = invoke("score", "shaberi", path, catch=True).stdout
    assert "refused: bad: 7.5 % of 40 ratings are invalid" in table
    assert "9.00" not in table
    (tmp_path / "alone").mkdir()
    alone = sheets(tmp_path / "alone", bad=[None] * 3 + [9] * 37)
    with pytest.raises(CheckFailed, match=r"refused: bad \(7\.5 % of 40 ratings are invalid\)"):
        invoke("score", "shaberi", alone, "--json")


@pytest.mark.slow
def test_killed_on_the_way_it_goes_on(tmp_path: Path) -> None:
    asked: Counter[tuple[str, str]] = Counter()

    def answers(body: Body) -> str:
        asked["model", last(body)] += 1
        return answer(body)

    def rates(body: Body) -> str:
        asked["judge", last(body)] += 1
        return rate(body)

    slow = Behaviour(latency=150, sd=0)
    with (
        teacher(answers, "model", behaviour=slow) as model,
        teacher(rates, "judge", behaviour=slow) as judge,
    ):
        words = ["eval", "run", "shaberi", "--model", f"m={model.base_url}", "--judge", f"j={judge.base_url}"]
        words += ["--set", "model.limits.concurrency=2", "--set", "judge.limits.concurrency=2"]
        command = [sys.executable, "-m", "watari", *words, "--out", str(tmp_path / "out"), "--json"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while asked.total() < 12 and process.poll() is None:
            time.sleep(0.05)
        process.kill()
        assert process.wait() == -9
        with open_ledger(tmp_path / "out" / "ledger.sqlite") as ledger:
            recorded = ledger.rows("SELECT count(*) FROM attempt WHERE status = 'answered'")[0][0]
        done = subprocess.run(command, capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert found["models"]["m"]["n"] == 24
    assert recorded > 0
    # What was on record is not asked again, and nothing else is missing.
    assert found["performance"]["requests_sent"] == 48 - recorded
    assert found["performance"]["recorded"] == recorded
