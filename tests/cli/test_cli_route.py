"""`watari route FILE`."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from watari.cli.main import app
from watari.pages.visible import columns

ROWS = [
    {"id": "a", "prompt": "How many letters are in the word cat?"},
    {"id": "b", "prompt_en": "How do I bake bread?"},
    {
        "messages": [
            {"role": "user", "content": "What rhymes with blue?"},
            {"role": "assistant", "content": "Shoe."},
        ]
    },
    {"id": 4, "instruction": "Proofread this.", "input": "He go home."},
    {"id": "e", "conversations": [{"from": "human", "value": "Who was Caesar?"}]},
]


def written(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([*(json.dumps(row) for row in ROWS), *lines]) + "\n", "utf-8")
    return str(path)


def test_one_line_a_row_in_order(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["route", written(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["translate"] for one in told] == [False, True, False, False, True]
    assert [one["id"] for one in told if one["id"] in ("a", "b", "4", "e")] == ["a", "b", "4", "e"]
    assert [one["category"] for one in told] == ["letter-count", "", "rhyme", "grammar", ""]
    assert all(bool(one["reason"]) != one["translate"] for one in told)
    assert len(told[2]["id"]) == 32


def test_a_table_of_categories_with_examples_at_80_columns(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["route", written(tmp_path, json.dumps({"prompt": "Spell " + "very " * 60 + "well"}))]
    )
    assert result.exit_code == 0, result.output
    assert "3 (50.0%) to be made in the language itself" in result.output or "4 (66.7%)" in result.output
    assert "rhyme: rhymes of English words" in result.output
    assert "What rhymes with blue?" in result.output
    assert all(len(line) <= 80 for line in result.output.splitlines())


def test_a_broken_row_stops_or_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, '{"id": "x", "title": "no prompt"}', "{oops")
    stopped = CliRunner().invoke(app, ["route", path, "--json"])
    assert stopped.exit_code != 0
    assert "line 6: no prompt" in str(stopped.exception)
    assert len(stopped.stdout.splitlines()) == 5
    dropped = CliRunner().invoke(app, ["route", path, "--json", "--on-error", "drop"])
    assert dropped.exit_code == 0
    assert len(dropped.stdout.splitlines()) == 5
    assert "2 of 7 rows could not be read" in dropped.stderr
    assert "line 7: not JSON" in dropped.stderr


def test_wrong_options_are_told(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert "no routing rules" in str(
        CliRunner().invoke(app, ["route", path, "--source-lang", "xx"]).exception
    )
    assert "--on-error" in str(CliRunner().invoke(app, ["route", path, "--on-error", "never"]).exception)
    assert "no such file" in str(CliRunner().invoke(app, ["route", str(tmp_path / "none.jsonl")]).exception)


def test_a_prompt_cannot_talk_to_the_terminal_or_leave_its_80_columns(tmp_path: Path) -> None:
    hostile = {"prompt": 'How many letters are in "\x1b]0;mine\x07\x1b[31m' + "猫" * 60 + '"?'}
    result = CliRunner().invoke(app, ["route", written(tmp_path, json.dumps(hostile))])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert "\x07" not in result.output
    shown = [line for line in result.output.splitlines() if "猫" in line]
    assert shown
    assert all(columns(line) <= 80 for line in result.output.splitlines())
