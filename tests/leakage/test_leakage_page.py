"""The page of a scan: labels in both languages, spans marked where they stand, nothing that acts."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from in_chromium import dump, needs_chromium
from watari.leakage.page.page import LONGEST, marked, page
from watari.leakage.page.words import WORDS
from watari.leakage.rows import Row
from watari.leakage.scan import Scanned
from watari.leakage.summary import Collector, summarise
from watari.pages.labels import FRAME
from watari.text.leakage import Event

ATTACK = '<script>document.body.dataset.owned="1"</script><img src=x onerror=alert(1)>'
_JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")


def event(start: int, text: str, **more: Any) -> Event:
    given = {"cls": "token", "language": "ja", "severity": "high", "why": f"a rule{ATTACK}"} | more
    return Event(start=start, end=start + len(text), text=text, **given)


def made(model: str = "m") -> Collector:
    found = Collector(name=f"file{ATTACK}.jsonl")
    for number in range(10):
        for temperature in (0.1, 0.5, 1.0):
            said = (
                f"An answer with 漏れ in it {ATTACK}\u202e"
                if number < 10 * temperature
                else "A clean answer."
            )
            events = (event(15, "漏れ", cls="switch" if number % 2 else "token"),) if "漏れ" in said else ()
            row = Row(
                f"{number}{ATTACK}", str(number), ({"role": "user", "content": f"ask {ATTACK}"},), said,
                columns={"model": f"{model}{ATTACK}", "temperature": temperature},
            )  # fmt: skip
            found.add(Scanned(row, "en", "prompt", events))
    return found


@pytest.fixture(scope="module")
def html() -> str:
    found = made()
    return page(summarise(found), found.worst.quotes(), title=f"題{ATTACK}")


@pytest.mark.parametrize("key", sorted(set(WORDS) - set(FRAME)))
def test_a_label_is_in_both_languages_with_the_same_values(key: str) -> None:
    english, japanese = WORDS[key]
    values = [sorted(re.findall(r"\{(\w+?)\}", text)) for text in (english, japanese)]
    assert values[0] == values[1]
    assert _JAPANESE.search(japanese)
    assert not _JAPANESE.search(english)


def test_every_label_is_shown_somewhere() -> None:
    root = Path(str(resources.files("watari.leakage.page")))
    text = "".join(
        path.read_text("utf-8")
        for path in [*root.glob("*.py"), *root.glob("templates/*")]
        if path.name != "words.py"
    )
    by_name = {"rate", "share", "glyph", "switch", "token", "high", "medium", "low"}
    unused = [
        key
        for key in set(WORDS) - set(FRAME) - by_name
        if f'"{key}"' not in text and not key.startswith("told_") and key not in ("report", "footer")
    ]
    assert unused == []


def test_it_says_the_figures_and_marks_the_spans(html: str) -> None:
    assert "0.533" not in html  # of 30 responses 16 leak: a share, not a rate
    assert "53.3%" in html
    assert '<mark class="of-token high"' in html
    assert html.count("<details") == 10
    assert "⟨U+202E⟩" in html
    assert 'class="line c0"' in html


def test_nothing_in_it_acts(html: str) -> None:
    assert ATTACK not in html
    assert "<img" not in html
    assert html.count("<script") == 1
    assert "default-src &#39;none&#39;" in html
    assert not re.search(r"""(?:src|href)=["'](?!#)""", html)


def test_the_same_scan_is_the_same_page() -> None:
    one, other = made(), made()
    assert page(summarise(one), one.worst.quotes()) == page(summarise(other), other.worst.quotes())


def test_a_scan_without_leaks_or_rows() -> None:
    found = Collector(name="f")
    assert "No leakage was found." in page(summarise(found), [])
    found.add(Scanned(Row("1", "p", (), "fine"), "en", "row", ()))
    assert "No leakage was found." in page(summarise(found), [])


def test_marks_stand_where_the_events_are() -> None:
    said = marked("ab漏れc<d", [event(2, "漏れ", why="w")])
    assert re.sub(r" title=\"[^\"]*\"", "", str(said)) == 'ab<mark class="of-token high">漏れ</mark>c&lt;d'
    cut = str(marked("x" * (LONGEST + 7), [event(LONGEST + 2, "x")]))
    assert "7 characters more" in cut
    assert "<mark" not in cut


@needs_chromium
def test_its_script_runs_under_its_policy(html: str, tmp_path: Path) -> None:
    dom = dump(html, tmp_path, "#ja/dark")
    root = dom[: dom.index("<head>")]
    for attribute in ('data-ready="yes"', 'data-lang="ja"', 'data-theme="dark"', 'data-show="every"'):
        assert attribute in root
    assert "data-owned" not in dom


@needs_chromium
def test_only_one_class_is_shown(html: str, tmp_path: Path) -> None:
    extra = """
      document.querySelector('[data-set-show="switch"]').click();
      const shown = [...document.querySelectorAll(".leak")].filter((one) => one.getClientRects().length > 0);
      document.body.dataset.shown = shown.map((one) => one.className).join(";");
    """
    found = re.search(r'data-shown="([^"]*)"', dump(html, tmp_path, extra=extra))
    assert found is not None
    assert set(found[1].split(";")) == {"leak of-switch"}


@needs_chromium
def test_a_mark_of_any_class_stands_in_its_line(html: str, tmp_path: Path) -> None:
    extra = """
      const marks = [...document.querySelectorAll("mark")];
      document.body.dataset.marks = [...new Set(marks.map((one) => one.classList[0] + " " + getComputedStyle(one).display))];
    """
    found = re.search(r'data-marks="([^"]*)"', dump(html, tmp_path, extra=extra))
    assert found is not None
    assert set(found[1].split(",")) == {"of-switch inline", "of-token inline"}
