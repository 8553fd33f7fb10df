"""data.import: each published form becomes the house's, and what cannot is named or counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from watari.artifact.kinds import Kind
from watari.artifact.rows import read_rows
from watari.artifact.stage import Inputs, Silent
from watari.data.dialogue import Misshapen, check_turns, messages_of
from watari.data.importing import STAGE, Params, run
from watari.demo import RESOURCES
from watari.errors import UserError

U, A, S = "user", "assistant", "system"


def turns(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in pairs]


def load(
    folder: Path, rows: list[dict[str, Any]] | bytes, **params: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    path = folder / "set.jsonl"
    path.write_bytes(
        rows
        if isinstance(rows, bytes)
        else "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode()
    )
    out = folder / "out"
    out.mkdir(exist_ok=True)
    metrics = run(Params(path=str(path), **params), Inputs(), out, Silent()).metrics
    return metrics, list(read_rows(out))


def dropped(folder: Path) -> list[tuple[str | None, str]]:
    rows = pq.read_table(folder / "out" / "dropped.parquet").to_pylist()
    return [(row["id"], row["reason"]) for row in rows]


TALK = turns((U, "こんにちは"), (A, "はい、こんにちは。"))


@pytest.mark.parametrize(
    ("form", "row"),
    [
        ("messages", {"messages": TALK}),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "text", "text": "こんにちは"}]}, TALK[1]]}),
        ("messages", {"messages": [{"role": "system", "content": " "}, *TALK]}),
        ("sharegpt", {"conversations": [{"from": "human", "value": "こんにちは"}, {"from": "gpt", "value": "はい、こんにちは。"}]}),
        ("alpaca", {"instruction": "こんにちは", "input": "", "output": "はい、こんにちは。"}),
        (
            "oasst",
            {
                "message_tree_id": "t",
                "prompt": {
                    "message_id": "t", "role": "prompter", "text": "こんにちは",
                    "replies": [
                        {"message_id": "x", "role": "assistant", "text": "悪い", "rank": 1},
                        {"message_id": "y", "role": "assistant", "text": "はい、こんにちは。", "rank": 0},
                    ],
                },
            },
        ),
    ],
)  # fmt: skip
def test_forms_of_one_conversation(tmp_path: Path, form: str, row: dict[str, Any]) -> None:
    metrics, (found,) = load(tmp_path, [row], format=form, license="CC BY 4.0")
    assert found["messages"] == TALK
    assert (found["language"], found["source"], found["license"]) == ("ja", "set", "CC BY 4.0")
    assert metrics["written"] == 1


def test_columns_are_kept_and_named_by_type(tmp_path: Path) -> None:
    rows = [
        {
            "id": "a",
            "messages": TALK,
            "answers": ["x", "y"],
            "group": "count",
            "score": 1,
            "odd": 1,
            "meta": {"k": 2},
        },
        {
            "id": "b",
            "messages": TALK,
            "answers": ["z"],
            "group": None,
            "score": 2.5,
            "odd": "one",
            "deep": {"q": [1]},
        },
        {"id": "c", "messages": TALK, "language": "xx", "late": True, "meta": '{"k": 3}'},
    ]
    _, found = load(tmp_path, rows, format="messages")
    assert [row["answers"] for row in found] == [["x", "y"], ["z"], None]
    assert [row["group"] for row in found] == ["count", None, None]
    assert [row["score"] for row in found] == [1.0, 2.5, None]
    assert [row["late"] for row in found] == [None, None, True]
    assert [json.loads(row["meta"]) for row in found] == [
        {"k": 2, "odd": 1},
        {"deep": {"q": [1]}, "odd": "one"},
        {"k": 3},
    ]
    assert "odd" not in found[0]
    assert [row["language"] for row in found] == ["ja", "ja", "xx"]


def test_a_column_seen_first_after_many_rows_is_kept(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": str(i), "text": f"t {i}"} for i in range(9000)]
    rows[-1]["late"] = "here"
    _, found = load(tmp_path, rows, format="documents")
    assert found[-1]["late"] == "here"
    assert found[0]["late"] is None


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "問い", "chosen": turns((U, "問い"), (A, "良い")), "rejected": turns((U, "問い"), (A, "悪い")),
         "messages": turns((U, "問い"), (A, "良い")), "score_chosen": 8.0},
        {"prompt": "問い", "chosen": "良い", "rejected": "悪い", "score_chosen": 8.0},
        {"prompt": turns((U, "問い")), "chosen": turns((A, "良い")), "rejected": turns((A, "悪い")), "score_chosen": 8.0},
        {"chosen": turns((U, "問い"), (A, "良い")), "rejected": turns((U, "問い"), (A, "悪い")), "score_chosen": 8.0},
    ],
)  # fmt: skip
def test_forms_of_one_preference(tmp_path: Path, row: dict[str, Any]) -> None:
    _, (found,) = load(tmp_path, [row], format="preferences")
    assert (found["prompt"], found["chosen"], found["rejected"]) == (turns((U, "問い")), "良い", "悪い")
    assert found["score_chosen"] == 8.0
    assert "messages" not in found
    assert found["meta"] is None


def test_oasst_messages_become_their_best_conversation(tmp_path: Path) -> None:
    def message(id_: str, parent: str | None, role: str, text: str, **more: Any) -> dict[str, Any]:
        return {"message_id": id_, "parent_id": parent, "role": role, "text": text, "lang": "ja", **more}

    rows = [
        message("r", None, "prompter", "質問"),
        message("a2", "r", "assistant", "次善", rank=1),
        message("a1", "r", "assistant", "最善", rank=0),
        message("a0", "r", "assistant", "消えた", rank=None, deleted=True),
        message("p", "a1", "prompter", "続き"),
        message("b", "p", "assistant", "答え"),
        message("q", "b", "prompter", "答えのない問い"),
        message("lone", None, "prompter", "誰も答えない"),
        message("orphan", "gone", "assistant", "親がない"),
    ]
    metrics, (found,) = load(tmp_path, rows, format="oasst")
    assert found["messages"] == turns((U, "質問"), (A, "最善"), (U, "続き"), (A, "答え"))
    assert (found["id"], found["parents"], found["language"]) == ("r", ["r", "a1", "p", "b"], "ja")
    assert metrics["rows_in"] == 9
    assert metrics["kept"] == 4
    assert metrics["dropped_by_reason"] == {
        "its parent is missing": 1,
        "no answer in its tree": 1,
        "not on the best-ranked way": 3,
    }


def test_oasst_beyond_the_limit_is_accounted_for(tmp_path: Path) -> None:
    rows = []
    for i in range(3):
        rows.append({"message_id": f"r{i}", "role": "prompter", "text": f"q{i}"})
        rows.append({"message_id": f"a{i}", "parent_id": f"r{i}", "role": "assistant", "text": "a"})
    metrics, found = load(tmp_path, rows, format="oasst", limit=2)
    assert len(found) == 2
    assert (metrics["kept"], metrics["dropped_by_reason"]) == (4, {"beyond the limit": 2})


def test_alpaca_input_and_history(tmp_path: Path) -> None:
    row = {
        "system": "短く。",
        "instruction": "訳して",
        "input": "cat",
        "output": "猫",
        "history": [["前", "後"]],
    }
    _, (found,) = load(tmp_path, [row], format="alpaca")
    assert found["messages"] == turns((S, "短く。"), (U, "前"), (A, "後"), (U, "訳して\n\ncat"), (A, "猫"))


def test_doubles_go_and_clashing_ids_stay(tmp_path: Path) -> None:
    rows = [
        {"id": "x", "text": "one"},
        {"id": "x", "text": "two"},
        {"id": "x", "text": "one"},
        {"id": "x", "text": "two"},
        {"text": "three"},
        {"text": "three"},
    ]
    metrics, found = load(tmp_path, rows, format="documents")
    assert [row["text"] for row in found] == ["one", "two", "three"]
    assert found[0]["id"] == "x"
    assert found[1]["id"].startswith("x~")
    assert metrics["renamed_ids"] == 1
    assert metrics["dropped_by_reason"] == {"row was there before": 3}


def test_equal_answers_are_no_preference(tmp_path: Path) -> None:
    rows = [{"prompt": "q", "chosen": "a", "rejected": "a"}, {"prompt": "q", "chosen": "a", "rejected": "b"}]
    metrics, found = load(tmp_path, rows, format="preferences")
    assert len(found) == 1
    assert metrics["dropped_by_reason"] == {"chosen equals rejected": 1}


def test_fields_by_other_names(tmp_path: Path) -> None:
    _, (found,) = load(
        tmp_path, [{"body": "x", "uid": 3}], format="documents", fields={"text": "body", "id": "uid"}
    )
    assert (found["text"], found["id"]) == ("x", "3")
    with pytest.raises(UserError, match="line 1: no field 'boddy'"):
        load(tmp_path, [{"body": "x"}], format="documents", fields={"text": "boddy"})


def test_limit(tmp_path: Path) -> None:
    metrics, found = load(tmp_path, [{"text": str(i)} for i in range(10)], format="documents", limit=4)
    assert [row["text"] for row in found] == ["0", "1", "2", "3"]
    assert metrics["rows_in"] == 4


@pytest.mark.parametrize(
    ("form", "row", "words"),
    [
        ("messages", {"messages": "hi"}, "field 'messages' is not a list of turns: it is a string"),
        ("messages", {"text": "hi"}, "field 'messages' is not a list of turns: missing"),
        ("messages", {"messages": []}, "no user turn"),
        ("messages", {"messages": turns((A, "x"))}, "turns do not alternate: turn 1 is assistant, not user"),
        ("messages", {"messages": turns((U, "x"), (U, "y"))}, "turns do not alternate: turn 2"),
        ("messages", {"messages": turns((U, "x"), (S, "y"))}, "turns do not alternate: turn 2 is system"),
        ("messages", {"messages": turns((U, "x"), (A, " "))}, "empty turn: turn 2"),
        ("messages", {"messages": [{"role": "tool", "content": "x"}]}, "unknown role: turn 1: 'tool'"),
        ("messages", {"messages": [{"role": "user", "content": None}]}, "a turn's content is not a text"),
        ("messages", {"messages": ["x"]}, "a turn is not a mapping"),
        ("messages", {"messages": TALK, "id": [1]}, "field 'id' is not an id"),
        ("messages", {"messages": TALK, "parents": "x"}, "field 'parents'"),
        ("messages", {"messages": TALK, "language": 3}, "field 'language' is not a text"),
        ("sharegpt", {"messages": TALK}, "field 'conversations' is not a list of turns: missing"),
        ("alpaca", {"instruction": "x"}, "field 'output' is not a text: missing"),
        ("alpaca", {"instruction": "x", "output": "y", "history": [["z"]]}, "list of pairs"),
        ("preferences", {"prompt": "x", "chosen": "y"}, "field 'rejected' is neither"),
        ("preferences", {"prompt": "x", "chosen": "y", "rejected": " "}, "'rejected' is empty"),
        ("preferences", {"chosen": "y", "rejected": "z"}, "field 'prompt' is not a list of turns: missing"),
        ("preferences", {"prompt": turns((U, "x"), (A, "y")), "chosen": "y", "rejected": "z"}, "does not end with the user"),
        ("preferences", {"chosen": TALK, "rejected": turns((U, "other"), (A, "z"))}, "different prompts"),
        ("oasst", {"message_id": "x", "role": "prompter"}, "field 'text' is not a text"),
        ("documents", {"text": "  "}, "empty text"),
    ],
)  # fmt: skip
def test_misshapen_rows_stop_by_line_or_are_counted(
    tmp_path: Path, form: str, row: dict[str, Any], words: str
) -> None:
    good: dict[str, dict[str, Any]] = {
        "messages": {"messages": TALK},
        "sharegpt": {"conversations": TALK},
        "alpaca": {"instruction": "x", "output": "y"},
        "preferences": {"prompt": "x", "chosen": "y", "rejected": "z"},
        "documents": {"text": "x"},
        "oasst": {"prompt": {"message_id": "a", "role": "prompter", "text": "q",
                             "replies": [{"message_id": "b", "role": "assistant", "text": "r"}]}},
    }  # fmt: skip
    with pytest.raises(UserError) as error:
        load(tmp_path, [good[form], row], format=form)
    assert "set.jsonl: line 2: " in error.value.message
    assert words in error.value.message
    assert "\n" not in str(error.value)
    metrics, found = load(tmp_path, [good[form], row], format=form, on_error="drop")
    assert len(found) == 1
    assert metrics["dropped"] == 1
    assert metrics["rows_in"] == metrics["kept"] + 1


def test_nothing_usable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no rows"):
        load(tmp_path, b"\n\n", format="messages")
    with pytest.raises(UserError, match=r"no row could be used \(1 no user turn\)"):
        load(tmp_path, [{"messages": []}], format="messages", on_error="drop")
    with pytest.raises(UserError, match="no such file"):
        run(Params(path=str(tmp_path / "none.jsonl"), format="messages"), Inputs(), tmp_path, Silent())


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({"path": "x.jsonl", "format": "sharegpt"}, Kind.CONVERSATIONS),
        ({"path": "x.jsonl", "format": "documents"}, Kind.DOCUMENTS),
        ({"path": "x.jsonl", "format": "preferences"}, Kind.PREFERENCES),
        ({"path": "demo://questions?language=ja"}, Kind.CONVERSATIONS),
        ({"path": "demo://parallel"}, Kind.DOCUMENTS),
        ({"path": "demo://preferences"}, Kind.PREFERENCES),
    ],
)
def test_the_kind_is_known_before_anything_is_read(params: dict[str, Any], kind: Kind) -> None:
    assert STAGE.output_kind(Params(**params)) == kind


def test_every_resource_of_the_demo_world_is_imported(tmp_path: Path) -> None:
    for name, resource in RESOURCES.items():
        query = "&".join(["count=12", *(["language=ja"] if "language" in resource.takes else [])])
        params = Params(path=f"demo://{name}?{query}", seed=4)
        out = tmp_path / name
        out.mkdir()
        metrics = run(params, Inputs(), out, Silent()).metrics
        rows = list(read_rows(out))
        assert metrics["rows_in"] == 12
        assert metrics["written"] == len(rows) > 6
        assert all(json.loads(row["meta"]) for row in rows)
        if name == "questions":
            assert rows[0]["answers"]
            assert rows[0]["group"]
            assert rows[0]["completion_prompt"]
        wanted = {"documents": Kind.DOCUMENTS, "preferences": Kind.PREFERENCES}
        assert STAGE.output_kind(params) == wanted.get(resource.rows, Kind.CONVERSATIONS)


def test_a_wrong_demo_url_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^demo://documents\S+ documents takes no parameter 'cuont'"):
        run(Params(path="demo://documents?language=ja&cuont=3"), Inputs(), tmp_path, Silent())


@pytest.mark.parametrize("path", ["x.jsonl", "demo://nonsense"])
def test_auto_is_for_the_demo_world(path: str) -> None:
    with pytest.raises(ValidationError, match="format: say in which form"):
        Params(path=path)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["role", "content", "from", "value", "type", "text"]), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_any_value_is_a_conversation_or_told(value: Any) -> None:
    try:
        found = messages_of(value, "messages")
    except Misshapen:
        return
    check_turns(found)
    assert all(set(turn) == {"role", "content"} for turn in found)


def test_real_documents(tmp_path: Path, test_data: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    params = Params(path=str(test_data / "ja-text"), format="documents", license="CC BY-SA 4.0")
    metrics = run(params, Inputs(), out, Silent()).metrics
    assert metrics["rows_in"] == 6282
    assert next(iter(read_rows(out)))["title"]
