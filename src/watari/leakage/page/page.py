"""Assembles the page of a scan: figures, curves, and the worst spans in their responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from watari.leakage.curves import Curve, Trend
from watari.leakage.page.drawing import COLOURS, MEASURES, Measure, curve_chart
from watari.leakage.page.words import LABELS, word
from watari.leakage.summary import Summary
from watari.leakage.tally import Count
from watari.leakage.worst import Quote
from watari.pages.labels import language_name
from watari.pages.numbers import whole
from watari.pages.page import Template
from watari.pages.visible import visible
from watari.text.leakage import Event

LONGEST = 6_000
"""Characters of a response, and of a prompt, that are kept."""
_SERIES = COLOURS


@dataclass(frozen=True)
class Line:
    """A row of the table of figures; `depth` is how far it stands in."""

    label: Markup
    count: Count
    depth: int = 0


@dataclass(frozen=True)
class Drawn:
    """All curves by one column."""

    column: str
    curves: tuple[Curve, ...]
    id: str

    @cached_property
    def charts(self) -> list[tuple[Measure, Markup]]:
        """A drawing for each figure."""
        return [
            (measure, curve_chart(self.curves, measure, f"{self.id}-{measure.name}")) for measure in MEASURES
        ]

    @property
    def trends(self) -> bool:
        """Whether there is a trend."""
        return any(curve.rate is not None for curve in self.curves)


@dataclass(frozen=True)
class Shown:
    """A quoted event and its whole response."""

    quote: Quote

    @property
    def about(self) -> str:
        """Model, temperature and run of the response, or its id."""
        row = self.quote.scanned.row
        found = [
            f"{name} {row.columns[name]}" for name in ("model", "temperature", "run") if name in row.columns
        ]
        return visible(" · ".join(found) or row.id, lines=False)

    @property
    def prompt(self) -> list[tuple[str, str]]:
        """What was asked: (role, text)."""
        return [
            (visible(message["role"], lines=False), visible(message["content"][:LONGEST]))
            for message in self.quote.scanned.row.messages
        ]

    @property
    def response(self) -> Markup:
        """The response with every event marked."""
        return marked(self.quote.scanned.row.response, self.quote.scanned.events)


def page(summary: Summary, quotes: Sequence[Quote], *, title: str = "") -> str:
    """Return the page as HTML. The same scan gives the same text.

    Args:
        summary: Of the scan.
        quotes: The events to show, worst first.
        title: Stands above everything; default: the page's own name.
    """
    return _TEMPLATE.render(
        title=visible(title, lines=False),
        summary=summary,
        lines=_lines(summary),
        drawn=_drawn(summary.curves),
        quotes=[Shown(quote) for quote in quotes],
        classes=[name for name, count in summary.by_class.items() if count.events],
        told=[(f"told_{name}", n) for name, n in summary.told.items()],
        unreadable=sum(summary.unreadable.values()),
    )


def _lines(summary: Summary) -> list[Line]:
    found = [Line(word("all"), summary.total)]
    found += [Line(word(name), count, 1) for name, count in summary.by_class.items() if count.events]
    for own, count in summary.by_expected.items():
        found.append(Line(Markup("{} {}").format(word("expected"), language_name(own)), count))
        found += [
            Line(Markup("{} {}").format(word("leaked"), language_name(leaked)), inner, 1)
            for (expected, leaked), inner in summary.crossed.items()
            if expected == own
        ]
    return found


def _drawn(curves: Sequence[Curve]) -> list[Drawn]:
    found: dict[str, list[Curve]] = {}
    for curve in curves:
        found.setdefault(curve.column, []).append(curve)
    return [
        Drawn(column, tuple(some[: _SERIES + 1]), f"curve-{place}")
        for place, (column, some) in enumerate(found.items(), 1)
    ]


def marked(text: str, events: Sequence[Event]) -> Markup:
    """Return a text as markup with its events marked; what cannot be seen is made visible."""
    parts: list[Markup] = []
    place = 0
    for event in events:
        if event.start >= LONGEST:
            break
        parts.append(Markup.escape(visible(text[place : event.start])))
        parts.append(
            Markup('<mark class="of-{} {}" title="{}">{}</mark>').format(
                event.cls,
                event.severity,
                f"{event.cls} · {event.language} · {event.why}",
                visible(text[event.start : event.end]),
            )
        )
        place = event.end
    end = max(place, min(len(text), LONGEST))
    parts.append(Markup.escape(visible(text[place:end])))
    if end < len(text):
        parts.append(
            Markup('<span class="quiet"> … {}</span>').format(LABELS.t("cut", n=whole(len(text) - end)))
        )
    return Markup("").join(parts)


def trend_text(trend: Trend | None, measure: Measure) -> str:
    """Return a trend in a line: `+0.150 [+0.060, +0.240], p = 0.002`; a dash if there is none."""
    if trend is None:
        return "–"
    scale, digits, unit = (100.0, 1, " %") if measure.per_cent else (1.0, 3, "")
    p = "p < 0.001" if trend.p < 0.001 else f"p = {trend.p:.3f}"
    ends = f"[{trend.low * scale:+.{digits}f}, {trend.high * scale:+.{digits}f}]"
    return f"{trend.slope * scale:+.{digits}f}{unit} {ends}, {p}".replace("-", "−")


def series_name(curve: Curve) -> Markup:
    """Return what a curve is called."""
    if not curve.series:
        return word("series_all")
    said = ", ".join(str(value) for value in curve.series.values())
    return Markup("<bdi>{}</bdi>").format(visible(said, lines=False))


_TEMPLATE = Template(
    "watari.leakage.page",
    LABELS,
    {
        "whole": whole,
        "visible": visible,
        "word": word,
        "rate": MEASURES[0],
        "share": MEASURES[1],
        "series_name": series_name,
        "trend_text": trend_text,
        "colours": COLOURS,
    },
)
