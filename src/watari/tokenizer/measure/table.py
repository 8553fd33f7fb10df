"""The comparison as tables for a terminal, 80 columns wide and up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from watari.tokenizer.measure.figures import Figures
from watari.tokenizer.measure.names import fitted, width

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from watari.tokenizer.measure.comparison import Comparison

_LEGEND = (
    ("c/t", "characters per token, with its 95 % interval over documents (none for one document)"),
    ("B/t", "UTF-8 bytes per token"),
    ("t/word", "tokens per word, or t/char: per character, in languages without blanks between words"),
    ("bytes%", "tokens that are no whole characters"),
    ("unused", "entries of the vocabulary that never came out of these documents"),
    ("same%", "documents that decode to themselves"),
    ("page", "tokens of 1,000 characters, and the share of a context of {context:,} tokens that they take"),
    ("cost", "tokens over the first tokenizer's: what generating the same text costs"),
)
_LEAST = 0.02
"""A language of a file has a table of its own if so many of the characters are in it."""
_NAME, _OTHERS = 14, 66
"""Columns of the first column of a table 80 wide, and of all others."""


def print_tables(comparison: Comparison, console: Console) -> None:
    """Print one table a file and language, one of all files where there are several, and what the columns mean."""
    from rich.text import Text

    parts: list[tuple[str | None, str | None]] = []
    hidden: dict[str, list[str]] = {}
    for named in comparison.files:
        parts.append((named, None))
        spoken = comparison.languages(named)
        if len(spoken) > 1:
            large = [language for language in spoken if comparison.share(named, language) >= _LEAST]
            parts += [(named, language) for language in large]
            hidden[named] = [language for language in spoken if language not in large]
    if len(comparison.files) > 1:
        parts.append((None, None))
    full = [item.tokenizer for item in comparison.measurements]
    room = max(_NAME, console.width - _OTHERS)
    names = fitted(full, room)
    for shown, name in zip(names, full, strict=True):
        if shown != name:
            console.print(Text(f"{shown}  {name}", style="dim"))
    for file, language in parts:
        figures = comparison.figures(file, language)
        console.print()
        console.print(_title(figures[0], file, console.width))
        console.print(_table(figures, names))
        if language is None and file is not None and hidden.get(file):
            few = f"less than {_LEAST:.0%} of it each, in --json: {', '.join(hidden[file])}"
            console.print(Text(few, style="dim"))
    console.print()
    for name, item in zip(names, comparison.measurements, strict=True):
        if item.unreachable is not None:
            console.print(
                Text(f"{name}: {item.unreachable:,} entries that their own text does not give (unreachable)")
            )
    for key, meaning in _LEGEND:
        console.print(_meaning(key, meaning.format(context=comparison.context)))


def _title(first: Figures, file: str | None, columns: int) -> Text:
    from rich.text import Text

    documents = "1 document" if first.documents == 1 else f"{first.documents:,} documents"
    spoken = "several languages" if first.language == "mul" else first.language
    size = f"{spoken} · {documents} · {first.chars:,} characters · {first.bytes / 1e6:,.2f} MB"
    name = "all files together" if file is None else file
    between = "  " if width(name) + width(size) + 2 <= columns else "\n"
    return Text(name, style="bold", overflow="fold") + Text(between + size, style="not bold")


def _meaning(key: str, meaning: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=7)
    grid.add_row(Text(key, style="bold"), Text(meaning, style="dim"))
    return grid


def _table(figures: Sequence[Figures], names: Sequence[str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("tokenizer", min_width=max(width(name) for name in names), no_wrap=True)
    unit = "t/word" if figures[0].fertility_unit == "word" else "t/char"
    for head in ("c/t", "95 %", "B/t", unit, "bytes%", "unused", "same%", "page", "cost"):
        table.add_column(head, justify="right", no_wrap=True)
    for name, item in zip(names, figures, strict=True):
        page = item.tokens_per_page
        table.add_row(
            Text(name),
            _number(item.chars_per_token, 3),
            _span(item.chars_per_token_low, item.chars_per_token_high),
            _number(item.bytes_per_token, 2),
            _number(item.fertility, 2),
            _percent(item.byte_fallback),
            _count(item.unused),
            _percent(item.round_trip),
            "–" if page is None else f"{page:,.0f} {100 * page / item.context:.0f}%",
            _number(item.relative_tokens.value if item.relative_tokens else None, 2),
        )
    return table


def _number(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:,.{places}f}"


def _count(value: int) -> str:
    return (
        f"{value:,}" if value < 10_000 else f"{value / 1000:.1f}k" if value < 100_000 else f"{value // 1000}k"
    )


def _percent(value: float | None) -> str:
    """Return a share in percent; 100 and 0 stand only where it is all or nothing of it."""
    if value is None:
        return "–"
    return f"{100 * value:.0f}" if value in (0, 1) else f"{100 * min(max(value, 0.001), 0.999):.1f}"


def _span(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:.3f}–{high:.3f}"
