"""`human.jsonl`: what a person writes into it is read back whole and outlives the next run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from watari.errors import UserError
from watari.synth.human import HumanWriter, carry_over, read_human

SOURCE = [{"role": "user", "content": "Where is the station?"}]
DONE = [{"role": "user", "content": "駅はどこですか？"}]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().decode().split("\n") if line]


def fresh(path: Path, *names: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with HumanWriter(path) as writer:
        for name in names:
            writer.write(name, SOURCE, None, [])
    return path


def filled(path: Path, **texts: list[dict[str, str]]) -> None:
    there = rows(path)
    for row in there:
        row["translation"] = texts.get(row["id"], row["translation"])
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in there), "utf-8")


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c"])
def test_a_text_may_hold_what_only_looks_like_a_line_end(tmp_path: Path, end: str) -> None:
    path = fresh(tmp_path / "human.jsonl", "a", "b")
    text = [{"role": "user", "content": f"駅は{end}どこですか？"}]
    filled(path, a=text)
    assert read_human(str(path))["a"].messages == text


def test_a_line_too_deep_to_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "human.jsonl"
    path.write_text('{"id": ' + "[" * 100_000, "utf-8")
    with pytest.raises(UserError, match="line 1: not JSON"):
        read_human(str(path))


def test_what_a_person_wrote_is_carried_into_the_next_file(tmp_path: Path) -> None:
    before = fresh(tmp_path / "before" / "human.jsonl", "a", "b", "c")
    filled(before, a=DONE, b=DONE)
    after = fresh(tmp_path / "after" / "human.jsonl", "b", "c", "d")
    assert carry_over(before, after) == 2
    assert [(row["id"], row["translation"][0]["content"]) for row in rows(after)] == [
        ("a", DONE[0]["content"]),
        ("b", DONE[0]["content"]),
        ("c", ""),
        ("d", ""),
    ]
    assert sorted(read_human(str(after))) == ["a", "b"]
    again = fresh(tmp_path / "again" / "human.jsonl", "b", "c", "d")
    assert carry_over(after, again) == 2
    assert again.read_bytes() == after.read_bytes()


def test_it_is_carried_over_where_no_row_needs_a_person_now(tmp_path: Path) -> None:
    before = fresh(tmp_path / "human.jsonl", "a")
    filled(before, a=DONE)
    after = tmp_path / "made" / "human.jsonl"
    after.parent.mkdir()
    assert carry_over(before, after) == 1
    assert read_human(str(after))["a"].messages == DONE


def test_a_line_that_was_broken_while_filling_it_in_is_kept_as_it_is(tmp_path: Path) -> None:
    before = fresh(tmp_path / "human.jsonl", "a")
    before.write_bytes(b'{"id": "a", "translation": caf\xe9}\r\n')
    after = fresh(tmp_path / "made" / "human.jsonl", "a")
    assert carry_over(before, after) == 1
    assert after.read_bytes().startswith(b'{"id": "a", "translation": caf\xe9}\n{"id": "a", "source"')


def test_an_untouched_file_leaves_nothing_behind(tmp_path: Path) -> None:
    before = fresh(tmp_path / "human.jsonl", "a", "b")
    after = tmp_path / "made" / "human.jsonl"
    after.parent.mkdir()
    assert carry_over(before, after) == 0
    assert not after.exists()
    assert carry_over(tmp_path / "nowhere.jsonl", after) == 0
