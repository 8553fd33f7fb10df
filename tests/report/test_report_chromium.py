"""The page in a real browser: its script runs, and the language switch works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from in_chromium import dump, needs_chromium, said_in
from watari.report.page import Page, build, with_run_times

pytestmark = needs_chromium


def test_script_runs_under_its_policy(page: Page, tmp_path: Path) -> None:
    dom = dump(page.html, tmp_path)
    root = dom[: dom.index("<head>")]
    assert 'data-ready="yes"' in root
    assert 'lang="en"' in root
    assert '<section id="times" class="timed" aria-labelledby="times-title" hidden="">' in dom


def test_fragment_chooses_language_theme_and_stage(page: Page, tmp_path: Path) -> None:
    dom = dump(page.html, tmp_path, "#ja/dark/stage-sft")
    root = dom[: dom.index("<head>")]
    assert 'data-lang="ja"' in root
    assert 'lang="ja"' in root
    assert 'data-theme="dark"' in root
    assert "<title>実行レポート</title>" in dom
    assert 'aria-label="言語"' in dom
    assert re.search(r'<details class="stage room-train arrived" id="stage-sft" open="">', dom)


def test_switches_work(page: Page, tmp_path: Path) -> None:
    script = """
      const shown = (lang) => getComputedStyle(document.querySelector(`h1 .w[lang=${lang}]`)).display !== "none";
      const said = [];
      said.push(shown("en"), shown("ja"));
      document.querySelector("[data-set-lang=ja]").click();
      said.push(shown("en"), shown("ja"), location.hash);
      const before = getComputedStyle(document.body).backgroundColor;
      document.getElementById("theme").click();
      said.push(before !== getComputedStyle(document.body).backgroundColor, location.hash);
      document.querySelector("#graph .wide a.node").dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
      said.push(document.querySelectorAll("details.stage[open]").length, location.hash);
      const chart = document.querySelector(".charts .chart");
      chart.focus();
      chart.dispatchEvent(new KeyboardEvent("keydown", { key: "Home" }));
      const readout = chart.parentElement.querySelector(".readout");
      said.push(!readout.hidden, readout.textContent.includes("損失"));
      document.getElementById("open-all").click();
      said.push(document.querySelectorAll("details.stage:not([open])").length);
      document.body.dataset.said = JSON.stringify(said);
    """
    assert said_in(dump(page.html, tmp_path, extra=script)) == [
        *(True, False),
        *(False, True, "#ja"),
        *(True, "#ja/dark"),
        *(1, "#ja/dark/stage-text-en"),
        *(True, True),
        0,
    ]


def test_the_course_is_read_stage_by_stage(page: Page, tmp_path: Path) -> None:
    script = """
      const said = [];
      const shown = (kind) => getComputedStyle(document.querySelector(`.course .canvas.${kind}`)).display !== "none";
      said.push(shown("wide"), shown("narrow"));
      const chart = document.querySelector(".course .wide .chart");
      const readout = chart.parentElement.querySelector(".readout");
      const press = (key) => chart.dispatchEvent(new KeyboardEvent("keydown", { key }));
      chart.focus();
      for (const key of ["Home", "End"]) { press(key); said.push(readout.textContent); }
      document.querySelector("[data-set-lang=ja]").click();
      press("End");
      said.push(readout.textContent.includes("英語 1.04"));
      const box = chart.getBoundingClientRect();
      chart.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + 0.3 * box.width }));
      said.push(readout.textContent.startsWith("pretrained"), chart.querySelector(".cursor").getAttribute("visibility"));
      const norm = document.querySelector("#chart2n-title").parentElement;
      said.push(norm.open);
      norm.open = true;
      norm.querySelector(".chart").focus();
      said.push(norm.querySelector(".readout").textContent.includes("勾配ノルム"));
      document.body.dataset.said = JSON.stringify(said);
    """
    said = said_in(dump(page.html, tmp_path, extra=script))
    assert said[:2] == [True, False]
    assert said[2].startswith("base · 8,192 tokens" + "base loss ")
    assert "bits/char" not in said[2]
    assert said[3].startswith("dpo · 120,000 tokens" + "dpo loss ")
    assert "margin" in said[3]
    assert "English 1.04 bits/char" in said[3]
    assert said[4:] == [True, True, "visible", False, True]


@pytest.mark.parametrize("which", ["artifacts", "variants"])
def test_nothing_is_wider_than_a_phone(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """At 360 px nothing but the scrolling boxes reaches past the edge, with everything unfolded."""
    page = build(request.getfixturevalue(which))
    script = """
      const inside = onPhone();
      document.body.dataset.said = JSON.stringify(inside.documentElement.scrollWidth);
    """
    assert said_in(dump(page.html, tmp_path, extra=script)) <= 360


def test_times_are_shown_when_given(page: Page, tmp_path: Path) -> None:
    record = {
        "stages": [
            {
                "name": "base",
                "seconds": 75.2,
                "state": "done",
                "performance": {"tokens_per_second": 43690.4, "peak_rss": 3 << 29},
            },
            {"name": "<img src=x onerror=alert(1)>", "seconds": None, "state": "cached", "performance": {}},
        ],
        "started": "2025-01-01T00:00:00.000+00:00",
        "finished": "2025-01-01T00:05:00.000+00:00",
        "watari": "0.1.0",
    }
    dom = dump(with_run_times(page.html, record), tmp_path)
    times = dom[dom.index('<section id="times"') : dom.index('<section id="details"')]
    assert "hidden" not in times[: times.index(">")]
    assert "1 min 15 s" in times
    assert "1 分 15 秒" in times
    assert "43,690" in times
    assert "1.50 GiB" in times
    assert "再利用" in times
    assert "&lt;img src=x" in times
    assert "<img" not in times
    assert "Watari 0.1.0" in dom
