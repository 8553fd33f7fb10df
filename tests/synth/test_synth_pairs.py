"""synth.pairs against scripted servers over real HTTP, and with a tiny model as the rejected side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from made_artifacts import as_input
from teachers import Body, conversations, last, talk, teacher
from tiny_llama import make_folder
from watari.artifact.dataset_facts import meta_fields, read_facts
from watari.artifact.kinds import Kind
from watari.artifact.rows import read_rows
from watari.artifact.stage import InputArtifact, Inputs, Silent, StageResult
from watari.endpoint.settings import Endpoint
from watari.synth.lengths import Lengths
from watari.synth.pairs import STAGE, Params, run
from watari.synth.trials import similarity

GOOD = "空が青いのは、太陽の光のうち青い光が空気の粒にあたって散らばりやすいからです。"
WEAK = "空は、海の色がうつって青く見えるのだと思います。"

GRADES = [WEAK, GOOD, GOOD + "夕方に赤く見えるのも、光が長い道を通るためです。"]


def pairs(
    folder: Path,
    rows: list[dict[str, Any]],
    out: str = "out",
    artifacts: dict[str, list[InputArtifact]] | None = None,
    **params: Any,
) -> tuple[StageResult, list[dict[str, Any]]]:
    prompts = conversations(folder, "prompts", rows)
    target = folder / out
    target.mkdir(exist_ok=True)
    made = Params(prompts=["prompts"], ledger=str(folder / "ledger.sqlite"), label=out, **params)
    result = run(made, Inputs({"prompts": [prompts], **(artifacts or {})}), target, Silent())
    metrics = result.metrics
    assert metrics["rows_in"] == metrics["kept"] + sum(metrics["dropped_by_reason"].values())
    return result, list(read_rows(target))


def dropped(folder: Path) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in pq.read_table(folder / "out" / "dropped.parquet").to_pylist()}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_chosen_from_a_teacher_and_rejected_from_another(tmp_path: Path) -> None:
    seen: list[Any] = []

    def strong(body: Body) -> str:
        seen.append(body["messages"])
        return GOOD

    rows = [talk("a", "なぜ空は青い？", "古い答え。", "もう一度。", "古い。", system="親切に。")]
    with teacher(strong, "strong") as chosen, teacher(lambda body: WEAK, "weak") as rejected:
        result, (row,) = pairs(tmp_path, rows, chosen=chosen, rejected=rejected)
    assert seen == [rows[0]["messages"][:-1]] == [row["prompt"]]
    assert (row["chosen"], row["rejected"]) == (GOOD, WEAK)
    assert (row["chosen_by"], row["rejected_by"]) == ("strong-1", "weak-1")
    assert (row["parents"], row["language"], row["license"]) == (["a"], "ja", "CC0")
    origin = meta_fields(row)["pairs"]
    assert origin["chosen"] == {"model": "strong-1", "attempts": 1, "hard": [], "warn": []}
    assert 0 <= origin["similarity"] < 0.2
    assert result.metrics["lengths"]["pairs"] == 1
    facts = read_facts(tmp_path / "out")
    assert facts is not None
    assert [(one.model, one.role, one.rows) for one in facts.models] == [
        ("strong-1", "chosen", 1),
        ("weak-1", "rejected", 1),
    ]


CASES = {
    "ok": (GOOD, WEAK, ""),
    "chosen-bad": ("申し訳ありませんが、お手伝いできません。", WEAK, "chosen: refusal"),
    "rejected-bad": (GOOD, "申し訳ありませんが、お手伝いできません。", "rejected: refusal"),
    "rejected-empty": (GOOD, "", "rejected: empty"),
    "same": (GOOD, GOOD, "nearly identical"),
    "near": (GRADES[2], GRADES[2] + "はい。", "nearly identical"),
    "english": (GOOD, "The sky is blue because air scatters the blue part of sunlight the most.", "rejected: answer-language"),
    "long": (GOOD, WEAK * 8, "lengths differ too much"),
}  # fmt: skip


def test_what_is_no_pair_says_why(tmp_path: Path) -> None:
    rows = [talk(name, f"{name}：なぜ空は青い？") for name in CASES]
    of = {f"{name}：なぜ空は青い？": case for name, case in CASES.items()}
    rows.append({**talk("nobody", "x"), "messages": [{"role": "system", "content": "x"}]})
    with (
        teacher(lambda body: of[last(body)][0], "strong") as chosen,
        teacher(lambda body: of[last(body)][1], "weak") as rejected,
    ):
        result, found = pairs(
            tmp_path, rows, chosen=chosen, rejected=rejected, length_balance={"max_ratio": 4}
        )
    assert [row["parents"][0] for row in found] == ["ok"]
    reasons = dropped(tmp_path)
    assert reasons.pop("nobody") == "no user turn"
    said_again = reasons.pop("long")
    assert said_again in (
        "lengths differ too much",
        "rejected: said-again",
        "rejected: loop",
        "rejected: repetitive",
    )
    assert reasons == {name: why for name, (_, _, why) in CASES.items() if why and name != "long"}
    assert result.metrics["kept"] == 1


def test_each_side_has_its_sampler(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def said(name: str, text: str) -> Any:
        def answer(body: Body) -> str:
            seen[name] = body["temperature"]
            return text

        return answer

    with teacher(said("strong", GOOD), "strong") as chosen, teacher(said("weak", WEAK), "weak") as rejected:
        settings: dict[str, Any] = {"chosen": chosen, "rejected": rejected, "sampler": {"temperature": 0.25}}
        pairs(tmp_path, [talk("a", "なぜ？")], **settings)
        assert seen == {"strong": 0.25, "weak": 0.25}
        pairs(tmp_path, [talk("a", "なぜ？")], **settings, rejected_sampler={"temperature": 1.0})
    assert seen == {"strong": 0.25, "weak": 1.0}


def test_the_rejected_side_may_be_let_off(tmp_path: Path) -> None:
    rows = [talk("a", "なぜ空は青い？")]
    refusal = "申し訳ありませんが、お手伝いできません。"
    with teacher(lambda body: GOOD, "strong") as chosen, teacher(lambda body: refusal, "weak") as rejected:
        result, (row,) = pairs(tmp_path, rows, chosen=chosen, rejected=rejected, rejected_checks="any")
    assert row["rejected"] == refusal
    assert meta_fields(row)["pairs"]["rejected"]["hard"] == ["refusal"]
    assert result.metrics["rungs"][1]["faults"] == {"refusal": 1}


def test_two_languages_where_that_is_allowed(tmp_path: Path) -> None:
    rows = [talk("a", "なぜ空は青い？")]
    english = CASES["english"][1]
    with teacher(lambda body: GOOD, "strong") as chosen, teacher(lambda body: english, "weak") as rejected:
        settings: dict[str, Any] = {"chosen": chosen, "rejected": rejected, "language": "any"}
        _, none = pairs(tmp_path, rows, **settings)
        assert (none, dropped(tmp_path)) == ([], {"a": "different languages"})
        _, found = pairs(tmp_path, rows, **settings, same_language=False)
        assert len(found) == 1


def test_the_row_s_own_answer_may_be_the_chosen_one(tmp_path: Path) -> None:
    rows = [
        talk("a", "なぜ空は青い？", GOOD, meta='{"model": "gpt-4"}'),
        talk("b", "なぜ空は青い？？"),
        talk("c", "なぜ空は青い？？？", "申し訳ありませんが、お手伝いできません。"),
    ]
    with teacher(lambda body: WEAK, "weak") as rejected:
        result, (row,) = pairs(tmp_path, rows, rejected=rejected)
    assert (row["chosen"], row["chosen_by"]) == (GOOD, "gpt-4")
    assert dropped(tmp_path) == {"b": "no answer of its own", "c": "chosen: refusal"}
    # Nothing is asked for a pair that has no chosen side.
    assert result.performance["requests_sent"] == 1


def test_a_side_is_asked_again_with_another_seed(tmp_path: Path) -> None:
    seeds: list[int] = []

    def flaky(body: Body) -> str:
        seeds.append(body["seed"])
        return GOOD if len(seeds) > 1 else ""

    with teacher(flaky, "strong") as chosen, teacher(lambda body: WEAK, "weak") as rejected:
        _, (row,) = pairs(tmp_path, [talk("a", "なぜ？")], chosen=chosen, rejected=rejected)
    assert len(set(seeds)) == 2
    assert meta_fields(row)["pairs"]["chosen"]["attempts"] == 2


def by_length(body: Body) -> str:
    shown = last(body)
    a = shown.split("<answer_a>")[1].split("</answer_a>")[0]
    b = shown.split("<answer_b>")[1].split("</answer_b>")[0]
    return "[[A]]" if len(a) > len(b) else "[[B]]" if len(b) > len(a) else "[[C]]"


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (by_length, ""),
        (
            lambda body: {"[[A]]": "[[B]]", "[[B]]": "[[A]]"}[by_length(body)],
            "judge: the rejected answer is better",
        ),
        (lambda body: "[[A]]", "judge: inconsistent"),
        (lambda body: "[[C]]", "judge: neither is better"),
        (lambda body: "hm", "judge: unreadable"),
    ],
)
def test_the_judge_confirms_named_sides(tmp_path: Path, verdict: Any, reason: str) -> None:
    longer = GOOD + "夕方に赤く見えるのも同じ理由によります。"
    with (
        teacher(lambda body: longer, "strong") as chosen,
        teacher(lambda body: WEAK, "weak") as rejected,
        teacher(verdict, "judge") as judge,
    ):
        result, found = pairs(tmp_path, [talk("a", "なぜ？")], chosen=chosen, rejected=rejected, judge=judge)
    assert dropped(tmp_path) == ({"a": reason} if reason else {})
    assert len(found) == (not reason)
    assert result.metrics["judge"]["comparisons"] == 1
    if found:
        assert meta_fields(found[0])["pairs"]["judge"] == {"outcome": "a", "orders": ["a", "b"]}
    if reason == "judge: unreadable":
        assert result.metrics["judge"]["unreadable_verdicts"] == {"no verdict": 2}


def test_best_and_worst_of_several_by_judge(tmp_path: Path) -> None:
    rows = [talk(f"r{number}", f"質問{number}：なぜ空は青い？") for number in range(6)]
    with teacher(lambda body: GRADES[body["seed"] % 3], "many") as many, teacher(by_length, "judge") as judge:
        result, found = pairs(tmp_path, rows, models=many, candidates=8, judge=judge)
        assert len(found) >= 5
        assert all(
            (row["chosen"], row["rejected"]) == (GRADES[2], GRADES[0])
            for row in found
            if len(meta_fields(row)["pairs"]["points"]) == 3
        )
        assert result.metrics["lengths"]["chosen_longer"] == 1.0
        first = files(tmp_path / "out")
        again, _ = pairs(tmp_path, rows, models=many, candidates=8, judge=judge)
    assert again.performance["requests_sent"] == 0
    assert files(tmp_path / "out") == first


def test_how_far_ahead_the_best_must_be(tmp_path: Path) -> None:
    rows = [talk(f"r{number}", f"質問{number}：なぜ空は青い？") for number in range(4)]
    with teacher(lambda body: GRADES[body["seed"] % 3], "many") as many, teacher(by_length, "judge") as judge:
        _, found = pairs(tmp_path, rows, models=many, candidates=10, judge=judge, min_points=2)
        assert len(found) >= 3
        _, found = pairs(tmp_path, rows, models=many, candidates=10, judge=judge, min_points=2.5)
    assert found == []
    assert list(dropped(tmp_path).values()).count("judge sees no difference") >= 3


def test_a_judge_without_an_opinion_makes_no_pairs(tmp_path: Path) -> None:
    rows = [talk(f"r{number}", f"質問{number}：なぜ空は青い？") for number in range(4)]
    with (
        teacher(lambda body: GRADES[body["seed"] % 3], "many") as many,
        teacher(lambda body: "[[B]]", "judge") as judge,
    ):
        result, found = pairs(tmp_path, rows, models=many, candidates=6, judge=judge)
    assert found == []
    assert set(dropped(tmp_path).values()) <= {"judge sees no difference", "fewer than two different answers"}
    assert result.metrics["judge"]["inconsistent"] == result.metrics["judge"]["comparisons"] > 0


def test_best_and_worst_by_rules(tmp_path: Path) -> None:
    refusal = "申し訳ありませんが、お手伝いできません。"
    texts = {"良": [GOOD, refusal], "同": [GOOD, WEAK], "悪": [refusal, ""], "一": [GOOD, GOOD]}
    rows = [talk(name, f"{name}：なぜ空は青い？") for name in texts]
    with teacher(lambda body: texts[last(body)[0]][body["seed"] % 2], "many") as many:
        _, found = pairs(tmp_path, rows, models=[many], candidates=16, by="rules")
    assert [(row["parents"], row["chosen"], row["rejected"]) for row in found] == [(["良"], GOOD, refusal)]
    assert dropped(tmp_path) == {
        "同": "rules see no difference",
        "悪": "fewer than two different answers",
        "一": "fewer than two different answers",
    }


def test_rejected_from_a_model_in_this_process(tmp_path: Path) -> None:
    artifact = as_input("sft", make_folder(tmp_path / "sft"), Kind.MODEL)
    rows = [talk(f"r{number}", f"Question {number}?", language="en") for number in range(9)]
    english = "The sky is blue because air scatters the blue part of sunlight the most."
    with teacher(lambda body: english, "strong") as chosen:
        params: dict[str, Any] = {
            "chosen": chosen, "rejected": "sft", "artifacts": {"rejected": [artifact]}, "rejected_checks": "any",
            "same_language": False, "language": "any", "batch": 2, "sampler": {"max_tokens": 20, "temperature": 1.0}, "longest_answer": 20,
        }  # fmt: skip
        result, found = pairs(tmp_path, rows, **params)
        first = files(tmp_path / "out")
        again, _ = pairs(tmp_path, rows, **params)
    assert len(found) >= 7
    assert {row["rejected_by"] for row in found} == {f"sft@{artifact.manifest.digest[:8]}"}
    assert len({row["rejected"] for row in found}) > 3
    assert files(tmp_path / "out") == first
    assert again.performance["requests_sent"] == 0
    assert result.metrics["rungs"][1]["name"] == "sft"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "rejected: name who"),
        ({"models": ["m"], "rejected": "m"}, "name either these"),
        ({"models": ["m"], "candidates": 1}, "at least 2"),
        ({"models": ["m"], "by": "judge"}, "wants one"),
        ({"models": ["m"], "by": "rules", "rejected_checks": "pass"}, "write any"),
        ({"rejected": "m", "by": "rules"}, "only `models`"),
        ({"models": ["m", "n"], "candidates": 9, "judge": "J"}, "each with each"),
    ],
)
def test_parameters_that_contradict_each_other(params: dict[str, Any], message: str) -> None:
    if params.get("judge"):
        params = {**params, "judge": Endpoint(base_url="http://127.0.0.1:9/v1", model="j")}
    with pytest.raises(ValidationError, match=message):
        Params(prompts=["a"], **params)  # type: ignore[arg-type]


def test_lengths_tell_when_they_predict_the_winner() -> None:
    even, longer, shorter = Lengths(), Lengths(), Lengths()
    for number in range(100):
        even.add(100 + number % 7, 100 + (number * 3) % 7)
        longer.add(150 + number, 100 + number)
        shorter.add(50 + number % 10, 90)
    report = even.report()
    assert report is not None
    assert report.warning == ""
    assert report.longer == pytest.approx(0.5, abs=0.08)
    report = longer.report()
    assert report is not None
    assert report.longer == 1.0
    assert report.auc == pytest.approx(0.875)  # of 100 x 100 pairs those with i + 50 > j, ties half
    assert "it is the longer one in 100%" in report.warning
    assert report.correlation > 0.5
    report = shorter.report()
    assert report is not None
    assert "it is the shorter one in 100%" in report.warning
    few = Lengths()
    few.add(10, 1)
    report = few.report()
    assert report is not None
    assert report.warning == ""
    assert Lengths().report() is None


@pytest.mark.parametrize(
    ("one", "other", "least", "most"),
    [
        ("同じです。", "同じです", 1, 1),
        ("ＡＢＣ def", "abc, DEF!", 1, 1),
        ("abcdefgh", "abcdefgx", 0.5, 0.7),
        ("東京は日本の首都です", "京都は昔の都でした", 0, 0.1),
        ("はい", "いいえ", 0, 0),
        ("", "", 1, 1),
    ],
)
def test_similarity(one: str, other: str, least: float, most: float) -> None:
    assert least <= similarity(one, other) <= most
    assert similarity(one, other) == similarity(other, one)


def test_the_stage_makes_preferences() -> None:
    assert STAGE.output is Kind.PREFERENCES
    assert Params.model_json_schema()
