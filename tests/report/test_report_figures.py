"""Every figure of report.json stands where it says that it does."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from watari.artifact.rows import read_rows
from watari.artifact.stage import InputArtifact
from watari.report.figures import Figures, leaves, pointer, read_lines
from watari.report.numbers import is_share, size, written
from watari.report.page import Page, build
from watari.report.stages import read_stages


def at_pointer(value: Any, where: str) -> Any:
    """Return what a JSON pointer (RFC 6901) points at."""
    for part in where.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def check_figure(figure: dict[str, Any], by_name: dict[str, InputArtifact]) -> None:
    """Assert that a figure's value is the one at its origin."""
    artifact = by_name[figure["stage"]]
    assert artifact.manifest.key == figure["artifact"]
    file = artifact.path / figure["file"]
    if "field" in figure:
        found = at_pointer(json.loads(file.read_text("utf-8")), figure["field"])
    else:
        rows = read_rows(artifact.path) if file.suffix == ".parquet" else iter(read_lines(file))
        matching = [row for row in rows if all(row[name] == value for name, value in figure["where"].items())]
        assert len(matching) == 1
        found = matching[0][figure["column"]]
        for name in ("n", "invalid", "ci_low", "ci_high"):
            if name in figure and file.suffix == ".parquet":
                assert figure[name] == matching[0][name]
    assert found == figure["value"]


@pytest.mark.parametrize("which", ["artifacts", "variants"])
def test_each_figure_traces_to_its_source(which: str, request: pytest.FixtureRequest) -> None:
    artifacts: list[InputArtifact] = request.getfixturevalue(which)
    by_name = {artifact.name: artifact for artifact in artifacts}
    figures = json.loads(build(artifacts).json)["figures"]
    ids = [figure["id"] for figure in figures]
    assert len(set(ids)) == len(ids) > 100
    values = {figure["id"]: figure["value"] for figure in figures}
    for figure in figures:
        if "derived" in figure:
            assert set(figure["from"]) <= set(ids)
            assert figure["value"] == pytest.approx(eval(figure["derived"], {"__builtins__": {}}, values))
        else:
            check_figure(figure, by_name)


def test_the_headline_is_there(page: Page) -> None:
    figures = json.loads(page.json)["figures"]

    def values(name: str, group: str) -> list[float]:
        return [f["value"] for f in figures if f["name"] == name and f.get("group") == group]

    assert values("characters_per_token", "ja") == [0.8712, 2.1426]
    assert values("bits_per_character", "ja") == [6.31, 5.12, 1.48, 1.61]
    assert values("exact_match", "ja") == [0.0, 0.78, 0.86]
    (accuracy,) = [f for f in figures if f["name"] == "preference_accuracy"]
    assert (accuracy["value"], accuracy["n"], accuracy["group"]) == (0.92, 150, "holdout")
    assert accuracy["ci_low"] < 0.92 < accuracy["ci_high"]
    cards = page.html[page.html.index('id="headline"') : page.html.index('id="graph"')]
    for text in ("0.871", "2.143", "6.310", "1.610", "86.0%", "92.0%", "n=150"):
        assert text in cards


def test_cards_follow_the_graph(page: Page) -> None:
    cards = page.html[page.html.index('id="headline"') : page.html.index('id="graph"')]
    bits = cards[cards.index("Bits per character") :]
    places = [bits.index(f'title="{name}"') for name in ("base", "grafted", "pretrained", "dpo")]
    assert places == sorted(places)


def test_the_same_number_is_one_figure(artifacts: list[InputArtifact]) -> None:
    figures = Figures()
    stage = next(s for s in read_stages(artifacts) if s.name == "base")
    first = figures.metric(stage, "steps")
    assert first is figures.metric(stage, "steps")
    assert figures.metric(stage, "no such") is None
    assert len(figures.all) == 1


def test_a_bool_is_no_number(fakes: ModuleType, tmp_path: Path) -> None:
    from watari.artifact.kinds import Kind

    run = fakes.FakeRun(tmp_path)
    run.stage("m", "model.graft", Kind.MODEL, metrics={"parameters": True})
    assert json.loads(build(run.all()).json)["figures"] == []


def test_evaluations_of_different_data_stand_apart(fakes: ModuleType, tmp_path: Path) -> None:
    from watari.artifact.kinds import Kind

    run = fakes.FakeRun(tmp_path)
    run.stage("m", "model.load", Kind.MODEL)
    for data in ("news", "novels"):
        run.stage(data, "corpus.build", Kind.DOCUMENTS)
        rows = [fakes.score("bits_per_character", "ja", 2.0, 10)]
        run.stage(
            f"bits_{data}",
            "eval.perplexity",
            Kind.SCORES,
            inputs={"model": ["m"], "documents": [data]},
            rows=rows,
        )
    html = build(run.all()).html
    assert "eval.perplexity: news" in html
    assert "eval.perplexity: novels" in html


def test_pointers_escape_their_keys() -> None:
    assert pointer("metrics", "a/b~c") == "/metrics/a~1b~0c"
    assert list(leaves({"a": {"b": 1, "c": {}}})) == [(("a", "b"), 1), (("a", "c"), {})]


def test_numbers_are_written_for_reading() -> None:
    assert written(1234567) == "1,234,567"
    assert written(0.86, "exact_match") == "86.0%"
    assert written(2.14264) == "2.143"
    assert written(5e-5) == "5.00e-05"
    assert written(499456.7) == "499,457"
    assert written(0.0) == "0.000"
    assert written(-3.25) == "-3.250"
    assert not is_share("bits_per_character")
    assert size(70000) == "68.4 KiB"
    assert size(12) == "12 B"
