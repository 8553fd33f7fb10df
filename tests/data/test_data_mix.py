"""data.mix: what goes in comes out or stands in the ledger; weights, caps, duplicates, order."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_mixtures import given, ledger, many, mix, prose, row
from watari.artifact.dataset_facts import read_facts
from watari.errors import UserError


def test_everything_once_in_a_drawn_order(tmp_path: Path) -> None:
    ids = [f"a{number}" for number in range(50)]
    one = given(tmp_path, "one", [row(name) for name in ids])
    two = given(tmp_path, "two", [row(f"b{number}") for number in range(20)])
    metrics, rows = mix(tmp_path, one, two, seed=3)
    order = [item["id"] for item in rows]
    assert sorted(order) == sorted([*ids, *(f"b{number}" for number in range(20))])
    assert order[:20] != ids[:20]
    assert metrics["inputs"] == {
        "one": {"rows_in": 50, "kept": 50, "written": 50},
        "two": {"rows_in": 20, "kept": 20, "written": 20},
    }
    turned = mix(tmp_path, two, given(tmp_path, "back", [row(name) for name in ids[::-1]]), seed=3)[1]
    assert [item["id"] for item in turned] == order
    assert [item["id"] for item in mix(tmp_path, one, two, seed=4)[1]] != order
    assert [item["id"] for item in mix(tmp_path, one, two, shuffle=False)[1]][:50] == ids


def test_the_same_bytes_again(tmp_path: Path) -> None:
    rows = [row(f"a{number}") for number in range(300)]
    one = given(tmp_path, "one", rows, ratio=0.5)
    mix(tmp_path, one)
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    mix(tmp_path, one)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first


def edited(text: str, every: int) -> str:
    words = text.split()
    words[::every] = ["changed"] * len(words[::every])
    return " ".join(words)


def test_duplicates_stay_in_the_earlier_input(tmp_path: Path) -> None:
    talk = row("original")
    blanks = row("blanks", talk["messages"][1]["content"].replace(" ", "  "), messages=None)
    blanks["messages"] = [
        {**talk["messages"][0]},
        {"role": "assistant", "content": talk["messages"][1]["content"] + "\n"},
    ]
    near = row("near")
    near["messages"] = [
        talk["messages"][0],
        {"role": "assistant", "content": edited(talk["messages"][1]["content"], 30)},
    ]
    other = row("other")
    other["messages"] = [
        talk["messages"][0],
        {"role": "assistant", "content": edited(talk["messages"][1]["content"], 2)},
    ]
    one = given(tmp_path, "one", [talk])
    two = given(tmp_path, "two", [near, blanks, other])
    _, rows = mix(tmp_path, one, two)
    assert {item["id"] for item in rows} == {"original", "other"}
    assert ledger(tmp_path) == {"near": "near duplicate", "blanks": "exact duplicate"}
    assert set(ledger(tmp_path, "detail").values()) == {"of original"}
    _, rows = mix(tmp_path, two, one)
    assert {item["id"] for item in rows} == {"near", "other"}
    _, rows = mix(tmp_path, one, two, dedup={"near": False})
    assert {item["id"] for item in rows} == {"original", "near", "other"}
    _, rows = mix(tmp_path, one, two, dedup={"near": False, "exact": False})
    assert len(rows) == 4


def test_what_is_only_like_a_dropped_row_stays() -> None:
    from watari.data.mix_dedup import _later, _packed

    left, right = np.array([0, 1, 2]), np.array([1, 2, 3])
    rows, _, twins = _later(np.sort(_packed(left, right)))
    assert (rows.tolist(), twins.tolist()) == ([1, 3], [0, 2])


def test_the_same_question_is_a_duplicate_when_asked(tmp_path: Path) -> None:
    rows = [row("x", "First."), {**row("x", "Second."), "id": "y"}]
    one = given(tmp_path, "one", rows)
    assert len(mix(tmp_path, one)[1]) == 2
    assert [item["id"] for item in mix(tmp_path, one, dedup={"of": "prompt"})[1]] == ["x"]


def test_short_rows_are_only_compared_exactly(tmp_path: Path) -> None:
    rows = [row(f"n{number}", f"The answer to the question is {number}.") for number in range(20)]
    for item in rows:
        item["messages"][0]["content"] = "What is the answer to the question?"
    assert len(mix(tmp_path, given(tmp_path, "one", rows))[1]) == 20
    metrics, _ = mix(tmp_path, given(tmp_path, "one", rows), dedup={"min_characters": 0})
    assert metrics["dropped_by_reason"]["near duplicate"] > 5


def test_one_id_with_two_contents(tmp_path: Path) -> None:
    one, two = given(tmp_path, "one", [row("x", "One.")]), given(tmp_path, "two", [row("x", "Two.")])
    metrics, rows = mix(tmp_path, one, two)
    assert metrics["renamed_ids"] == 1
    of = {item["messages"][1]["content"]: item["id"] for item in rows}
    assert of["One."] == "x"
    assert of["Two."].startswith("x~")
    assert len(of["Two."]) == 10


def test_caps(tmp_path: Path) -> None:
    rows = [
        *many("a", 30, source="big"),
        *many("b", 10, source="small"),
        *many("c", 10, language="ja", meta=json.dumps({"category": "poem"})),
    ]
    one = given(tmp_path, "one", rows)
    metrics, kept = mix(tmp_path, one, caps={"source": {"big": 12, "*": 100}, "category": {"*": 4}})
    assert Counter(item["id"][0] for item in kept) == {"a": 12, "b": 10, "c": 4}
    assert metrics["dropped_by_reason"] == {
        "over the cap of its category": 6,
        "over the cap of its source": 18,
    }
    again = mix(
        tmp_path, given(tmp_path, "one", rows[::-1]), caps={"source": {"big": 12}, "category": {"poem": 4}}
    )[1]
    assert {item["id"] for item in again} == {item["id"] for item in kept}
    _, kept = mix(tmp_path, one, caps={"language": {"en": "5", "ja": 2}})
    assert Counter(item["language"] for item in kept) == {"en": 5, "ja": 2}
    with pytest.raises(UserError, match="no row is left"):
        mix(tmp_path, one, caps={"language": {"*": 0}})


@pytest.mark.parametrize(
    ("params", "written"),
    [
        ({"weights": {"a": 1, "b": 1}}, {"a": 20, "b": 20}),
        ({"weights": {"a": 3, "b": 1}}, {"a": 60, "b": 20}),
        ({"weights": {"a": 9, "b": 1}}, {"a": 60, "b": 6}),
        ({"weights": {"a": 1, "b": 0}}, {"a": 60}),
        ({"weights": {"a": 1, "b": 1}, "rows": 10}, {"a": 5, "b": 5}),
        ({"weights": {"a": 1, "b": 1}, "repeat": 3}, {"a": 60, "b": 60}),
        ({"weights": {"a": 1, "b": 1}, "repeat": 2.5, "rows": 100}, {"a": 50, "b": 50}),
        ({"weights": {"a": 1, "b": 1}, "rows": 100}, {"a": 50, "b": 20}),
        ({"rows": 40}, None),
    ],
)
def test_weights(tmp_path: Path, params: dict[str, Any], written: dict[str, int] | None) -> None:
    a, b = given(tmp_path, "a", many("a", 60)), given(tmp_path, "b", many("b", 20))
    metrics, rows = mix(tmp_path, a, b, **params)
    found = Counter(item["id"][0] for item in rows)
    if written is None:
        assert found.total() == 40
    else:
        assert found == written
        assert {
            name: item["written"] for name, item in metrics["inputs"].items() if item["written"]
        } == written
    copies = Counter(item["id"].split("#")[0] for item in rows)
    assert max(copies.values()) <= max(1, -(-params.get("repeat", 1) // 1))


def test_weights_by_characters(tmp_path: Path) -> None:
    long = given(tmp_path, "long", [row(f"l{n}", prose(f"l{n}", 120)) for n in range(60)])
    short = given(tmp_path, "short", [row(f"s{n}", prose(f"s{n}", 12)) for n in range(200)])
    metrics, rows = mix(tmp_path, long, short, weights={"long": 1, "short": 1}, unit="characters")
    sizes = Counter()
    for item in rows:
        sizes[item["id"][0]] += sum(len(turn["content"]) for turn in item["messages"])
    assert sizes["l"] == pytest.approx(sizes["s"], rel=0.08)
    assert metrics["inputs"]["short"]["given"] == sizes["s"]


def test_ratios(tmp_path: Path) -> None:
    a = given(tmp_path, "a", many("a", 400), ratio=0.25)
    b = given(tmp_path, "b", many("b", 10), ratio=2.5)
    metrics, rows = mix(tmp_path, a, b)
    found = Counter(item["id"][0] for item in rows)
    assert 70 < found["a"] < 130
    assert 20 <= found["b"] <= 30
    assert metrics["dropped_by_reason"] == {"not drawn": 400 - found["a"]}


def test_selection_comes_first_and_is_no_loss(tmp_path: Path) -> None:
    rows = [*many("a", 10), *many("b", 10, language="ja"), *many("c", 5, meta=json.dumps({"topic": "sea"}))]
    one = given(tmp_path, "one", rows, where={"language": "en"}, limit=12)
    metrics, kept = mix(tmp_path, one)
    assert metrics["rows_in"] == 12 == len(kept)
    assert len(mix(tmp_path, given(tmp_path, "one", rows, where={"meta.topic": "sea"}))[1]) == 5


@pytest.mark.parametrize(
    ("weights", "selection", "message"),
    [
        ({"a": 1, "x": 1}, {}, "no input named 'x'"),
        ({"a": 1}, {}, "input 'b' has none"),
        ({"a": 0, "b": 0}, {}, "all are 0"),
        ({"a": 1, "b": 1}, {"ratio": 0.5}, "contradict"),
    ],
)
def test_weights_that_do_not_fit(
    tmp_path: Path, weights: dict[str, float], selection: dict[str, Any], message: str
) -> None:
    a, b = given(tmp_path, "a", many("a", 3), **selection), given(tmp_path, "b", many("b", 3))
    with pytest.raises(UserError, match=message):
        mix(tmp_path, a, b, weights=weights)


def test_benchmark_splits_are_refused_unless_the_recipe_says_so(tmp_path: Path) -> None:
    rows = [*many("a", 3), row("q", meta=json.dumps({"benchmark": "jnli"}))]
    one = given(tmp_path, "one", rows)
    with pytest.raises(UserError, match=r"row q is of a split of the benchmark 'jnli'.*train_splits: allow"):
        mix(tmp_path, one)
    metrics, _ = mix(tmp_path, one, train_splits="allow")
    assert metrics["benchmark_sources"] == ["jnli"]
    facts = read_facts(tmp_path / "out")
    assert facts is not None
    assert facts.benchmark_sources == ["jnli"]
    # What such a mixture was made of is known where it is mixed again.
    again = given(tmp_path, "again", many("z", 3))
    (again.path / "dataset.json").write_bytes((tmp_path / "out" / "dataset.json").read_bytes())
    with pytest.raises(UserError, match=r"its dataset\.json tells of splits of jnli"):
        mix(tmp_path, again)
    plain = given(tmp_path, "plain", many("a", 3, source="jaster"))
    with pytest.raises(UserError, match="'jaster'"):
        mix(tmp_path, plain, benchmark_sources=["jaster"])


def test_evaluation_texts_are_left_out(tmp_path: Path) -> None:
    question = "縄文時代の終わりごろ、大陸から伝わった稲作は、どの地方から広まったと考えられていますか。"
    (tmp_path / "bench.jsonl").write_text(
        json.dumps({"id": "1", "question": question}, ensure_ascii=False) + "\n", "utf-8"
    )
    rows = [
        row("clean"),
        row("hit", f"{prose('x')}\n{question[3:]}\n{prose('y')}"),
        row("folded", f"「{question[3:].replace('、', '　')}」"),
        row("part", question[:16]),
    ]
    _, kept = mix(tmp_path, given(tmp_path, "one", rows), decontaminate=str(tmp_path / "bench.jsonl"))
    assert {item["id"] for item in kept} == {"clean", "part"}
    assert ledger(tmp_path) == {"hit": "contaminated", "folded": "contaminated"}


def test_further_columns_are_kept_and_may_differ(tmp_path: Path) -> None:
    one = given(tmp_path, "one", [row("a", score=3, tag="x")])
    two = given(tmp_path, "two", [row("b", score=2.5, tag=[1, 2]), row("c")])
    _, rows = mix(tmp_path, one, two)
    assert {item["id"]: (item["score"], item["tag"]) for item in rows} == {
        "a": (3.0, "x"),
        "b": (2.5, "[1, 2]"),
        "c": (None, None),
    }


def test_many_buckets_give_one_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = given(tmp_path, "one", many("a", 500))
    _, whole = mix(tmp_path, one)
    monkeypatch.setattr("watari.data.mix_write._BUCKET", 10_000)
    _, parts = mix(tmp_path, one)
    assert [item["id"] for item in parts] == [item["id"] for item in whole]


def test_a_limit_holds_across_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watari.data.mix_index.BATCH", 7)
    one = given(tmp_path, "one", many("a", 50), limit=20)
    two = given(tmp_path, "two", many("b", 30))
    metrics, rows = mix(tmp_path, one, two, shuffle=False)
    assert metrics["inputs"]["one"]["rows_in"] == 20
    assert [item["id"] for item in rows] == [f"a{n}" for n in range(20)] + [f"b{n}" for n in range(30)]


def test_letters_say_a_third_of_what_kanji_say(tmp_path: Path) -> None:
    shared = "the quick brown fox jumps over it"  # 27 letters: four words that many texts share
    (tmp_path / "bench.txt").write_text(f"{shared} {prose('bench')}", "utf-8")
    rows = [row("short", f"Say: {shared}!"), row("long", f"Say: {shared} {prose('bench')[:400]}")]
    _, kept = mix(tmp_path, given(tmp_path, "one", rows), decontaminate=str(tmp_path / "bench.txt"))
    assert [item["id"] for item in kept] == ["short"]


def test_models_of_the_inputs_are_told(tmp_path: Path) -> None:
    one = given(tmp_path, "one", many("a", 3))
    facts = {"stage": "synth.translate", "models": [{"model": "m", "role": "translator", "rows": 9}]}
    (one.path / "dataset.json").write_text(json.dumps(facts), "utf-8")
    mix(tmp_path, one)
    found = read_facts(tmp_path / "out")
    assert found is not None
    assert [(model.model, model.role, model.rows) for model in found.models] == [("m", "translator", None)]


def test_a_duplicate_says_of_which_row(tmp_path: Path) -> None:
    texts = [f"Text number {number}, which three rows have." for number in range(5)]
    rows = [row(f"r{place}", text) for place, text in enumerate(texts * 3)]
    for item in rows:
        item["messages"][0]["content"] = "What?"
    mix(tmp_path, given(tmp_path, "one", rows))
    assert ledger(tmp_path, "detail") == {f"r{place}": f"of r{place % 5}" for place in range(5, 15)}
