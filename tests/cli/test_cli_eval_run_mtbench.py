"""`watari eval run` of an MT-Bench spec as a user runs it, against real servers; what is killed, in a process of its own."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from e2e_command import Command
from watari.artifact.manifest import read_manifest
from watari.cli.main import app
from watari.endpoint.replay import Behaviour, Script, serve
from watari.errors import DryRun, StageFailed, UserError, WatariError

SPEC = "nejumi-mt-bench-ja"
MADE = (
    "rows.parquet",
    "generations.parquet",
    "judgments.parquet",
    "items.jsonl",
    "evaluation.json",
    "prompts.json",
)


class Servers:
    """A model and a judge behind one address; counts what was asked of each."""

    def __init__(self, unreadable: bool = False) -> None:
        self.url = ""
        self.asked = {"cand": 0, "judge": 0}
        self._lock = Lock()
        self._unreadable = unreadable

    def __call__(self, body: Any) -> str:
        with self._lock:
            self.asked[body["model"]] += 1
        if body["model"] == "judge":
            seen = zlib.crc32(body["messages"][-1]["content"].encode())
            return "……" if self._unreadable and seen % 2 else f"理由。\n評価：[[{seen % 10 + 1}]]"
        said = json.dumps([body["messages"], body["seed"]], ensure_ascii=False)
        return f"答えは{zlib.crc32(said.encode())}です。"

    @property
    def total(self) -> int:
        return sum(self.asked.values())

    def command(self, *more: str, spec: str = SPEC, out: str = "out") -> list[str]:
        return [
            *("eval", "run", spec, "--model", f"cand={self.url}", "--judge", f"judge={self.url}"),
            *("--out", out, "--runs", "2", "--limit", "1", *more),
        ]


@contextmanager
def servers(latency: float = 0, sd: float = 0, **settings: Any) -> Iterator[Servers]:
    made = Servers(**settings)
    with serve(Script(made, Behaviour(latency=latency, sd=sd))) as listening:
        made.url = listening.base_url
        yield made


def invoke(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, [*arguments])
    error = done.exception
    if isinstance(error, WatariError):
        assert error.exit_code == code, error
    else:
        assert done.exit_code == code, (done.output, error)
    return done


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in MADE}


def test_it_runs_goes_on_and_is_scored_again(tmp_path: Path) -> None:
    with servers() as both:
        first = json.loads(invoke(*both.command("--json")).stdout)
        assert both.asked == {"cand": 32, "judge": 32}
        before = files(tmp_path / "out")
        again = invoke(*both.command()).stdout
        assert both.total == 64
    assert files(tmp_path / "out") == before
    assert "(0 requests sent, 64 on record)" in again
    assert "watari-mt-bench-ja/1 (nejumi-mt-bench-ja/1)" in again
    assert max(len(line) for line in again.splitlines()) <= 80 + len(str(tmp_path))
    scored = json.loads(invoke("eval", "score", SPEC, "out", "--json").stdout)
    assert scored == {name: first[name] for name in scored}
    figures = first["models"]["cand"]
    assert figures["n"] == 32
    assert figures["runs"] == 2
    assert set(figures["turns"]) == {"1", "2"}
    manifest = read_manifest(tmp_path / "out")
    assert manifest.digest == first["evaluation_digest"]
    assert sorted(entry.path for entry in manifest.files) == sorted(MADE)


def test_another_command_in_the_same_folder_is_refused_with_what_differs(tmp_path: Path) -> None:
    with servers() as both:
        invoke(*both.command())
        before = files(tmp_path / "out")
        for more, said in (
            (("--set", "reask=2"), "reask is 0 there, 2 here"),
            (("--set", "system=やさしく。"), 'system is null there, "やさしく。" here'),
            (("--set", "judge.sampler.temperature=1"), "judge.sampler.temperature is null there, 1.0 here"),
        ):
            refused = invoke(*both.command(*more), code=1)
            assert isinstance(refused.exception, UserError)
            assert said in str(refused.exception)
        other = invoke(*both.command(spec="fastchat-mt-bench"), code=1)
        assert f'spec is "{SPEC}" there, "fastchat-mt-bench" here' in str(other.exception)
        # Where a server stands, and what may be spent, changes nothing of what is made.
        invoke(*both.command("--set", "budget.requests=1000", "--set", "judge.limits.concurrency=2"))
        assert both.total == 64
    assert files(tmp_path / "out") == before


def test_changed_questions_are_told_as_such(tmp_path: Path) -> None:
    line = {"question_id": 1, "category": "writing", "turns": ["一", "二"]}
    path = tmp_path / "q.jsonl"
    with servers() as both:
        path.write_text(json.dumps(line), "utf-8")
        invoke(*both.command("--questions", str(path)))
        path.write_text(json.dumps(line | {"turns": ["一", "三"]}), "utf-8")
        refused = invoke(*both.command("--questions", str(path)), code=1)
    assert "questions has other content" in str(refused.exception)


def test_a_dry_run_shows_prompts_and_sums_and_touches_nothing(tmp_path: Path) -> None:
    with servers() as both:
        priced = ("--set", "judge.price.input=2", "--set", "judge.price.output=8", "--dry-run")
        told = invoke(*both.command(*priced))
        assert isinstance(told.exception, DryRun)
        found = json.loads(invoke(*both.command(*priced, "--json")).stdout)
        assert both.total == 0
    assert not (tmp_path / "out").exists()
    assert (found["answers"]["requests"], found["judgments"]["requests"]) == (32, 32)
    assert 0 < found["judgments"]["cost"] < found["judgments"]["worst_cost"]
    assert found["answers"]["cost"] == 0
    assert found["label"] == "watari-mt-bench-ja/1 (nejumi-mt-bench-ja/1)"
    assert "豆腐屋" in told.stdout
    assert "評価：[[5]]" in told.stdout


def test_unreadable_ratings_above_the_limit_end_with_code_3_and_all_is_written(tmp_path: Path) -> None:
    with servers(unreadable=True) as both:
        done = invoke(*both.command(), code=3)
    assert "of 32 ratings are invalid" in str(done.exception)
    assert "unreadable:" in done.stdout
    assert set(files(tmp_path / "out")) == set(MADE)
    invoke("eval", "score", SPEC, "out", code=3)
    invoke("eval", "score", SPEC, "out", "--invalid", "drop", code=0)


def test_a_budget_ends_it_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    with servers() as both:
        done = invoke(*both.command("--set", "budget.requests=40"), code=3)
        assert isinstance(done.exception, StageFailed)
        assert both.total <= 40
        assert not (tmp_path / "out" / "rows.parquet").exists()
        invoke(*both.command("--set", "budget.requests=1000"))
        assert both.total == 64


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--judge": None}, "--judge: who rates the answers?"),
        ({"--judge": "http://127.0.0.1:9/v1"}, "no model is named"),
        ({"--judge": "."}, "a judge is a server"),
        ({"--model": "nowhere"}, "--model nowhere: no such folder"),
        ({"--model": "."}, "config.json"),
        ({"--set": "reasks=2"}, "eval.mtbench has no such parameter"),
        ({"--set": "reask=many"}, "reask"),
        ({"--set": "prompts=none.jsonl"}, "none.jsonl"),
        ({"--set": "references=none.jsonl"}, "none.jsonl"),
        ({"--set": "judge.price.output=8"}, "judge costs money, and no budget is given"),
        ({"--questions": "none.jsonl"}, "none.jsonl"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_and_leaves_nothing(
    tmp_path: Path, change: dict[str, str | None], said: str
) -> None:
    given: dict[str, str | None] = {
        "--model": "cand=http://127.0.0.1:9/v1",
        "--judge": "judge=http://127.0.0.1:9/v1",
        "--out": "out",
    }
    options = [
        part for name, value in (given | change).items() if value is not None for part in (name, value)
    ]
    done = invoke("eval", "run", SPEC, *options, code=1)
    assert isinstance(done.exception, UserError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "diary.txt").write_text("mine", "utf-8")
    with servers() as both:
        done = invoke(*both.command(), code=1)
        assert isinstance(done.exception, UserError)
        assert both.total == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["diary.txt"]


def recorded(folder: Path) -> int:
    """How many answers are on record."""
    connection = sqlite3.connect(f"file:{folder / 'ledger.sqlite'}?mode=ro", uri=True)
    try:
        query = "SELECT count(DISTINCT key) FROM attempt WHERE status = 'answered'"
        return int(connection.execute(query).fetchone()[0])
    finally:
        connection.close()


@pytest.mark.parametrize(
    "moments",
    [(45,), pytest.param((1, 8, 16, 24, 32, 40, 48, 56, 63, 64), marks=pytest.mark.slow)],
)
def test_killed_and_run_again_gives_the_same_bytes_and_asks_nothing_recorded_again(
    tmp_path: Path, moments: tuple[int, ...]
) -> None:
    """kill -9 after so many answers were on record: in the answers, and in the judgments (there are 32 of each)."""
    watari = Command(tmp_path)
    with servers(latency=40, sd=20) as both:
        few = ("--set", "judge.limits.concurrency=3", "--set", "model.limits.concurrency=3")
        invoke(*both.command(*few, out="whole"))
        undisturbed = both.total
        assert undisturbed == 64
        for moment in moments:
            process = watari.start(*both.command(*few))
            while process.poll() is None:
                if (tmp_path / "out" / "ledger.sqlite").exists() and _recorded_or_none(
                    tmp_path / "out"
                ) >= moment:
                    break
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        kept, before = recorded(tmp_path / "out"), both.total
        assert kept >= moments[-1]
        invoke(*both.command(*few))
        # Exactly what was not on record is asked: with the kills, what was in flight and nothing else came twice.
        assert both.total - before == undisturbed - kept
        assert recorded(tmp_path / "out") == undisturbed
        invoke(*both.command(*few))
        assert both.total - before == undisturbed - kept
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def _recorded_or_none(folder: Path) -> int:
    try:
        return recorded(folder)
    except sqlite3.Error:  # it is just being made
        return -1
