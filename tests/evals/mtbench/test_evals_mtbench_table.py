"""The table for people: 80 columns, each judge apart, refused models with the reason."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from watari.evals.mtbench.scoring import as_table, score_files
from watari.evals.mtbench.spec import MTBenchSpec
from watari.evals.spec import load_spec


def _spec(name: str) -> MTBenchSpec:
    spec = load_spec(name)
    assert isinstance(spec, MTBenchSpec)
    return spec


FASTCHAT, NEJUMI = _spec("fastchat-mt-bench"), _spec("nejumi-mt-bench-ja")


def _lines(spec: MTBenchSpec, paths: list[Path], **options: Any) -> list[str]:
    from rich.console import Console

    out = StringIO()
    limit = options.pop("max_invalid", 0.05)
    Console(file=out, width=80, highlight=False).print(
        as_table(score_files(spec, paths, **options), spec, max_invalid=limit)
    )
    return out.getvalue().splitlines()


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def _rows(model: str, score: Any, judge: str = "j", ids: range = range(1, 81)) -> list[dict[str, Any]]:
    return [
        {
            "question_id": id,
            "model": model,
            "judge": [judge, "single-v1"],
            "score": score + id % 2 if isinstance(score, int) else score,
            "turn": turn,
        }
        for id in ids
        for turn in (1, 2)
    ]


def test_the_best_model_is_first_and_nothing_is_wider(tmp_path: Path) -> None:
    long = "an-organisation/" + "x" * 60
    path = _write(tmp_path / "j.jsonl", _rows("worse", 3) + _rows(long, 7) + _rows("[bold]odd[/bold]", 5))
    lines = _lines(FASTCHAT, [path])
    assert max(map(len, lines)) <= 80
    assert lines[0] == "fastchat-mt-bench/1 · judge j · 0 of 480 ratings invalid"
    first, odd, worse = (
        next(n for n, line in enumerate(lines) if line.startswith(name))
        for name in ("an-organisation", "[bold]odd[/bold]", "worse")
    )
    assert first < odd < worse
    assert " 7.50 " in lines[first]
    assert " 3.50 " in lines[worse]
    assert "writ. role. reas. math codi. extr. stem huma." in "\n".join(lines)


def test_judges_are_never_in_one_table(tmp_path: Path) -> None:
    path = _write(tmp_path / "j.jsonl", _rows("m", 3, "one") + _rows("m", 7, "other"))
    lines = _lines(FASTCHAT, [path])
    heads = [n for n, line in enumerate(lines) if "judge" in line]
    assert ["judge one" in lines[heads[0]], "judge other" in lines[heads[1]]] == [True, True]
    assert any(" 3.50 " in line for line in lines[heads[0] : heads[1]])
    assert not any(" 7.50 " in line for line in lines[heads[0] : heads[1]])


def test_a_refused_model_has_a_dash_and_the_reason(tmp_path: Path) -> None:
    path = _write(tmp_path / "j.jsonl", _rows("good", 7) + _rows("bad", 5)[:100] + _rows("bad", -1.0)[100:])
    lines = _lines(FASTCHAT, [path])
    bad = next(line for line in lines if line.startswith("bad"))
    assert "5.50" not in bad
    assert "–" in bad
    assert "refused: bad: 37.5 % of 160 ratings are invalid" in lines
    shown = _lines(FASTCHAT, [path], max_invalid=None)
    assert "5.50" in next(line for line in shown if line.startswith("bad"))
    assert not any("refused" in line for line in shown)
    as_is = _lines(FASTCHAT, [path], invalid="as-is")
    assert "60 of 320 ratings invalid, averaged in as-is" in as_is[0]


def test_runs_have_their_deviation(tmp_path: Path) -> None:
    paths = [_write(tmp_path / f"{n}.jsonl", _rows("m", n)) for n in (2, 4, 6)]
    lines = _lines(NEJUMI, paths)
    assert "sd of runs" in lines[1]
    assert "0.450" in lines[2]
    assert "0.200 (3)" in lines[2]


@pytest.mark.parametrize("count", [2, 9, 40])
def test_categories_of_any_number_fit(tmp_path: Path, count: int) -> None:
    rows = [
        {
            "question_id": f"q{n}",
            "model": "m",
            "judge": "j",
            "score": 10,
            "turn": 1,
            "category": f"a topic {n}",
        }
        for n in range(count)
    ]
    lines = _lines(FASTCHAT, [_write(tmp_path / "j.jsonl", rows)])
    assert max(map(len, lines)) <= 80
    assert any("more categories" in line for line in lines) == (count > 9)


def test_a_note_that_holds_for_all_stands_once(tmp_path: Path) -> None:
    few = _write(tmp_path / "j.jsonl", _rows("a", 3, ids=range(1, 80)) + _rows("b", 3, ids=range(1, 80)))
    lines = _lines(FASTCHAT, [few])
    assert sum("79 of 80 questions of mt-bench-ja; missing: 80" in line for line in lines) == 1
