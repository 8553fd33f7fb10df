"""Traces that words of a source leave in its translation: a stem of the lexicon, the word itself, its sound in katakana."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache

from watari.languages.lexicons import lexicon
from watari.synth.checks.sound import sound_of_katakana, sound_of_latin
from watari.synth.checks.text import Turn

WORD = re.compile(r"[a-z][a-z']*")
"""A word of the source, in lower case."""

_KATAKANA = re.compile(r"[ァ-ヴ][ァ-ヴー]+")
_KEPT = 65536
"""Words whose stems are kept, of each pair of languages."""


class Traces:
    """What of a target may be a trace of a source's word, and which words left one.

    Args:
        turn: The target.
        pair: Codes of the source's and the target's language.
    """

    def __init__(self, turn: Turn, pair: tuple[str, str]) -> None:
        self.text = turn.prose
        self.katakana = {
            forms for word in set(_KATAKANA.findall(self.text)) if (forms := _katakana_forms(word))
        }
        self.seen: dict[str, bool | None] = {}
        """Of each word that was looked for, whether it left a trace; None where nobody knows what it would be."""
        self.known: set[str] = set()
        """Those of them that the lexicon has."""
        self._sounds: frozenset[str] = frozenset().union(*self.katakana)
        self._latin = set(WORD.findall(turn.content.lower()))
        self._pair = pair

    def look_for(self, words: Iterable[str]) -> None:
        """Look for the traces of words, which are then in `seen` and `known`."""
        # The innermost loop of all checks: no calls where none is needed.
        text, latin, sounds, seen, known = self.text, self._latin, self._sounds, self.seen, self.known
        kept = _stems(self._pair)
        for word in words:
            if word in seen:
                continue
            stems = kept.get(word)
            if stems is None:
                stems = _remember(word, self._pair)
            if stems:
                known.add(word)
            if word in latin and len(word) > 2:
                seen[word] = True
            elif stems:
                for stem in stems:
                    if stem in text:
                        seen[word] = True
                        break
                else:
                    seen[word] = False
            elif sounds and len(word) > 3 and not latin_forms(word).isdisjoint(sounds):
                seen[word] = True
            else:
                seen[word] = None


@lru_cache(maxsize=16384)
def _katakana_forms(word: str) -> frozenset[str]:
    return _forms(sound_of_katakana(word))


@lru_cache(maxsize=16384)
def latin_forms(word: str) -> frozenset[str]:
    """Return how a Latin word may sound in katakana, as a sound that is compared."""
    return _forms(sound_of_latin(word))


def _forms(sound: str) -> frozenset[str]:
    """Return a sound and what it is without an ending; nothing of one consonant, which says little."""
    if len(sound) < 2:
        return frozenset()
    found = {sound}
    if len(sound) >= 3:
        found.add(sound[:-1])
    if len(sound) >= 6:
        found.add(sound[:-2])
    return frozenset(found)


@cache
def _stems(pair: tuple[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the stems that were looked up for words of a pair of languages."""
    return {}


def _remember(word: str, pair: tuple[str, str]) -> tuple[str, ...]:
    """Return the stems of a word's translations, of the first of its ground forms that the lexicon has, and keep them."""
    lexemes = lexicon(*pair)
    stems = next((found for form in _ground_forms(word) if (found := lexemes.get(form))), ())
    kept = _stems(pair)
    if len(kept) >= _KEPT:
        kept.clear()
    kept[word] = stems
    return stems


def _ground_forms(word: str) -> Iterator[str]:
    yield word
    if word.endswith("'s"):
        word = word[:-2]
        yield word
    for ending, others in (
        ("ies", ("y",)), ("ied", ("y",)), ("es", ("", "e")), ("s", ("",)), ("ed", ("", "e")), ("ing", ("", "e")),
        ("er", ("", "e")), ("est", ("", "e")), ("ly", ("",)),
    ):  # fmt: skip
        if word.endswith(ending) and len(word) > len(ending) + 2:
            bare = word[: -len(ending)]
            for other in others:
                yield bare + other
            if len(bare) > 3 and bare[-1] == bare[-2]:
                yield bare[:-1]
