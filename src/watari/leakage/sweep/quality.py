"""What can be told of a response without a reference: variety, repetition, loops, length, whether it was cut off.

Units are words where a script has blanks and single characters where it has none (Han, kana, Thai, ...), so that figures of
one language are comparable between settings; between languages they are not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

WINDOW = 100
"""Units over which distinct-n is counted: over a whole text it would fall with its length (Covington and McFall 2010)."""
GRAM = 4
"""Units of the n-grams of self-repetition (as rep-4 of Welleck et al. 2020)."""
TURNS = 4
"""Times that a stretch must come in a row to be a loop."""
LOOP = 40
"""Characters that these must fill."""
_TAIL = 4000
_LINE = 8
_UNIT = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003347f]|[^\\W_\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003347f]+"
)


@dataclass(frozen=True, slots=True)
class Quality:
    """One response.

    Args:
        characters: Its length.
        empty: True if there is nothing in it but white space.
        truncated: True if its limit of tokens cut it off.
        loops: True if a stretch repeats until the end, or a line comes again and again.
        distinct: Share of different 1-, 2- and 3-grams, averaged over windows of `WINDOW` units; None where a text has not
            one such n-gram.
        repetition: Share of 4-grams that stood in the response before; None in one of fewer units.
    """

    characters: int
    empty: bool
    truncated: bool
    loops: bool
    distinct: tuple[float | None, float | None, float | None]
    repetition: float | None

    @property
    def sound(self) -> bool:
        """True if the response is something, comes to an end by itself and does not loop."""
        return not (self.empty or self.truncated or self.loops)


def quality_of(response: str, finish_reason: str) -> Quality:
    """Return what can be told of a response.

    Args:
        response: Its text.
        finish_reason: As its engine says: `length` is cut off.
    """
    found = units(response)
    return Quality(
        len(response),
        not response.strip(),
        finish_reason == "length",
        loops(response),
        (distinct(found, 1), distinct(found, 2), distinct(found, 3)),
        repetition(found),
    )


def units(text: str) -> list[str]:
    """Return the words and single characters of a text, lower-case; punctuation is none."""
    return _UNIT.findall(text.lower())


def distinct(found: Sequence[str], n: int) -> float | None:
    """Return the share of different n-grams, averaged over windows; a rest of less than half a window joins no mean."""
    if len(found) < n:
        return None
    shares = []
    for start in range(0, len(found), WINDOW):
        part = found[start : start + WINDOW]
        if start and len(part) < WINDOW / 2:
            break
        grams = [tuple(part[place : place + n]) for place in range(len(part) - n + 1)]
        if grams:
            shares.append(len(set(grams)) / len(grams))
    return sum(shares) / len(shares) if shares else None


def repetition(found: Sequence[str]) -> float | None:
    """Return the share of 4-grams that stood before in the same text."""
    if len(found) < GRAM:
        return None
    grams = [tuple(found[place : place + GRAM]) for place in range(len(found) - GRAM + 1)]
    return 1 - len(set(grams)) / len(grams)


def loops(text: str) -> bool:
    """Return whether a text gets stuck: it ends in a stretch said `TURNS` times, or has a line so often in a row or out of it.

    A stretch holds a letter or a number: rulers and table borders are none.
    """
    return _ends_in_a_loop(text.rstrip()[-_TAIL:]) or _line_again(text)


def _ends_in_a_loop(tail: str) -> bool:
    """Look for a period of the end, by the prefix function of the reversed text: O(n)."""
    backward = tail[::-1]
    borders = [0] * len(backward)
    for place in range(1, len(backward)):
        border = borders[place - 1]
        while border and backward[place] != backward[border]:
            border = borders[border - 1]
        if backward[place] == backward[border]:
            border += 1
        borders[place] = border
        length = place + 1
        period = length - border
        if length >= LOOP and period * TURNS <= length and _UNIT.search(backward[:period]):
            return True
    return False


def _line_again(text: str) -> bool:
    if text.count("\n") < TURNS - 1:
        return False
    counts = Counter(line.strip() for line in text.split("\n"))
    return any(
        count >= TURNS and len(line) >= _LINE and count * len(line) >= LOOP and len(units(line)) >= _LINE / 2
        for line, count in counts.items()
    )
