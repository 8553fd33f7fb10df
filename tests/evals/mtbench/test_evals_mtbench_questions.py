"""Questions and references: FastChat's forms, the bundled sets, hostile files."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from watari.errors import UserError
from watari.evals.mtbench.questions import (
    CATEGORIES,
    Question,
    check_references,
    read_questions,
    read_references,
)
from watari.evals.mtbench.spec import MTBenchSpec
from watari.evals.spec import load_spec

NEED = ("math", "reasoning", "coding")


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return str(path)


def row(number: Any = 1, **more: Any) -> dict[str, Any]:
    return {"question_id": number, "category": "math", "turns": ["一", "二"], **more}


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_bundled_sets_are_whole(language: str) -> None:
    found = read_questions("bundled", language)
    assert Counter(one.category for one in found.questions) == dict.fromkeys(CATEGORIES, 3)
    assert all(len(one.turns) == 2 for one in found.questions)
    assert {one.category for one in found.questions if one.reference} == set(NEED)
    assert check_references(found, NEED, (1, 2)) == []
    assert found.name == f"bundled:mt-bench-{language}"
    texts = [turn for one in found.questions for turn in one.turns]
    assert len(set(texts)) == 48


def test_the_bundled_questions_are_our_own(test_data: Path) -> None:
    """None of them, nor any long piece, stands in a published set."""
    published = "\n".join(
        turn
        for path in (
            test_data / "mt-bench-en/question.jsonl",
            test_data / "mt-bench-en/vicuna_question.jsonl",
            test_data / "mt-bench-ja/stability/question_full_80.jsonl",
        )
        for line in path.read_text("utf-8").splitlines()
        for turn in json.loads(line)["turns"]
    )
    for language, size in (("ja", 16), ("en", 40)):
        for one in read_questions("bundled", language).questions:
            for turn in one.turns:
                words = turn.replace("```python\ndef ", "")
                pieces = (words[start : start + size] for start in range(max(1, len(words) - size)))
                assert not any(piece in published for piece in pieces)


def test_published_sets_and_references(test_data: Path) -> None:
    folder = test_data / "mt-bench-ja" / "nejumi-v3-in-swallow-202407"
    found = read_questions(
        str(folder / "question.jsonl"), "ja", references=str(folder / "reference_answer_gpt-4.jsonl")
    )
    spec = load_spec("nejumi-mt-bench-ja")
    assert isinstance(spec, MTBenchSpec)
    assert len(found.questions) == 80
    # Upstream's file has an empty place there, and its judge was shown it.
    assert check_references(found, spec.references, (1, 2)) == [
        "question 47, turn 1: the reference answer is empty"
    ]
    for role, sha256 in (("questions", found.sha256), ("references", found.references_sha256)):
        assert spec.vintage(role, sha256) is not None  # type: ignore[arg-type]


def test_references_are_needed_only_where_the_spec_says(test_data: Path) -> None:
    location = str(test_data / "mt-bench-en" / "question.jsonl")
    with pytest.raises(UserError, match=r"question 103 \(and 3 more\) of reasoning has no reference answer"):
        check_references(read_questions(location, "en"), NEED, (1, 2))
    assert check_references(read_questions(location, "en", categories=["writing"]), NEED, (1, 2)) == []
    references = str(test_data / "mt-bench-en" / "reference_answer_gpt-4.jsonl")
    assert check_references(read_questions(location, "en", references=references), NEED, (1, 2)) == []


def test_numbers_and_texts_are_the_same_id_and_files_go_before_the_questions_own(tmp_path: Path) -> None:
    questions = write(tmp_path / "q.jsonl", [row(1, reference=["a", "b"]), row("2", reference=["c", "d"])])
    references = write(tmp_path / "r.jsonl", [{"question_id": "1", "choices": [{"turns": ["x", "y", "z"]}]}])
    found = read_questions(questions, "ja", references=references).questions
    assert found == (
        Question("1", "math", ("一", "二"), ("x", "y")),
        Question("2", "math", ("一", "二"), ("c", "d")),
    )


def test_packed_files_have_the_hash_of_their_content(tmp_path: Path) -> None:
    plain = write(tmp_path / "q.jsonl", [row()])
    packed = tmp_path / "p.jsonl.gz"
    packed.write_bytes(gzip.compress(Path(plain).read_bytes()))
    assert read_questions(str(packed), "ja").sha256 == read_questions(plain, "ja").sha256


def test_limit_counts_in_each_category_and_the_digest_follows(tmp_path: Path) -> None:
    rows = [row(1), row(2), row(3, category="stem"), row(4)]
    location = write(tmp_path / "q.jsonl", rows)
    found = read_questions(location, "ja", limit=1)
    assert [one.id for one in found.questions] == ["1", "3"]
    assert found.digest != read_questions(location, "ja").digest
    again = write(tmp_path / "again.jsonl", rows)
    assert read_questions(again, "ja").digest == read_questions(location, "ja").digest


def test_one_turn_is_enough_where_one_is_asked(tmp_path: Path) -> None:
    location = write(tmp_path / "q.jsonl", [row(turns=["一"])])
    assert read_questions(location, "ja", turns=1).questions[0].turns == ("一",)
    with pytest.raises(UserError, match="question 1 has 1 turn; the spec wants 2"):
        read_questions(location, "ja")


def test_bom_and_crlf_are_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(row()).encode() + b"\r\n")
    assert read_questions(str(path), "ja").questions[0].id == "1"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "no rows"),
        ([{"category": "math", "turns": ["a", "b"]}], "line 1: no question_id"),
        ([row(), row()], "line 2: question 1 occurs twice"),
        ([row(), row("1")], "line 2: question 1 occurs twice"),
        ([row(True)], "question_id is True"),
        ([row(1.5)], "question_id is 1.5"),
        ([row([1])], "question_id is"),
        ([row(category=None)], "question 1 has no category"),
        ([row(category=" ")], "question 1 has no category"),
        ([row(turns="ab")], "`turns` is no list of texts"),
        ([row(turns=[])], "`turns` is no list of texts"),
        ([row(turns=["a", 7])], "`turns` is no list of texts"),
        ([row(turns=["a", ""])], "`turns` is no list of texts"),
        ([[1, 2]], "line 1"),
        (["text"], "line 1"),
    ],
)
def test_what_is_no_question_is_named(tmp_path: Path, rows: list[Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_questions(write(tmp_path / "q.jsonl", rows), "ja")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"question_id": 1, "category": "m", "turns": ["a", "b"]}\n{"question_id": 2,', "line 2"),
        (gzip.compress(b'{"question_id": 1}\n' * 500, mtime=0)[:-9], "q.jsonl.gz"),
        (b"\x00\x01\x02", "line 1"),
        (b'{"question_id": ' + b"9" * 6000 + b', "category": "m", "turns": ["a", "b"]}', "line 1"),
    ],
)
def test_broken_files_are_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / ("q.jsonl.gz" if content[:2] == b"\x1f\x8b" else "q.jsonl")
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as raised:
        read_questions(str(path), "ja")
    assert "\n" not in str(raised.value)
    assert path.name in str(raised.value)


@pytest.mark.parametrize(
    "said", [{"question_id": 1}, {"choices": [{"turns": ["a"]}]}, {"question_id": 1, "choices": []}]
)
def test_what_is_no_reference_is_named(tmp_path: Path, said: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="line 1: no reference answer"):
        read_references(write(tmp_path / "r.jsonl", [said]))


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_questions(str(tmp_path / "none.jsonl"), "ja")
    with pytest.raises(UserError, match="no bundled questions"):
        read_questions("bundled", "ko")
    with pytest.raises(UserError, match="no questions of category dance"):
        read_questions("bundled", "ja", categories=["dance"])
