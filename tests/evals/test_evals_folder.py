"""The evaluation folder: what is written is what is read, and what is broken is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.errors import UserError
from watari.evals.folder import (
    About,
    Evaluation,
    Generation,
    Item,
    Judgment,
    is_evaluation,
    read_about,
    read_evaluation,
    write_evaluation,
    write_results,
)
from watari.evals.result import Figure, Result
from watari.generate.preflight import Sent, Token

ABOUT = About(
    spec="fastchat-mt-bench",
    label="fastchat-mt-bench/1",
    version=1,
    digest="d",
    model="m",
    judge="j",
    runs=2,
    sampler={"writing": {"temperature": 0.7}},
    questions="bundled",
    settings={"language": "ja", "notes": ["一つ"]},
)
SENT = Sent(
    name="turn 1",
    item="1",
    prompt=[{"role": "user", "content": "問い"}],
    text="<s>問い",
    tokens=(Token(1, "<s>", "<s>"), Token(5, "▁問い", "問い")),
    bos="<s>",
    bos_count=1,
    verdict="ok",
    found="<s> once, at the start",
)


def made(text: str = "答え") -> Evaluation:
    return Evaluation(
        ABOUT,
        (
            Item("1", "writing", ("一", "二"), ("参",), meta={"k": 1}),
            Item("2", "jamp", ("入力",), gold="含意"),
        ),
        (
            Generation("g1", "1", "writing", "m@1", 0, 1, text, "stop", rendered_prompt="<s>問い"),
            Generation("g2", "1", "writing", "m@1", 0, 2, "", "", problem="context too long"),
        ),
        (
            Judgment("j1", ("g1",), "s/1", "j", 1, 8.5, text, "1", "m", "writing", parents=("j0",)),
            Judgment("j2", ("g1", "g2"), "s/1", "j", 2, None, "", "1", "m", "writing", problem="no answer"),
        ),
        (SENT, replace(SENT, name="turn 2", text=None, tokens=(), bos=None, bos_count=None)),
    )


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    write_evaluation(tmp_path / "e", made())
    assert is_evaluation(tmp_path / "e")
    assert not is_evaluation(tmp_path)
    assert read_evaluation(tmp_path / "e") == made()
    assert read_about(tmp_path / "e") == ABOUT


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("e")
    one = replace(made(text), items=(Item("1", "w", (text, "x")),))
    write_evaluation(folder, one)
    assert read_evaluation(folder) == one


def test_scores_are_rows_named_as_figures(tmp_path: Path) -> None:
    figure = Figure(0.1234567, 10, 1, 0.01, 0.1, 0.2, None)
    result = Result("s/1", "m", "j", "overall", {"overall": figure, "turn 1": Figure(None, 0)}, (), runs=2)
    write_evaluation(tmp_path, made(), [result], metric="rating")
    rows = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [row["group"] for row in rows] == ["overall", "turn 1"]
    assert rows[0] | {"run_sd": None} == {
        "metric": "rating",
        "group": "overall",
        "value": 0.123457,
        "n": 10,
        "invalid": 1,
        "stderr": 0.01,
        "ci_low": 0.1,
        "ci_high": 0.2,
        "spec": "s/1",
        "judge": "j",
        "runs": 2,
        "model": "m",
        "run_sd": None,
    }
    assert rows[1]["value"] is None
    write_results(tmp_path, [], metric="rating")
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == 0


def test_without_a_judge_there_are_no_judgments(tmp_path: Path) -> None:
    one = replace(made(), about=replace(ABOUT, judge=None), judgments=())
    write_evaluation(tmp_path, one)
    assert not (tmp_path / "judgments.parquet").exists()
    assert read_evaluation(tmp_path) == one


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("evaluation.json", None, "no evaluation: it has no evaluation.json"),
        ("evaluation.json", b"{", "evaluation.json: cannot be read"),
        ("evaluation.json", b"[]", "evaluation.json: not an object"),
        ("evaluation.json", b'{"spec": "x"}', "evaluation.json: missing"),
        ("evaluation.json", b"\xff\xfe", "evaluation.json: cannot be read"),
        ("items.jsonl", None, "its items.jsonl is missing"),
        ("items.jsonl", b'{"id": "1", "group": "w", "turns": []}\n{"id": \n', "items.jsonl:2: not JSON"),
        ("items.jsonl", b"7\n", "items.jsonl:1: not an object"),
        ("generations.parquet", None, "its generations.parquet is missing"),
        ("generations.parquet", b"PAR1 not", "generations.parquet: cannot be read"),
        ("judgments.parquet", b"", "judgments.parquet: cannot be read"),
        ("prompts.json", b"[]", "prompts.json: not an object"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, file: str, content: bytes | None, said: str) -> None:
    write_evaluation(tmp_path, made())
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=said.replace(".", r"\.")):
        read_evaluation(tmp_path)


def test_columns_that_are_not_known_are_passed_over(tmp_path: Path) -> None:
    write_evaluation(tmp_path, made())
    about = json.loads((tmp_path / "evaluation.json").read_text("utf-8"))
    (tmp_path / "evaluation.json").write_text(json.dumps(about | {"later": 1}), "utf-8")
    assert read_about(tmp_path) == ABOUT
