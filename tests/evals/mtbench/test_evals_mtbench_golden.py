"""Published and recomputed figures of real judgments, to the last digit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from watari.evals.mtbench.scoring import as_json, score_files
from watari.evals.mtbench.spec import MTBenchSpec
from watari.evals.spec import load_spec

JUDGES = ("GPT-4-Turbo", "GPT-4o", "GPT-4.1", "GPT-4.1-mini")


def _spec(name: str) -> MTBenchSpec:
    spec = load_spec(name)
    assert isinstance(spec, MTBenchSpec)
    return spec


FASTCHAT = _spec("fastchat-mt-bench")


@pytest.fixture(scope="module")
def judgments(test_data: Path) -> Path:
    return test_data / "mt-bench-judgments"


def _figure(shown: dict[str, Any], name: str) -> float:
    if name == "Overall Average":
        return shown["overall"]
    if name.startswith("Overall (Turn "):
        return shown["turns"][name[-2]]
    if "|t" in name:
        category, _, turn = name.partition("|t")
        return shown["category_turns"][category][turn]
    return shown["categories"][name.removesuffix(" (Average)")]


def test_shisas_published_table_with_the_invalid_averaged_in(judgments: Path) -> None:
    found = as_json(
        score_files(FASTCHAT, [judgments / "shisa-v2-ja/scores_4_judges.jsonl.gz"], invalid="as-is"), FASTCHAT
    )
    published = json.loads((judgments / "shisa-v2-ja/published_table.json").read_text("utf-8"))
    assert found["invalid_policy"] == "as-is"
    assert tuple(found["judges"]) == JUDGES
    assert "models" not in found  # judges are not mixed
    compared = 0
    for model, figures in published.items():
        for name, values in figures.items():
            for judge, value in zip(JUDGES, values, strict=True):
                shown = found["judges"][judge]["models"][model]
                assert round(_figure(shown, name), 2) == value, (model, name, judge)
                compared += 1
    assert compared == len(published) * 27 * 4 == 1296


def test_dropping_the_invalid_moves_that_table(judgments: Path) -> None:
    path = judgments / "shisa-v2-ja/scores_4_judges.jsonl.gz"
    dropped = as_json(score_files(FASTCHAT, [path]), FASTCHAT)
    kept = as_json(score_files(FASTCHAT, [path], invalid="as-is"), FASTCHAT)
    moved = {
        (judge, model): shown["overall"] - kept["judges"][judge]["models"][model]["overall"]
        for judge, rest in dropped["judges"].items()
        for model, shown in rest["models"].items()
    }
    assert sum(difference > 0.05 for difference in moved.values()) == 4
    assert min(moved.values()) == 0
    # Both ways, the invalid ones are counted.
    for content in (dropped, kept):
        assert sum(rest["unreadable"]["invalid"] for rest in content["judges"].values()) == 4
    turbo = kept["judges"]["GPT-4-Turbo"]
    assert turbo["unreadable"] == {"n": 1920, "invalid": 2, "rate": 2 / 1920}
    assert turbo["models"]["Qwen/Qwen3-235B-A22B"]["n"] == 160
    assert dropped["judges"]["GPT-4-Turbo"]["models"]["Qwen/Qwen3-235B-A22B"]["n"] == 159


def test_every_recomputed_mean(judgments: Path) -> None:
    recomputed = json.loads((judgments / "recomputed_means.json").read_text("utf-8"))
    for file, models in recomputed.items():
        found = as_json(score_files(FASTCHAT, [judgments / file]), FASTCHAT)["models"]
        assert set(found) == set(models)
        for model, wanted in models.items():
            shown = found[model]
            assert shown["overall"] == pytest.approx(wanted["average"], abs=1e-12)
            for turn in ("1", "2"):
                if f"turn{turn}" in wanted:
                    assert shown["turns"][turn] == pytest.approx(wanted[f"turn{turn}"], abs=1e-12)
                else:
                    assert turn not in shown["turns"]
            assert shown["invalid"]["rows"] == wanted.get("n_invalid", 0)
            assert shown["n"] + shown["invalid"]["rows"] == wanted["n_rows"]
    assert sum(map(len, recomputed.values())) == 13


def test_most_ratings_of_granite_are_invalid_with_reasons(judgments: Path) -> None:
    path = judgments / "en/instructlab_granite-7b-lab_single.jsonl.gz"
    shown = as_json(score_files(FASTCHAT, [path]), FASTCHAT)["models"]["granite-7b-lab"]
    assert shown["refused"] == "75.0 % of 160 ratings are invalid"
    assert shown["overall"] == 7.4
    assert sum(shown["invalid"]["reasons"].values()) == 120
    assert set(shown["invalid"]["reasons"]) == {
        "no rating in the judge's text",
        "the judge failed ($ERROR$)",
    }


def test_duplicates_are_averaged_and_told(judgments: Path) -> None:
    path = judgments / "en/dreamingpanda_gpt-4_single-origin.jsonl.gz"
    models = as_json(score_files(FASTCHAT, [path]), FASTCHAT)["models"]
    normal = models["Meta-Llama-3-8B-Instruct-Normal"]
    assert normal["duplicates"] == 10
    assert any("10 rows" in note for note in normal["notes"])
    assert models["Meta-Llama-3-8B-Instruct-Griffin"]["duplicates"] == 0


def test_stabilitys_own_questions_are_told_apart(judgments: Path, test_data: Path) -> None:
    spec = _spec("stability-ja-mt-bench")
    path = judgments / "stability-ja/gpt-4_single.jsonl.gz"
    models = as_json(score_files(spec, [path]), spec)["models"]
    question_file = test_data / "mt-bench-ja/stability/question_60.jsonl"
    ids = {str(json.loads(line)["question_id"]) for line in question_file.read_text("utf-8").splitlines()}
    rows = _rows(path)
    for model, shown in models.items():
        own = [row["score"] for row in rows if row["model"] == model and row["question_id"] in ids]
        every = [row["score"] for row in rows if row["model"] == model]
        assert shown["overall"] == pytest.approx(sum(every) / len(every), abs=1e-12)
        assert set(shown["turns"]) == {"1"}
        assert set(shown["categories"]) >= {"math", "coding", "writing"}
        alone = f"20 questions beyond mt-bench-ja-60 count as well; mt-bench-ja-60 alone: {sum(own) / len(own):.4g}"
        assert alone in shown["notes"]


def test_stabilitys_other_question_file(judgments: Path, test_data: Path) -> None:
    spec = _spec("stability-ja-mt-bench")
    path = judgments / "stability-ja/gpt-4_single.jsonl.gz"
    full = test_data / "mt-bench-ja/stability/question_full_80.jsonl"
    models = as_json(score_files(spec, [path], questions=full), spec)["models"]
    assert models["japanese-stablelm-instruct-alpha-7b"]["overall"] == pytest.approx(2.6, abs=1e-12)
    assert set(models["japanese-stablelm-instruct-alpha-7b"]["categories"]) >= {"math", "coding"}


def test_swallows_setting(judgments: Path) -> None:
    spec = _spec("nejumi-mt-bench-ja")
    path = judgments / "swallow-ja/gpt-4_single_azure.jsonl.gz"
    (model,) = as_json(score_files(spec, [path]), spec)["models"].values()
    assert model["overall"] == pytest.approx(0.24203821656050954, abs=1e-12)
    assert model["turns"]["1"] == pytest.approx(0.2775, abs=1e-12)
    assert model["run_sd"] is None
    assert any("averages 5" in note for note in model["notes"])
    low, high = model["intervals"]["overall"]
    assert 0.15 < low < model["overall"] < high < 0.35


def test_pairs(judgments: Path) -> None:
    path = judgments / "en/stefanstud_gpt-4_pair.jsonl.gz"
    found = as_json(score_files(FASTCHAT, [path]), FASTCHAT)
    first, second = found["models"]["phi-3"], found["models"]["phi-3-dpo"]
    # By hand of the 75 rows: 18 and 20 agreeing wins, 8 ties, 27 disagreements, 2 errors.
    assert (first["win"], first["tie"], first["loss"], first["n"]) == (18, 35, 20, 73)
    assert (second["win"], second["loss"]) == (20, 18)
    assert first["win_rate"] == 18 / 73
    assert first["loss_rate"] == 20 / 73
    assert first["win_rate_adjusted"] == (18 + 35 / 2) / 73
    assert first["win_rate_adjusted"] + second["win_rate_adjusted"] == pytest.approx(1, abs=1e-12)
    assert first["invalid"] == {"rows": 2, "rate": 2 / 75, "reasons": {"the judge named no winner": 2}}
    assert first["changed_with_order"] == 18
    assert found["mode"] == "pairs"


def test_every_units_mean_is_the_figure(judgments: Path) -> None:
    for name in ("fastchat-mt-bench", "stability-ja-mt-bench", "nejumi-mt-bench-ja"):
        spec = _spec(name)
        for result in score_files(spec, [judgments / "stability-ja/gpt-4_single.jsonl.gz"]):
            valid = [unit for unit in result.units if unit.value is not None]
            mean = sum(unit.weight * (unit.value or 0) for unit in valid) / sum(unit.weight for unit in valid)
            assert mean == pytest.approx(result.figures["overall"].value, abs=1e-9)


def _rows(path: Path) -> list[dict[str, Any]]:
    import gzip

    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
