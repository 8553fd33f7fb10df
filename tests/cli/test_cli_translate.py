"""`watari translate run` and `compare` as a user runs them, against a real server; what is killed, in a process of its own."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from e2e_command import Command
from station_teacher import leave_english, lose_segment, refuse, row, teaching
from watari.cli.main import app
from watari.cli.translating_inputs import conversations
from watari.endpoint.replay import Behaviour
from watari.errors import DryRun, UserError

FAULTS = {(3, "fast"): refuse, (4, "fast"): leave_english, (4, "fast repair"): lose_segment}
MADE = ("rows.parquet", "dropped.parquet", "samples.parquet", "dataset.json", "report.html")


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows), "utf-8")
    return str(path)


def made(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in MADE}


class Here:
    """`watari` in this process: what a command prints is the same, and its imports are paid for once."""

    def __call__(self, *arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments])
        if isinstance(done.exception, DryRun):
            return f"{done.stdout}{done.exception}\n"
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def watari(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.chdir(tmp_path)
    return Here()


@pytest.mark.parametrize("moments", [(25,), pytest.param((12, 40), marks=pytest.mark.slow)])
def test_killed_and_run_again_gives_the_same_bytes_and_pays_for_nothing_twice(
    tmp_path: Path, watari: Here, moments: tuple[int, ...]
) -> None:
    killed = Command(tmp_path)
    file = write(tmp_path / "chats.jsonl", [row(number, code=number % 2 == 0) for number in range(90)])
    slow = Behaviour(latency=60, sd=30, seed=1)
    with teaching(FAULTS, behaviour=slow) as (teacher, server):
        asked = [
            "--endpoint",
            server.base_url,
            "--model",
            "fast",
            "strong",
            "--price-in",
            "1",
            "10",
            "--price-out",
            "2",
            "20",
        ]
        given = ["translate", "run", file, *asked, "--budget-usd", "5", "--concurrency", "8"]
        whole = watari.json(*given, "--out", "whole")
        undisturbed = len(teacher.bodies)
        assert whole["metrics"]["kept"] == 90
        assert whole["metrics"]["repaired"] == 1
        assert whole["metrics"]["escalated"] == 1
        ledger = tmp_path / "killed" / "ledger.sqlite"
        for moment in moments:
            before = len(teacher.bodies)
            process = killed.start(*given, "--out", "killed", "--quiet")
            while len(teacher.bodies) - before < moment and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert ledger.exists()
            assert not (tmp_path / "killed" / "rows.parquet").exists(), "nothing half-made is in place"
        last = killed.json(*given, "--out", "killed")
        disturbed = len(teacher.bodies) - undisturbed
        # Each kill may have had 8 in flight, and answers of the last tenth of a second that were not committed.
        assert disturbed - undisturbed <= len(moments) * (8 + 8)
        assert made(tmp_path / "whole") == made(tmp_path / "killed")
        assert last["digest"] == whole["digest"]
        sent = len(teacher.bodies)
        again = watari.json(*given, "--out", "killed")
        assert len(teacher.bodies) == sent
        assert again["performance"]["requests_sent"] == 0
    assert again["digest"] == whole["digest"]


def test_the_folder_is_an_artifact_with_a_report_and_a_summary_in_80_columns(
    tmp_path: Path, watari: Here
) -> None:
    from watari.artifact.manifest import read_manifest

    file = write(tmp_path / "chats.jsonl", [row(number) for number in range(9)])
    with teaching({**FAULTS, (5, "fast"): refuse, (5, "fast repair"): refuse}) as (_, server):
        told = watari(
            "translate",
            "run",
            file,
            "--endpoint",
            server.base_url,
            "--model",
            "fast",
            "--out",
            "ja",
            "--quiet",
        )
    assert max(len(line) for line in told.splitlines()) <= 80
    assert "9 rows" in told
    assert "7 kept, 2 dropped" in told
    assert "human.jsonl" in told
    manifest = read_manifest(tmp_path / "ja")
    assert manifest.uses == "synth.translate"
    assert {entry.path for entry in manifest.files} == {*MADE, "human.jsonl"}
    assert not (tmp_path / "ja" / "work").exists()
    assert (tmp_path / "ja" / "ledger.sqlite").is_file()
    # A filled-in human file finishes it.
    path = tmp_path / "ja" / "human.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for one in rows:
        one["translation"] = one["last"] or [
            {**turn, "content": "駅はどこですか？"} for turn in one["source"]
        ]
        one.update(force=True, reviewer="太郎")
    filled = write(tmp_path / "filled.jsonl", rows)
    with teaching() as (_, server):
        told = watari(
            "translate", "run", file, "--endpoint", server.base_url, "--model", "fast", "--out", "ja", "--human", filled, "--quiet"
        )  # fmt: skip
    assert "2 forced" in told
    assert not path.exists()


TALK = row(7)["messages"]


@pytest.mark.parametrize(
    "form",
    [
        {"messages": TALK},
        {
            "conversations": [
                {"from": "human", "value": TALK[0]["content"]},
                {"from": "gpt", "value": TALK[1]["content"]},
            ]
        },
        {"instruction": TALK[0]["content"], "input": "", "output": TALK[1]["content"]},
        {"src": TALK, "tgt": []},
    ],
)
def test_published_forms_are_read(tmp_path: Path, form: dict[str, Any]) -> None:
    (found,) = conversations(write(tmp_path / "in.jsonl", [{**form, "license": "mit"}]), source="en")
    assert found["messages"] == TALK
    assert (found["language"], found["source"], found["license"]) == ("en", "in", "mit")
    assert len(found["id"]) == 32


def test_ids_become_distinct_and_broken_rows_are_told_by_their_place(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    rows = [
        {"id": 5, "prompt": "One"},
        {"id": 5, "prompt": "Two"},
        {"id": 5, "prompt": "Two"},
        {"id": 6, "prompt": ""},
    ]
    write(file, rows)
    file.write_text(file.read_text() + "not JSON\n")
    found = list(conversations(str(file), source="en"))
    assert [one["id"] for one in found] == ["5", found[1]["id"], found[2]["id"], "line 4", "line 5"]
    assert found[1]["id"].startswith("5~")
    assert [one.get("fault", "").split(":")[0] for one in found] == [
        "",
        "",
        "row was there before",
        "empty turn",
        "not JSON",
    ]
    assert len(list(conversations(str(file), source="en", limit=2))) == 2


def test_mistakes_are_told_in_words_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "chats.jsonl", [row(1)])
    (tmp_path / "odd.jsonl").write_text('{"text": "x"}\n')
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thing").write_text("x")
    local = ["--endpoint", "http://127.0.0.1:9/v1"]
    remote = ["--endpoint", "https://api.example.com/v1"]
    given = ["chats.jsonl", *local, "--model", "m", "--out", "o"]
    cases = [
        ([*given, "--price-in", "1"], "m costs money, and no budget is given"),
        (["chats.jsonl", *remote, "--model", "m", "--out", "o", "--budget-usd", "1"], "is not known"),
        ([*given[:4], "a", "b", "c", "--out", "o", "--key-env", "A", "B"], "--key-env: 2 given for 3 models"),
        ([*given[:-1], "full"], "full is there already"),
        (["odd.jsonl", *given[1:]], "the first row has text"),
        ([*given, "--register", "rude"], "register"),
        ([*given, "--glossary", "none.yaml"], "none.yaml"),
        ([*given, "--set", "repairz=2"], "repairz"),
        ([*given, "--target-lang", "en"], "source and target are both 'en'"),
    ]
    for arguments, said in cases:
        done = CliRunner().invoke(app, ["translate", "run", *arguments])
        assert isinstance(done.exception, UserError), (arguments, done.exception)
        assert said in str(done.exception)
    done = CliRunner().invoke(app, ["translate", "compare", *given])
    assert "one translator alone" in str(done.exception)
    assert not (tmp_path / "o" / "ledger.sqlite").exists()


def test_a_dry_run_prints_the_estimate_and_writes_nothing(tmp_path: Path, watari: Here) -> None:
    file = write(tmp_path / "chats.jsonl", [row(number, code=True) for number in range(5)])
    asked = [
        "--endpoint",
        "http://127.0.0.1:9/v1",
        "--model",
        "a",
        "b",
        "--price-in",
        "1",
        "--price-out",
        "2",
        "--budget-usd",
        "1",
    ]
    told = watari.json("translate", "run", file, *asked, "--out", "ja", "--dry-run")
    assert told["rows"] == told["requests"] == 5
    assert 0 < told["cost"] < told["worst_cost"]
    assert 0.2 < told["masked_share"] < 0.8
    assert "nothing was sent" in watari("translate", "run", file, *asked, "--out", "ja", "--dry-run")
    assert not (tmp_path / "ja").exists()


def test_translators_are_compared_side_by_side_and_blindly(tmp_path: Path, watari: Here) -> None:
    rows = [row(number) for number in range(60)]
    file = write(tmp_path / "chats.jsonl", rows)
    faults = {(number, "fast"): leave_english for number in range(0, 60, 3)} | {(1, "strong"): refuse}
    with teaching(faults) as (teacher, server):
        asked = ["--endpoint", server.base_url, "--model", "fast", "strong", "--sample", "30", "--seed", "7"]
        told = watari.json("translate", "compare", file, *asked, "--out", "cmp")
        assert len(teacher.bodies) == 60
        text = watari("translate", "compare", file, *asked, "--out", "cmp", "--quiet")
        assert len(teacher.bodies) == 60, "what is on record is not asked again"
    fast, strong = told["translators"]
    assert fast["rows"] == strong["rows"] == told["rows"] == 30
    assert fast["accepted"] < strong["accepted"]
    assert fast["low"] < fast["share"] < fast["high"] < 1
    assert fast["findings"]["untranslated"]["hard"] == 30 - fast["accepted"]
    (pair,) = told["pairs"]
    assert pair["same"] == sum(1 for _ in range(30)) - (30 - fast["accepted"]) - (30 - strong["accepted"])
    assert 0.3 < pair["chrf"] < 1
    assert pair["only_right"] == 30 - fast["accepted"]
    assert max(len(line) for line in text.splitlines()) <= 80

    items = [json.loads(line) for line in (tmp_path / "cmp" / "sheet.jsonl").read_text("utf-8").splitlines()]
    key = json.loads((tmp_path / "cmp" / "sheet.key.json").read_text("utf-8"))
    assert all(set(item) == {"item_id", "source", "a", "b"} for item in items)
    assert {item["item_id"] for item in items} == set(key)
    assert len(items) == pair["rows"] - pair["same"]
    assert {entry["a"] for entry in key.values()} == {"fast", "strong"}, "the sides are shuffled"
    by_row = {one["id"]: one for one in rows}
    for item in items:
        sides = key[item["item_id"]]
        assert item["source"] == by_row[sides["row"]]["messages"]
        english = "a" if item["a"] == item["source"] else "b"
        assert sides[english] == "fast"
    blind = (tmp_path / "cmp" / "sheet.html").read_text("utf-8") + (
        tmp_path / "cmp" / "sheet.jsonl"
    ).read_text("utf-8")
    shown = blind[blind.index("<main") :]
    assert "strong" not in shown
    assert "fast" not in shown
    page = (tmp_path / "cmp" / "compare.html").read_text("utf-8")
    assert "untranslated" in page
