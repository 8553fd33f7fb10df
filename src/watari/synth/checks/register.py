"""Polite and plain sentences side by side in one turn: told; a fault where they take turns within a paragraph.

Lists, quotations, headings and a story between two remarks may be in the other register; a translation that changes it from
one sentence to the next, and back, was put together from several.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from watari.languages.checks import check_phrases, pattern
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.text import Piece, Turn
from watari.synth.checks.wording import clip, hard, warn

MIXED = "register-mix"

_LEAST, _SHARE = 2, 0.2
"""So many sentences, and such a share of all with an end that tells, must be in the rarer register."""
_HARD_SHARE = 0.25
"""The least share of plain sentences in a turn that is refused: fewer may be an editor's slip."""
_TRIM = " \t\u3000。．.!！?？…:：;；」』）)”\"'*_`"
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_ITEM = re.compile(r"[ \t>]*(?:[-*+•・#|]|(?:\d{1,3}|[A-Za-z])[.)])")
_ASIDE = re.compile(r"[「『]|^\W*[（(]|[）)]\W*$")


def register(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of turns in which the politeness of the sentences' ends changes."""
    phrases = check_phrases(meta.target)
    if not phrases.polite or not phrases.plain:
        return []
    polite_end, plain_end = pattern("polite", meta.target), pattern("plain", meta.target)
    found = []
    for number, turn in enumerate(target):
        polite: list[Piece] = []
        plain: list[Piece] = []
        for piece in turn.sentences:
            if piece.text[-1] not in "。！？!?．":
                continue
            end = piece.text.rstrip(_TRIM)[-12:]
            if polite_end.search(end):
                polite.append(piece)
            elif plain_end.search(end):
                plain.append(piece)
        few, told = min(len(polite), len(plain)), len(polite) + len(plain)
        if few >= _LEAST and few >= _SHARE * told:
            message = (
                f"turn {number + 1} mixes registers: {len(polite)} polite, {len(plain)} plain, "
                f"like {clip(plain[0].text[-30:])!r}"
            )
            # An answer that translates nothing may quote and tell stories as it likes.
            odd = source and len(plain) >= _HARD_SHARE * told and _among(polite, plain, turn) >= _LEAST
            tell = hard if odd else warn
            found.append(tell(MIXED, message, number, plain[0].start, plain[0].stop))
    return found


def _among(polite: list[Piece], plain: list[Piece], turn: Turn) -> int:
    """Return how many plain sentences stand in a paragraph with polite ones: no items, nothing quoted or in brackets."""
    prose = turn.prose
    ends = [match.end() for match in _PARAGRAPH.finditer(prose)]
    paragraphs = {bisect_right(ends, piece.start) for piece in polite}
    found = 0
    for piece in plain:
        line = prose.rfind("\n", 0, piece.start) + 1
        found += (
            piece.text[-1] == "。"
            and bisect_right(ends, piece.start) in paragraphs
            and not _ITEM.match(prose, line)
            and not _ASIDE.search(piece.text)
        )
    return found


CHECKS = (Check("register", 2, {MIXED: Severity.HARD}, register, needs_source=False),)
