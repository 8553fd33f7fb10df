"""Files that are broken, or something else: one clear line that names the file and the row, never a traceback."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.errors import UserError
from watari.evals.mtbench.rating import rate_file
from watari.evals.mtbench.reading import read_questions
from watari.evals.mtbench.scoring import as_json, score_files
from watari.evals.mtbench.spec import MTBenchSpec
from watari.evals.spec import load_spec

GOOD: dict[str, Any] = {
    "question_id": 81,
    "model": "m",
    "judge": ["gpt-4", "single-v1"],
    "score": 5,
    "turn": 1,
}


def _spec(name: str) -> MTBenchSpec:
    spec = load_spec(name)
    assert isinstance(spec, MTBenchSpec)
    return spec


FASTCHAT = _spec("fastchat-mt-bench")


def _without(*names: str, **more: Any) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name not in names} | more


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (_without("question_id"), "no question_id"),
        (_without(question_id=None), "question_id: a number or a text is wanted, not None"),
        (_without(question_id=True), "question_id: a number or a text is wanted, not True"),
        (_without(question_id=1.5), "question_id: a number or a text is wanted, not 1.5"),
        (_without(question_id=[81]), "question_id"),
        (_without(question_id=" "), "question_id"),
        (_without("model"), "model: a model's name is wanted, there is none"),
        (_without(model=""), "model: a model's name is wanted"),
        (_without(model=7), "model: a model's name is wanted, not 7"),
        (_without(judge=[]), "judge"),
        (_without(judge=[1, 2]), "judge"),
        (_without(judge={"a": 1}), "judge: a name is wanted"),
        (_without(turn=0), "turn: a count from 1 is wanted, not 0"),
        (_without(turn="two"), "turn: a count from 1 is wanted, not 'two'"),
        (_without(turn=1.5), "turn"),
        (_without(turn=10**30), "turn: a count from 1 is wanted, not a huge number"),
        (_without(turn=True), "turn"),
        (_without(run=-1), "run: a count from 0 is wanted, not -1"),
        (_without("score"), "no score and no judge's text"),
        (_without("score", grade=5), "no score and no judge's text"),
        (_without(score="eight"), "score: a number is wanted, not 'eight'"),
        (_without(score="nan"), "score: 'nan'|score: nan is no rating"),
        (_without(score=True), "score: a number is wanted, not True"),
        (_without(score={"a": 1}), "score: a number is wanted"),
        (_without(score=[]), "score: an empty list"),
        (_without(score=[[5]]), "score: a number is wanted"),
        (_without(score=10**400), "score: a huge number is no rating"),
        (_without(score=-1e300), "score: -1e.300 is no rating"),
        (_without(score=[5, 6], judgment=["one"]), "2 scores, but 1 judgments"),
        (_without(judgment=5), "judgment: a text is wanted, not 5"),
        (
            _without(g1_winner="model_1", g2_winner="model_1", model_1="a", model_2=None),
            "model_2: a model's name",
        ),
        (
            _without(g1_winner="A", g2_winner="model_1", model_1="a", model_2="b"),
            "g1_winner: one of model_1, model_2, tie",
        ),
        (_without(g1_winner="tie", model_1="a", model_2="b"), "g2_winner: one of .* not None"),
        ({"question_id": 1, "model_id": "m", "choices": []}, "looks like an answer"),
        ({"question_id": 1, "category": "x", "turns": ["a"]}, "model"),
        ([1, 2], "not an object"),
        ("text", "not an object"),
        (None, "not an object"),
    ],
)
def test_a_row_that_is_none(tmp_path: Path, row: Any, told: str) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(row) + "\n", "utf-8")
    with pytest.raises(UserError, match=told) as caught:
        score_files(FASTCHAT, [path])
    assert "j.jsonl: line 2" in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400
    assert caught.value.mend


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no judgments in it"),
        (b"\n \n", "no judgments in it"),
        (b'{"question_id": 81, "mod', "line 1: not JSON"),
        (b'{"question_id": 81, "model": "m", "score": NaN}', "NaN is no JSON number"),
        (b'{"question_id": 81, "model": "m", "score": 1e999, "turn": 1}', "score: inf is no rating"),
        (b"\xff\xfe\x00", "line 1: not UTF-8"),
        (b'{"question_id": 81, "model": "\\ud800", "score": 1}', "not UTF-8"),
        (b'{"question_id": 81, "model": "m", "score": ' + b"9" * 5000 + b"}", "line 1: not JSON"),
        (b"[" * 3000, "line 1: not JSON"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=told) as caught:
        score_files(FASTCHAT, [path])
    assert "j.jsonl" in caught.value.message
    with pytest.raises(UserError):
        rate_file(FASTCHAT, path)


def test_a_gzip_that_breaks_off(tmp_path: Path) -> None:
    whole = gzip.compress("".join(json.dumps(GOOD | {"question_id": n}) + "\n" for n in range(500)).encode())
    path = tmp_path / "j.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="damaged file"):
        score_files(FASTCHAT, [path])
    path.write_bytes(json.dumps(GOOD).encode())
    with pytest.raises(UserError, match="damaged file"):
        score_files(FASTCHAT, [path])


def test_paths(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text(json.dumps(GOOD), "utf-8")
    with pytest.raises(UserError, match="no such file"):
        score_files(FASTCHAT, [tmp_path / "none.jsonl"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="given twice"):
        score_files(FASTCHAT, [tmp_path / "empty" / ".." / "j.jsonl", path])
    with pytest.raises(UserError, match="empty"):
        score_files(FASTCHAT, [tmp_path / "empty"])
    with pytest.raises(UserError, match="no files"):
        score_files(FASTCHAT, [])


def test_options(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text(json.dumps(GOOD), "utf-8")
    with pytest.raises(UserError, match="no policy 'zero'"):
        score_files(FASTCHAT, [path], invalid="zero")
    with pytest.raises(UserError, match="judge claude: rated nothing") as caught:
        score_files(FASTCHAT, [path], judge="claude")
    assert caught.value.mend == "one of gpt-4"


def test_pairs_and_ratings_are_not_mixed(tmp_path: Path) -> None:
    pair = {"question_id": 81, "model_1": "a", "model_2": "b", "g1_winner": "tie", "g2_winner": "tie"}
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    one.write_text(json.dumps(GOOD) + "\n" + json.dumps(pair), "utf-8")
    with pytest.raises(UserError, match=r"one\.jsonl: line 2: pairs and ratings in one file"):
        score_files(FASTCHAT, [one])
    one.write_text(json.dumps(GOOD), "utf-8")
    other.write_text(json.dumps(pair), "utf-8")
    with pytest.raises(UserError, match=r"other\.jsonl holds pairs, .*one\.jsonl ratings"):
        score_files(FASTCHAT, [one, other])


def test_nothing_valid_is_no_figure(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text(
        "".join(json.dumps(GOOD | {"score": -1, "turn": turn}) + "\n" for turn in (1, 2)), "utf-8"
    )
    for name in ("fastchat-mt-bench", "nejumi-mt-bench-ja"):
        (shown,) = as_json(score_files(_spec(name), [path]), _spec(name))["models"].values()
        assert shown["overall"] is None
        assert shown["intervals"]["overall"] is None
        assert shown["refused"] == "100.0 % of 2 ratings are invalid"
        json.dumps(shown, allow_nan=False)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"question_id": 1}], "line 1: category"),
        ([{"category": "x"}], "line 1: no question_id"),
        (
            [{"question_id": 1, "category": "x"}, {"question_id": "1", "category": "x"}],
            "line 2: question 1 stands",
        ),
        ([], "no questions in it"),
    ],
)
def test_question_files(tmp_path: Path, rows: list[dict[str, Any]], told: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises(UserError, match=told):
        read_questions(path)


def test_texts_to_rate(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    rows = [
        {"text": "[[4]]"},
        {"judgment": "[[4]]", "score": -1, "question_id": 3, "turn": 2, "model": "m"},
        {"judge_output": None, "score": None},
        {"judgment": ["[[1]]", "none"], "score": [1, 2]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    found = rate_file(FASTCHAT, path)
    assert [(one["row"], one["rating"], one["stored"], one["same"]) for one in found] == [
        (1, 4, None, None),
        (2, 4, None, False),
        (3, None, None, True),
        (4, 1, 1, True),
        (4, None, 2, False),
    ]
    assert (found[1]["question_id"], found[1]["model"], found[1]["turn"]) == (3, "m", 2)
    assert [one.get("run") for one in found] == [None, None, None, 0, 1]
    for row, told in (
        ({"question_id": 1, "score": 3}, "no judge's text"),
        ({"text": "x", "score": "x"}, "score: a number"),
    ):
        path.write_text(json.dumps(row), "utf-8")
        with pytest.raises(UserError, match=f"line 1: {told}"):
            rate_file(FASTCHAT, path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
FIELDS = [*GOOD, "judgment", "run", "g1_winner", "category", "A", "judge_model", "choices"]


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=7))
def test_any_object_is_scored_or_told(tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("any") / "j.jsonl"
    path.write_text((json.dumps(GOOD | row) + "\n") * 2, "utf-8")
    for policy in ("drop", "as-is"):
        told = ""
        try:
            json.dumps(as_json(score_files(FASTCHAT, [path], invalid=policy), FASTCHAT), allow_nan=False)
        except UserError as error:
            told = error.message
        assert not told or "j.jsonl" in told
