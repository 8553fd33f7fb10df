"""What is known of the words of languages that are written in Latin letters."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache, lru_cache

from watari.languages.leakage import common_words, leakage_languages, leakage_profile
from watari.text.leakage.letters import written_with


@lru_cache(maxsize=65_536)
def is_common(word: str, code: str) -> bool:
    """Return whether a word in small letters, or what one or two regular endings were put to, is in a language's list."""
    known = common_words(code)
    if word in known:
        return True
    if code != "en":
        return False
    return any(base in known or not known.isdisjoint(_bases(base)) for base in _bases(word))


@lru_cache(maxsize=65_536)
def looks_like(word: str, code: str) -> bool:
    """Return whether a word that is in no list is made like those that are: every four letters of it stand in one.

    A word with an ending that makes nouns, adjectives or verbs need only be so by three letters. Short words, which are
    names as often, are not.
    """
    if len(word) < _LEAST_LETTERS:
        return False
    if _known_by(word, _pieces(code, 4), 4):
        return True
    return code == "en" and _MADE.search(word) is not None and _known_by(word, _pieces(code, 3), 3)


def _known_by(word: str, pieces: frozenset[str], size: int) -> bool:
    whole = f"^{word}$"
    return all(whole[at : at + size] in pieces for at in range(len(whole) - size + 1))


@cache
def _pieces(code: str, size: int) -> frozenset[str]:
    """Return the runs of letters of a language's listed words, their ends marked; of three letters, those of two words."""
    counts: Counter[str] = Counter()
    for word in common_words(code):
        whole = f"^{word}$"
        counts.update({whole[at : at + size] for at in range(len(whole) - size + 1)})
    least = 2 if size == 3 else 1
    return frozenset(piece for piece, count in counts.items() if count >= least)


_LEAST_LETTERS = 5
_MADE = re.compile(
    "(?:tion|sion|ment|ness|less|ful|ity|ous|ive|able|ible|ship|ism|ist|ology|ical|ance|ence|ency|ancy|ory|ary|ure|age|ward|"
    "hood|ize|ise|ate|ated|ing|ed|er|ly|al|ic|ian)s?$"
)


def _bases(word: str) -> list[str]:
    """Return what an English word may be made of by one regular ending."""
    found = []
    for ending, others in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            base = word[: -len(ending)]
            found += [base + other for other in others]
            if ending in ("ed", "ing", "er") and len(base) >= 4 and base[-1] == base[-2]:
                found.append(base[:-1])
    return found


_ENDINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ies", ("y",)),
    ("ied", ("y",)),
    ("es", ("", "e")),
    ("s", ("",)),
    ("ed", ("", "e")),
    ("ing", ("", "e")),
    ("ly", ("",)),
    ("er", ("", "e")),
    ("ers", ("", "e")),
    ("ness", ("",)),
    ("ment", ("",)),
)


@cache
def stop_words(code: str) -> frozenset[str]:
    """Return a language's words of grammar in small letters."""
    return frozenset(leakage_profile(code).stop.split())


@cache
def all_stop_words() -> dict[str, frozenset[str]]:
    """Return the words of grammar of every language that is written in Latin letters, by code."""
    codes = [code for code in leakage_languages() if not written_with(code)]
    return {code: words for code in codes if (words := stop_words(code))}
