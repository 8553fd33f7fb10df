"""How a word sounds, roughly: the consonants of a katakana word and of a Latin one, so that コンポーネント is `component`.

Japanese writes foreign words by their sound. Vowels, lengths and doubled sounds are dropped, sounds that Japanese does not
tell apart are one: l and r, b and v, s and th. What is left is the same for a word and its katakana, or begins the same.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_ROWS = {
    "カキクケコヵヶ": "k", "サスセソ": "s", "シ": "s", "タテト": "t", "チ": "t", "ツ": "t", "ナニヌネノン": "n",
    "ハヒヘホ": "h", "フ": "h", "マミムメモ": "m", "ラリルレロ": "r", "ガギグゲゴ": "g", "ザズゼゾ": "z", "ジヂヅ": "z",
    "ダデド": "d", "バビブベボヴ": "b", "パピプペポ": "p",
}  # fmt: skip
_KATAKANA = {kana: sound for row, sound in _ROWS.items() for kana in row}
_SMALL = "ァィゥェォャュョヮ"

_LATIN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"(.)\1+", r"\1"),
        (r"^(?:kn|gn|pn)", "n"),
        (r"^ps", "s"),
        (r"^wr", "r"),
        (r"^x", "z"),
        (r"tch|ch(?=[aeiouy]|$)", "t"),
        (r"ch(?=e?$)", "s"),
        (r"ch", "k"),
        (r"d(?=u[lr])", "z"),
        (r"sch|sh", "s"),
        (r"t(?=ion|ial|ious|ient)", "s"),
        (r"c(?=ial|ious|ient|ian)", "s"),
        (r"s(?=ion|ure)", "s"),
        (r"ght", "t"),
        (r"gh(?=[aeiou])", "g"),
        (r"gh", ""),
        (r"ph", "h"),
        (r"th", "s"),
        (r"dge|dg", "z"),
        (r"ng(?=$|[^aeiour])", "n"),
        (r"mb$", "m"),
        (r"ck", "k"),
        (r"c(?=[eiy])", "s"),
        (r"g(?=[eiy])", "z"),
        (r"[cq]", "k"),
        (r"x", "ks"),
        (r"j", "z"),
        (r"f", "h"),
        (r"v", "b"),
        (r"l", "r"),
        (r"m(?=[pb])", "n"),
        (r"[aeiouyw]", ""),
        (r"h(?=$)", "h"),
    )
)
_FINAL_R = re.compile(r"(?:er|or|ar|ure|re|our)(?=s?$)|(?<=[aeiou])r(?=[^aeiouyr]|$)")
_MERGED = str.maketrans({"z": "s", "d": "t", "g": "k", "m": "n", "b": "h", "p": "h"})


@lru_cache(maxsize=8192)
def sound_of_katakana(word: str) -> str:
    """Return the consonants of a katakana word, `knhnnt` for コンポーネント."""
    word = unicodedata.normalize("NFKC", word)
    return _squeezed("".join(_KATAKANA.get(char, "") for char in word).translate(_MERGED))


@lru_cache(maxsize=8192)
def sound_of_latin(word: str) -> str:
    """Return the consonants that a Latin word would have in katakana."""
    word = _FINAL_R.sub("a", word.lower())
    for pattern, sound in _LATIN:
        word = pattern.sub(sound, word)
    return _squeezed("".join(char for char in word if char.isalpha()).translate(_MERGED))


def _squeezed(sound: str) -> str:
    # Japanese puts no vowel-less sound twice; an n before a consonant may be there or not.
    return re.sub(r"(.)\1+", r"\1", sound)


def alike(katakana: str, latin: str) -> bool:
    """Return whether two sounds may be the same word: equal, or one begins the other but for an ending."""
    if katakana == latin:
        return True
    short, long = sorted((katakana, latin), key=len)
    return (
        len(short) >= 2 and long.startswith(short) and len(long) - len(short) <= (1 if len(short) < 4 else 2)
    )
