"""The page in a real browser: its script runs under its policy, and its switches work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from in_chromium import dump, needs_chromium, said_in
from made_corpus import small_rows, write_corpus
from watari.corpus.report.page import page

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page(write_corpus(tmp_path_factory.mktemp("corpus"), small_rows()))


def test_its_script_runs_under_its_policy(html: str, tmp_path: Path) -> None:
    dom = dump(html, tmp_path, "#ja/dark/bytes/examples-2")
    root = dom[: dom.index("<head>")]
    for attribute in (
        'data-ready="yes"',
        'data-lang="ja"',
        'lang="ja"',
        'data-theme="dark"',
        'data-measure="bytes"',
    ):
        assert attribute in root
    assert re.search(r'<details class="group arrived" id="examples-2" open="">', dom)
    assert 'aria-label="言語"' in dom


def test_switches_work(html: str, tmp_path: Path) -> None:
    script = """
      const shown = (element) => element.getClientRects().length > 0;
      const word = (lang) => shown(document.querySelector(`#flow-title .w[lang=${lang}]`));
      const flows = () => [...document.querySelectorAll(".sankey")].filter(shown).map((svg) => svg.dataset.measure).join();
      const said = [word("en"), word("ja"), flows()];
      document.querySelector("[data-set-lang=ja]").click();
      said.push(word("en"), word("ja"), location.hash);
      document.querySelector("[data-set-measure=bytes]").click();
      said.push(flows(), document.querySelector("[data-set-measure=bytes]").getAttribute("aria-pressed"), location.hash);
      document.querySelector("[data-set-measure=tokens]").click();
      said.push(flows(), shown(document.querySelector("p.note[data-measure=tokens]")));
      const before = getComputedStyle(document.body).backgroundColor;
      document.getElementById("theme").click();
      said.push(before !== getComputedStyle(document.body).backgroundColor, location.hash);
      said.push(document.title, document.querySelectorAll("img, b, u, script").length);
      document.body.dataset.said = JSON.stringify(said);
    """
    assert said_in(dump(html, tmp_path, extra=script)) == [
        *(True, False, "documents"),
        *(False, True, "#ja"),
        *("bytes", "true", "#ja/bytes"),
        *("tokens", True),
        *(True, "#ja/dark/tokens"),
        # The page's own script and this one; nothing else of the rows' markup came to life.
        *("made", 2),
    ]


def test_nothing_is_wider_than_a_phone(html: str, tmp_path: Path) -> None:
    """At 360 px nothing but the scrolling boxes reaches past the edge, with everything unfolded, in both languages."""
    script = """
      const said = [];
      const inside = onPhone();
      for (const lang of ["en", "ja"]) {
        inside.documentElement.dataset.lang = lang;
        said.push(inside.documentElement.scrollWidth);
        const shown = [...inside.querySelectorAll(".sankey")].filter((svg) => svg.getClientRects().length);
        said.push(shown.map((svg) => svg.getAttribute("class")).join());
        for (const text of shown[0].querySelectorAll("text"))
          if (text.getBoundingClientRect().right > 360) said.push(text.textContent);
      }
      document.body.dataset.said = JSON.stringify(said);
    """
    first, *rest = said_in(dump(html, tmp_path, extra=script))
    # The frame's own scroll bar takes some of its width.
    assert isinstance(first, int)
    assert 340 <= first <= 360
    assert rest == ["sankey narrow", first, "sankey narrow"]


def test_words_of_the_flow_do_not_overlap(html: str, tmp_path: Path) -> None:
    script = """
      const said = [];
      for (const lang of ["en", "ja"]) {
        document.documentElement.dataset.lang = lang;
        const svg = [...document.querySelectorAll(".sankey")].find((one) => one.getClientRects().length);
        const edge = svg.getBoundingClientRect();
        const boxes = [...svg.querySelectorAll("text")].map((one) => [one.textContent, one.getBoundingClientRect()]);
        for (const [name, box] of boxes) {
          if (box.left < edge.left - 1 || box.right > edge.right + 1) said.push(["outside", name]);
          for (const [other, next] of boxes)
            if (other !== name && box.left < next.right - 1 && next.left < box.right - 1 && box.top < next.bottom - 5 && next.top < box.bottom - 5)
              said.push([name, other]);
        }
      }
      document.body.dataset.said = JSON.stringify(said);
    """
    assert said_in(dump(html, tmp_path, extra=script)) == []
