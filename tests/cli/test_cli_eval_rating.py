"""`watari eval rating` and `watari eval score` over judgments, from the outside."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from watari.cli.main import app
from watari.errors import CheckFailed, UserError

RUNNER = CliRunner()


def _run(*words: str | Path) -> str:
    return RUNNER.invoke(app, ["eval", *map(str, words)], catch_exceptions=False).stdout


def test_every_stored_text_through_the_command(test_data: Path) -> None:
    folder = test_data / "mt-bench-judgments"
    for spec, file, n, unreadable in (
        ("fastchat-mt-bench", "en/instructlab_granite-7b-lab_single.jsonl.gz", 160, 120),
        ("fastchat-mt-bench", "en/vanbujm_gpt-4_single.jsonl.gz", 320, 0),
        ("stability-ja-mt-bench", "stability-ja/gpt-4_single.jsonl.gz", 322, 0),
        ("nejumi-mt-bench-ja", "swallow-ja/gpt-4_single_azure.jsonl.gz", 160, 3),
    ):
        found = json.loads(_run("rating", "--spec", spec, folder / file, "--json"))
        assert (found["n"], found["unreadable"], found["different"]) == (n, unreadable, 0)
        with gzip.open(folder / file, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        for row, one in zip(rows, found["ratings"], strict=True):
            assert (one["question_id"], one["model"], one["turn"]) == (
                row["question_id"], row["model"], row["turn"],
            )  # fmt: skip
            assert one["rating"] == (None if row["score"] == -1 else row["score"])
            assert one["same"] is True
        assert [one["row"] for one in found["ratings"]] == list(range(1, n + 1))


def test_a_difference_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text(
        json.dumps({"question_id": 81, "model": "m", "turn": 2, "judgment": "[[4]]", "score": 5}), "utf-8"
    )
    said = _run("rating", "--spec", "fastchat-mt-bench", path)
    assert "1 of 1 stored ratings differ" in said
    assert "row 1: question 81, m, turn 2: read 4, stored 5" in said
    found = json.loads(_run("rating", "--spec", "fastchat-mt-bench", path, "--json"))
    assert (found["different"], found["reasons"]) == (1, {})


def test_a_spec_without_a_judge(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no judge rates"):
        _run("rating", "--spec", "llm-jp-eval-1.0", tmp_path)


def test_recomputed_means_by_the_command_alone(test_data: Path) -> None:
    folder = test_data / "mt-bench-judgments"
    recomputed = json.loads((folder / "recomputed_means.json").read_text("utf-8"))
    for file, models in recomputed.items():
        words = ["score", "fastchat-mt-bench", folder / file, "--json", "--invalid", "drop"]
        found = json.loads(_run(*words))
        assert found["invalid_policy"] == "drop"
        for model, wanted in models.items():
            assert found["models"][model]["overall"] == pytest.approx(wanted["average"], abs=1e-12)


def test_a_question_file_through_the_command(test_data: Path) -> None:
    judgments = test_data / "mt-bench-judgments/stability-ja/gpt-4_single.jsonl.gz"
    full = test_data / "mt-bench-ja/stability/question_full_80.jsonl"
    words = ["score", "stability-ja-mt-bench", judgments, "--questions", full, "--json"]
    found = json.loads(_run(*words))["models"]["japanese-stablelm-instruct-alpha-7b"]
    assert found["overall"] == pytest.approx(2.6, abs=1e-12)
    predictions = test_data / "shisa-llm-jp-eval/predictions.jsonl.gz"
    with pytest.raises(UserError, match="has no use for it"):
        _run("score", "llm-jp-eval-1.0", predictions, "--questions", full)


def test_too_many_invalid_ratings_end_with_3(test_data: Path) -> None:
    path = test_data / "mt-bench-judgments/en/instructlab_granite-7b-lab_single.jsonl.gz"
    with pytest.raises(CheckFailed, match="refused: granite-7b-lab") as caught:
        _run("score", "fastchat-mt-bench", path)
    assert caught.value.exit_code == 3
    ran = subprocess.run(
        [sys.executable, "-m", "watari", "eval", "score", "fastchat-mt-bench", str(path), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 3
    body = json.loads(ran.stdout)
    assert body["models"]["granite-7b-lab"]["refused"] == "75.0 % of 160 ratings are invalid"
    assert body["models"]["granite-7b-lab"]["overall"] == 7.4
    assert "Traceback" not in ran.stderr
    assert json.loads(_run("score", "fastchat-mt-bench", path, "--max-invalid", "0.8", "--json"))["models"]
