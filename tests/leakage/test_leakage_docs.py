"""Every command of docs/leakage.md about scans and comparisons, run as it stands there, on the stored runs."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from watari.cli.main import app

PAGE = Path(__file__).parents[2] / "docs" / "leakage.md"


def lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    found = [
        line
        for block in blocks
        if "watari sweep" not in block
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return [line for line in found if line.startswith("watari leakage ") and "--model" not in line]


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


def test_the_first_example_says_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows, line = blocks("json")[:2]
    Path("answers.jsonl").write_text(rows, "utf-8")
    table, as_json = [one for one in lines() if "answers.jsonl" in one]
    shown = CliRunner().invoke(app, shlex.split(table)[1:])
    assert shown.output == blocks("text")[0]
    said = CliRunner().invoke(app, shlex.split(as_json)[1:])
    assert said.output.splitlines()[0] + "\n" == line
    assert len(said.output.splitlines()) == 4


def test_the_whole_way_is_written_with_commands_and_options_that_there_are() -> None:
    (block,) = (one for one in blocks("sh") if "watari sweep" in one)
    names = set()
    for line in block.splitlines():
        command, rest = get_command(app), shlex.split(line)[1:]
        while isinstance(command, typer.core.TyperGroup):
            command = command.commands[rest.pop(0)]
        names.add(command.name)
        command.make_context(
            str(command.name), rest
        )  # raises for an option that there is not, or one that lacks
    assert names == {"sweep", "scan", "mine", "repair", "compare"}


def test_the_page_tells_every_class_severity_and_count_of_draws() -> None:
    from watari.leakage.summary import SEVERITIES
    from watari.leakage.tally import CLASSES
    from watari.stats.paired import FLIPS
    from watari.stats.resampling import ROUNDS

    page = PAGE.read_text("utf-8")
    assert all(f"| `{name}` |" in page for name in CLASSES)
    assert all(re.search(rf"\b{name}\b", page, re.I) for name in SEVERITIES)
    assert f"({ROUNDS:,} rounds)" in page
    assert f"else {FLIPS:,} at random" in page


@pytest.mark.parametrize(
    ("prompt", "response"),
    [
        ("Explain tea in English.", "The sakura trees are kirei and I like them very much today."),
        ("Réponds en français.", "El thé est une boisson que nous aimons mucho le matin."),
        ("", "お茶はとても美味しい飲み物です。"),
        ("Explain tea in English.", 'Tea (お茶) is good. She calls it "お茶" at home.'),
    ],
    ids=["romanised", "one script", "no prompt", "quoted"],
)
def test_what_the_page_says_cannot_be_seen_is_not(prompt: str, response: str, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    said = {"expected_lang": "fr"} if "français" in prompt else {}
    file.write_text(json.dumps({"id": "1", "prompt": prompt, "response": response} | said), "utf-8")
    done = CliRunner().invoke(app, ["leakage", "scan", str(file), "--json"])
    assert json.loads(done.output.splitlines()[0])["events"] == []


@pytest.mark.slow
def test_every_command_of_the_page_works(
    test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stored = test_data / "shisa-generations"
    for name in ("generations.jsonl.gz", "prompts.jsonl"):
        shutil.copy(stored / name, tmp_path)
    assert len(lines()) >= 4
    Path("answers.jsonl").write_text(blocks("json")[0], "utf-8")
    for line in lines():
        done = CliRunner().invoke(app, shlex.split(line)[1:])
        assert done.exit_code == 0, (line, done.output[-500:], done.exception)
