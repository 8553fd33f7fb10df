"""`watari eval run llm-jp-eval-...`: dry run, run, going on, other commands in the same folder, refusals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from teachers import Body, last
from tiny_llama import make_folder, make_tokenizer
from watari.cli.main import app
from watari.endpoint.replay import Script, serve
from watari.errors import CheckFailed, DryRun, UserError
from watari.evals.folder import read_evaluation
from watari.evals.spec import load_spec

RUNNER = CliRunner()
SPEC = "llm-jp-eval-1.0"


def watari(*words: str | Path) -> Any:
    return RUNNER.invoke(app, ["eval", *map(str, words)], catch_exceptions=False)


def run_json(*words: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(watari("run", SPEC, *words, "--json").stdout)
    return found


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("models") / "tiny", max_position_embeddings=4096)


@pytest.fixture
def server() -> Iterator[tuple[str, list[Body]]]:
    bodies: list[Body] = []

    def answer(body: Body) -> str:
        bodies.append(body)
        return "neutral" if "前提：" in (body.get("prompt") or last(body)) else "2"

    with serve(Script(answer)) as listening:
        yield f"wise={listening.base_url}", bodies


def test_a_dry_run_shows_prompts_and_asks_nothing(tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out"
    words = ("eval", "run", SPEC, "--model", str(tiny), "--out", str(out), "--limit", "3", "--dry-run")
    shown = RUNNER.invoke(app, words)
    assert isinstance(shown.exception, DryRun)
    assert "30 requests in completion style" in shown.stdout
    assert "watari-jaster/1 (llm-jp-eval-1.0/1)" in shown.stdout
    assert "健は2015年から高知に住んでいる。" in shown.stdout
    assert "1:'<s>'" in shown.stdout
    found = run_json("--model", tiny, "--out", out, "--limit", 3, "--dry-run")
    assert found["requests"] == 30
    assert found["datasets"]["niilc"] == {"items": 3, "shots": 4, "words": "own", "max_tokens": 180}
    assert found["prompts"]["jnli"]["bos_count"] == 1
    assert not out.exists()


def test_run_score_and_go_on(tmp_path: Path, server: tuple[str, list[Body]]) -> None:
    model, bodies = server
    words = ("--model", model, "--out", tmp_path / "out", "--limit", 5)
    first = run_json(*words)
    assert first["metrics"]["answers"]["asked"] == len(bodies) == 50
    assert first["performance"]["requests_sent"] == 50
    assert read_evaluation(tmp_path / "out").about.settings["style"] == "chat"
    again = run_json(*words)
    assert (len(bodies), again["performance"]["recorded"]) == (50, 50)
    assert again["evaluation_digest"] == first["evaluation_digest"]
    assert (
        first["digest"] == load_spec("llm-jp-eval-1.0").digest
    )  # of the spec, as `watari eval score` has it
    assert again["models"] == first["models"]
    scored = json.loads(watari("score", SPEC, tmp_path / "out", "--json").stdout)
    assert scored["models"]["wise"]["scores"] == first["models"]["wise"]["scores"]
    shown = watari("run", SPEC, *words)
    assert "50 answers in" in shown.stdout
    assert "AVR" in shown.stdout
    assert all(len(line) <= 80 for line in shown.stdout.splitlines() if not line.startswith("written"))


def test_another_command_in_the_same_folder_is_refused(
    tmp_path: Path, server: tuple[str, list[Body]]
) -> None:
    model, bodies = server
    run_json("--model", model, "--out", tmp_path / "out", "--limit", 2)
    done = len(bodies)
    for words, said in (
        (("--limit", 3), "limit is 2 there, 3 here"),
        (("--limit", 2, "--set", "style=completion"), "style"),
        (("--limit", 2, "--runs", 2), "runs is 1 there, 2 here"),
    ):
        with pytest.raises(UserError, match=said):
            run_json("--model", model, "--out", tmp_path / "out", *words)
    assert len(bodies) == done


def test_completions_of_a_server(tmp_path: Path, server: tuple[str, list[Body]]) -> None:
    model, bodies = server
    run_json(
        "--model", model, "--out", tmp_path / "out", "--limit", 2, "--set", "style=completion",
        "--set", "datasets=[jnli]", "--set", "model.sampler.top_p=0.5",
    )  # fmt: skip
    assert len(bodies) == 2
    assert all(body["prompt"].endswith("### 回答：\n") and body["top_p"] == 0.5 for body in bodies)
    assert bodies[0]["stop"] == ["\n"]


def test_places_are_joined_by_commas(tmp_path: Path, server: tuple[str, list[Body]]) -> None:
    model, _ = server
    for name in ("jnli", "jsick"):
        rows = [
            {"dataset": name, "id": n, "input": f"前提：{n}", "gold": "neutral", "split": split}
            for split, count in (("train", 4), ("test", 2))
            for n in range(count)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    places = f"{tmp_path / 'jnli.jsonl'}, {tmp_path / 'jsick.jsonl'}"
    found = run_json("--model", model, "--out", tmp_path / "out", "--questions", places)
    assert found["models"]["wise"]["scores"]["NLI"] == 1
    assert found["models"]["wise"]["scores"]["AVR"] == 0.25


def test_refusals_before_anything_is_made(tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out"
    for words, said in (
        (("--model", tiny, "--judge", "a=http://x/v1"), "nobody judges"),
        (("--model", tiny, "--questions", tmp_path / "none"), "none"),
        (("--model", tmp_path / "none"), "no such folder"),
        (("--model", tiny, "--set", "spec=x"), "inputs are files here"),
        (("--model", tiny, "--set", "shot=1"), "has no such parameter"),
        (("--model", tiny, "--set", "shots=9"), "9 examples are wanted"),
    ):
        with pytest.raises(UserError, match=said):
            watari("run", SPEC, "--out", out, *words)
    assert not out.exists()


def test_a_lost_bos_stops_a_run_and_a_dry_run(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "lost", max_position_embeddings=4096)
    make_tokenizer(folder, bos=False)
    for more in ((), ("--dry-run",)):
        with pytest.raises(UserError, match=r"lost: the prompt of jamp.*does not begin with <s>"):
            watari("run", SPEC, "--model", folder, "--out", tmp_path / "out", *more)
    assert not (tmp_path / "out").exists()


def test_too_many_missing_answers_end_with_a_reason(tmp_path: Path) -> None:
    from watari.endpoint.replay import Reply

    with (
        serve(Script(lambda body: Reply("no", status=400))) as listening,
        pytest.raises(CheckFailed, match=r"wise: 100.0 % of 4 answers are invalid"),
    ):
        watari(
            "run", SPEC, "--model", f"wise={listening.base_url}", "--out", tmp_path / "out", "--limit", 4,
            "--set", "datasets=[jnli]",
        )  # fmt: skip
    assert (tmp_path / "out" / "evaluation.json").is_file()


@pytest.mark.slow
def test_a_model_that_is_killed_goes_on_to_the_same_digest(tmp_path: Path, tiny: Path) -> None:
    def command(out: Path) -> list[str]:
        return [
            sys.executable, "-m", "watari", "eval", "run", SPEC, "--model", str(tiny), "--out", str(out), "--json",
            "--set", "batch=1", "--set", "datasets=[jnli, jsick]", "--set", "shots=1",
        ]  # fmt: skip

    whole = json.loads(subprocess.run(command(tmp_path / "whole"), capture_output=True, check=True).stdout)
    out = tmp_path / "killed"
    child = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ledger = out / "ledger.sqlite"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and child.poll() is None:
        if ledger.is_file() and _recorded(ledger) >= 8:
            break
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    done = _recorded(ledger)
    assert 8 <= done < 40
    again = json.loads(subprocess.run(command(out), capture_output=True, check=True).stdout)
    assert again["evaluation_digest"] == whole["evaluation_digest"]
    assert _recorded(ledger) == 40


def _recorded(ledger: Path) -> int:
    import sqlite3

    try:
        with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as base:
            return int(base.execute("SELECT count(*) FROM attempt").fetchone()[0])
    except sqlite3.Error:
        return 0


@pytest.mark.parametrize("place", ["/proc/watari", "file/x", "file"])
def test_an_out_that_cannot_be_made_is_told_in_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with serve(Script(lambda body: "2")) as listening, pytest.raises(UserError) as error:
        watari(
            *("run", SPEC, "--model", f"m={listening.base_url}", "--limit", "1", "--out", tmp_path / place)
        )
    assert str(tmp_path / place) in error.value.message
    assert "\n" not in error.value.message


def test_the_mend_is_written_as_the_command_line_takes_it(tmp_path: Path) -> None:
    model = make_folder(tmp_path / "short", max_position_embeddings=8)
    with pytest.raises(UserError, match="no prompt fits") as error:
        watari("run", SPEC, "--model", model, "--limit", "1", "--out", tmp_path / "out")
    assert "--set shots=0" in (error.value.mend or "")
