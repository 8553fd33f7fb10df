"""Where a text that should be in one language slips into another.

A leak is a stretch of characters that a text of the expected language does not hold: letters of another script, Han
characters or words that only the other Han language has, words with another language's Latin letters, a whole sentence
in another language of the same script. This is the first form: rules over characters and words (the languages that a
model slips into most, facts/seed-systems.md §1), no model. What is code, a name or a quotation is the caller's to mask.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from watari.languages.checks import check_phrases
from watari.text.han import told_apart
from watari.text.leakage.letters import BEYOND, GREEK, HAN, LETTERS, written_with

Kind = Literal["script", "han", "latin", "language"]
"""`script`: letters that the language is not written with; `han`: Han characters or words of another language; `latin`:
a word with Latin letters of another language; `language`: a sentence."""

_REMEMBERED = 20_000
_JOINTS = r"[ .,!?:;'’‘\-–·、。，！？0-9()]"
_VIETNAMESE = re.compile("[ăđơưĂĐƠƯ\u1ea0-\u1ef9]")
_ACCENTED = re.compile(f"(?<![A-Za-z])[A-Za-z]*[{BEYOND}][A-Za-z\u00c0-\u024f\u1e00-\u1eff]*")
_SENTENCE = re.compile(r"[^。！？!?\n]+")
_CHINESE_GRAMMAR = re.compile(r"[的了是就也都我他]|可以|没有|如果|因此|不是|这|们|个")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d]")
_ONE_HAN = re.compile(f"[{HAN}]")


@dataclass(frozen=True, slots=True)
class Leak:
    """A stretch of another language: characters `start` to `stop`, the language as an ISO 639 code (of a script that
    several languages use, its largest; `und` for Latin letters that several have)."""

    start: int
    stop: int
    text: str
    kind: Kind
    language: str


def find_leaks(text: str, expected: str, *, allowed: str = "", context: str | None = None) -> list[Leak]:
    """Return where a text is not in the language that it should be in, in order of place.

    Args:
        text: Any; places are places in it.
        expected: ISO 639 code of its language.
        allowed: What may stand in it whatever its language: the text it was translated from, names, titles.
        context: The original in another language, which decides for words that both Han languages have in different
            senses; None: such words are not told.

    Returns:
        Leaks that do not overlap.
    """
    if text.isascii():
        return []
    strange = _strange(text, expected)
    found = _scripts(text, expected, allowed) + _latin(text, expected, allowed) if strange else []
    if expected in ("ja", "zh"):
        found += _han(text, expected, allowed, context, strange)
    found.sort(key=lambda leak: (leak.start, -leak.stop))
    kept: list[Leak] = []
    for leak in found:
        if not kept or leak.start >= kept[-1].stop:
            kept.append(leak)
    return kept


def _strange(text: str, expected: str) -> set[str]:
    """Return the characters of a text that may be a leak by themselves; most texts have none, and need no search."""
    plain = _plain_characters(expected)
    new = set(text) - plain
    if not new:
        return new
    characters = _foreign_han(expected)[0] if expected in ("ja", "zh") else frozenset()
    letters = _any_foreign(expected)
    strange = {char for char in new if char in characters or letters.match(char)}
    if len(plain) < _REMEMBERED:
        plain |= new - strange
    return strange


@cache
def _plain_characters(_expected: str) -> set[str]:
    """Return the characters that are known to be none that leaks, which grow with use."""
    return set()


@cache
def _any_foreign(expected: str) -> re.Pattern[str]:
    own = written_with(expected)
    every = "".join(letters for at, (_, letters) in enumerate(LETTERS) if at not in own)
    return re.compile(f"[{every}{GREEK}{BEYOND}]")


def foreign_characters(code: str) -> frozenset[str]:
    """Return Han characters that texts in `ja` or `zh` do not have and the other language's have."""
    return _foreign_han(code)[0]


@cache
def _foreign_letters(code: str) -> tuple[re.Pattern[str], tuple[tuple[re.Pattern[str], str], ...]]:
    """Return a pattern for runs of letters that a language is not written with, and one for each script with its name."""
    own = written_with(code)
    others = [(letters, name) for at, (name, letters) in enumerate(LETTERS) if at not in own]
    every = "".join(letters for letters, _ in others)
    greek = "" if code == "el" else f"|[{GREEK}]{{3,}}(?:{_JOINTS}+[{GREEK}]{{3,}})*"
    runs = re.compile(f"[{every}]+(?:{_JOINTS}*[{every}]+)*{greek}")
    return runs, (
        *((re.compile(f"[{letters}]"), name) for letters, name in others),
        (re.compile(f"[{GREEK}]"), "el"),
    )


def _scripts(text: str, expected: str, allowed: str) -> list[Leak]:
    runs, scripts = _foreign_letters(expected)
    found = []
    for match in runs.finditer(text):
        run = match[0]
        if run in allowed:
            continue
        # Hanja beside a Korean word, the name in its own writing beside its transcription.
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        if before in ("(", "（") and after in (")", "）") and len(run) <= 8 and expected != "ja":
            continue
        name = next(name for pattern, name in scripts if pattern.search(run))
        if name == "zh" and _KANA.search(run):
            name = "ja"
        found.append(Leak(match.start(), match.end(), run, "script", name))
    return found


@cache
def _foreign_han(
    expected: str,
) -> tuple[frozenset[str], str, re.Pattern[str] | None, dict[str, re.Pattern[str]]]:
    """Return characters of the other Han language, its code, a pattern for its words, and words with another sense."""
    japanese, chinese = told_apart()
    # Rare characters stand in the names and quotations of either language.
    chinese = frozenset(char for char in chinese if not _is_rare(char))
    other = "zh" if expected == "ja" else "ja"
    pack = check_phrases(expected)
    characters = (chinese if expected == "ja" else japanese) | frozenset(pack.characters.get(other, ""))
    listed = sorted(pack.foreign.get(other, "").split(), key=len, reverse=True)
    words = re.compile("|".join(listed)) if listed else None
    friends = {
        word: re.compile(senses, re.IGNORECASE) for word, senses in pack.friends.get(other, {}).items()
    }
    return characters, other, words, friends


def _is_rare(char: str) -> bool:
    """Return whether a character is in the second, rarer part of Big5 (from 0xC940): no simplified one, no common one."""
    try:
        return char.encode("big5") >= b"\xc9\x40"
    except UnicodeEncodeError:
        return False


def _han(text: str, expected: str, allowed: str, context: str | None, strange: set[str]) -> list[Leak]:
    characters, other, words, friends = _foreign_han(expected)
    found = []
    foreign = {char for char in strange if char in characters and char not in allowed}
    if foreign:
        for match in re.finditer(f"[{''.join(foreign)}]", text):
            found.append(Leak(match.start(), match.end(), match[0], "han", other))
    if words is not None:
        for match in words.finditer(text):
            if not _goes_on(text, match.start()) and match[0] not in allowed:
                found.append(Leak(match.start(), match.end(), match[0], "han", other))
    if context is not None:
        for word, senses in friends.items():
            if word in text and word not in allowed and not senses.search(context):
                for match in re.finditer(word, text):
                    if _goes_on(text, match.start()):
                        continue
                    found.append(Leak(match.start(), match.end(), word, "han", other))
    if expected == "ja" and (found or _no_kana(text)):
        found += _sentences(text, allowed)
    return found


def _goes_on(text: str, start: int) -> bool:
    """Return whether a place is inside a run of Han characters."""
    return start > 0 and _ONE_HAN.match(text[start - 1]) is not None


def _no_kana(text: str) -> bool:
    return "的" in text or "了" in text


def _sentences(text: str, allowed: str) -> list[Leak]:
    """Return sentences that are Chinese by their grammar, with not one kana."""
    found = []
    for match in _SENTENCE.finditer(text):
        part = match[0]
        if ("的" in part or "了" in part or "是" in part or "们" in part) and not _KANA.search(part):
            grammar = set(_CHINESE_GRAMMAR.findall(part))
            if len(grammar) >= 2 and len(_ONE_HAN.findall(part)) >= 6 and part.strip() not in allowed:
                start = match.start() + len(part) - len(part.lstrip())
                found.append(Leak(start, start + len(part.strip()), part.strip(), "language", "zh"))
    return found


def _latin(text: str, expected: str, allowed: str) -> list[Leak]:
    """Return words with Latin letters beyond ASCII: Vietnamese ones anywhere, others where Latin is not the script."""
    vietnamese = expected != "vi" and _VIETNAMESE.search(text) is not None
    if not vietnamese and not written_with(expected):
        return []
    found = []
    for match in _ACCENTED.finditer(text):
        word = match[0]
        if word in allowed or _plain(word).lower() in allowed.lower():
            continue
        own = vietnamese and _VIETNAMESE.search(word) is not None
        if own or written_with(expected):
            found.append(Leak(match.start(), match.end(), word, "latin", "vi" if vietnamese else "und"))
    return found


@lru_cache(maxsize=4096)
def _plain(word: str) -> str:
    import unicodedata

    return "".join(char for char in unicodedata.normalize("NFD", word) if not unicodedata.combining(char))
