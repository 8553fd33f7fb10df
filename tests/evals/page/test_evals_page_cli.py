"""`watari eval report` on the command line: what it says, and what it refuses in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from made_evaluations import write_evaluations
from watari.cli.main import app


def run(*words: object) -> tuple[int, str]:
    """Return the exit code of `watari eval report ...` and all that it said."""
    done = CliRunner().invoke(app, ["eval", "report", *map(str, words)])
    return done.exit_code, done.output + (str(done.exception) if done.exception else "")


def test_it_says_what_was_written_and_who_is_refused(tmp_path: Path) -> None:
    paths = write_evaluations(tmp_path)
    out = tmp_path / "out"
    code, said = run(*paths, "--out", out, "--spec", "fastchat-mt-bench", "--no-plots", "--title", "Mine")
    assert code == 0
    assert "fastchat-mt-bench/1 by gpt-4: 4 models; first: " in said
    assert "refused: broken: 75.0 % of 48 ratings are invalid" in said
    assert f"{out / 'index.html'}  (4 files in {out})" in said
    assert {path.name for path in out.iterdir()} == {
        "index.html",
        "tables.md",
        "tables.ja.md",
        "figures.json",
    }
    assert "<bdi>Mine</bdi>" in (out / "index.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "shown"), [((), False), (("--invalid", "drop"), True), (("--max-invalid", "0.8"), True)]
)
def test_a_refused_model_is_shown_only_where_it_is_told(
    tmp_path: Path, words: tuple[str, ...], shown: bool
) -> None:
    paths = write_evaluations(tmp_path)
    code, said = run(*paths, "--out", tmp_path / "out", "--spec", "fastchat-mt-bench", "--no-plots", *words)
    assert code == 0
    assert ("refused: broken" not in said) == shown


def test_one_judge_alone_can_be_shown(tmp_path: Path) -> None:
    code, said = run(
        *write_evaluations(tmp_path), "--out", tmp_path / "o", "--spec", "fastchat-mt-bench", "--no-plots", "--judge",
        "gpt-4",
    )  # fmt: skip
    assert code == 0
    assert "other-judge" not in said


@pytest.mark.parametrize("words", [("nothing.jsonl",), ("x.jsonl", "--spec", "no-such-spec")])
def test_users_mistakes_leave_nothing_behind(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "x.jsonl").write_text('{"question_id": 1}\n')
    paths = [tmp_path / word if word.endswith(".jsonl") else word for word in words]
    code, said = run(*paths, "--out", tmp_path / "out")
    assert code == 1
    assert "nothing.jsonl" in said or "no-such-spec" in said
    assert not (tmp_path / "out").exists()
