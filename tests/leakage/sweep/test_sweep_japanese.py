"""What a sweep tells its readers, in Japanese: reasons, notes and what the canary claims; English in the files and tables."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from in_chromium import dump, needs_chromium
from sweeping_server import Scripted
from teachers import teacher
from watari.artifact.stage import Silent
from watari.leakage.sweep.params import Params
from watari.leakage.sweep.plan import plan_of
from watari.leakage.sweep.stage import sweep

_JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
GRID = """\
base: {max_new_tokens: 64}
grid:
  temperature: [0.4, 1.0]
  truncation: [none, {min_p: 0.1}, {top_p: 0.9}]
  extra_body: [none, {typical_p: 0.9, taste: 1}]
cells: [{temperature: 0}, {temperature: 1.0}, {temperature: 1.0, repetition_penalty: 1.1}]
marks: {the default: {temperature: 1.0}}
"""


def written(folder: Path, count: int, **more: Any) -> Params:
    rows = [
        {"id": f"p{n}", "prompt": f"What is question {n} about?", "expected_lang": "en"} for n in range(count)
    ]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "grid.yaml").write_text(GRID, "utf-8")
    given = {"prompts": str(folder / "prompts.jsonl"), "grid": str(folder / "grid.yaml"), "label": "s"}
    return Params(**{**given, **more})


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    (folder / "out").mkdir()
    with teacher(Scripted(), "model") as model:
        params = written(folder, 12, model=model, repeats=2, ledger=str(folder / "ledger.sqlite"))
        sweep(params, None, folder / "out", Silent())
    return folder / "out"


def sentences(found: dict[str, Any]) -> list[str]:
    return [*found["notes"], *found["recommended"]["reason"], *(check["claim"] for check in found["canary"])]


def test_every_sentence_of_the_file_is_there_in_japanese_too(swept: Path) -> None:
    found = json.loads((swept / "sweep.json").read_text("utf-8"))
    told = sentences(found)
    assert len(found["notes"]) >= 3
    assert len(found["recommended"]["reason"]) >= 2
    assert set(found["in_japanese"]) == set(told)
    for english, japanese in found["in_japanese"].items():
        assert not _JAPANESE.search(english)
        assert _JAPANESE.search(japanese)


def test_reasons_and_notes_name_the_same_figures_in_japanese(swept: Path) -> None:
    found = json.loads((swept / "sweep.json").read_text("utf-8"))
    for english in [*found["notes"], *found["recommended"]["reason"]]:
        figures = re.findall(r"\d[\d.,]*\d|\d", english)
        told = re.findall(r"\d[\d.,]*\d|\d", found["in_japanese"][english])
        assert [figure for figure in figures if figure not in told] == []


def test_the_page_has_both_and_the_table_english_only(swept: Path) -> None:
    found = json.loads((swept / "sweep.json").read_text("utf-8"))
    page = (swept / "sweep.html").read_text("utf-8")
    for english, japanese in found["in_japanese"].items():
        for language, text in (("en", english), ("ja", japanese)):
            shown = (
                text.replace("&", "&amp;").replace("'", "&#39;").replace('"', "&#34;").replace(">", "&gt;")
            )
            assert f'<span class="w" lang="{language}"><bdi>{shown}</bdi></span>' in page
    table = (swept / "sweep.txt").read_text("utf-8")
    assert not any(japanese in table for japanese in found["in_japanese"].values())
    assert "note: 12 prompts" in table


def test_a_sweep_of_before_is_shown_as_it_is(swept: Path) -> None:
    from watari.leakage.sweep.page.page import page_of

    found = json.loads((swept / "sweep.json").read_text("utf-8"))
    del found["in_japanese"]
    assert f"<li><bdi>{found['notes'][0]}</bdi></li>" in page_of(found)


@pytest.mark.parametrize(
    ("count", "told"),
    [(1, "one prompt: no intervals"), (2, "are too short"), (19, "are too short"), (20, "a little too short"),
     (49, "a little too short"), (50, None)],
)  # fmt: skip
def test_few_prompts_are_told(tmp_path: Path, count: int, told: str | None) -> None:
    with teacher(Scripted(), "model") as model:
        notes = plan_of(written(tmp_path, count, model=model), None).notes
    found = [note for note in notes if "prompt" in note and "interval" in note]
    assert [told is not None and told in note for note in found] == ([] if told is None else [True])


@needs_chromium
def test_nothing_sticks_out_in_japanese_on_a_phone(swept: Path, tmp_path: Path) -> None:
    found = dump(
        (swept / "sweep.html").read_text("utf-8").replace('data-lang="en"', 'data-lang="ja"', 1),
        tmp_path,
        extra="""
        const inside = onPhone();
        inside.documentElement.dataset.lang = "ja";
        const wide = inside.documentElement.scrollWidth;
        const english = [...inside.querySelectorAll('#why .w[lang="en"], #canary .w[lang="en"]')];
        document.title = JSON.stringify([wide, english.filter(e => e.getClientRects().length).length, english.length]);
        """,
    )
    wide, shown, there = json.loads(re.search("<title>(.*?)</title>", found)[1].replace("&quot;", '"'))  # type: ignore[index]
    assert wide <= 360
    assert shown == 0
    assert there > 10
