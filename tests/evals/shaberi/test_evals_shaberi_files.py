"""Folders of ratings: what is read, what is left out and told, what nothing can be said of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from watari.cli.main import app
from watari.errors import UserError
from watari.evals.shaberi.files import sorted_out
from watari.evals.shaberi.scoring import as_json, score_files
from watari.evals.shaberi.spec import ShaberiSpec
from watari.evals.spec import load_spec

SPEC = load_spec("shaberi")
assert isinstance(SPEC, ShaberiSpec)
SHEET = {"judge": "j", "dataset": "Rakuda", "model": "m", "scores": [8] * 40}


def write(path: Path, *rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_the_published_folder_as_it_lies_there(test_data: Path) -> None:
    folder = test_data / "shaberi"
    together = score_files(SPEC, [folder], rounds=0)
    named = ("answers.jsonl.gz", "items.json", "scores.jsonl.gz")
    apart = score_files(SPEC, [folder / name for name in named], rounds=0)
    assert [one.figures for one in together] == [one.figures for one in apart]
    assert len(together) > 100
    said = "judge_texts_gpt-5.1_ja-mt-1shot.jsonl.gz, published_output.csv.gz: left out"
    assert all(any(said in note for note in one.notes) for one in together)


def test_other_files_are_left_out_and_told(tmp_path: Path) -> None:
    write(tmp_path / "scores.jsonl", SHEET)
    write(tmp_path / "texts.jsonl", {"model": "m", "n": 1, "score": 4, "judge_output": "x"})
    (tmp_path / "README.md").write_text("x")
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "plot.png").write_text("x")
    (tmp_path / "empty.jsonl").write_text("")
    (result,) = score_files(SPEC, [tmp_path])
    assert result.notes[-1] == (
        f"{tmp_path}: no ratings of this family in empty.jsonl, plot.png, texts.jsonl: left out"
    )
    assert as_json([result], SPEC)["models"]["m"]["datasets"] == {"yuzuai__rakuda-questions": 8}


def test_a_broken_file_is_not_left_out(tmp_path: Path) -> None:
    write(tmp_path / "scores.jsonl", SHEET)
    (tmp_path / "more.jsonl").write_text('{"judge": "j", ')
    with pytest.raises(UserError, match=r"more\.jsonl: line 1: not JSON"):
        score_files(SPEC, [tmp_path])


def test_upstreams_folders(tmp_path: Path) -> None:
    write(tmp_path / "judge_j" / "yuzuai__rakuda-questions" / "m.json", *[{"score": 9}] * 40)
    kept, left = sorted_out(tmp_path)
    assert (len(kept), left) == (1, [])
    (result,) = score_files(SPEC, [tmp_path])
    assert result.figures["Rakuda"].value == 9


def test_what_is_no_file_of_ratings_says_what_is(tmp_path: Path) -> None:
    table = tmp_path / "in" / "table.csv"
    table.parent.mkdir()
    table.write_text("model,score\n")
    for path in (table, table.parent):
        with pytest.raises(UserError) as error:
            score_files(SPEC, [path])
        assert ".jsonl" in (error.value.mend or "")
        assert "set the" not in (error.value.mend or "")


def test_rows_without_text_are_not_called_unreadable(test_data: Path) -> None:
    path = test_data / "shaberi" / "judge_texts_gpt-5.1_ja-mt-1shot.jsonl.gz"
    done = CliRunner().invoke(app, ["eval", "rating", "--spec", "shaberi", str(path)])
    assert "480 rows, 297 of them without a judge's text; 3 texts without a readable rating;" in done.stdout
