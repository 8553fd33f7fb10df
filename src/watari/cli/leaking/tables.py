"""Tables of leakage for people, 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from watari.leakage.comparison import Comparison
from watari.leakage.curves import Curve, Trend, fewer_places, figure_text
from watari.leakage.difference import Difference
from watari.leakage.summary import Summary
from watari.leakage.tally import Count
from watari.leakage.worst import Quote
from watari.pages.visible import columns, fitted, visible

WIDTH = 80
_LABEL = 25
_AROUND = 28


def summary_text(summary: Summary) -> str:
    """Return a summary for people."""
    total = summary.total
    lines = _wrapped(
        f"{fitted(visible(summary.name, lines=False), WIDTH // 2)}: {total.responses:,} responses to {total.prompts:,} prompts,"
        f" {total.characters:,} characters" + _left_out(summary)
    )
    if not total.responses:
        return "\n".join([*lines, "Nothing to judge: no expected language is known; say it with --expected."])
    lines += ["", f"{'':{_LABEL}}{'events':>8}  {'per 1,000 characters':22} {'responses with any'}"]
    lines.append(_row("all", total))
    lines += [_row(f"  {name}", count) for name, count in summary.by_class.items() if count.events]
    for own, count in summary.by_expected.items():
        lines.append(_row(f"expected {own} ({count.responses:,})", count))
        lines += [
            _row(f"  leaked {leaked}", inner)
            for (expected, leaked), inner in summary.crossed.items()
            if expected == own
        ]
    for curve in summary.curves:
        lines += ["", *_curve(curve)]
    if summary.quotes:
        lines += ["", "Worst spans"]
        for quote in summary.quotes:
            lines += _quote(quote)
    lines += ["", *_wrapped("In brackets: 95% interval, a bootstrap over prompts.")]
    return "\n".join(line.rstrip() for line in lines)


def _left_out(summary: Summary) -> str:
    parts = [
        (summary.empty, "empty"),
        (summary.unknown, "of no known expected language"),
        (summary.passed_over, "not wanted"),
        (sum(summary.unreadable.values()), "unreadable"),
    ]
    said = [f"{n:,} {what}" for n, what in parts if n]
    return f"; left out: {', '.join(said)}" if said else ""


def _row(label: str, count: Count) -> str:
    return (
        f"{_cell(label, _LABEL)}{count.events:>8,}  {figure_text(count.rate):22} "
        f"{figure_text(count.share, percent=True)}"
    )


def _curve(curve: Curve) -> Iterator[str]:
    said = "".join(f", {column} {value}" for column, value in curve.series.items())
    yield fitted(visible(f"by {curve.column}{said}", lines=False), WIDTH)
    for value, count in zip(curve.values, curve.counts, strict=True):
        yield _row(f"  {visible(str(value), lines=False)}", count)
    if curve.rate is not None and curve.share is not None:
        yield f"  trend, for 1 more: {_trend(curve.rate)}"
        yield f"                     {_trend(curve.share, percent=True)}"


def _trend(trend: Trend, *, percent: bool = False) -> str:
    scale, digits, unit = (100.0, 1, " points") if percent else (1.0, 3, " per 1,000")
    return (
        f"{trend.slope * scale:+.{digits}f}{unit} [{trend.low * scale:+.{digits}f}, {trend.high * scale:+.{digits}f}]"
        f", p {p_text(trend.p)}"
    )


def _quote(quote: Quote) -> Iterator[str]:
    event, row = quote.event, quote.scanned.row
    shown = [f"{name} {row.columns[name]}" for name in ("model", "temperature", "run") if name in row.columns]
    head = " · ".join([event.severity, event.cls, event.language, *shown, *([] if shown else [row.id])])
    yield fitted("  " + visible(head, lines=False), WIDTH)
    before, span, after = (visible(part, lines=False) for part in (quote.before, quote.span, quote.after))
    span = fitted(span, WIDTH // 2)
    room = max(4, (WIDTH - 8 - columns(span)) // 2)
    yield f"    {_ending(before, room)}⟦{span}⟧{fitted(after, room)}"


def _ending(text: str, width: int) -> str:
    return text if columns(text) <= width else fitted(text[::-1], width)[::-1]


def comparison_text(pair: Comparison) -> str:
    """Return a comparison for people."""
    lines = [
        fitted(f"A  {visible(pair.a, lines=False)}", WIDTH),
        fitted(f"B  {visible(pair.b, lines=False)}", WIDTH),
    ]
    lines += _wrapped(
        f"{pair.prompts:,} prompts in common (only A: {pair.only_a:,}, only B: {pair.only_b:,});"
        f" responses: {pair.whole.a.responses:,} and {pair.whole.b.responses:,}"
    )
    for title, percent in (("Events per 1,000 characters", False), ("Responses with any, %", True)):
        lines += ["", f"{title:28}{'A':>8}{'B':>8}{'A - B':>9}  {'95% interval':17}{'p':>8}"]
        for part in pair.parts:
            lines.append(_compared(part.part, part.share if percent else part.rate, percent))
        for slope in pair.slopes:
            lines.append(
                _compared(f"slope by {slope.column}", slope.share if percent else slope.rate, percent)
            )
    lines += ["", *_wrapped(_verdict(pair))]
    for note in pair.notes:
        lines += _wrapped(fitted(f"note: {visible(note, lines=False)}", 2 * WIDTH))
    return "\n".join(line.rstrip() for line in lines)


def _compared(label: str, found: Difference, percent: bool) -> str:
    places = fewer_places(3, found.a, found.b, found.value, found.low, found.high)
    scale, digits = (100.0, 1) if percent else (1.0, places)
    interval = (
        ""
        if found.low is None or found.high is None
        else f"[{found.low * scale:+.{digits}f}, {found.high * scale:+.{digits}f}]"
    )
    # Where few events are, swaps are the sounder of the two.
    shown = found.p if found.p_permutation is None else found.p_permutation
    return (
        f"{_cell('  ' + visible(label, lines=False), 28)}{found.a * scale:>8.{digits}f}{found.b * scale:>8.{digits}f}"
        f"{found.value * scale:>+9.{digits}f}  {interval:17}{p_text(shown):>8}"
    )


def _verdict(pair: Comparison) -> str:
    said = []
    for what, found in (
        ("events per 1,000 characters", pair.whole.rate),
        ("responses with any", pair.whole.share),
    ):
        if found.low is None:
            said.append(f"By {what}: one prompt says nothing about the difference.")
        elif found.apart:
            more = "A" if found.value > 0 else "B"
            said.append(
                f"By {what} {more} leaks more (p {p_text(found.p)}, swaps {p_text(found.p_permutation)})."
            )
        else:
            said.append(f"By {what} they are not told apart (p {p_text(found.p_permutation)}).")
    return " ".join(said) + (
        " Intervals: bootstrap over prompts; p: sides swapped prompt by prompt."
        " Parts are not corrected for being many."
    )


def p_text(p: float | None) -> str:
    """Return a p value: `= 0.031`, `< 0.001`."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _cell(text: str, width: int) -> str:
    said = fitted(text, width - 1)
    return said + " " * (width - columns(said))


def _wrapped(text: str) -> list[str]:
    return [fitted(line, WIDTH) for line in textwrap.wrap(text, WIDTH, break_on_hyphens=False)] or [""]
