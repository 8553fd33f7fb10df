"""The page of a stage that makes data: its figures, its rows side by side, and that no text can act on it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from in_chromium import dump, needs_chromium, said_in
from watari.synth.checks.finding import Finding, Severity, Span
from watari.synth.report import page, report
from watari.synth.samples import Sample, State, write_samples

METRICS: dict[str, Any] = {
    "rows_in": 12,
    "kept": 10,
    "dropped": 2,
    "dropped_by_reason": {"every rung failed": 1, "<b>refused</b>": 1},
    "rungs": [
        {
            "name": "fast",
            "model": "small",
            "asked": 12,
            "accepted": 8,
            "faults": {"refusal": 3, "preamble": 1},
        },
        {"name": "strong", "model": "large", "asked": 4, "accepted": 2, "faults": {"refusal": 2}},
    ],
    "repaired": 1,
    "escalated": 2,
    "findings": {"refusal": {"hard": 5, "warn": 0}, "register-mix": {"hard": 0, "warn": 3}},
    "routed": {"spelling": 1},
    "tokens": {"prompt": 15_300, "completion": 2_000},
    "cost": 0.0123,
}


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


SAMPLES = [
    Sample(
        "a",
        State.DROPPED,
        [said("user", "Say <script>alert(1)</script>"), said("assistant", "No.")],
        [said("user", "言って & ください"), said("assistant", "できません。")],
        [Finding("refusal", Severity.HARD, "できません: an apology", Span(1, 0, 4))],
        [{"endpoint": "fast", "purpose": "translate", "codes": ["refusal"], "finish_reason": "length"}],
        "every rung failed",
    ),
    Sample("b", State.ACCEPTED, [said("user", "Hello")], [said("user", "こんにちは")]),
    Sample("c", State.REPAIRED, [said("user", "One")], []),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_samples(tmp_path, SAMPLES, seed=0, stage="synth.translate")
    return tmp_path


def text_of(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html)


def test_every_figure_of_the_metrics_is_there(folder: Path) -> None:
    html = page(folder, METRICS, stage="synth.translate")
    for figure in (
        "0.01",
        "15.3k prompt tokens",
        "66.7%",
        "refusal",
        "register-mix",
        "spelling",
        "every rung failed",
    ):
        assert figure in html
    assert "1 by a repair prompt, 2 by a stronger model." in text_of(html)


def test_what_a_check_is_about_is_marked_and_nothing_from_outside_is_markup(folder: Path) -> None:
    html = page(folder, METRICS, stage="synth.translate", title="<i>mine</i>")
    assert '<mark title="refusal">できませ</mark>ん。' in html
    assert "言って &amp; ください" in html
    body = html[html.index("<main") : html.index("<footer>")]
    assert "<script" not in body
    assert "<b>" not in body
    assert "<i>mine" not in body
    assert "&lt;script&gt;alert(1)" in body


def test_overlapping_places_are_marked_once(tmp_path: Path) -> None:
    findings = [
        Finding("one", Severity.HARD, "", Span(0, 1, 4)),
        Finding("two", Severity.WARN, "", Span(0, 3, 6)),
        Finding("far", Severity.WARN, "", Span(0, 5, 900)),
        Finding("nowhere", Severity.WARN, "", Span(0, 50, 90)),
        Finding("left", Severity.WARN, "", Span(0, 0, 2, "source")),
    ]
    sample = Sample("x", State.DROPPED, [said("user", "abcdef")], [said("user", "ABCDEFGH")], findings)
    write_samples(tmp_path, [sample], seed=0, stage="s")
    html = page(tmp_path, {}, stage="s")
    assert 'A<mark title="one, two, far">BCDEFGH</mark></p>' in html
    assert '<mark title="left">ab</mark>cdef' in html


def test_the_page_is_written_beside_the_rows_and_is_the_same_each_time(folder: Path) -> None:
    path = report(folder, METRICS, stage="synth.translate")
    assert path.name == "report.html"
    assert path.read_text("utf-8") == page(folder, METRICS, stage="synth.translate")


def test_a_stage_without_samples_or_figures_has_a_page_too(tmp_path: Path) -> None:
    html = page(tmp_path, {"rows_in": 0}, stage="data.mix")
    assert "No sample was written." in html
    assert "No row was dropped." in html


@needs_chromium
def test_the_buttons_choose_which_rows_are_seen(folder: Path, tmp_path: Path) -> None:
    script = """
      const seen = () => [...document.querySelectorAll(".row")].filter((row) => row.getClientRects().length).map((row) => row.dataset.state).join();
      const said = [seen()];
      document.querySelector("[data-set-state=dropped]").click(); said.push(seen(), location.hash);
      document.querySelector("[data-set-state=all]").click(); said.push(seen());
      document.querySelector("[data-set-lang=ja]").click(); said.push(document.title);
      document.documentElement.dataset.said = JSON.stringify(said);
    """
    html = page(folder, METRICS, stage="synth.translate")
    everything = "dropped,repaired,accepted"
    assert said_in(dump(html, tmp_path, extra=script)) == [
        everything,
        "dropped",
        "#dropped",
        everything,
        "生成データ",
    ]


@needs_chromium
def test_its_script_runs_under_its_policy(folder: Path, tmp_path: Path) -> None:
    dom = dump(page(folder, METRICS, stage="synth.translate"), tmp_path, "#ja/dark/repaired")
    root = dom[: dom.index("<head>")]
    for attribute in ('data-ready="yes"', 'data-lang="ja"', 'data-theme="dark"', 'data-state="repaired"'):
        assert attribute in root
