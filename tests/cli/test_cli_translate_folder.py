"""`watari translate run` into a folder that is there already: what people wrote is kept, another file is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from station_teacher import leave_english, row, teaching, translated
from watari.cli.main import app

FAULTS = {(2, place): leave_english for place in ("fast", "fast repair")}


def write(path: Path, *numbers: int) -> str:
    path.write_text("".join(json.dumps(row(number)) + "\n" for number in numbers), "utf-8")
    return str(path)


def test_what_a_person_wrote_into_the_folder_stays_and_counts_every_time(tmp_path: Path) -> None:
    file, out = write(tmp_path / "chats.jsonl", 1, 2, 3), tmp_path / "ja"
    human = out / "human.jsonl"
    with teaching(FAULTS) as (_, server):
        run = [
            "translate",
            "run",
            file,
            "--endpoint",
            server.base_url,
            "--model",
            "fast",
            "--out",
            str(out),
            "--quiet",
        ]
        assert CliRunner().invoke(app, run).exit_code == 0
        (left,) = (json.loads(line) for line in human.read_text("utf-8").splitlines())
        left["translation"] = [
            {"role": one["role"], "content": translated(one["content"])} for one in left["source"]
        ]
        left["reviewer"] = "Aki"
        human.write_text(json.dumps(left, ensure_ascii=False) + "\n", "utf-8")
        with_people = [*run, "--human", str(human), "--json"]
        found = []
        for command in (with_people, with_people, [*run, "--json"], with_people):
            result = CliRunner().invoke(app, command)
            assert result.exit_code == 0, result.output
            found.append(json.loads(result.stdout))
            assert json.loads(human.read_text("utf-8"))["translation"] == left["translation"]
        assert [one["metrics"]["kept"] for one in found] == [3, 3, 2, 3]
        assert found[0]["digest"] == found[1]["digest"] == found[3]["digest"]


def test_another_file_into_the_same_folder_is_told_and_nothing_is_mixed(tmp_path: Path) -> None:
    first, other = write(tmp_path / "first.jsonl", 1, 2, 3), write(tmp_path / "other.jsonl", 3, 4)
    out = str(tmp_path / "ja")
    with teaching() as (teacher, server):
        asked = ["--endpoint", server.base_url, "--model", "fast", "--out", out, "--quiet", "--json"]
        for _ in range(2):
            result = CliRunner().invoke(app, ["translate", "run", first, *asked])
            assert result.exit_code == 0, result.output
            assert "it is replaced" not in result.stderr
        result = CliRunner().invoke(app, ["translate", "run", other, *asked])
        assert "first.jsonl (en to ja); it is replaced" in result.stderr
        assert json.loads(result.stdout)["metrics"]["rows_in"] == 2
        assert len(teacher.bodies) == 4


@pytest.mark.parametrize("option", ["--target-lang", "--source-lang"])
def test_a_wrong_language_names_its_own_option(tmp_path: Path, option: str) -> None:
    file = write(tmp_path / "chats.jsonl", 1)
    result = CliRunner().invoke(
        app,
        [
            *("translate", "run", file, "--endpoint", "http://127.0.0.1:1/v1", "--model", "m"),
            *("--out", str(tmp_path / "o"), option, "JA"),
        ],
    )
    assert result.exit_code == 1
    assert option in str(result.exception) + result.output


def test_an_address_with_a_key_in_it_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "chats.jsonl", 1)
    given = [
        "--endpoint",
        "http://127.0.0.1:1/v1?api_key=sk-secret",
        "--model",
        "m",
        "--out",
        str(tmp_path / "o"),
    ]
    result = CliRunner().invoke(app, ["translate", "run", file, *given])
    told = str(result.exception) + result.output
    assert "--endpoint: an address ends with /v1" in told
    assert "sk-secret" not in told
    assert not (tmp_path / "o").exists()
