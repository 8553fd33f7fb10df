"""N-grams of words, in characters: the most frequent one of each text, and those that come again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from watari.kernels.jit import compiled, jit
from watari.kernels.words import Numbers, Places, factors

_NEXT = 0xD6E8FEB86659FD93
_SPREAD = np.uint64(0xFF51AFD7ED558CCD)


def top_ngrams(words: Numbers, lengths: Places, offsets: Places, sizes: Sequence[int]) -> Places:
    """Return the characters that the most frequent n-gram of each text covers, for several n.

    Counted as datatrove's Gopher filter does: the words' characters and one blank between two words, times how often
    the n-gram stands in the text (overlapping ones too). Of several as frequent it is the one that comes first. A text
    with fewer than n words has 0.

    Args:
        words: uint64[m], the words' numbers.
        lengths: int64[m], their characters.
        offsets: int64[n + 1], the texts' first words.
        sizes: The n.

    Returns:
        int64[len(sizes), n texts].
    """
    found = np.zeros((len(sizes), len(offsets) - 1), np.int64)
    for row, size in enumerate(sizes):
        if compiled():
            _count(words, lengths, offsets, size, np.uint64(_NEXT), found[row])
        else:
            _count_plainly(words, lengths, offsets, size, found[row])
    return found


def _count_plainly(words: Numbers, lengths: Places, offsets: Places, size: int, found: Places) -> None:
    ends = np.concatenate([[0], np.cumsum(lengths)])
    for text in range(len(found)):
        first, grams = int(offsets[text]), int(offsets[text + 1] - offsets[text]) - size + 1
        if grams < 1:
            continue
        keys = np.zeros(grams, np.uint64)
        for shift in range(size):
            keys = keys * np.uint64(_NEXT) + words[first + shift : first + shift + grams]
        _, places, counts = np.unique(keys, return_index=True, return_counts=True)
        place = first + int(places[counts == counts.max()].min())
        found[text] = (ends[place + size] - ends[place] + size - 1) * counts.max()


@jit
def _count(
    words: Numbers, lengths: Places, offsets: Places, size: int, following: np.uint64, found: Places
) -> None:
    longest = 0
    for text in range(len(found)):
        longest = max(longest, offsets[text + 1] - offsets[text])
    room = 16
    while room < 2 * longest:
        room *= 2
    keys = np.zeros(room, np.uint64)
    counts = np.zeros(room, np.int32)
    firsts = np.zeros(room, np.int32)
    stamps = np.full(room, -1, np.int32)
    for text in range(len(found)):
        first = offsets[text]
        grams = offsets[text + 1] - first - size + 1
        if grams < 1:
            continue
        # A short text uses the start of the table only, which stays in the processor's cache.
        bits = 4
        while (1 << bits) < 2 * grams:
            bits += 1
        mask, shift = (1 << bits) - 1, np.uint64(64 - bits)
        most, place = 0, 0
        for gram in range(grams):
            key = np.uint64(0)
            for step in range(size):
                key = key * following + words[first + gram + step]
            slot = np.int64((key * _SPREAD) >> shift)
            while stamps[slot] == text and keys[slot] != key:
                slot = (slot + 1) & mask
            if stamps[slot] != text:
                stamps[slot], keys[slot], counts[slot], firsts[slot] = text, key, 0, gram
            counts[slot] += 1
            if counts[slot] > most or (counts[slot] == most and firsts[slot] < place):
                most, place = counts[slot], firsts[slot]
        covered = size - 1
        for word in range(first + place, first + place + size):
            covered += lengths[word]
        found[text] = covered * most


def repeated_ngrams(words: Numbers, lengths: Places, offsets: Places, sizes: Sequence[int]) -> Places:
    """Return the characters of the n-grams of each text that have come before in it, for several n.

    Found as Gopher does (Rae et al. 2022, A.1.1; datatrove's code): from the first word on, an n-gram that has been met
    is counted and stepped over whole, another is kept in mind and the next one begins a word further. What is compared
    is the n words' characters put together; white space is not counted.

    Args and returns: as `top_ngrams`.
    """
    found = np.zeros((len(sizes), len(offsets) - 1), np.int64)
    before = factors(lengths)
    for row, size in enumerate(sizes):
        if compiled():
            _repeat(words, before, lengths, offsets, size, found[row])
        else:
            _repeat_plainly(words, before, lengths, offsets, size, found[row])
    return found


def _repeat_plainly(
    words: Numbers, before: Numbers, lengths: Places, offsets: Places, size: int, found: Places
) -> None:
    ends = np.concatenate([[0], np.cumsum(lengths)])
    for text in range(len(found)):
        first, grams = int(offsets[text]), int(offsets[text + 1] - offsets[text]) - size + 1
        if grams < 2:
            continue
        keys = np.zeros(grams, np.uint64)
        for shift in range(size):
            part = slice(first + shift, first + shift + grams)
            keys = keys * before[part] + words[part]
        if len(np.unique(keys)) == grams:
            continue
        covered = ends[first + size : first + size + grams] - ends[first : first + grams]
        met: set[int] = set()
        listed, gram = keys.tolist(), 0
        while gram < grams:
            if listed[gram] in met:
                found[text] += covered[gram]
                gram += size
            else:
                met.add(listed[gram])
                gram += 1


@jit
def _repeat(
    words: Numbers, before: Numbers, lengths: Places, offsets: Places, size: int, found: Places
) -> None:
    longest = 0
    for text in range(len(found)):
        longest = max(longest, offsets[text + 1] - offsets[text])
    room = 16
    while room < 2 * longest:
        room *= 2
    keys = np.zeros(room, np.uint64)
    stamps = np.full(room, -1, np.int32)
    for text in range(len(found)):
        first = offsets[text]
        grams = offsets[text + 1] - first - size + 1
        if grams < 2:
            continue
        bits = 4
        while (1 << bits) < 2 * grams:
            bits += 1
        mask, shift = (1 << bits) - 1, np.uint64(64 - bits)
        gram = 0
        while gram < grams:
            key = np.uint64(0)
            for word in range(first + gram, first + gram + size):
                key = key * before[word] + words[word]
            slot = np.int64((key * _SPREAD) >> shift)
            while stamps[slot] == text and keys[slot] != key:
                slot = (slot + 1) & mask
            if stamps[slot] == text:
                for word in range(first + gram, first + gram + size):
                    found[text] += lengths[word]
                gram += size
            else:
                stamps[slot], keys[slot] = text, key
                gram += 1
