"""Judgments in all the forms that tools write them: what is read, how runs are told apart, what is counted."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.evals.mtbench.reading import judge_of_file, read_sources, with_runs
from watari.evals.mtbench.rows import pair_of
from watari.evals.mtbench.scoring import as_json, score_files
from watari.evals.mtbench.spec import MTBenchSpec
from watari.evals.spec import load_spec

Row = dict[str, Any]


def _spec(name: str) -> MTBenchSpec:
    spec = load_spec(name)
    assert isinstance(spec, MTBenchSpec)
    return spec


FASTCHAT, STABILITY, NEJUMI = map(_spec, ("fastchat-mt-bench", "stability-ja-mt-bench", "nejumi-mt-bench-ja"))


def _write(path: Path, rows: Iterable[Row]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def _row(question: Any, score: Any = 5, turn: int = 1, model: str = "m", **more: Any) -> Row:
    return {
        "question_id": question,
        "model": model,
        "judge": ["gpt-4", "single-v1"],
        "score": score,
        "turn": turn,
        **more,
    }


def _models(spec: MTBenchSpec, *paths: Path, **options: Any) -> dict[str, Any]:
    models: dict[str, Any] = as_json(score_files(spec, paths, **options), spec)["models"]
    return models


def test_ids_as_numbers_and_texts_are_the_same(tmp_path: Path) -> None:
    path = _write(tmp_path / "j.jsonl", [_row(81, 4), _row("82", 6), _row(83.0, 8), _row(" 81 ", 10)])
    (shown,) = _models(FASTCHAT, path).values()
    assert shown["overall"] == 7
    assert shown["questions"] == 3
    assert shown["duplicates"] == 1
    assert shown["categories"] == {"writing": 7}


def test_lists_of_scores_are_runs(tmp_path: Path) -> None:
    rows = [_row(1, [10, 8, -1]), _row(2, [4, 2, 3]), _row(1, [6, -1, -1], 2)]
    path = _write(tmp_path / "j.jsonl", rows)
    (shown,) = _models(NEJUMI, path).values()
    # By hand: run 0 (10 + 4 + 6) / 3, run 1 (8 + 2) / 2, run 2 3 / 1.
    runs = [20 / 3, 5, 3]
    assert shown["run_means"] == pytest.approx([value / 10 for value in runs], abs=1e-15)
    assert shown["overall"] == pytest.approx(mean(runs) / 10, abs=1e-15)
    assert shown["run_sd"] == pytest.approx(stdev(runs) / 10, abs=1e-12)
    assert shown["turns"] == {"1": pytest.approx((7 + 5 + 3) / 30), "2": pytest.approx(0.6)}
    assert shown["runs"] == 3
    assert shown["invalid"]["rows"] == 3
    assert not any("ratings a run" in note for note in shown["notes"])
    # The units' weights say the same: comparisons and intervals rest on them.
    (result,) = score_files(NEJUMI, [path])
    valid = [(unit.weight, unit.value) for unit in result.units if unit.value is not None]
    assert sum(weight * value for weight, value in valid) / sum(
        weight for weight, _ in valid
    ) == pytest.approx(shown["overall"], abs=1e-12)
    # FastChat pools the rows.
    (pooled,) = _models(FASTCHAT, path).values()
    assert pooled["overall"] == pytest.approx((10 + 8 + 4 + 2 + 3 + 6) / 6)


def test_swallows_own_arithmetic(tmp_path: Path) -> None:
    import numpy as np

    draw = random.Random(7)
    scores = {
        (question, turn): [draw.choice([-1, *range(11)]) for _ in range(5)]
        for question in range(1, 81)
        for turn in (1, 2)
    }
    path = _write(tmp_path / "j.jsonl", [_row(q, values, turn) for (q, turn), values in scores.items()])
    (shown,) = _models(NEJUMI, path).values()

    def upstream(keep: Any) -> tuple[float, float]:
        table = np.array([values for key, values in scores.items() if keep(*key)])
        runs = np.where(table != -1, table, 0).sum(axis=0) / (table != -1).sum(axis=0)
        return float(np.mean(runs)), float(np.std(runs, ddof=1))

    overall, sd = upstream(lambda question, turn: True)
    assert shown["overall"] == pytest.approx(overall / 10, abs=1e-12)
    assert shown["run_sd"] == pytest.approx(sd / 10, abs=1e-12)
    assert shown["turns"]["2"] == pytest.approx(upstream(lambda q, turn: turn == 2)[0] / 10, abs=1e-12)
    writing, _ = upstream(lambda question, turn: question > 70)
    assert shown["categories"]["writing"] == pytest.approx(writing / 10, abs=1e-12)


def test_files_of_the_same_questions_are_runs(tmp_path: Path) -> None:
    first = _write(tmp_path / "1.jsonl", [_row(1, 4), _row(2, 6)])
    second = _write(tmp_path / "2.jsonl", [_row(1, 8), _row(2, 10)])
    (shown,) = _models(NEJUMI, first, second).values()
    assert shown["runs"] == 2
    assert shown["run_means"] == [0.5, 0.9]
    assert shown["duplicates"] == 0


def test_a_copied_file_is_told(tmp_path: Path) -> None:
    rows = [_row(id, id % 10) for id in range(1, 31)]
    paths = [_write(tmp_path / f"{n}.jsonl", reversed(rows) if n else rows) for n in range(2)]
    (shown,) = _models(FASTCHAT, *paths).values()
    assert "run 2 has every rating of run 1: is it the same file?" in shown["notes"]
    other = _write(tmp_path / "2.jsonl", [*rows[:-1], _row(30, 9)])
    (shown,) = _models(FASTCHAT, paths[0], other).values()
    assert not any("same file" in note for note in shown["notes"])


def test_files_of_other_turns_or_models_are_no_runs(tmp_path: Path) -> None:
    paths = [
        _write(tmp_path / "a1.jsonl", [_row(1, 4)]),
        _write(tmp_path / "a2.jsonl", [_row(1, 6, 2)]),
        _write(tmp_path / "b1.jsonl", [_row(1, 1, 1, "other")]),
        _write(tmp_path / "a1b.jsonl", [_row(1, 8)]),
        _write(tmp_path / "a2b.jsonl", [_row(1, 9, 2)]),
    ]
    found = _models(NEJUMI, *paths)
    assert found["m"]["runs"] == 2
    assert found["m"]["run_means"] == pytest.approx([0.5, 0.85])
    assert found["other"]["runs"] == 1


def test_choices_within_a_file_are_runs(tmp_path: Path) -> None:
    rows = [_row(q, 2 * choice + q, choice=choice) for q in (1, 2) for choice in range(3)]
    (shown,) = _models(NEJUMI, _write(tmp_path / "j.jsonl", rows)).values()
    assert shown["runs"] == 3
    assert shown["duplicates"] == 0


def test_a_folder_of_files(tmp_path: Path) -> None:
    folder = tmp_path / "gpt-4_single"
    folder.mkdir()
    _write(folder / "m__1turn.jsonl", [_row(1, 4)])
    _write(folder / "m__2turn.jsonl", [_row(1, 8, 2)])
    (shown,) = _models(FASTCHAT, folder).values()
    assert shown["turns"] == {"1": 4, "2": 8}


def test_nejumis_columns(tmp_path: Path) -> None:
    row = {
        "question_id": 1,
        "model": "m",
        "judge_model": "gpt-4.1",
        "judge_prompt_template": "single-v1-multi-turn",
        "score": 7,
    }
    (result,) = score_files(NEJUMI, [_write(tmp_path / "j.jsonl", [row])])
    assert result.judge == "gpt-4.1"
    assert result.units[0].turn == 2


def test_a_turn_that_nobody_says_is_the_first_and_told(tmp_path: Path) -> None:
    row = _row(81) | {"judge": "gpt-4"}
    del row["turn"]
    (shown,) = _models(FASTCHAT, _write(tmp_path / "j.jsonl", [row])).values()
    assert shown["turns"] == {"1": 5}
    assert any("without a turn" in note for note in shown["notes"])


def test_the_judge_by_the_files_name(tmp_path: Path) -> None:
    row = {key: value for key, value in _row(81).items() if key != "judge"}
    (named,) = score_files(FASTCHAT, [_write(tmp_path / "gpt-4_single.jsonl", [row])])
    (unnamed,) = score_files(FASTCHAT, [_write(tmp_path / "some.jsonl", [row])])
    assert (named.judge, unnamed.judge) == ("gpt-4", "unknown")
    assert judge_of_file("/x/gpt-4_single_azure.jsonl.gz") == "gpt-4"
    assert judge_of_file("a_pair.jsonl") == "a"
    assert judge_of_file("judgments.jsonl") == ""
    assert judge_of_file("x_single_judge_single.jsonl") == "x_single_judge"


def test_wide_rows_have_a_judge_a_column(tmp_path: Path) -> None:
    rows = [
        {"question_id": 81, "model": "m", "turn": 1, "A": 4, "B": 8.5, "note": "x"},
        {"question_id": 82, "model": "m", "turn": 1, "A": -1, "B": None},
    ]
    path = _write(tmp_path / "wide.jsonl", rows)
    found = as_json(score_files(FASTCHAT, [path]), FASTCHAT)
    assert set(found["judges"]) == {"A", "B"}
    assert found["judges"]["B"]["models"]["m"]["overall"] == 8.5
    assert found["judges"]["A"]["unreadable"] == {"n": 2, "invalid": 1, "rate": 0.5}
    kept = as_json(score_files(FASTCHAT, [path], invalid="as-is"), FASTCHAT)
    assert kept["judges"]["A"]["models"]["m"]["overall"] == 1.5
    assert kept["judges"]["B"]["models"]["m"]["overall"] == 3.75
    only = as_json(score_files(FASTCHAT, [path], judge="B"), FASTCHAT)
    assert only["judge"] == "B"


def test_texts_alone_are_read_by_the_specs_rule(tmp_path: Path) -> None:
    rows = [
        {"question_id": 71, "model": "m", "judge": "j", "turn": 1, name: text}
        for name, text in (
            ("judgment", "評価：[[７]]"),
            ("judge_output", "[[3]]"),
            ("text", "nothing"),
            ("judgment", "$ERROR$"),
        )
    ]
    path = _write(tmp_path / "j.jsonl", rows)
    (shown,) = _models(STABILITY, path).values()
    assert shown["overall"] == 5
    assert shown["invalid"]["reasons"] == {
        "no rating in the judge's text": 1,
        "the judge failed ($ERROR$)": 1,
    }
    (stricter,) = _models(FASTCHAT, path).values()
    assert stricter["overall"] == 3


def test_ratings_off_the_scale_are_invalid_unless_as_is(tmp_path: Path) -> None:
    rows = [_row(81, 11), _row(82, 0), _row(83, 10), _row(84, -3), _row(85, -1)]
    path = _write(tmp_path / "j.jsonl", rows)
    (shown,) = _models(FASTCHAT, path).values()
    assert shown["overall"] == 5
    assert shown["invalid"]["reasons"] == {"outside of 0 to 10": 2, "stored without a rating": 1}
    assert any(note.startswith("1 rating of 0") for note in shown["notes"])
    (kept,) = _models(FASTCHAT, path, invalid="as-is").values()
    assert kept["overall"] == (11 + 0 + 10 - 3 - 1) / 5
    assert kept["invalid"]["rows"] == 3
    assert "refused" not in kept


def test_a_stored_null_stays_invalid_whatever_the_text_says(tmp_path: Path) -> None:
    rows = [_row(81, None, judgment="[[4]]"), _row(82, None, judgment="x"), _row(83, 6)]
    (shown,) = _models(FASTCHAT, _write(tmp_path / "j.jsonl", rows)).values()
    assert shown["overall"] == 6
    assert shown["invalid"]["reasons"] == {"no rating in the judge's text": 1, "stored without a rating": 1}


def test_runs_of_different_length_are_told(tmp_path: Path) -> None:
    paths = [_write(tmp_path / f"{n}.jsonl", [_row(q, 5) for q in range(1, n)]) for n in (4, 3)]
    (shown,) = _models(NEJUMI, *paths).values()
    assert "ratings a run differ: 3, 2" in shown["notes"]
    assert "2 runs; nejumi-mt-bench-ja averages 5" in shown["notes"]


def test_missing_and_unknown_questions_are_told(tmp_path: Path) -> None:
    rows = [_row(id, 5, turn) for id in range(81, 161) if id not in (112, 131) for turn in (1, 2)]
    rows = [row for row in rows if (row["question_id"], row["turn"]) != (90, 2)]
    rows.append(_row("extra", 5))
    (shown,) = _models(FASTCHAT, _write(tmp_path / "j.jsonl", rows)).values()
    assert shown["notes"] == [
        "78 of 80 questions of mt-bench-en; missing: 112, 131",
        "turn 2: 77 of 80 questions of mt-bench-en; also missing: 90",
        "1 question that no set knows, counted under 'other': extra",
    ]
    assert shown["categories"]["other"] == 5


def test_both_sets_in_one_file(tmp_path: Path) -> None:
    path = _write(tmp_path / "j.jsonl", [_row(5, 2), _row(95, 4)])
    (shown,) = _models(FASTCHAT, path).values()
    assert shown["categories"] == {"roleplay": 4, "coding": 2}


def test_categories_of_a_question_file_and_of_rows(tmp_path: Path) -> None:
    questions = _write(
        tmp_path / "q.jsonl",
        [{"question_id": "a", "category": "songs"}, {"question_id": 81, "category": "overall"}],
    )
    path = _write(
        tmp_path / "j.jsonl", [_row("a", 2, category="x"), _row(81, 4), _row("b", 9, category="plays")]
    )
    (shown,) = _models(FASTCHAT, path, questions=questions).values()
    assert shown["categories"] == {"songs": 2, "overall (category)": 4, "plays": 9}
    assert shown["overall"] == 5


def test_many_judges_stay_apart(tmp_path: Path) -> None:
    rows = [
        _row(81, 2),
        _row(81, 10) | {"judge": ["other", "single-v1"]},
        _row(82, 4) | {"judge": ["gpt-4", "single-v1-multi-turn"], "turn": 2},
    ]
    found = as_json(score_files(FASTCHAT, [_write(tmp_path / "j.jsonl", rows)]), FASTCHAT)
    assert {name: rest["models"]["m"]["overall"] for name, rest in found["judges"].items()} == {
        "gpt-4": 3,
        "other": 10,
    }
    assert "models" not in found
    assert "judge" not in found


def test_a_stored_rating_that_the_text_does_not_say_is_told(tmp_path: Path) -> None:
    rows = [_row(81, 7, judgment="[[7]]"), _row(82, 7, judgment="[[1]]"), _row(83, -1, judgment="[[2]]")]
    (shown,) = _models(FASTCHAT, _write(tmp_path / "j.jsonl", rows)).values()
    assert shown["overall"] == 7
    assert any("2 stored ratings not what the judge's text says" in note for note in shown["notes"])


def test_bom_crlf_blank_lines_and_gzip(tmp_path: Path) -> None:
    text = "\ufeff" + json.dumps(_row(81, 4)) + "\r\n\r\n" + json.dumps(_row(82, 8)) + "\r\n"
    plain = tmp_path / "a.jsonl"
    plain.write_bytes(text.encode())
    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    unnamed = tmp_path / "judgments.txt.bak"
    unnamed.write_bytes(text.encode())
    array = tmp_path / "c.json"
    array.write_text(json.dumps([_row(81, 4), _row(82, 8)]), "utf-8")
    for path in (plain, packed, unnamed, array):
        (shown,) = _models(FASTCHAT, path).values()
        assert shown["overall"] == 6


def test_the_winner_of_a_pair() -> None:
    cases = {
        ("model_1", "model_1"): "model_1",
        ("model_2", "model_2"): "model_2",
        ("model_1", "model_2"): "tie",
        ("tie", "model_1"): "tie",
        ("model_2", "tie"): "tie",
        ("tie", "tie"): "tie",
        ("error", "model_1"): "error",
        ("tie", "error"): "error",
    }
    for (first, second), winner in cases.items():
        row = {"question_id": 1, "model_1": "a", "model_2": "b", "g1_winner": first, "g2_winner": second}
        assert pair_of(row, "x").winner == winner


def test_pairs_against_many(tmp_path: Path) -> None:
    def row(one: str, other: str, first: str, second: str, question: int = 81) -> Row:
        verdicts = {"g1_winner": first, "g2_winner": second}
        return {
            "question_id": question,
            "model_1": one,
            "model_2": other,
            "judge": ["j", "pair-v2"],
            **verdicts,
        }

    path = _write(
        tmp_path / "j_pair.jsonl",
        [
            row("a", "b", "model_1", "model_1"),
            row("b", "c", "model_2", "model_2"),
            row("c", "a", "tie", "tie"),
            row("a", "b", "error", "model_1", 82),
            row("a", "b", "model_1", "model_1"),
        ],
    )
    found = as_json(score_files(FASTCHAT, [path]), FASTCHAT)
    models = found["models"]
    assert {name: (one["win"], one["tie"], one["loss"]) for name, one in models.items()} == {
        "a": (2, 1, 0),
        "b": (0, 0, 3),
        "c": (1, 1, 0),
    }
    assert models["a"]["win_rate_adjusted"] == pytest.approx(2.5 / 3)
    assert models["a"]["refused"] == "25.0 % of 4 ratings are invalid"
    assert models["a"]["duplicates"] == 1
    assert "refused" not in models["c"]
    assert models["a"]["categories"] == {"writing": pytest.approx(2.5 / 3)}


def test_pairs_of_one_judge(tmp_path: Path) -> None:
    rows = [
        {
            "question_id": 81,
            "model_1": "a",
            "model_2": "b",
            "judge": judge,
            "g1_winner": winner,
            "g2_winner": winner,
        }
        for judge, winner in (("x", "model_1"), ("y", "model_2"))
    ]
    path = _write(tmp_path / "j.jsonl", rows)
    both = as_json(score_files(FASTCHAT, [path]), FASTCHAT)
    assert {name: rest["models"]["a"]["win"] for name, rest in both["judges"].items()} == {"x": 1, "y": 0}
    assert "models" not in both
    only = as_json(score_files(FASTCHAT, [path], judge="y"), FASTCHAT)
    assert (only["judge"], only["models"]["a"]["loss"], only["models"]["a"]["n"]) == ("y", 1, 1)


@given(
    st.lists(
        st.tuples(st.integers(1, 80), st.integers(1, 2), st.sampled_from([-1, 0, 1, 5, 8.5, 10])),
        min_size=1,
        max_size=40,
    )
)
def test_overall_is_fastchats_mean_whatever_the_rows(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, float]]
) -> None:
    path = _write(
        tmp_path_factory.mktemp("rows") / "j.jsonl",
        [_row(question, score, turn) for question, turn, score in drawn],
    )
    valid = [score for _, _, score in drawn if score != -1]
    (result,) = score_files(FASTCHAT, [path])
    shown = as_json([result], FASTCHAT)["models"]["m"]
    assert shown["overall"] == (pytest.approx(sum(valid) / len(valid)) if valid else None)
    assert shown["n"] == len(valid)
    assert shown["invalid"]["rows"] == len(drawn) - len(valid)
    assert shown["duplicates"] == len(drawn) - len({(question, turn) for question, turn, _ in drawn})
    (as_is,) = score_files(FASTCHAT, [path], invalid="as-is")
    assert as_is.figures["overall"].value == pytest.approx(sum(score for *_, score in drawn) / len(drawn))


def test_the_order_of_files_names_the_runs(tmp_path: Path) -> None:
    paths = [_write(tmp_path / f"{n}.jsonl", [_row(1, n)]) for n in (3, 1, 2)]
    found = [(one.run, one.score) for _, one in with_runs(read_sources(NEJUMI, paths))]
    assert found == [(0, 3), (1, 1), (2, 2)]
