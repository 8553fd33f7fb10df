"""Ratings out of judges' texts: every stored text, upstream's vintages, and what is none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from watari.cli.main import app
from watari.errors import UserError
from watari.evals.shaberi.rating import judge_text, rate_file, rate_rows, read_rating, second_reading
from watari.evals.shaberi.spec import RatingRule, ShaberiSpec
from watari.evals.spec import load_spec

SPEC = load_spec("shaberi")
assert isinstance(SPEC, ShaberiSpec)
JUDGED = "judge_texts_gpt-5.1_ja-mt-1shot.jsonl.gz"


def test_every_stored_text_says_the_stored_score(test_data: Path) -> None:
    path = test_data / "shaberi" / JUDGED
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if judge_text(row) is not None]
    stored = [row["score"]["score"] if isinstance(row["score"], dict) else row["score"] for row in rows]
    assert len(rows) == 183
    assert sum(score is None for score in stored) == 3  # judges that forgot their rating
    # The file does not say which benchmark it is of; the rules of JA-MT give the same.
    assert [one.rating for one in rate_rows(SPEC, rows)] == stored
    named = [row | {"dataset": "shisa-ai__ja-mt-bench-1shot"} for row in rows]
    assert [one.rating for one in rate_rows(SPEC, named)] == stored


def test_the_command_holds_texts_against_scores(test_data: Path) -> None:
    path = test_data / "shaberi" / JUDGED
    done = CliRunner().invoke(app, ["eval", "rating", "--spec", "shaberi", str(path), "--json"])
    found = json.loads(done.stdout)
    assert (done.exit_code, found["n"], found["different"]) == (0, 480, 0)
    assert sum(one["same"] is True for one in found["ratings"]) == 183
    assert {one["reason"] for one in found["ratings"] if one["same"] is None} == {"no text"}


@pytest.mark.parametrize(
    ("text", "dataset", "rating"),
    [
        ("理由。\nFINAL SCORE: 9", None, 9),
        ("FINAL SCORE: 3\nやはり\nFINAL SCORE:8", None, 8),
        ("FINAL SCORE: 7.5", None, 8),
        ("FINAL SCORE: 8.5", None, 8),  # half to even, as Python rounds
        ("FINAL SCORE: 8.", None, 8),
        ("FINAL SCORE: 12", None, 12),
        ("FINAL SCORE: 0", None, 0),
        ("final score: 9", None, None),
        ("FINAL SCORE: 九", None, None),
        ("FINAL SCORE: 8.5.1 <score>7</score>", None, None),  # what was found decides
        ("<score>4</score> … <score>6.4</score>", None, 6),
        ("FINAL SCORE: 2 <score>9</score>", None, 2),
        ("[計算式]\n3+2=5\n[点数]\n5点", "Tengu", 5),
        ("[点数] 5点", "Tengu", None),
        ("評価：[[7]] 評価：[[9]]", "JA-MT", 7),
        ("評価：[[7]]", None, 7),
        ("評価：【7】", "Rakuda", 7),
        ("評価：[7]", "Rakuda", 7),
        ("評価：【7】", "JA-MT", None),
        ("正確さ 8/10、日本語 9 / 10", "Rakuda", 8),  # 8.5
        ("正確さ 8/10、日本語 9 / 10", "JA-MT", None),
        (" 4 ", "ELYZA 100", 4),
        ("4点", "ELYZA 100", None),
        ("4", "Tengu", None),
        ("nan", "ELYZA 100", None),
        ("1e400", "ELYZA 100", None),
        ("", None, None),
        (" \n", None, None),
        (None, None, None),
    ],
)  # fmt: skip
def test_upstreams_vintages(text: str | None, dataset: str | None, rating: float | None) -> None:
    found = read_rating(SPEC, text, SPEC.dataset(dataset) if dataset else None)
    assert found.rating == rating
    assert (found.reason == "") is (rating is not None)


@pytest.mark.parametrize(
    ("text", "rating"),
    [("FINAL SCORE: 6", 6), ("6", 6), (" 6.5\n", 6), ("6点", None), ("inf", None), ("", None)],
)
def test_the_second_call_may_say_the_bare_number(text: str, rating: float | None) -> None:
    assert second_reading(SPEC, text).rating == rating


@given(st.text(), st.sampled_from([None, *SPEC.datasets]))
def test_any_text_is_read_or_has_a_reason(text: str, dataset: object) -> None:
    found = read_rating(SPEC, text, dataset)  # type: ignore[arg-type]
    assert (found.rating is None) is bool(found.reason)


@given(st.text(), st.integers(0, 10))
def test_the_last_final_score_decides_whatever_stands_before(text: str, rating: int) -> None:
    assert read_rating(SPEC, f"{text}\nFINAL SCORE: {rating}").rating == rating


def test_a_rule_has_one_number() -> None:
    with pytest.raises(ValueError, match="one group"):
        RatingRule(pattern="(a)(b)")


def test_files_without_texts(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"score": 3}\n')
    with pytest.raises(UserError, match="no judge's text"):
        rate_file(SPEC, path)
    path.write_text('{"judge_output": "FINAL SCORE: 3", "score": 4}\n{"text": "FINAL SCORE: 5"}\n')
    assert [(one["rating"], one["same"]) for one in rate_file(SPEC, path)] == [(3, False), (5, None)]
