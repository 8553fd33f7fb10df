"""Metrics that need a list of words of the user's: none comes with the package.

Words are compared with the text code point by code point, without normalising either, wherever they stand: in Japanese
a word also matches within another one, which is why a document is judged by how much of it is covered and not by one
hit (HojiChar's any-hit rule rejects 32 % of Aozora's pages; facts/corpus.md §1).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from watari.corpus.rules.metrics import Integers, Values, metric, share
from watari.corpus.rules.profile import Profile, Rule
from watari.corpus.rules.words import Words
from watari.errors import UserError
from watari.kernels.classes import class_table
from watari.kernels.listed import Trie, covered, hits, longest_matches, trie
from watari.kernels.texts import Texts


def read_words(path: str) -> tuple[str, ...]:
    """Return the words of a list file: UTF-8, one a line, white space around them taken off, empty lines left out.

    Raises:
        UserError: if it cannot be read, is not UTF-8 or holds no word.
    """
    try:
        content = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"word list {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"word list {path}: not UTF-8 at byte {error.start}") from error
    words = tuple(dict.fromkeys(word for line in content.split("\n") if (word := line.strip())))
    if not words:
        raise UserError(f"word list {path}: no word in it", "one word a line")
    return words


def _trie(rule: Rule) -> Trie:
    assert rule.file is not None  # a rule without its list is off
    state = Path(rule.file).stat() if Path(rule.file).exists() else None
    return _trie_of(rule.file, state.st_mtime_ns if state else 0)


@lru_cache(maxsize=8)
def _trie_of(path: str, changed: int) -> Trie:
    return trie(read_words(path))


def _sums(texts: Texts, flags: npt.NDArray[np.bool_]) -> Integers:
    totals = np.concatenate([[0], np.cumsum(flags, dtype=np.int64)])
    sums: Integers = totals[texts.offsets[1:]] - totals[texts.offsets[:-1]]
    return sums


@metric("listed_words", takes=("file", "among"))
def listed_words(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Share of the characters of the class `among` (default: of all) that are part of a listed word.

    A character counts once, however many words it is part of. 0 where there are no such characters.
    """
    counted = covered(longest_matches(texts, _trie(rule)))
    whole = texts.lengths
    if rule.among is not None:
        among = class_table((tuple(profile.ranges(rule.among)),)).kind[texts.codes] > 0
        counted &= among
        whole = _sums(texts, among)
    return np.nan_to_num(share(_sums(texts, counted), whole))


@metric("listed_count", takes=("file",))
def listed_count(texts: Texts, rule: Rule, profile: Profile, words: Words | None) -> Values:
    """Listed words found from left to right, the longest first, none within another; the same word counts each time."""
    return hits(texts, longest_matches(texts, _trie(rule))).astype(np.float64)
