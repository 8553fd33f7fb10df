"""Comparisons: only what is common counts, nothing is mixed, and real tables come out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from watari.cli.evaluation.comparing import pair_json, pair_text
from watari.cli.main import app
from watari.errors import CheckFailed, UserError
from watari.evals import folder
from watari.evals.comparability import check_comparable
from watari.evals.comparison import compare, rank, tied_letters
from watari.evals.intervals import figure_of
from watari.evals.refusal import refusal
from watari.evals.result import Result, Unit
from watari.evals.scoring import score_files


def result(
    model: str,
    scores: Sequence[float | None] | dict[str, float | None],
    *,
    spec: str = "s/1",
    judge: str | None = "j",
    runs: int = 1,
    categories: int = 2,
) -> Result:
    named = scores if isinstance(scores, dict) else {f"{n:03}": value for n, value in enumerate(scores)}
    units = tuple(
        Unit(item, "", f"c{place % categories}", 1, run, value)
        for place, (item, value) in enumerate(named.items())
        for run in range(runs)
    )
    return Result(spec, model, judge, "overall", {"overall": figure_of(units, rounds=0)}, units, runs)


def test_the_difference_is_that_of_common_items() -> None:
    found = compare(
        result("a", {"1": 5.0, "2": 7.0, "3": None, "9": 1.0}),
        result("b", {"1": 4.0, "2": 8.0, "3": 9.0, "5": 9.0, "6": 9.0}),
    )
    assert found.difference.value == 0.0
    assert found.means == (6.0, 6.0)
    assert (found.difference.n, found.n_units, found.only_a, found.only_b, found.unpaired) == (2, 4, 1, 2, 1)


def test_a_turn_that_one_has_not_is_left_out_for_both() -> None:
    a = Result("s/1", "a", "j", "overall", {}, (Unit("1", "", "", 1, 0, 9.0), Unit("1", "", "", 2, 0, None)))
    b = Result("s/1", "b", "j", "overall", {}, (Unit("1", "", "", 1, 0, 9.0), Unit("1", "", "", 2, 0, 1.0)))
    assert compare(a, b).difference.value == 0.0


def test_swapping_the_two_turns_the_sign() -> None:
    rng = np.random.default_rng(0)
    a, b = result("a", list(rng.normal(6, 1, 40))), result("b", list(rng.normal(5, 1, 40)))
    one, other = compare(a, b), compare(b, a)
    assert other.difference.value == pytest.approx(-one.difference.value)
    assert other.difference.low == pytest.approx(-one.difference.high, abs=1e-9)  # type: ignore[operator]
    assert other.difference.p == one.difference.p
    assert other.difference.p_permutation == one.difference.p_permutation
    assert set(one.categories) == {"c0", "c1"}


def of_datasets(model: str, **datasets: tuple[float, int, float]) -> Result:
    """A result with datasets of (score, items, share)."""
    units = [
        Unit(str(n), name, "c", 1, 0, score, share / items)
        for name, (score, items, share) in datasets.items()
        for n in range(items)
    ]
    return Result("s/1", model, None, "AVR", {}, tuple(units))


def test_datasets_keep_their_shares() -> None:
    """A mean of means: 0.75 * (1 of the big one) + 0.25 * (-1 of the small one), whatever their sizes."""
    found = compare(
        of_datasets("a", big=(1.0, 90, 0.75), small=(0.0, 10, 0.25)),
        of_datasets("b", big=(0.0, 90, 0.75), small=(1.0, 10, 0.25)),
    )
    assert found.difference.value == pytest.approx(0.5)
    assert found.means == (pytest.approx(0.75), pytest.approx(0.25))
    assert found.difference.n == 100


def test_a_dataset_that_one_has_not_leaves_its_share_to_the_rest() -> None:
    found = compare(
        of_datasets("a", both=(1.0, 20, 0.5), own=(0.0, 20, 0.5)), of_datasets("b", both=(0.5, 20, 1.0))
    )
    assert found.difference.value == pytest.approx(0.5)
    assert (found.difference.n, found.only_a) == (20, 20)


def test_runs_are_averaged_and_power_knows_them() -> None:
    rng = np.random.default_rng(1)
    units = [
        [
            Unit(str(n), "", "c", 1, run, float(shift + 3 * (n % 5) + rng.normal(0, 1)))
            for n in range(60)
            for run in range(runs)
        ]
        for shift, runs in ((0.2, 5), (0.0, 3))
    ]
    a, b = (Result("s/1", name, "j", "overall", {}, tuple(u)) for name, u in zip("ab", units, strict=True))
    found = compare(a, b)
    assert found.power is not None
    assert found.power.within_sd == pytest.approx(2**0.5, rel=0.15)
    assert found.power.runs_now == 3
    assert found.n_units == 60 * 8


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ([result("a", [1.0, 2.0]), result("b", [1.0, 2.0], spec="t/1")], "different specs"),
        ([result("a", [1.0, 2.0]), result("b", [1.0, 2.0], judge="k")], "never mixed"),
        ([result("a", [1.0]), result("a", [2.0])], "twice"),
        ([result("a", [1.0])], "one model only"),
        ([], "no model"),
        ([result("a", [None, None]), result("b", [1.0, 2.0])], "nothing valid"),
    ],
)
def test_what_is_not_on_one_scale_is_refused(results: list[Result], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_comparable(results)


def test_nothing_in_common_is_refused() -> None:
    a, b, c = result("a", {"1": 1.0}), result("b", {"2": 1.0}), result("c", {"1": 1.0, "2": 2.0})
    with pytest.raises(UserError, match="a and b have no scored question in common"):
        compare(a, b)
    with pytest.raises(UserError, match="in common"):
        rank([a, b, c])


@pytest.mark.parametrize("items", [1, 2, 4])
def test_a_few_questions_say_nothing_of_a_difference(items: int) -> None:
    found = compare(result("a", [9.0] * items, categories=1), result("b", [1.0] * items, categories=1))
    difference = found.difference
    assert difference.value == 8.0
    assert (difference.low, difference.high, difference.p, difference.p_t) == (None, None, None, None)
    assert found.power is None
    text = pair_text(found)
    assert f"Too few questions ({items}) to say whether they differ: 5 at least are wanted." in text
    assert "p =" not in text
    assert pair_json(found)["too_few_questions"] is True
    table = rank([result("a", [9.0] * items), result("b", [1.0] * items), result("c", [5.0] * items)])
    assert {one.group for one in table.models} == {"a"}
    assert "too few questions in common to tell 3 of 3 pairs apart" in table.notes


def test_a_difference_that_is_the_same_everywhere_is_no_point_of_certainty() -> None:
    found = compare(result("a", [9.0] * 8), result("b", [1.0] * 8))
    assert (found.difference.low, found.difference.high) == (None, None)
    assert found.difference.p == 2 / 2**8
    assert "The difference is the same on all 8 questions (p = 0.008)." in pair_text(found)
    same = compare(result("a", [9.0] * 8), result("b", [9.0] * 8))
    assert "They are not told apart (p = 1.000)." in pair_text(same)


def predictions(path: Path, shift: int = 0, **models: Sequence[str | None]) -> str:
    rows = [
        {"model": name, "dataset": "jnli", "i": i, "gold": f"g{i + shift}", "pred": pred}
        for name, preds in models.items()
        for i, pred in enumerate(preds)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def test_other_questions_under_the_same_numbers_are_refused_in_words(tmp_path: Path) -> None:
    one = predictions(tmp_path / "a.jsonl", a=["g0"] * 6)
    other = predictions(tmp_path / "b.jsonl", shift=1, b=["g0"] * 6)
    with pytest.raises(UserError, match="a and b were asked other questions under the same names") as error:
        invoke("compare", one, other)
    assert "the right answer to jnli 0 is 'g0' in one, 'g1' in the other, and 5 more" in error.value.message
    again = predictions(tmp_path / "c.jsonl", c=["g1"] * 6)
    assert "questions in common" in invoke("compare", one, again)


def test_answers_that_are_none_are_refused_as_score_refuses_them(tmp_path: Path) -> None:
    file = predictions(tmp_path / "p.jsonl", good=["g0"] * 10, bad=["g0"] * 9 + [None])
    (good, bad) = sorted(score_files("llm-jp-eval-1.0", [Path(file)]), key=lambda one: one.model)[::-1]
    assert (good.invalid, bad.invalid) == (0, 1)
    assert refusal(good) is None
    assert refusal(bad) == "10.0 % of 10 answers are invalid"
    with pytest.raises(CheckFailed, match=r"bad: 10\.0 % of 10 answers are invalid") as error:
        invoke("compare", file)
    assert error.value.mend == "compare with --max-invalid SHARE"
    assert "note: bad: 10.0 % of 10 answers are invalid" in invoke("compare", file, "--max-invalid", "0.1")


def test_one_benchmark_without_ratings_is_refused_as_score_refuses_it(tmp_path: Path) -> None:
    rows = [
        {"judge": "j", "dataset": name, "model": model, "scores": scores}
        for model, gap in (("full", 0), ("gap", 10))
        for name, scores in (
            ("Rakuda", [None] * gap + [8] * (40 - gap)),
            ("ELYZA 100", [4] * 100),
            ("Tengu", [4] * 120),
        )
    ]
    path = tmp_path / "s.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises(CheckFailed, match=r"gap: Rakuda: 25\.0 % of 40 ratings are invalid"):
        invoke("compare", str(path))


def test_judgments_of_pairs_say_what_counts_them(tmp_path: Path) -> None:
    row = {"question_id": 81, "model_1": "a", "model_2": "b", "g1_winner": "tie", "g2_winner": "tie"}
    path = tmp_path / "gpt-4_pair.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match="judgments of pairs") as error:
        invoke("compare", str(path))
    assert "watari eval score fastchat-mt-bench" in (error.value.mend or "")


def invoke(*words: str) -> str:
    return CliRunner().invoke(app, ["eval", *words], catch_exceptions=False).stdout


def test_settings_that_differ_are_told() -> None:
    a, b = result("a", [1.0, 2.0]), result("b", [1.0, 3.0])
    a, b = replace(a, settings={"backend": "levenshtein"}), replace(b, settings={"backend": "difflib"})
    assert compare(a, b).notes == ("settings differ: backend: difflib, levenshtein",)


def test_a_table_groups_what_is_not_told_apart() -> None:
    rng = np.random.default_rng(2)
    hard = rng.normal(0, 2, 80)
    levels = {"best": 7.0, "near": 6.95, "worse": 5.0, "worst": 3.0}
    results = [
        result(name, [float(level + h + rng.normal(0, 0.8)) for h in hard]) for name, level in levels.items()
    ]
    table = rank(results[::-1])
    assert [model.model for model in table.models] in (
        ["best", "near", "worse", "worst"],
        ["near", "best", "worse", "worst"],
    )
    assert [model.group for model in table.models] == ["a", "a", "b", "c"]
    assert [model.tied_with_best for model in table.models] == [True, True, False, False]
    assert len(table.pairs) == 6
    assert tied_letters(results) == {model.model: model.group for model in table.models}
    # A pair of a table is the comparison of the two.
    pair = next(pair for pair in table.pairs if {pair.a, pair.b} == {"worse", "worst"})
    by_name = {one.model: one for one in results}
    alone = compare(by_name[pair.a], by_name[pair.b]).difference
    assert (pair.difference.value, pair.difference.low, pair.difference.p_t) == (
        alone.value,
        alone.low,
        alone.p_t,
    )
    assert pair.p_holm >= pair.difference.p_t  # type: ignore[operator]


# The command.


def judgments(path: Path, scores: dict[str, Sequence[float]]) -> str:
    rows = [
        {"question_id": 81 + n, "model": model, "judge": ["gpt-4", "single-v1"], "score": score, "turn": 1}
        for model, given in scores.items()
        for n, score in enumerate(given)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def test_unreadable_ratings_are_refused_unless_told(tmp_path: Path) -> None:
    file = judgments(tmp_path / "j.jsonl", {"a": [7.0, 8.0, 6.0, 7.0] * 3, "b": [-1, 5.0, -1, 4.0] * 3})
    runner = CliRunner()
    refused = runner.invoke(app, ["eval", "compare", file, "--json"])
    assert isinstance(refused.exception, CheckFailed)
    assert "50.0 %" in refused.exception.message
    found = json.loads(refused.stdout)
    assert (found["n_questions"], found["unpaired"]) == (6, 6)
    assert found["notes"]
    told = runner.invoke(app, ["eval", "compare", file, "--json", "--invalid", "drop"])
    assert told.exit_code == 0
    as_is = json.loads(runner.invoke(app, ["eval", "compare", file, "--json", "--invalid", "as-is"]).stdout)
    assert as_is["n_questions"] == 12
    assert as_is["difference"] == pytest.approx(7.0 - 7 / 4)
    assert isinstance(runner.invoke(app, ["eval", "compare", file, "--model", "a"]).exception, UserError)
    assert isinstance(runner.invoke(app, ["eval", "compare", file, "--model", "z"]).exception, UserError)


def test_files_of_two_specs_are_refused(tmp_path: Path) -> None:
    one = judgments(tmp_path / "j.jsonl", {"a": [7.0, 8.0]})
    other = tmp_path / "p.jsonl"
    other.write_text('{"model": "m", "dataset": "jnli", "i": 0, "gold": "a", "pred": "a"}\n', "utf-8")
    done = CliRunner().invoke(app, ["eval", "compare", one, str(other)])
    assert isinstance(done.exception, UserError)
    assert "different specs" in done.exception.message


def test_the_same_model_in_two_folders_is_named_by_them(tmp_path: Path) -> None:
    for name, pred in (("before", "no"), ("after", "yes")):
        items = tuple(folder.Item(str(n), "jnli", ("x",), gold="yes") for n in range(8))
        generations = tuple(
            folder.Generation(
                f"g{n}", str(n), "jnli", "m", 0, 1, pred, "stop", gold="yes", pred=pred if n else "yes"
            )
            for n in range(8)
        )
        about = folder.About("llm-jp-eval-1.0", "llm-jp-eval-1.0/1", 1, "x", "m")
        folder.write_evaluation(
            tmp_path / name, folder.Evaluation(about, items, generations), [], metric="score"
        )
    words = ["eval", "compare", str(tmp_path / "before"), str(tmp_path / "after"), "--json"]
    found = json.loads(CliRunner().invoke(app, words).stdout)
    assert (found["a"], found["b"], found["n_questions"]) == ("m (before)", "m (after)", 8)
    assert found["difference"] < 0


def test_many_groups_are_shown_as_places(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 1, 60)
    scores = {
        f"model-{n:02}": np.clip(3 + 0.12 * n + hard + rng.normal(0, 2, 60), 1, 10).round(1).tolist()
        for n in range(40)
    }
    file = judgments(tmp_path / "j.jsonl", scores)
    shown = CliRunner().invoke(app, ["eval", "compare", file]).stdout
    assert "tied places" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
    first = next(line for line in shown.splitlines() if line.startswith("  1 "))
    table = json.loads(CliRunner().invoke(app, ["eval", "compare", file, "--json"]).stdout)
    last = max(place for place, model in enumerate(table["models"], 1) if model["tied_with_best"])
    assert first.split()[-1] == f"1-{last}"


# Real judgments.


@pytest.fixture(scope="module")
def shisa_v2(test_data: Path) -> list[Result]:
    return score_files(
        "fastchat-mt-bench", [test_data / "mt-bench-judgments" / "shisa-v2-ja" / "scores_4_judges.jsonl.gz"]
    )


def test_half_widths_are_those_of_the_facts(shisa_v2: list[Result]) -> None:
    """facts/evaluation.md §3: median 0.36 (0.13-0.55) over 23 models; 12 of them are stored, with 4 judges each."""
    halves = [
        (figure.high - figure.low) / 2
        for one in shisa_v2
        if (figure := one.figures["overall"]).low is not None and figure.high is not None
    ]
    assert len(halves) == 48
    assert np.median(halves) == pytest.approx(0.355, abs=0.01)
    assert min(halves) == pytest.approx(0.134, abs=0.01)
    assert max(halves) == pytest.approx(0.542, abs=0.02)


def test_pairs_are_separated_as_measured(shisa_v2: list[Result]) -> None:
    """The facts' 189 of 253 pairs (75 %) are of 23 models; of the 12 that are stored it is 53 to 65 % of 66."""
    measured = {"GPT-4-Turbo": (35, 15), "GPT-4.1": (43, 34), "GPT-4.1-mini": (41, 29), "GPT-4o": (40, 20)}
    for judge, (by_interval, family_wise) in measured.items():
        table = rank([one for one in shisa_v2 if one.judge == judge])
        found = sum(
            pair.difference.low > 0 or pair.difference.high < 0  # type: ignore[operator]
            for pair in table.pairs
        )
        assert found == pytest.approx(by_interval, abs=1)
        # No draws in this one.
        assert sum(pair.apart for pair in table.pairs) == family_wise


def test_the_command_compares_real_runs(test_data: Path) -> None:
    file = str(test_data / "mt-bench-judgments" / "shisa-v2-ja" / "scores_4_judges.jsonl.gz")
    runner = CliRunner()
    mixed = runner.invoke(app, ["eval", "compare", file, "--json"])
    assert isinstance(mixed.exception, UserError)
    words = ["eval", "compare", file, "--judge", "GPT-4.1", "--json"]
    two = json.loads(runner.invoke(app, [*words, "--model", "gpt-4o", "--model", "gpt-4"]).stdout)
    assert (two["a"], two["b"], two["judge"], two["n_questions"], two["n_units"]) == (
        "gpt-4o",
        "gpt-4",
        "GPT-4.1",
        80,
        320,
    )
    assert two["difference"] == pytest.approx(8.975 - 8.3375)
    assert two["low"] < two["difference"] < two["high"]
    assert {"spec", "p", "only_a", "only_b", "power", "categories"} <= set(two)
    table = json.loads(runner.invoke(app, words).stdout)
    assert len(table["models"]) == 12
    assert len(table["pairs"]) == 66
    assert table["models"][0]["group"].startswith("a")
    shown = runner.invoke(app, words[:-1]).stdout
    assert max(len(line) for line in shown.splitlines()) <= 80
    shown = runner.invoke(app, [*words[:-1], "--model", "gpt-4o", "--model", "gpt-4"]).stdout
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_the_command_compares_llm_jp_eval_runs(test_data: Path) -> None:
    file = str(test_data / "shisa-llm-jp-eval" / "predictions.jsonl.gz")
    runner = CliRunner()
    table = json.loads(runner.invoke(app, ["eval", "compare", file, "--json"]).stdout)
    names = [model["model"] for model in table["models"]]
    assert len(names) == 41
    two = json.loads(
        runner.invoke(
            app, ["eval", "compare", file, "--model", names[0], "--model", names[-1], "--json"]
        ).stdout
    )
    assert two["n_questions"] == 900
    assert two["judge"] is None
    assert two["low"] > 0
    refused = runner.invoke(app, ["eval", "compare", file, "--judge", "x"])
    assert isinstance(refused.exception, UserError)
