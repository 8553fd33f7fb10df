"""`watari train show-mask`: which tokens of a row are trained, in a terminal, in a pipe, as JSON.

In a terminal trained tokens are black on green and the others dim, in two shades that change from token to token; without
colours trained stretches stand in ⟦ ⟧ and tokens are parted by ¦. Blanks are ·, line ends ↵, tabs ⇥, full-width blanks □; a
byte that is not yet a character is ⟨E3⟩, and the token that completes the character shows it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from watari.train.masks import MaskedRow, ShownToken, masked_rows

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["as_json", "masked_rows", "plain", "render", "show_masks", "summary", "title", "visible"]

_VISIBLE = {" ": "·", "\n": "↵\n", "\t": "⇥", "\u3000": "□", "\x7f": "␡"}
_OPEN, _CLOSE, _BETWEEN = "⟦", "⟧", "¦"
_TRAINED = ("black on green3", "black on pale_green3")
_UNTRAINED = ("grey58 on grey11", "grey58 on grey19")


def visible(text: str) -> str:
    """Return a text in which blanks, line ends, control and invisible characters can be seen; "\\n" stands behind ↵."""
    return "".join(_VISIBLE.get(character) or _spelt_out(character) for character in text)


def _spelt_out(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Zs", "Co", "Cn"):
        return f"⟨U+{code:04X}⟩"
    return character


def as_json(rows: Sequence[MaskedRow]) -> list[dict[str, Any]]:
    """Return the rows as JSON data, one object a sequence."""
    return [
        {
            "id": row.id,
            "part": row.part,
            "reason": row.reason or None,
            "detail": row.detail or None,
            "tokens": len(row.tokens),
            "trained": row.trained,
            "bos": sum(token.id == row.bos for token in row.tokens),
            "eos": sum(token.id == row.eos for token in row.tokens),
            "ids": [token.id for token in row.tokens],
            "mask": [token.trained for token in row.tokens],
            "texts": [token.text for token in row.tokens],
        }
        for row in rows
    ]


def title(row: MaskedRow) -> str:
    """Return id, part and counts of a row on one line."""
    name = f"{row.id} ({row.part})" if row.part else row.id
    if row.reason:
        line = f"{name}: not trained on: {row.reason}" + (f" ({row.detail})" if row.detail else "")
    else:
        ends = [
            f"{end} {sum(token.id == number for token in row.tokens)}"
            for end, number in (("BOS", row.bos), ("EOS", row.eos))
            if number is not None
        ]
        counts = f"{row.trained} trained ({row.trained / len(row.tokens):.1%})"
        line = " · ".join([f"{name}: {len(row.tokens)} tokens", counts, *ends])
    return "".join(character if character == " " else _spelt_out(character) for character in line)


def summary(rows: Sequence[MaskedRow]) -> str:
    """Return the counts of all rows on one line."""
    tokens = sum(len(row.tokens) for row in rows)
    trained = sum(row.trained for row in rows)
    refused = sum(bool(row.reason) for row in rows)
    share = f" ({trained / tokens:.1%})" if tokens else ""
    count = len(rows) - refused
    text = f"{count} sequence{'' if count == 1 else 's'}, {tokens} tokens, {trained} trained{share}"
    return f"{text}; {refused} not trained on" if refused else text


def plain(rows: Sequence[MaskedRow], *, width: int = 80) -> str:
    """Return the rows as text without colours, no line wider than `width` cells."""
    blocks = []
    for row in rows:
        chunks = []
        before = False
        for index, token in enumerate(row.tokens):
            last = index + 1 == len(row.tokens) or not row.tokens[index + 1].trained
            opening = "" if token.trained == before or not token.trained else _OPEN
            between = _BETWEEN if index and token.trained == before else ""
            body = _seen(token)
            if token.trained and last:
                # The bracket belongs before the break of the line that a line end makes.
                body = body.removesuffix("\n") + _CLOSE + ("\n" if body.endswith("\n") else "")
            chunks.append((opening + between + body, ""))
            before = token.trained
        lines = ["".join(text for text, _ in line) for line in _wrapped(chunks, width)]
        blocks.append("\n".join([*_folded(title(row), width), *lines]))
    legend = f"{_OPEN}trained{_CLOSE} not trained, {_BETWEEN} between tokens. {summary(rows)}"
    return "\n\n".join([*blocks, "\n".join(_folded(legend, width))])


def render(rows: Sequence[MaskedRow], *, width: int = 80) -> RenderableType:
    """Return the rows for rich, in colours, no line wider than `width` cells."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for row in rows:
        parts += [
            Text(line, style="bold red" if row.reason else "bold") for line in _folded(title(row), width)
        ]
        chunks = []
        for index, token in enumerate(row.tokens):
            style = (_TRAINED if token.trained else _UNTRAINED)[index % 2]
            chunks.append((_seen(token), f"bold {style}" if token.special else style))
        for line in _wrapped(chunks, width):
            parts.append(Text.assemble(*line, no_wrap=True))
        parts.append(Text(""))
    legend = Text.assemble((" trained ", _TRAINED[0]), " ", (" not trained ", _UNTRAINED[1]))
    return Group(*parts, legend, *(Text(line) for line in _folded(summary(rows), width)))


def show_masks(
    rows: Sequence[MaskedRow], *, json_output: bool = False, console: Console | None = None
) -> None:
    """Print the rows: in colours to a terminal that has them, else with brackets; as JSON if asked for."""
    from rich.console import Console

    target = console or Console()
    if json_output:
        print(json.dumps(as_json(rows), ensure_ascii=False, indent=2), file=target.file)
    elif target.is_terminal and target.color_system and not target.no_color:
        target.print(render(rows, width=target.width))
    else:
        print(plain(rows, width=target.width), file=target.file)


def _seen(token: ShownToken) -> str:
    return visible(token.text) or "⟨⟩"


def _wrapped(chunks: Sequence[tuple[str, str]], width: int) -> list[list[tuple[str, str]]]:
    """Return the lines of (text, style) chunks, broken at line ends and where `width` is full.

    A chunk that fits into a line is not broken.
    """
    from rich.cells import cell_len, get_character_cell_size

    lines: list[list[tuple[str, str]]] = [[]]
    used = 0
    for text, style in chunks:
        for number, part in enumerate(text.split("\n")):
            if number:
                lines.append([])
                used = 0
            size = cell_len(part)
            if used and used + size > width and size <= width:
                lines.append([])
                used = 0
            piece = ""
            for character in part:
                cells = get_character_cell_size(character)
                if used + cells > width:
                    lines[-1].append((piece, style))
                    lines.append([])
                    piece, used = "", 0
                piece += character
                used += cells
            if piece:
                lines[-1].append((piece, style))
    return lines if lines[-1] else lines[:-1]


def _folded(text: str, width: int) -> list[str]:
    return ["".join(part for part, _ in line) for line in _wrapped([(text, "")], width)]
