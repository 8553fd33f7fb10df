"""Polite and plain sentences side by side in one turn: told, never a reason to drop a row."""

from __future__ import annotations

from watari.languages.checks import check_phrases, pattern
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.wording import clip, warn

MIXED = "register-mix"

_LEAST, _SHARE = 2, 0.2
"""So many sentences, and such a share of all with an end that tells, must be in the rarer register."""
_TRIM = " \t\u3000。．.!！?？…:：;；」』）)”\"'*_`"


def register(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of turns in which the politeness of the sentences' ends changes."""
    phrases = check_phrases(meta.target)
    if not phrases.polite or not phrases.plain:
        return []
    polite_end, plain_end = pattern("polite", meta.target), pattern("plain", meta.target)
    found = []
    for number, turn in enumerate(target):
        polite = 0
        plain = []
        for piece in turn.sentences:
            if piece.text[-1] not in "。！？!?．":
                continue
            end = piece.text.rstrip(_TRIM)[-12:]
            if polite_end.search(end):
                polite += 1
            elif plain_end.search(end):
                plain.append(piece)
        few = min(polite, len(plain))
        if few >= _LEAST and few >= _SHARE * (polite + len(plain)):
            message = f"turn {number + 1} mixes registers: {polite} polite, {len(plain)} plain, like {clip(plain[0].text[-30:])!r}"
            found.append(warn(MIXED, message, number, plain[0].start, plain[0].stop))
    return found


CHECKS = (Check("register", 1, {MIXED: Severity.WARN}, register, needs_source=False),)
