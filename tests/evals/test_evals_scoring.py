"""Which spec a file is scored by, and what is said of files that are none's."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from watari.errors import UserError
from watari.evals.scoring import guess_spec, score_files

JUDGMENT = {"question_id": 81, "model": "m", "judge": ["gpt-4", "single-v1"], "score": 7, "turn": 1}


def written(path: Path, *rows: Any, head: str = "") -> Path:
    path.write_text(head + "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows), "utf-8")
    return path


@pytest.mark.parametrize(
    ("row", "spec"),
    [
        ({"model": "m", "dataset": "jnli", "i": 0, "gold": "a", "pred": "a"}, "llm-jp-eval-1.0"),
        ({"model": "m", "dataset": "mawps", "i": 0, "gold": "1", "pred": "1"}, "llm-jp-eval-1.3"),
        (JUDGMENT, "fastchat-mt-bench"),
        ({**JUDGMENT, "user_prompt": "[指示]\n公平な"}, "stability-ja-mt-bench"),
        ({"question_id": 1, "model": "m", "turn": 1, "GPT-4": 9}, "fastchat-mt-bench"),
        ({"judge": "j", "dataset": "d", "model": "m", "scores": [1, 2]}, "shaberi"),
        ({"question_id": 1, "model_1": "a", "model_2": "b", "g1_winner": "tie"}, "fastchat-mt-bench"),
    ],
)
def test_rows_say_whose_they_are(tmp_path: Path, row: dict[str, Any], spec: str) -> None:
    assert guess_spec(written(tmp_path / "rows.jsonl", row, head="\ufeff")) == spec
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress((tmp_path / "rows.jsonl").read_bytes()))
    assert guess_spec(packed) == spec


def test_original_outputs_and_folders_of_them(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    items = [{"prompt": "p", "input": "i", "pred": "x", "gold": "x"}]
    (tmp_path / "m" / "output_eval.json").write_text(json.dumps({"jnli": items, "niilc": items}), "utf-8")
    assert guess_spec(tmp_path / "m" / "output_eval.json") == "llm-jp-eval-1.0"
    assert guess_spec(tmp_path) == "llm-jp-eval-1.0"


def test_stored_files(test_data: Path) -> None:
    judged = test_data / "mt-bench-judgments"
    assert guess_spec(judged / "shisa-v2-ja" / "scores_4_judges.jsonl.gz") == "fastchat-mt-bench"
    assert guess_spec(judged / "stability-ja" / "gpt-4_single.jsonl.gz") == "stability-ja-mt-bench"
    assert guess_spec(test_data / "shaberi" / "scores.jsonl.gz") == "shaberi"
    assert guess_spec(test_data / "shisa-llm-jp-eval" / "predictions.jsonl.gz") == "llm-jp-eval-1.0"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "neither predictions nor judgments"),
        (b"[]", "neither predictions nor judgments"),
        (b'{"a": 1}\n', "neither predictions nor judgments"),
        (b'{"question_id": 1, "category": "c", "turns": ["q"]}\n', "neither predictions nor judgments"),
        (b'{"question_id": 1, "choices": []}\n', "neither predictions nor judgments"),
        (b'{"question_id": 1\n', r"rows\.jsonl:1: not JSON"),
        (b'{"question_id": 1, "model": "\xff"}\n', "cannot be read"),
        (b"1" * 5000 + b"\n", r"rows\.jsonl:1: not JSON|neither"),
        (b"[" * 100_000, r"rows\.jsonl:1: not JSON"),
    ],
)
def test_what_is_nobodys_is_refused_in_a_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        guess_spec(path)


def test_damaged_missing_and_empty_places(tmp_path: Path) -> None:
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(JUDGMENT).encode() * 100)[:60])
    with pytest.raises(UserError, match="cannot be read"):
        guess_spec(packed)
    with pytest.raises(UserError, match="no such file"):
        guess_spec(tmp_path / "none.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no JSON"):
        guess_spec(tmp_path / "empty")


def test_options_that_a_family_has_not_are_refused(tmp_path: Path) -> None:
    rows = written(
        tmp_path / "rows.jsonl", {"model": "m", "dataset": "jnli", "i": 0, "gold": "a", "pred": "a"}
    )
    with pytest.raises(UserError, match="--invalid"):
        score_files("llm-jp-eval-1.0", [rows], invalid="drop")
    with pytest.raises(UserError, match="--judge"):
        score_files("llm-jp-eval-1.0", [rows], judge="gpt-4")
    with pytest.raises(UserError, match="--backend"):
        score_files("fastchat-mt-bench", [rows], backend="difflib")
    with pytest.raises(UserError, match="no such string ratio"):
        score_files("llm-jp-eval-1.0", [rows], backend="rapidfuzz")
    with pytest.raises(UserError, match="no such policy"):
        score_files("shaberi", [rows], invalid="zero")
    with pytest.raises(UserError, match="no such spec"):
        score_files("mt-bench", [rows])
