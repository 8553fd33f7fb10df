"""Leakage in the run report: scans, sweeps, mined rows and repairs, with intervals and links to their own pages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from in_chromium import dump, needs_chromium
from watari.artifact.stage import InputArtifact
from watari.report.page import Page, build, with_run_times


@pytest.fixture(scope="module")
def leaks_page(leaking: list[InputArtifact]) -> Page:
    return build(leaking)


def section(page: Page, name: str) -> str:
    return page.html.partition(f'<section id="{name}"')[2].partition("</section>")[0]


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def test_scans_stand_side_by_side_with_intervals(leaks_page: Page, leaking: list[InputArtifact]) -> None:
    shown = section(leaks_page, "leakage")
    metrics = {one.name: one.manifest.metrics for one in leaking}
    figures = json.loads(leaks_page.json)["figures"]
    for name in ("leaks_before", "leaks_after"):
        said = metrics[name]["responses_with_any"]
        (whole,) = [
            one
            for one in figures
            if one.get("stage") == name
            and one.get("where") == {"metric": "responses_with_any", "group": "all"}
        ]
        assert (whole["value"], whole["ci_low"], whole["ci_high"]) == tuple(said.values())
        assert f"{100 * said['value']:.1f}%" in shown
        assert f"[{100 * said['ci_low']:.1f}% – {100 * said['ci_high']:.1f}%]" in shown
    words = text(shown)
    assert words.count("of which leaked: Japanese") == 1
    assert words.count("of which leaked: Korean") == 1
    assert re.search("混入した言語： Korean 韓国語", words)
    # No scan found a switch.
    assert "switch" not in words


def test_no_figure_of_a_scan_or_sweep_is_in_the_general_tables(leaks_page: Page) -> None:
    assert "leakage.scan:" not in leaks_page.html
    assert "sweep.run:" not in leaks_page.html
    assert "responses_with_any" not in section(leaks_page, "tables")


def test_the_curve_by_temperature_has_every_point_with_its_interval(leaks_page: Page) -> None:
    shown = section(leaks_page, "leakage")
    assert shown.count('class="whisker') == 12
    data = json.loads(leaks_page.html.partition('id="watari-charts">')[2].partition("</script>")[0])
    assert data["leaks1"]["x"] == "temperature"
    assert [line["name"] for line in data["leaks1"]["lines"]] == ["leaks_before", "leaks_after"]
    assert data["leaks1"]["lines"][0]["x"] == [0.1, 0.7, 1.0]
    assert re.fullmatch(r"[\d.]+ \[[\d.]+, [\d.]+\]%", data["leaks1"]["lines"][0]["leak_share"][2])
    assert re.search(r"leaks_before \+[\d.]+ points \[\+[\d.]+, \+[\d.]+\], p &lt; 0\.001", text(shown))


def test_the_sweep_says_what_is_recommended_and_why(leaks_page: Page) -> None:
    words = text(section(leaks_page, "leakage"))
    assert "T0 leaks in 2.0 % of responses, the default (T0.7) in 8.0 %" in words
    assert re.search(r"T0 recommended 推奨 on the front パレート前線 greedy 2\.0% \[0\.8% – 5\.0%\]", words)
    assert re.search(r"T0\.7 default 既定 on the front パレート前線 shisa 8\.0%", words)
    assert "T1 22.0%" in words
    # None is cut off in any setting: a share, with what could have been missed.
    assert words.count("0.0% [0.0% – 1.9%]") == 4
    assert (
        '<span class="w" lang="ja"><bdi>T0 では応答の 2.0 % に混入があります。</bdi></span>'
        in leaks_page.html
    )


def test_a_repair_is_told_before_and_after(leaks_page: Page) -> None:
    words = text(section(leaks_page, "leakage"))
    assert re.search(
        r"repaired · held back 評価用 13 0\.490 0\.070 .* 84\.6% \[57\.8% – 95\.7%\] n=13", words
    )
    assert re.search(r"mended 72 23 20 31 glyph 10 token 21", words)
    curves = section(leaks_page, "curves")
    assert "Repair of leaks: repaired" in curves
    assert "Training: repaired" not in curves
    assert "nats per token" not in curves
    assert "Probability: leaking tokens bold" in curves


def test_the_headline_has_leakage_by_language_the_sweep_and_the_repair(leaks_page: Page) -> None:
    words = text(section(leaks_page, "headline"))
    assert words.count("Language leakage") == 2
    assert "answers in English" in words
    assert re.search(r"Leakage by sampler .* 8\.0% → 2\.0%", words)
    assert re.search(r"Leaks after repair .* 0\.490 → 0\.070", words)


def test_stages_of_leakage_are_no_others(leaks_page: Page) -> None:
    graph = section(leaks_page, "graph")
    assert 'class="key room-eval"' in graph
    assert 'class="key room-data"' in graph
    assert "room-other" not in graph


def test_a_run_without_leakage_has_no_word_of_it(page: Page) -> None:
    assert 'id="leakage"' not in page.html
    assert "Language leakage" not in page.html.partition('id="watari-words">')[0]


def test_a_sweep_that_keeps_the_default_says_so(fakes: object, tmp_path: Path) -> None:
    import sys

    made = sys.modules["fake_leakage"]
    run = fakes.FakeRun(tmp_path)  # type: ignore[attr-defined]
    from watari.artifact.kinds import Kind

    run.stage("chat", "model.load", Kind.MODEL)
    made.sweep(run, "swept", "chat", keeps=True)
    words = text(section(build(run.all()), "headline"))
    assert "No setting is told apart from the default, which stays." in words
    assert "→" not in words


@needs_chromium
def test_own_pages_are_links_in_the_run_folder_alone(
    leaks_page: Page, leaking: list[InputArtifact], tmp_path: Path
) -> None:
    named = {"stages/leaks_before/index.html", "stages/leaks_after/index.html", "stages/swept/sweep.html"}
    assert named == set(re.findall(r'data-page="([^"]*)"', leaks_page.html))
    alone = dump(leaks_page.html, tmp_path)
    assert 'href="stages/' not in alone
    stages = [{"name": one.name, "seconds": 1.0, "performance": {}, "state": "done"} for one in leaking]
    linked = dump(with_run_times(leaks_page.html, {"stages": stages}), tmp_path)
    assert set(re.findall(r'<a href="(stages/[^"]*)"', linked)) == named


@needs_chromium
def test_the_curve_is_read_and_nothing_is_wider_than_a_phone(leaks_page: Page, tmp_path: Path) -> None:
    script = """
      const chart = document.querySelector("#leakage .chart");
      chart.focus();
      chart.dispatchEvent(new KeyboardEvent("keydown", { key: "End" }));
      const said = [chart.parentElement.querySelector(".readout").textContent];
      chart.blur();
      const frame = document.createElement("iframe");
      frame.style.cssText = "width:360px;height:800px;border:0";
      const html = "<!DOCTYPE html>" + document.documentElement.outerHTML.replace(/<script>[^]*?<\\/script>/g, "");
      document.body.replaceChildren(frame);
      frame.contentDocument.open(); frame.contentDocument.write(html); frame.contentDocument.close();
      for (const part of frame.contentDocument.querySelectorAll("details")) part.open = true;
      said.push(frame.contentDocument.documentElement.scrollWidth);
      document.body.dataset.said = JSON.stringify(said);
    """
    found = re.search(r'data-said="([^"]*)"', dump(leaks_page.html, tmp_path, extra=script))
    assert found is not None
    readout, width = json.loads(found[1].replace("&quot;", '"'))
    assert readout.startswith("temperature 1leaks_before responses with a leak 50.0 [")
    assert "leaks_after" in readout
    assert width <= 360
