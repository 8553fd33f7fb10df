"""The smallest part of a text in which a fault still shows."""

from __future__ import annotations

from collections.abc import Callable

TRIES = 400
"""How often the check is asked at most for one text."""


def shrunk(text: str, fails: Callable[[str], bool]) -> str:
    """Return a window of `text` that fails and of which no end can be cut off, as far as `TRIES` goes.

    Chunks of halving size are cut off at the end and at the start, as long as what is left still fails.

    Args:
        text: A text that fails.
        fails: The check.
    """
    tries = 0
    size = len(text) // 2
    while size and tries < TRIES:
        cut = False
        for smaller in (text[:-size], text[size:]):
            tries += 1
            if smaller and fails(smaller):
                text, cut = smaller, True
                break
        size = min(size, len(text) // 2) if cut else size // 2
        if not size and len(text) > 1 and cut:
            size = 1
    return text
