"""The counts as text for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

from watari.pages.numbers import percent, whole
from watari.pages.visible import columns, fitted, visible
from watari.synth.checked.tally import Tally

WIDTH = 80
_PAIRS = 8


def report_lines(tally: Tally, *, examples: int = 1) -> Iterator[str]:
    """Yield the report's lines, none wider than `WIDTH` columns.

    Args:
        tally: What was counted.
        examples: Of each code that is told of most rows.
    """
    share = f" ({percent(tally.accepted / tally.rows)})" if tally.rows else ""
    yield f"{whole(tally.rows)} rows: {whole(tally.accepted)} accepted{share}, {whole(tally.clean)} without any finding"
    if tally.unreadable:
        yield f"{whole(tally.unreadable)} could not be read; they are not accepted"
    if len(tally.kinds) > 1:
        for kind, (rows, kept) in sorted(tally.kinds.items()):
            yield f"  {_padded(kind, 12)} {whole(rows):>9} rows  {percent(kept / rows):>6} accepted"
    if not tally.codes:
        return
    yield ""
    yield f"{'code':28} {'hard rows':>9} {'share':>7} {'alone':>7} {'warned':>7} {'findings':>9}"
    for code, count in tally.by_code():
        yield (
            f"{_padded(code, 28)} {whole(count.hard):>9} {percent(count.hard / tally.rows):>7} "
            f"{whole(count.alone):>7} {whole(count.warn):>7} {whole(count.findings):>9}"
        )
    yield "alone: rows that no other check refuses"
    if pairs := tally.agreements()[:_PAIRS]:
        yield ""
        yield "told together                                            rows  of the rarer"
        for pair in pairs:
            name = _padded(f"{pair.first} + {pair.second}", 52)
            yield f"{name} {whole(pair.both):>8}  {percent(pair.share):>12}"
    yield ""
    yield "examples"
    for code, count in tally.by_code():
        for _, example in count.examples[:examples]:
            yield fitted(f"  {code}  {visible(example.id, lines=False)}", WIDTH)
            yield fitted(f"      {visible(example.finding.message, lines=False)}", WIDTH)


def _padded(text: str, width: int) -> str:
    text = fitted(visible(text, lines=False), width)
    return text + " " * (width - columns(text))
