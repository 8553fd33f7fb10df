"""Cutting a long document into parts at the boundaries that it has."""

from __future__ import annotations

import re

# A part ends, in order of preference, after a blank line, after a line, after a sentence, after a word, anywhere.
_BOUNDARIES = (
    re.compile(r"\n{2,}"),
    re.compile(r"\n"),
    re.compile(r"[。！？][」』）]?|[.!?][\"')\]]?\s"),
    re.compile(r"\s|、"),
)


def chunks(text: str, limit: int) -> list[str]:
    """Return `text` cut into parts of at most `limit` characters whose concatenation is `text` again.

    Each part is as long as it can be and ends at the best boundary in its second half: a blank line, a line's end, a
    sentence's end, a space; where there is none, it ends at the limit.

    Raises:
        ValueError: if the limit is not positive.
    """
    if limit < 1:
        raise ValueError("a part needs at least one character")
    parts = []
    start = 0
    while len(text) - start > limit:
        end = _best_end(text, start, start + limit)
        parts.append(text[start:end])
        start = end
    if start < len(text) or not parts:
        parts.append(text[start:])
    return parts


def _best_end(text: str, start: int, stop: int) -> int:
    half = start + max(1, (stop - start) // 2)
    for boundary in _BOUNDARIES:
        ends = [match.end() for match in boundary.finditer(text, half, stop)]
        if ends:
            return ends[-1]
    return stop
