"""The outline: headings, lists, tables, links, bold and the blocks between empty lines are those of the source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.text import Turn

HEADINGS = "headings-changed"
ITEMS = "list-changed"
TABLE = "table-changed"
LINKS = "links-changed"
BOLD = "bold-changed"
BLOCKS = "blocks-changed"

_HEADING = re.compile(r"^[ \t>]{0,6}(#{1,6})(?=[ \t\\*`<]|[^\s#!\[(A-Za-z0-9])", re.M)
_ITEM = re.compile(r"^[ \t>]*(?:[-*+]|\d{1,3}[.)])[ \t]+\S", re.M)
_LOOSE_ITEM = re.compile(
    r"^[ \t>]*(?:[-+](?![-+>])|\*[ \t]|[・•●]|[(（]?(?:\d{1,3}|[０-９]{1,3})[.)．）、])[ \t　]*\S", re.M
)
_ROW = re.compile(r"^[ \t>]*\|.*\|[ \t]*$", re.M)
_RULE_ROW = re.compile(r"^[ \t>]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*$", re.M)
_TORN = re.compile(r"\][ \t　]+\((?=[^\s)]*[/#.][^\s)]*\))|\]（|［")
_BOLD = re.compile(r"\*\*|__(?=\S)|(?<=\S)__")
_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Outline:
    """What of a content's form is counted.

    Args:
        headings: Levels, in order.
        items: List items written as Markdown has them.
        columns: Columns of each table row.
        links: Links and pictures.
        torn: Links whose two halves are parted.
        bold: Marks of bold type.
        blocks: Parts between empty lines.
    """

    headings: tuple[int, ...]
    items: int
    columns: tuple[int, ...]
    links: int
    torn: int
    bold: int
    blocks: int


def outline_of(turn: Turn) -> Outline:
    """Return the outline of a content."""
    text = turn.without_code
    rows = _ROW.findall(turn.outside) if "|" in text else []
    columns = tuple(len(_CELL.findall(row)) - 1 for row in rows if not _RULE_ROW.fullmatch(row))
    return Outline(
        headings=tuple(len(match[1]) for match in _HEADING.finditer(turn.outside))
        if "#" in turn.outside
        else (),
        items=len(_ITEM.findall(turn.outside)),
        columns=columns,
        links=text.count("]("),
        torn=len(_TORN.findall(text)) if "]" in text else 0,
        bold=len(_BOLD.findall(text)) if "**" in text or "__" in text else 0,
        blocks=len(turn.blocks),
    )


def outline(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell what of the outline is not as in the source."""
    found: list[Finding] = []
    for one, other in zip(source, target, strict=False):
        if other.content.strip():
            found += _compare(one, other, meta)
    return found


def _compare(one: Turn, other: Turn, meta: Meta) -> Iterator[Finding]:
    mine, theirs = outline_of(one), outline_of(other)
    if mine.headings != theirs.headings:
        yield _hard(HEADINGS, f"headings of levels {_levels(theirs)} for the source's {_levels(mine)}")
    if mine.items != theirs.items and _loose_items(one) != _loose_items(other):
        # One "- " may be a line that was broken there; an editor may tell a list as a sentence.
        loose = max(mine.items, theirs.items) < 2 or (
            meta.free and theirs.items < mine.items and not mine.headings
        )
        severity = Severity.WARN if loose else Severity.HARD
        yield Finding(ITEMS, severity, f"{theirs.items} list items for the source's {mine.items}")
    if mine.columns != theirs.columns:
        yield _hard(
            TABLE,
            f"{len(theirs.columns)} table rows for the source's {len(mine.columns)}"
            if len(mine.columns) != len(theirs.columns)
            else "a table row has another number of columns",
        )
    if theirs.torn > mine.torn:
        yield _hard(LINKS, "a link is torn: a blank or full-width bracket between its words and its target")
    elif theirs.links != mine.links:
        yield _hard(LINKS, f"{theirs.links} links for the source's {mine.links}")
    if theirs.bold % 2 and not mine.bold % 2:
        yield _hard(BOLD, "bold type that is opened is not closed")
    elif theirs.bold != mine.bold:
        yield Finding(BOLD, Severity.WARN, f"{theirs.bold} marks of bold type for the source's {mine.bold}")
    if mine.blocks != theirs.blocks:
        severity = Severity.WARN if _merged(one, mine, theirs, meta) else Severity.HARD
        message = f"{theirs.blocks} blocks between empty lines for the source's {mine.blocks}"
        yield Finding(BLOCKS, severity, message)


def _merged(one: Turn, mine: Outline, theirs: Outline, meta: Meta) -> bool:
    """Return whether paragraphs of plain text were put together: an editor's doing that loses nothing; of a page with
    headings, code or tables the blocks are its form."""
    if theirs.blocks >= mine.blocks or mine.headings or mine.columns or one.fences:
        return False
    return mine.blocks <= (12 if meta.free else 6 if meta.kind == "chat" else 2)


def _loose_items(turn: Turn) -> int:
    """Return how many list items there are, those written in ways that Markdown does not know too: ・, １．"""
    return len(_LOOSE_ITEM.findall(turn.outside))


def _hard(code: str, message: str) -> Finding:
    return Finding(code, Severity.HARD, message)


def _levels(outline: Outline) -> str:
    return " ".join(map(str, outline.headings)) or "none"


CHECKS = (
    Check(
        "outline",
        2,
        dict.fromkeys((HEADINGS, ITEMS, TABLE, LINKS, BOLD, BLOCKS), Severity.HARD),
        outline,
    ),
)
