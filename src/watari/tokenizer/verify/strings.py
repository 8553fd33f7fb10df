"""Fuzz strings: what no corpus holds, drawn by seed, each from its own number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from watari.artifact.draws import generator
from watari.tokenizer.script import Script

STAGE = "tokenizer.verify"
_ASCII = "abcdefghij ABCDEF 0123456789 .,;:!?'\"()[]{}<>/\\|@#$%^&*-_=+~`"
_BLANKS = (
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    " ",
    "  ",
    "   ",
    "\u00a0",
    "\u2003",
    "\u3000",
    "\u200b",
    "\ufeff",
    "\u2028",
)
_CONTROLS = ("\x00", "\x01", "\x07", "\x1b", "\x7f", "\x85", "\u200e", "\u2060")
_EMOJI = ("🙂", "👨‍👩‍👧", "👩🏽‍💻", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🇯🇵", "❤️", "‍", "️")
_MARKS = ("\u0301", "\u0308", "\u3099", "\u309a", "\u20dd", "e\u0301", "か\u3099", "\u0323\u0307")
_MARKERS = (
    "<s>",
    "</s>",
    "<unk>",
    "<pad>",
    "[INST]",
    "[/INST]",
    "<|endoftext|>",
    "<|im_start|>",
    "<0x0A>",
    "<0xE3>",
)
_QUOTES = "‐‑–—―‘’“”…‥·×÷§¶°€£"
_OTHERS = "éñüßøåçžłאבגדабвгґдαβγदेवनागरीไทย한국어中文繁體ﷺქართული"
_PLANES = ((0x00A0, 0xD7FF), (0xE000, 0xFFFD), (0x10000, 0x1FFFF), (0x20000, 0x323AF), (0xE0000, 0xE01EF), (0x100000, 0x10FFFD))  # fmt: skip


def fuzz_strings(
    count: int, seed: int, script: Script | None, pieces: Sequence[str], markers: Sequence[str] = ()
) -> Iterator[str]:
    """Yield `count` strings without surrogates.

    One in three holds no strict character on purpose; one in three strings pieces of the vocabularies together, in
    which a new piece meets the base pieces that it could complete.

    Args:
        count: How many.
        seed: Number k is the same whatever the count is.
        script: The target script.
        pieces: Texts of tokens, new and old.
        markers: How special tokens are written.
    """
    ranges = script.strict if script is not None else ()
    marks = (*_MARKERS, *sorted(markers)[:64])
    plain = [piece for piece in pieces if script is None or not script.has_strict(piece)] or ["a"]
    target = [piece for piece in pieces if script is not None and script.has_strict(piece)] or plain
    for number in range(count):
        draw = generator(seed, STAGE, f"fuzz {number}")
        strict = number % 3 != 0
        parts: list[str] = []
        for _ in range(int(draw.integers(1, 14))):
            kind = int(draw.integers(0, 14))
            if number % 3 == 1 and kind > 3:
                parts.append(_one(draw, target if kind > 6 else plain))
            elif kind < 4 and strict and ranges:
                parts.append(_characters(draw, ranges, int(draw.integers(1, 6))))
            else:
                parts.append(_odd(draw, kind, marks, plain))
        text = "".join(parts)
        yield text if strict or script is None else script.strict_character.sub("", text)


def _odd(draw: np.random.Generator, kind: int, marks: Sequence[str], plain: Sequence[str]) -> str:
    if kind in (4, 5):
        return "".join(_one(draw, _ASCII) for _ in range(int(draw.integers(1, 12))))
    if kind == 6:
        return _one(draw, _BLANKS)
    if kind == 7:
        return _one(draw, (*_CONTROLS, "\u2581", "\u2581\u2581"))
    if kind == 8:
        return _one(draw, (*_EMOJI, *_MARKS))
    if kind == 9:
        return _one(draw, marks)
    if kind == 10:
        return _one(draw, _QUOTES) + _one(draw, _OTHERS)
    if kind == 11:
        return _characters(draw, _PLANES, 2)
    if kind == 12:
        return _one(draw, (*plain[:4], *_BLANKS, "a", "-", "=", "é", "🙂")) * int(draw.integers(2, 40))
    return _one(draw, plain)


def _one(draw: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(draw.integers(0, len(choices)))]


def _characters(draw: np.random.Generator, ranges: Sequence[tuple[int, int]], count: int) -> str:
    found = []
    for _ in range(count):
        first, last = ranges[int(draw.integers(0, len(ranges)))]
        found.append(chr(int(draw.integers(first, last + 1))))
    return "".join(found)
