"""Han characters, words and sentences of the other Han language, and of the other form of Chinese.

Japanese and Chinese share most of their characters, so that none is judged by how many stand in a row: only by character
sets, by lists of words that the other language does not have (`languages/leakage/`), and by grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Literal

from watari.languages.leakage import leakage_profile
from watari.text.han import told_apart
from watari.text.leakage.foreign import EAST, NAMES, Run
from watari.text.leakage.letters import HAN

Variant = Literal["hans", "hant"]
"""Chinese in simplified or in traditional characters."""

_HAN_LETTER = re.compile(f"[{HAN}]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d]")
_SENTENCE = re.compile(r"[^。！？!?\n]+")
# Words of Chinese grammar; the characters of the first kind stand in Japanese words too (知的, 完了, 是非, 都市, 他国).
_GRAMMAR = re.compile("[的了是就也都我他]|(可以|没有|如果|因此|不是|这|们|个)")
_ENOUGH = 3
"""Words of grammar from which a stretch is Chinese, one of the second kind for two; beside an original two of any."""
_SPARSE = 25
"""Han characters for each word of grammar above which a stretch is a list of names or old Chinese."""
_LEAST = 6
"""Han characters from which a stretch without kana can be a sentence."""


def han_runs(text: str, expected: str, original: str | None = None) -> Iterator[Run]:
    """Yield Han characters and words of the other Han language, in a text that should be Japanese or Chinese.

    Args:
        text: The text.
        expected: `ja` or `zh`.
        original: What it translates; it decides for words that both languages have in different senses.
    """
    words, other = _other_words(expected)
    called = NAMES[other]
    found = False
    strange = foreign_characters(expected).intersection(text)
    if strange:
        for match in re.finditer(f"[{''.join(sorted(strange))}]+", text):
            found = True
            start, end = match.span()
            why = f"{match[0]}: in no character set of this language"
            yield Run(start, end, other, "token", "medium", why, EAST)
    if words is not None:
        for match in words.finditer(text):
            if not _goes_on(text, match.start()) or not _writable(match[0], expected):
                found = True
                yield Run(*match.span(), other, "token", "medium", f"a {called} word", EAST)
    if original is not None:
        for word, senses in _friends(expected):
            if word in text and not senses.search(original):
                for match in re.finditer(word, text):
                    if not _goes_on(text, match.start()):
                        found = True
                        why = f"a word in its {called} sense, as the original shows"
                        yield Run(*match.span(), other, "token", "medium", why, EAST)
    if expected == "ja" and (found or "的" in text or "了" in text):
        yield from _chinese_sentences(text, _ENOUGH if original is None else 2)


def _goes_on(text: str, start: int) -> bool:
    """Return whether a place is inside a run of Han characters: 認知道徳 is no 知道."""
    return start > 0 and _HAN_LETTER.match(text[start - 1]) is not None


@cache
def _writable(word: str, expected: str) -> bool:
    """Return whether a word has only common characters of a language: 什么 is foreign in the middle of a run as well."""
    return all(_within(char, "cp932" if expected == "ja" else "gb2312") for char in word)


def _chinese_sentences(text: str, enough: int) -> Iterator[Run]:
    """Yield sentences that are Chinese by their grammar, with not one kana."""
    for match in _SENTENCE.finditer(text):
        part = match[0]
        if _KANA.search(part) or not ("的" in part or "了" in part or "是" in part or "们" in part):
            continue
        marks = list(_GRAMMAR.finditer(part))
        grammar = {found[0]: 2 if found[1] else 1 for found in marks}
        han = len(_HAN_LETTER.findall(part))
        if len(grammar) >= 2 and sum(grammar.values()) >= enough and _LEAST <= han <= _SPARSE * len(marks):
            start = match.start() + len(part) - len(part.lstrip())
            end = match.start() + len(part.rstrip())
            yield Run(start, end, "zh", "switch", "high", "a sentence with the grammar of Chinese", EAST)


def variant_runs(text: str, variant: Variant) -> Iterator[Run]:
    """Yield characters of the other Chinese standard, in a text that should be in simplified or traditional ones."""
    simplified, traditional = _standards()
    strange = (traditional if variant == "hans" else simplified).intersection(text)
    if strange:
        other = "traditional" if variant == "hans" else "simplified"
        for match in re.finditer(f"[{''.join(sorted(strange))}]+", text):
            why = f"{match[0]}: {other} characters"
            yield Run(match.start(), match.end(), "zh", "token", "low", why, EAST)


@cache
def _standards() -> tuple[frozenset[str], frozenset[str]]:
    """Return (characters of GB 2312 that are not in Big5, common characters of Big5 that are not in GB 2312)."""
    han = [chr(point) for point in range(0x4E00, 0xA000)]
    simplified = frozenset(char for char in han if _within(char, "gb2312") and not _within(char, "big5"))
    common = (char for char in han if _within(char, "big5") and not _is_rare(char))
    return simplified, frozenset(char for char in common if not _within(char, "gb2312"))


@cache
def foreign_characters(expected: str) -> frozenset[str]:
    """Return Han characters that texts in `ja` or `zh` do not have and the other language's have."""
    japanese, chinese = told_apart()
    if expected == "zh":
        characters = japanese
    else:
        # JIS X 0213 and the second part of Big5 hold the rare characters of names and old books.
        rare = (char for char in chinese if _is_rare(char) or _within(char, "euc_jis_2004"))
        characters = (chinese - frozenset(rare)) | _simplified()
    return characters | frozenset(leakage_profile(expected).characters.get(_other(expected), ""))


@cache
def _other_words(expected: str) -> tuple[re.Pattern[str] | None, str]:
    other = _other(expected)
    tails: dict[str, list[str]] = {}
    for word in sorted(leakage_profile(expected).foreign.get(other, "").split(), key=len, reverse=True):
        tails.setdefault(word[0], []).append(word[1:])
    # By their first character, for `re` tries one alternative after the other.
    groups = (f"{first}(?:{'|'.join(rest)})" for first, rest in tails.items())
    return re.compile("|".join(groups)) if tails else None, other


@cache
def _friends(expected: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    senses = leakage_profile(expected).friends.get(_other(expected), {})
    return tuple((word, re.compile(pattern, re.IGNORECASE)) for word, pattern in senses.items())


def _other(expected: str) -> str:
    return "zh" if expected == "ja" else "ja"


def _simplified() -> frozenset[str]:
    """Return the common characters of GB 2312 (its first level) that are neither in JIS X 0208 nor common in Taiwan."""
    found = []
    for point in range(0x4E00, 0xA000):
        char = chr(point)
        if _within(char, "cp932") or not _within(char, "gb2312") or char.encode("gb2312") >= b"\xd8":
            continue
        if not _within(char, "big5") or _is_rare(char):
            found.append(char)
    return frozenset(found)


def _is_rare(char: str) -> bool:
    """Return whether a character is in the second, rarer part of Big5 (from 0xC940): no simplified one, no common one."""
    return _within(char, "big5") and char.encode("big5") >= b"\xc9\x40"


def _within(char: str, encoding: str) -> bool:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
