"""Latin letters left inside words of another script: 御treat走, 比phor, ju審員; a plain word that was not translated.

Systems that translate piece by piece of a word leave a piece of it. Such a piece is no word of the source, but a part of
one; or it is one, an everyday word in small letters in the middle of a text that has nothing to do with computers.
"""

from __future__ import annotations

import re

from watari.languages.checks import words
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.text import Turn
from watari.synth.checks.wording import hard
from watari.text.leakage import own_letters

LEFTOVER = "subword-left"
WORD = "word-left"

_SCRIPT = "\u3041-\u3096\u30a1-\u30ff\u3400-\u4dbf\u4e00-\u9fff々\uac00-\ud7fb\u0e01-\u0e4e"
_TOUCHING = re.compile(
    rf"(?<=[{_SCRIPT}])[a-z]{{1,}}(?![A-Za-z0-9_.@/'’(=:-])|(?<![A-Za-z0-9_.@/'’)$-])[a-z]{{2,}}(?=[{_SCRIPT}])"
)
_WORDS = re.compile(r"[A-Za-z]+")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff々]")
# What speaks of computers: code, markup, paths, names with a capital inside or an underscore.
_TECHNICAL = re.compile(
    r"`|</?\w|\{|\w_\w|://|[a-z][A-Z]|\w\(\)|--\w|\b(?:code|file|server|software|API|HTML|CSS|URL|SQL|Python|JavaScript|command|function|app|web|internet|computer|data|program\w*)\b"
)


def leftovers(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of pieces of words, and of everyday words, of the source in the target."""
    if own_letters(meta.target).search("a") or not own_letters(meta.source).search("a"):
        return []
    units = words("units", meta.target)
    whole = "\n".join(one.content for one in source)
    technical: bool | None = None
    known: frozenset[str] | None = None
    found: list[Finding] = []
    for number, turn in enumerate(target):
        for match in _TOUCHING.finditer(turn.prose):
            piece = match[0]
            if piece in units or _is_numbered(turn, match.start()):
                continue
            if known is None:
                known = frozenset(word.lower() for word in _WORDS.findall(whole))
            if _is_word(piece, known):
                if technical is None:
                    technical = _TECHNICAL.search(whole) is not None or meta.kind in ("markdown", "paragraph")
                if not technical and len(piece) >= 3:
                    message = f"turn {number + 1}: {piece!r} was left in the source's language"
                    found.append(hard(WORD, message, number, *match.span()))
            elif any(piece in word for word in known if len(word) > len(piece) + 1):
                message = f"turn {number + 1}: {piece!r} is a piece of a word of the source"
                found.append(hard(LEFTOVER, message, number, *match.span()))
            elif len(piece) >= 2 and _both_sides(turn, match):
                message = f"turn {number + 1}: {piece!r} stands inside a word, and is none of the source"
                found.append(hard(LEFTOVER, message, number, *match.span()))
    return found


def _is_word(piece: str, known: frozenset[str]) -> bool:
    """Return whether a piece is a word of the source, or another number of one."""
    return (
        piece in known
        or piece + "s" in known
        or piece + "es" in known
        or (piece.endswith("s") and piece[:-1] in known)
        or piece + "ed" in known
        or piece + "ing" in known
    )


def _is_numbered(turn: Turn, start: int) -> bool:
    return turn.content[max(0, start - 2) : start].strip()[-1:].isdigit()


def _both_sides(turn: Turn, match: re.Match[str]) -> bool:
    before, after = (
        turn.content[match.start() - 1 : match.start()],
        turn.content[match.end() : match.end() + 1],
    )
    return _HAN.match(before) is not None and after != "" and not after.isspace()


CHECKS = (Check("leftovers", 1, {LEFTOVER: Severity.HARD, WORD: Severity.HARD}, leftovers),)
