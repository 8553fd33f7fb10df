"""Every form of a response is read to the same row; what cannot be read is named with its place."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from watari.artifact.kinds import Kind
from watari.artifact.records import Fault
from watari.artifact.rows import write_rows
from watari.errors import UserError
from watari.leakage.reading import read
from watari.leakage.rows import Row


def lines(path: Path, rows: list[Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(
        (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows
    )
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode("utf-8")))
    else:
        path.write_text(text, "utf-8")
    return str(path)


def rows(*locations: str, **options: Any) -> list[Row]:
    found = list(read(locations, **options))
    assert not [row for row in found if isinstance(row, Fault)]
    return [row for row in found if isinstance(row, Row)]


def faults(*locations: str) -> list[str]:
    return [str(row) for row in read(locations) if isinstance(row, Fault)]


def test_a_prompt_is_a_text_or_messages(tmp_path: Path) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    found = rows(
        lines(
            tmp_path / "a.jsonl",
            [
                {"id": "1", "prompt": "Hi", "system": "Be brief.", "response": "Hello"},
                {"id": 2, "messages": asked, "response": "Hello"},
                {"id": "3", "prompt": asked, "response": "Hello"},
                {
                    "id": "4",
                    "messages": [*asked, {"role": "assistant", "content": "Hello"}],
                    "response": "Hello",
                },
                {"id": "5", "messages": [*asked, {"role": "assistant", "content": "Hello"}]},
            ],
        )
    )
    assert [row.id for row in found] == ["1", "2", "3", "4", "5"]
    assert {row.response for row in found} == {"Hello"}
    assert {json.dumps(row.messages) for row in found} == {json.dumps(asked)}
    assert len({row.prompt_id for row in found}) == 1
    assert found[0].prompt == "Be brief.\nHi"


def test_every_answer_of_a_conversation_is_a_response(tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]
    found = rows(lines(tmp_path / "a.jsonl", [{"id": "x", "messages": messages, "language": "jpn_Jpan"}]))
    assert [(row.id, row.response, len(row.messages)) for row in found] == [("x/0", "b", 1), ("x/1", "d", 3)]
    assert [row.default for row in found] == ["ja", "ja"]
    assert [row.expected for row in found] == [None, None]


def test_marks_and_columns_are_kept(tmp_path: Path) -> None:
    row = {
        "prompt": "Hi",
        "response": "Hello",
        "expected_lang": "en-US",
        "licensed": "names",
        "model": "m",
        "temperature": 0.7,
        "sampler": json.dumps({"temperature": 9.0, "min_p": 0.1}),
        "run": 3,
        "long": "x" * 500,
        "listed": [1],
    }
    (found,) = rows(lines(tmp_path / "a.jsonl", [row]))
    assert (found.expected, found.licensed) == ("en", "names")
    assert found.columns == {"model": "m", "temperature": 0.7, "min_p": 0.1, "run": 3}
    (again,) = rows(lines(tmp_path / "b.jsonl", [row]))
    assert found.id == again.id
    assert found.id != rows(lines(tmp_path / "c.jsonl", [row | {"run": 4}]))[0].id


PROMPTS = [
    {"i": 0, "task": 1, "system": "S", "user": "one", "licensed": "any"},
    {"i": 1, "task": 1, "system": "S", "user": "two"},
]


def test_prompts_beside_are_joined_if_two_columns_agree(tmp_path: Path) -> None:
    lines(tmp_path / "prompts.jsonl", PROMPTS)
    stored = [
        {"model": "m", "i": 1, "task": 1, "response": "r", "licensed": "names"},
        {"model": "m", "i": 0, "task": 1, "response": "s"},
    ]
    found = rows(lines(tmp_path / "a.jsonl.gz", stored))
    assert [row.prompt for row in found] == ["S\ntwo", "S\none"]
    assert [row.licensed for row in found] == ["names", "any"]
    # One number in common may be chance: such rows are not joined unless told.
    alone = lines(tmp_path / "b.jsonl", [{"i": 1, "response": "r"}])
    assert [(row.prompt, row.prompt_id) for row in rows(alone)] == [("", "i=1")]
    assert [row.prompt for row in rows(alone, prompts=str(tmp_path / "prompts.jsonl"))] == ["S\ntwo"]


def test_prompts_that_cannot_be_joined_are_refused(tmp_path: Path) -> None:
    asked = lines(tmp_path / "asked.jsonl", PROMPTS)
    with pytest.raises(UserError, match=r"task, which several prompts share"):
        list(read([lines(tmp_path / "a.jsonl", [{"task": 1, "response": "r"}])], prompts=asked))
    with pytest.raises(UserError, match="columns that both have: none"):
        list(read([lines(tmp_path / "b.jsonl", [{"n": 1, "response": "r"}])], prompts=asked))
    (fault,) = read([lines(tmp_path / "c.jsonl", [{"i": 7, "response": "r"}])], prompts=asked)
    assert "no such prompt" in str(fault)
    assert "i = 7" in str(fault)


def test_an_evaluation_folder_gives_each_turn_what_came_before(tmp_path: Path) -> None:
    lines(tmp_path / "items.jsonl", [{"id": "81", "group": "writing", "turns": ["first", "second"]}])
    said = [
        {"id": f"{run}-{turn}", "item_id": "81", "group": "writing", "model": "m", "run": run, "turn": turn,
         "sampler": '{"temperature": 0.7}', "response": f"answer {run} {turn}", "finish_reason": "stop"}
        for run in (0, 1) for turn in (1, 2)
    ]  # fmt: skip
    write_rows(tmp_path / "generations.parquet", Kind.GENERATIONS, said)
    (tmp_path / "evaluation.json").write_text("{}", "utf-8")
    found = rows(str(tmp_path))
    assert [row.id for row in found] == ["0-1", "0-2", "1-1", "1-2"]
    assert [message["content"] for message in found[3].messages] == ["first", "answer 1 1", "second"]
    assert {row.prompt_id for row in found} == {"writing/81"}
    assert found[0].columns["temperature"] == 0.7


def test_an_artifact_and_a_selection(tmp_path: Path) -> None:
    said = [
        {"id": str(n), "item_id": str(n), "model": "m", "response": "r", "rendered_prompt": "p"}
        for n in range(4)
    ]
    write_rows(tmp_path / "rows.parquet", Kind.GENERATIONS, said)
    (tmp_path / "manifest.json").write_text("{}", "utf-8")
    assert [row.id for row in rows(str(tmp_path), keep=lambda row: row["id"] in "13")] == ["1", "3"]
    assert rows(str(tmp_path))[0].prompt == "p"


def test_no_answer_is_an_empty_one(tmp_path: Path) -> None:
    found = rows(
        lines(tmp_path / "a.jsonl", [{"prompt": "p", "response": None}, {"prompt": "p", "response": ""}])
    )
    assert [row.response for row in found] == ["", ""]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "p"}, "the row has prompt"),
        ({"prompt": "p", "response": 3}, "it is a number"),
        ({"prompt": 3, "response": "r"}, "prompt: it is a number"),
        ({"messages": "hi", "response": "r"}, "messages: it is a string, not a list"),
        ({"messages": [{"role": "user"}], "response": "r"}, "not a list of {role, content}"),
        ({"prompt": "p", "response": "r", "licensed": "some"}, "'some' is not one of none, names, any"),
        ({"prompt": "p", "response": "r", "expected_lang": "Japanese"}, "'Japanese' is no language code"),
        ({"prompt": "p", "response": "r", "expected_lang": 3}, "3 is no language code"),
        ("{", "not JSON"),
        ('{"response": NaN}', "not JSON"),
        ("[1]", "not an object"),
    ],
)
def test_a_broken_row_is_named(row: Any, said: str, tmp_path: Path) -> None:
    good = {"prompt": "p", "response": "r"}
    (fault,) = faults(lines(tmp_path / "a.jsonl", [good, row, good]))
    assert "line 2" in fault
    assert said in fault


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    lines(path, [{"prompt": "p", "response": "r"}] * 2000)
    path.write_bytes(path.read_bytes()[:-20])
    assert "damaged file" in faults(str(path))[-1]
    with pytest.raises(UserError, match="no such file"):
        list(read([str(tmp_path / "none.jsonl")]))


def test_a_file_without_a_suffix_holds_lines(tmp_path: Path) -> None:
    assert len(rows(lines(tmp_path / "said", [{"prompt": "p", "response": "r"}] * 2))) == 2


def test_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"prompt": "p", "response": "r"}\r\n\r\n')
    found = list(read([str(tmp_path / "a.jsonl")]))
    assert [row.response if isinstance(row, Row) else str(row) for row in found] == ["r"]
