"""What fuzzywuzzy compares instead of a text, of many texts at once: its word characters in lower case, words sorted.

Each different character is looked up once, as Python's `re` and `str` have it, and the texts put together from what was
found; words are sorted two characters at a time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from watari.evals.jaster.rows import Codes, Ints, Texts, codes_of, text_of

_LATIN_1 = re.compile("[\x80-\xff]+")
_NOT_WORD = re.compile(r"[^\w\n]")
_BLANK, _BREAK = 32, 10
_BITS = 21  # of a code point
_MANY = 1 << 63 - 2 * _BITS  # words, of which numbers would not fit beside two code points


def processed(texts: Sequence[str]) -> Texts:
    """Return each text as it is compared."""
    joined = "\n".join(texts) + "\n"
    if joined.count("\n") != len(texts):  # a line break would become a blank anyhow
        joined = "\n".join(text.replace("\n", " ") for text in texts) + "\n"
    codes = _in_lower_case(joined)
    line_end = codes == _BREAK
    outside = np.ones(len(codes) + 1, bool)
    np.logical_or(codes == _BLANK, line_end, out=outside[1:])
    edges = np.flatnonzero(outside[1:] != outside[:-1])  # of words: starts and ends in turn
    starts = edges[::2]
    words = edges[1::2] - starts
    owner = np.searchsorted(np.flatnonzero(line_end), starts)
    counts = np.bincount(owner, minlength=len(texts))
    order = _sorted(codes, outside[1:], starts, words, owner, counts)
    # One character more of each word, which becomes the blank to the next.
    room = words[order] + 1
    begins = np.cumsum(room) - room
    places = np.repeat(starts[order] - begins, room)
    places += np.arange(len(places))
    together = codes[places]
    together[begins[1:] - 1] = _BLANK
    sizes = np.bincount(owner, words + 1, len(texts)).astype(np.int64)
    return Texts(together, np.cumsum(sizes) - sizes, np.maximum(sizes - 1, 0))


def _in_lower_case(text: str) -> Codes:
    """Return a text's word characters in lower case, and blanks for others; line breaks stay."""
    codes = codes_of(text)
    there = np.zeros(int(codes.max(initial=0)) + 1, bool)
    there[codes] = True
    characters = text_of(np.flatnonzero(there))
    changed = _NOT_WORD.sub(" ", characters).lower()
    if (
        len(changed) != len(characters) or "\u03a3" in characters
    ):  # what a capital sigma becomes hangs on its neighbours
        return codes_of(_NOT_WORD.sub(" ", _LATIN_1.sub("", text)).lower())
    becomes = np.zeros(len(there), np.uint32)
    becomes[there] = codes_of(changed)
    becomes[0x80:0x100] = 0
    codes = becomes[codes]
    return codes[codes != 0] if there[0x80:0x100].any() else codes


def _sorted(
    codes: Codes, outside: npt.NDArray[np.bool_], starts: Ints, words: Ints, owner: Ints, counts: Ints
) -> Ints:
    """Return the order of all words: by text, and within a text sorted.

    Args:
        codes: All characters.
        outside: Which of them are in no word.
        starts, words: Where each word starts, and its size.
        owner: Of each word, its text; ascending.
        counts: Words of each text.
    """
    order = np.arange(len(starts))
    mine = np.flatnonzero(counts[owner] > 1)
    if len(starts) >= _MANY:
        whole = text_of(codes)
        order[mine] = sorted(mine.tolist(), key=lambda k: (owner[k], whole[starts[k] : starts[k] + words[k]]))
        return order
    group, depth = owner[mine], 0
    text = np.zeros(len(codes) + 1, np.uint32)
    text[:-1] = np.where(outside, 0, codes)
    while len(mine):
        # Words that are the same so far, by their next two characters; 0 is the end of a word, and no word's character.
        word = order[mine]
        here = starts[word] + depth
        next_ = text[here].astype(np.int64)
        key = group << 2 * _BITS | next_ << _BITS | np.where(next_ != 0, text[here + 1], 0)
        depth += 2
        by_key = np.argsort(key)
        order[mine] = word[by_key]
        key = key[by_key]
        new = np.ones(len(key) + 1, bool)
        new[1:-1] = key[1:] != key[:-1]
        alike = np.flatnonzero(~(new[:-1] & new[1:]) & (key & (1 << _BITS) - 1 != 0))
        mine, group = mine[alike], np.cumsum(new[:-1])[alike]
    return order
