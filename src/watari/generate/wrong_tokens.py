"""Which tokens of a vocabulary would be a leak: those that write letters the expected language is not written with.

Decided by bytes, so that a token which is only the beginning of a character counts where every letter that it can become
is foreign (`<0xEA>` begins Hangul and little else). What a token can only continue is not known and does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from watari.pretrained.pieces import token_bytes
from watari.text.leakage import foreign_characters
from watari.text.leakage.letters import GREEK, LATIN, LETTERS, written_with

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_NAMED = {
    "ja": "kana",
    "zh": "han",
    "ko": "hangul",
    "ru": "cyrillic",
    "th": "thai",
    "ar": "arabic",
    "he": "hebrew",
    "hi": "devanagari",
}
"""Scripts by the language that `LETTERS` names them for; the others are "other"."""
SCRIPTS = (*_NAMED.values(), "greek", "latin", "other")
_LATIN, _GREEK, _OTHER = (SCRIPTS.index(name) for name in ("latin", "greek", "other"))
_FORMULA = 3
"""Fewer Greek letters than this are a formula, as the detector has it."""
_SYMBOLS = ((0x1F000, 0x1FAFF), (0xFE00, 0xFE0F), (0xFF01, 0xFF5E))
"""Emoji, their variation selectors, wide forms: in texts of any language."""


@dataclass(frozen=True)
class WrongTokens:
    """The tokens that would leak into a language.

    Args:
        language: ISO 639 code of what is expected.
        script: [tokens] place in `SCRIPTS` of what each would leak; -1: nothing.
        text: What each token says, for people; bytes that are no character as ⟨E3⟩.
    """

    language: str
    script: npt.NDArray[np.int8]
    text: Sequence[str]

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """[tokens] True where a token would leak."""
        return np.asarray(self.script >= 0)

    def of_scripts(self) -> npt.NDArray[np.bool_]:
        """[tokens, scripts] True where a token would leak that script."""
        return np.asarray(self.script[:, None] == np.arange(len(SCRIPTS))[None])


def wrong_tokens(tokenizer: PreTrainedTokenizerBase, language: str, *, latin: bool = False) -> WrongTokens:
    """Return the tokens that would leak into a text of `language`, of the whole vocabulary.

    Args:
        tokenizer: The model's.
        language: ISO 639 code of what is expected. In Japanese and Chinese those Han characters are foreign that only the
            other has.
        latin: Whether Latin letters leak into a language that is not written with them; texts are full of them, so that
            by default they do not.
    """
    spelt = token_bytes(tokenizer, range(len(tokenizer)))
    own = written_with(language)
    own_blocks = {place for block, place in _script_of_block().items() if block in own}
    foreign = np.ones(len(SCRIPTS), np.bool_)
    foreign[sorted(own_blocks)] = False
    foreign[_LATIN] = latin and bool(own)
    foreign[_GREEK] = language != "el"
    starts, stops, scripts = _blocks()
    counts = np.zeros((len(spelt), len(SCRIPTS)), np.int32)
    owners, points, open_ends = _characters(spelt)
    block = np.searchsorted(starts, points, side="right") - 1
    inside = (block >= 0) & (points <= stops[np.maximum(block, 0)])
    np.add.at(counts, (owners[inside], scripts[block[inside]]), 1)
    if _OTHER in own_blocks:
        # "other" holds the scripts of many languages: its own letters are told apart.
        foreign[_OTHER] = True
        mine = np.isin(points, _own_points(language))
        np.add.at(counts, (owners[mine], np.full(int(mine.sum()), _OTHER)), -1)
    counts[:, _GREEK] *= counts[:, _GREEK] >= _FORMULA
    counts[:, ~foreign] = 0
    if language in ("ja", "zh"):
        odd = np.isin(points, np.array([ord(char) for char in foreign_characters(language)]))
        np.add.at(counts, (owners[odd], np.full(int(odd.sum()), SCRIPTS.index("han"))), 1)
    for token, low, high in open_ends:
        if found := _begun(low, high, language, latin=latin):
            counts[token, found] += 1
    script = np.where(counts.any(1), counts.argmax(1), -1).astype(np.int8)
    return WrongTokens(language, script, [_shown(data) for data in spelt])


def scripts_in(text: str) -> frozenset[str]:
    """Return the scripts whose letters stand in a text."""
    starts, stops, scripts = _blocks()
    points = np.array([ord(char) for char in text], np.int64)
    block = np.searchsorted(starts, points, side="right") - 1
    inside = (block >= 0) & (points <= stops[np.maximum(block, 0)])
    return frozenset(SCRIPTS[place] for place in scripts[block[inside]].tolist())


@cache
def _blocks() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return first and last code points of blocks of letters, in order, and the place of each one's script."""
    found = [
        (low, high, place)
        for number, place in _script_of_block().items()
        for low, high in _intervals(LETTERS[number][1])
    ]
    found += [(low, high, _LATIN) for low, high in _intervals(LATIN)]
    found += [(low, high, _GREEK) for low, high in _intervals(GREEK)]
    starts, stops, scripts = np.array(sorted(found), np.int64).T
    return starts, stops, scripts


@cache
def _script_of_block() -> dict[int, int]:
    return {
        number: SCRIPTS.index(_NAMED.get(language, "other")) for number, (language, _) in enumerate(LETTERS)
    }


def _own_points(language: str) -> npt.NDArray[np.int64]:
    ranges = [pair for number in written_with(language) for pair in _intervals(LETTERS[number][1])]
    return np.concatenate([np.arange(low, high + 1) for low, high in ranges])


def _intervals(letters: str) -> list[tuple[int, int]]:
    """Return the ranges of a character class such as `A-Zあ`."""
    found, at = [], 0
    while at < len(letters):
        wide = letters[at + 1 : at + 2] == "-"
        found.append((ord(letters[at]), ord(letters[at + 2 if wide else at])))
        at += 3 if wide else 1
    return found


def _characters(
    spelt: Sequence[bytes],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[tuple[int, int, int]]]:
    """Return the token of each whole character, its code point, and (token, lowest, highest) of characters begun."""
    owners, points, begun = [], [], []
    for token, data in enumerate(spelt):
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = data.decode(errors="ignore")
            if last := _open_end(data):
                begun.append((token, *last))
        owners += [token] * len(text)
        points += [ord(char) for char in text]
    return np.array(owners, np.int64), np.array(points, np.int64), begun


def _open_end(data: bytes) -> tuple[int, int] | None:
    """Return the code points that the character begun at the end of `data` may have; None if none is begun."""
    for back in range(1, min(3, len(data)) + 1):
        lead = data[-back]
        if lead & 0xC0 == 0x80:
            continue
        size = 2 if 0xC2 <= lead < 0xE0 else 3 if 0xE0 <= lead < 0xF0 else 4 if 0xF0 <= lead < 0xF5 else 1
        if size <= back:
            return None
        low = lead & (0xFF >> (size + 1))
        for byte in data[len(data) - back + 1 :]:
            low = low << 6 | byte & 0x3F
        left = 6 * (size - back)
        least = {2: 0x80, 3: 0x800, 4: 0x10000}[size]
        high = (low + 1 << left) - 1
        lowest = max(least, low << left)
        # Half of what begins with ED are surrogates, which no text has.
        return lowest, 0xD7FF if lowest < 0xD800 <= high else high
    return None


def _begun(low: int, high: int, language: str, *, latin: bool) -> int | None:
    """Return the script that a character between two code points would leak, or None if it need not leak.

    It need not where it can be a letter of the language, a symbol, or where three quarters of what it can be are no letters.
    """
    starts, stops, scripts = _blocks()
    near = (starts <= high) & (stops >= low)
    own = written_with(language)
    fine = [pair for number in own for pair in _intervals(LETTERS[number][1])]
    if not (latin and own):
        fine += _intervals(LATIN)
    if language == "el":
        fine += _intervals(GREEK)
    fine += _SYMBOLS
    places = scripts[near]
    # One Greek letter is no leak, and two bytes begin no more.
    if not len(places) or (places == _GREEK).any() or any(a <= high and b >= low for a, b in fine):
        return None
    widths = np.minimum(stops[near], high) - np.maximum(starts[near], low) + 1
    if 4 * widths.sum() < high + 1 - low:
        return None
    return int(places[widths.argmax()])


def _shown(data: bytes) -> str:
    """Return a token's bytes for people: characters that they hold, ⟨E3⟩ for a byte that is none."""
    text, at = "", 0
    while at < len(data):
        for size in (1, 2, 3, 4):
            try:
                text += data[at : at + size].decode()
            except UnicodeDecodeError:
                continue
            at += size
            break
        else:
            text += f"⟨{data[at]:02X}⟩"
            at += 1
    return text
