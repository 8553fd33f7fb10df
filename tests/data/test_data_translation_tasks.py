"""data.mix: translation tasks from conversations and their translations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from made_mixtures import given, ledger, many, mix, row
from watari.artifact.dataset_facts import meta_fields
from watari.data.mix import Params
from watari.data.translation_tasks import load_templates
from watari.errors import UserError

JA = "これは長い文章の翻訳です。山の上に小さな家があり、そこに年老いた猫が住んでいました。"


def english(number: int, length: int = 60) -> str:
    return (
        f"Story {number}. " + "Once there was a small house on a hill, and an old cat lived there. " * length
    )


def pair(number: int, answer: str | None = None, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    original = row(f"en{number}", english(number) if answer is None else answer)
    translated = {
        **row(f"ja{number}", f"{number}番目の話。" + JA * 40),
        "language": "ja",
        "parents": [f"en{number}"],
        **more,
    }
    translated["messages"] = [{"role": "user", "content": "教えてください。"}, translated["messages"][1]]
    return original, translated


def make(folder: Path, pairs: list[tuple[dict[str, Any], dict[str, Any]]], **params: Any) -> Any:
    originals = given(folder, "originals", [one for one, _ in pairs])
    translated = given(folder, "translated", [other for _, other in pairs])
    data = given(folder, "data", many("x", 200))
    params = {"translation_tasks": {"share": 0.2}, **params}
    metrics, rows = mix(folder, data, pairs=[translated], originals=[originals], **params)
    return metrics, [item for item in rows if meta_fields(item).get("category") == "translation"]


def test_tasks_in_both_directions(tmp_path: Path) -> None:
    metrics, tasks = make(tmp_path, [pair(number) for number in range(40)])
    assert metrics["tasks"]["made"] == 40 == len(tasks)
    assert set(metrics["tasks"]["directions"]) == {"en-ja", "ja-en"}
    used = set()
    for task in tasks:
        meta = meta_fields(task)
        one, other = meta["direction"].split("-")
        number = task["parents"][0][2:]
        texts = {"en": english(int(number)), "ja": f"{number}番目の話。" + JA * 40}
        assert task["messages"][1] == {"role": "assistant", "content": texts[other]}
        assert texts[one] in task["messages"][0]["content"]
        assert task["messages"][0]["content"] != texts[one]
        assert task["language"] == other
        assert task["parents"] == [f"en{number}", f"ja{number}"]
        used.add((meta["direction"], meta["template"]))
    assert len(used) > 15
    assert make(tmp_path, [pair(number) for number in range(39, -1, -1)])[1] == tasks


def test_the_share_is_kept_and_counted(tmp_path: Path) -> None:
    metrics, tasks = make(tmp_path, [pair(number) for number in range(40)], translation_tasks={"share": 0.1})
    assert len(tasks) == 22  # of 200 rows: 22 / 222 < 0.1
    assert metrics["tasks"]["possible"] == 40


@pytest.mark.parametrize("direction", ["there", "back"])
def test_one_direction(tmp_path: Path, direction: str) -> None:
    wanted = {"share": 0.2, "directions": direction}
    metrics, _ = make(tmp_path, [pair(number) for number in range(10)], translation_tasks=wanted)
    assert metrics["tasks"]["directions"] == {"en-ja" if direction == "there" else "ja-en": 10}


def test_what_is_no_task(tmp_path: Path) -> None:
    code = english(2) + "\n```python\nprint('x')\n```\n"
    shorter = pair(4)
    shorter[1]["messages"] = shorter[1]["messages"][:1]
    korean = pair(5, language="ko")
    orphan = pair(6, parents=["nowhere"])
    metrics, tasks = make(
        tmp_path, [pair(0), pair(1, "A short answer."), pair(2, code), shorter, korean, orphan]
    )
    assert [task["parents"][0] for task in tasks] == ["en0"]
    assert metrics["tasks"]["passed_over"] == {
        "holds code": 1,
        "no original": 1,
        "no templates for en-ko": 1,
        "too short": 1,
        "turns do not match": 1,
    }
    wanted = {"share": 0.2, "code": True, "min_characters": 5, "turns": "all"}
    metrics, tasks = make(
        tmp_path, [pair(0), pair(1, "A short answer."), pair(2, code)], translation_tasks=wanted
    )
    assert len(tasks) == 6


def test_originals_may_be_in_the_mixture(tmp_path: Path) -> None:
    one, other = pair(0)
    data = given(tmp_path, "data", [one, *many("x", 99)])
    metrics, rows = mix(tmp_path, data, pairs=[given(tmp_path, "translated", [other])])
    assert metrics["tasks"]["made"] == 1
    assert len(rows) == 101
    assert ledger(tmp_path) == {}


def test_benchmarks_and_evaluation_texts_give_no_tasks(tmp_path: Path) -> None:
    one, other = pair(0)
    one["meta"] = json.dumps({"benchmark": "jnli"})
    metrics, _ = make(tmp_path, [(one, other), pair(1)])
    assert metrics["tasks"]["passed_over"] == {"of a benchmark": 1}
    (tmp_path / "bench.txt").write_text(english(1, 2), "utf-8")
    metrics, _ = make(tmp_path, [pair(1)], decontaminate=str(tmp_path / "bench.txt"))
    assert metrics["tasks"]["passed_over"] == {"contaminated": 1}


def test_templates_are_many_and_whole() -> None:
    for words in load_templates().words.values():
        assert len(words) >= 11
        assert all("{text}" in template for template in words)
    assert {("en", "ja"), ("ja", "en")} <= load_templates().words.keys()


def test_parameters_that_would_do_nothing() -> None:
    with pytest.raises(ValidationError, match="originals: they are of use"):
        Params(data=["a"], originals=["b"])  # type: ignore[list-item]
    with pytest.raises(ValidationError, match="translation_tasks: name in `pairs`"):
        Params(data=["a"], translation_tasks={"share": 0.1})  # type: ignore[list-item,arg-type]


def test_an_input_of_which_nothing_is_selected(tmp_path: Path) -> None:
    data = given(tmp_path, "data", many("x", 3), where={"language": "ja"})
    with pytest.raises(UserError, match="keeps none"):
        mix(tmp_path, data)
