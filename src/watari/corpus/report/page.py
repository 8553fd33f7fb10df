"""Assembles the page: one HTML file with everything in it, which no text, URL or reason can act on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from watari.artifact import atomic
from watari.corpus.report import numbers, terms
from watari.corpus.report.breakdowns import clusters_of, contamination_of, grouped, masked_of
from watari.corpus.report.examples import Example, dropped_examples, kept_examples
from watari.corpus.report.flow import MEASURES, Flow, flow_of
from watari.corpus.report.histogram import histogram_svg
from watari.corpus.report.rules import RuleFigure, arriving_at_rules, rule_figures
from watari.corpus.report.sankey import NARROW, WIDE, sankey_svg, written
from watari.corpus.report.tables import MEMORY, THREADS, Tables, opened
from watari.corpus.report.words import LABELS
from watari.pages.numbers import percent, whole
from watari.pages.page import Template
from watari.pages.visible import first_lines, head, visible

PAGE = "report.html"
EXAMPLES = 20
_HEAD = 280
_LINES = 12
_HOSTS = 30
_LONGEST = 300


@dataclass(frozen=True)
class Drawn:
    """The flow in one measure, for wide and for narrow screens."""

    measure: str
    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class ExampleGroup:
    """Examples of one reason (empty: kept), and how many rows there are of it."""

    reason: str
    documents: int
    examples: list[Example]


def report(folder: Path, *, title: str = "", memory: str = MEMORY, threads: int = THREADS) -> Path:
    """Write `report.html` into the folder of a finished build, and return where it lies.

    Args:
        folder: What `corpus.build` wrote.
        title: Shown above everything; default: the corpus's name.
        memory, threads: See `tables.opened`.

    Raises:
        UserError: if that is no finished build, or a table cannot be read.
    """
    path = folder / PAGE
    atomic.write_text(path, page(folder, title=title, memory=memory, threads=threads))
    return path


def page(folder: Path, *, title: str = "", memory: str = MEMORY, threads: int = THREADS) -> str:
    """Return the page of a finished build. The same files give the same text: no times, no places on a disk."""
    with opened(folder, memory=memory, threads=threads) as tables:
        return _render(tables, title)


def _render(tables: Tables, title: str) -> str:
    record = tables.record
    flow = flow_of(tables)
    measured = record.profile.rules if record.profile else []
    arriving = arriving_at_rules(flow, measured)
    figures = rule_figures(tables, arriving)
    measures = [measure for measure in MEASURES if measure != "tokens" or record.rates]
    return _TEMPLATE.render(
        title=visible(title or record.name, lines=False),
        record=record,
        flow=flow,
        arriving=arriving,
        rates=", ".join(f"{name} {numbers.figure(rate)}" for name, rate in record.rates.items()),
        measures=measures,
        drawings=_drawings(flow, measures) if flow.read.documents else [],
        figures=figures,
        histograms=_histograms(figures),
        groups=_example_groups(tables, flow),
        examples_each=EXAMPLES,
        breakdowns=[
            ("source", grouped(tables, "source")),
            ("language", grouped(tables, "language")),
            ("license", grouped(tables, "license")),
            ("host", grouped(tables, "host", _HOSTS)),
        ],
        clusters=clusters_of(tables),
        tasks=contamination_of(tables),
        masked=masked_of(tables),
        parameters=_parameters(record.parameters),
    )


def _drawings(flow: Flow, measures: list[str]) -> list[Drawn]:
    return [
        Drawn(
            measure,
            sankey_svg(flow, measure, WIDE, labelled_by="flow-title"),
            sankey_svg(flow, measure, NARROW, labelled_by="flow-title"),
        )
        for measure in measures
    ]


def _histograms(figures: list[RuleFigure]) -> list[Markup]:
    return [histogram_svg(figure, labelled_by=f"rule-{place}") for place, figure in enumerate(figures)]


def _example_groups(tables: Tables, flow: Flow) -> list[ExampleGroup]:
    """Return the examples: those kept, then by reason in the order of the steps."""
    found = []
    if flow.kept.documents:
        found.append(ExampleGroup("", flow.kept.documents, kept_examples(tables, EXAMPLES)))
    dropped = dropped_examples(tables, EXAMPLES)
    counted: dict[str, int] = {}
    for loss in flow.losses:
        counted[loss.reason] = counted.get(loss.reason, 0) + loss.amount.documents
    return [*found, *(ExampleGroup(reason, n, dropped.get(reason, [])) for reason, n in counted.items())]


def _parameters(given: dict[str, Any]) -> list[tuple[str, str]]:
    """Return parameters as (name, JSON), long ones shortened."""
    return [
        (name, head(json.dumps(value, ensure_ascii=False), _LONGEST, lines=False))
        for name, value in given.items()
    ]


_TEMPLATE = Template(
    "watari.corpus.report",
    LABELS,
    {
        "term": terms.term,
        "figure_term": terms.figure_term,
        "language_term": terms.language_term,
        "written": written,
        "whole": whole,
        "size": numbers.size,
        "percent": percent,
        "signed": numbers.signed,
        "figure": numbers.figure,
        "visible": lambda text: visible(str(text), lines=False),
        "head": lambda text: first_lines(head(text, _HEAD), _LINES),
        "line": lambda text: head(text, 120, lines=False),
        "hexadecimal": lambda value: f"{value:016x}",
    },
)
