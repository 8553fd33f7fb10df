"""Assembles the page: one HTML file with everything in it, and its twin in JSON.

Nothing of a run can act on the page: see `watari.pages.page`; JSON blocks hold no `<`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from markupsafe import Markup

from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact
from watari.pages.page import Template, writable
from watari.pages.visible import visible
from watari.report import numbers, words
from watari.report.cards import cards_of
from watari.report.course import Course, course_of
from watari.report.curves import Chart, charts_of
from watari.report.figures import Figures, leaves, pointer, scores_of
from watari.report.graph import NARROW, WIDE, graph_svg
from watari.report.leakage import leakage_cards, leakage_of
from watari.report.leakage_curves import LeakCurve, told_link
from watari.report.logs import read_logs
from watari.report.pages_made import page_of
from watari.report.preflight import preflight_of
from watari.report.samples import FIRST_ROWS, examples_of, samples_of
from watari.report.stages import ReportStage, read_stages
from watari.report.suites import suite_samples
from watari.report.tables import tables_of

FORMAT = 1
_RUN_OPEN = '<script type="application/json" id="watari-run">'
_RUN_CLOSE = "</script>"


@dataclass(frozen=True)
class Page:
    """A finished report: the page, the text of report.json, and how many figures both hold."""

    html: str
    json: str
    count: int


def build(
    artifacts: Sequence[InputArtifact], *, title: str = "", seed: int = 0, samples: int = 6, examples: int = 1
) -> Page:
    """Return the report of a run. The same artifacts give the same text: no times, speeds, or places on a disk.

    Args:
        artifacts: Every artifact of the run, in the order of the recipe.
        title: Shown above everything; "Run report" if empty.
        seed: Of the draws of samples and examples.
        samples: Questions a language.
        examples: Rows of data a stage and language.
    """
    stages = read_stages(artifacts)
    figures = Figures()
    scores = {stage.name: scores_of(stage, figures) for stage in stages if stage.manifest.kind == Kind.SCORES}
    cards = cards_of(stages, scores, figures)
    if own := leakage_cards(stages, scores, figures):
        cards.append(own)
    logs = read_logs(stages)
    course = course_of(logs, figures)
    charts = charts_of(logs, figures, bits=course is None)
    leakage = leakage_of(stages, scores, figures)
    tables = tables_of(stages, scores, figures)
    html = _TEMPLATE.render(
        title=title,
        stages=stages,
        rooms=[room for room in _ROOMS if any(stage.room == room for stage in stages)],
        models=sum(stage.manifest.kind == Kind.MODEL for stage in stages),
        variants=len({stage.variant for stage in stages if stage.variant}),
        cards=cards,
        wide=graph_svg(stages, WIDE, labelled_by="graph-title"),
        narrow=graph_svg(stages, NARROW, labelled_by="graph-title"),
        course=course,
        charts=charts,
        leakage=leakage,
        pages={stage.anchor: page_of(stage) for stage in stages},
        preflight={stage.anchor: preflight_of(stage, figures) for stage in stages},
        tables=tables,
        samples=[
            *samples_of(stages, seed=seed, count=samples),
            *suite_samples(stages, scores, seed=seed, count=samples),
        ],
        examples=examples_of(stages, seed=seed, count=examples),
        first_rows=FIRST_ROWS,
        chart_data=json_block(_chart_data(course, charts, leakage.curves)),
        anchors=json_block({stage.name: stage.anchor for stage in stages}),
        script_words=json_block(words.for_script()),
    )
    listed = {
        "format": FORMAT,
        "title": title,
        "stages": [
            {
                "name": stage.name,
                "uses": stage.uses,
                "kind": stage.manifest.kind.value,
                "key": stage.manifest.key,
                "digest": stage.manifest.digest,
            }
            for stage in stages
        ],
        "figures": figures.to_json(),
    }
    text = json.dumps(listed, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    return Page(html, writable(text), len(figures.all))


def with_run_times(html: str, run: dict[str, Any]) -> str:
    """Return the page with the run's own record in it, which the page's script then shows.

    The artifact's page has `null` there, since times and speeds differ from run to run; this is for the copy in the
    run folder. A page that has a record already gets the new one.

    Args:
        html: A page that `build` made.
        run: {"stages": [{"name", "seconds", "performance", "state"}], "started", "finished", "watari"}.

    Raises:
        ValueError: if `html` is no such page.
    """
    before, opening, rest = html.partition(_RUN_OPEN)
    _, closing, after = rest.partition(_RUN_CLOSE)
    if not (opening and closing):
        raise ValueError("this page has no place for a run's times: it was not made by report.run")
    return writable(f"{before}{_RUN_OPEN}{json_block(run)}{_RUN_CLOSE}{after}")


def run_times(html: str) -> dict[str, Any] | None:
    """Return the record that `with_run_times` put into a page, or None."""
    record = json.loads(html.partition(_RUN_OPEN)[2].partition(_RUN_CLOSE)[0])
    return record if isinstance(record, dict) else None


def json_block(value: Any) -> Markup:
    """Return JSON that can stand inside a script element: it holds no `<`, `>` or `&`."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


_ROOMS = ("data", "tokenizer", "model", "train", "eval", "other")


def _chart_data(course: Course | None, charts: Sequence[Chart], leaks: Sequence[LeakCurve]) -> dict[str, Any]:
    """Return what the read-outs say, by the name that a drawing bears."""
    found = {course.id: course.data} if course else {}
    for chart in charts:
        found[chart.id] = chart.data
        found |= {under.id: under.data for under in chart.under}
    return found | {curve.id: curve.data for curve in leaks}


def _manifest_fields(part: str, value: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (JSON pointer, value as JSON) for every leaf of a manifest's part."""
    return [(pointer(part, *path), _compact(item)) for path, item in leaves(value) if path]


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _outside_files(stage: ReportStage) -> list[tuple[str, str]]:
    """Return (last part of the name, hash): where a file lay on a disk is nobody's business."""
    pairs = []
    for location, digest in stage.manifest.outside.items():
        local = location.startswith(("/", "~")) or PurePath(location).is_absolute()
        pairs.append((PurePath(location).name if local else location, digest))
    return sorted(pairs)


_TEMPLATE = Template(
    "watari.report",
    words.LABELS,
    {
        "link": numbers.link,
        "written": numbers.written,
        "interval": numbers.interval,
        "told_link": told_link,
        "size": numbers.size,
        "visible": visible,
        "manifest_fields": _manifest_fields,
        "outside_files": _outside_files,
        "compact": _compact,
    },
)
