"""Which scripts a text is written in, and the language that they suggest.

A script rule costs nothing and is right wherever the script decides (facts/corpus.md §2: Japanese 1.0, English 1.0,
Korean 1.0 on whole documents). It cannot tell languages of one script apart: Latin text is called English, kana-less
Han text Chinese.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from watari.kernels.texts import Texts

SCRIPTS = ("kana", "han", "hangul", "latin", "cyrillic", "thai", "other")

# (first, last, script); everything between is "other". Unicode 16 blocks, letters and their marks only.
_RANGES = (
    (0x0041, 0x005A, "latin"),
    (0x0061, 0x007A, "latin"),
    (0x00AA, 0x00AA, "latin"),
    (0x00BA, 0x00BA, "latin"),
    (0x00C0, 0x00D6, "latin"),
    (0x00D8, 0x00F6, "latin"),
    (0x00F8, 0x024F, "latin"),
    (0x0400, 0x052F, "cyrillic"),
    (0x0E01, 0x0E3A, "thai"),
    (0x0E40, 0x0E4E, "thai"),
    (0x1100, 0x11FF, "hangul"),
    (0x1E00, 0x1EFF, "latin"),
    (0x2E80, 0x2FD5, "han"),
    (0x3005, 0x3007, "han"),
    (0x3041, 0x309F, "kana"),
    (0x30A1, 0x30FA, "kana"),
    (0x30FC, 0x30FF, "kana"),
    (0x3131, 0x318E, "hangul"),
    (0x31F0, 0x31FF, "kana"),
    (0x3400, 0x4DBF, "han"),
    (0x4E00, 0x9FFF, "han"),
    (0xA960, 0xA97C, "hangul"),
    (0xAC00, 0xD7FB, "hangul"),
    (0xF900, 0xFAFF, "han"),
    (0xFF21, 0xFF3A, "latin"),
    (0xFF41, 0xFF5A, "latin"),
    (0xFF66, 0xFF9F, "kana"),
    (0x1B000, 0x1B16F, "kana"),
    (0x20000, 0x3347F, "han"),
)
_EDGES = np.array([edge for first, last, _ in _RANGES for edge in (first, last + 1)], dtype=np.uint32)
_OTHER = SCRIPTS.index("other")
# Class of the stretch before each edge; the stretches between two ranges are "other".
_CLASSES = np.array(
    [_OTHER, *(index for _, _, name in _RANGES for index in (SCRIPTS.index(name), _OTHER))], dtype=np.intp
)


def script_shares(text: str) -> dict[str, float]:
    """Return the share of each of `SCRIPTS` among the characters of `text` that are not white space.

    Digits, punctuation, symbols and all further scripts are "other". The shares sum to 1; all are 0 for blank text.
    """
    bare = "".join(text.split())
    points = np.frombuffer(bare.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    counts = np.bincount(
        _CLASSES[np.searchsorted(_EDGES, points, side="right")], minlength=len(SCRIPTS)
    ).tolist()
    total = len(points) or 1
    return {name: count / total for name, count in zip(SCRIPTS, counts, strict=True)}


def guess_language(text: str) -> str:
    """Return ja, zh, ko, ru, th or en by script, or `und` where there are no letters of a known script.

    A fifth of the letters is enough for an East Asian language: one kanji says as much as several Latin letters, and
    code or names in Latin letters are usual in such text. Among them, kana decides for Japanese. The first 10,000
    characters are looked at.
    """
    shares = script_shares(text[:10_000])
    letters = sum(share for name, share in shares.items() if name != "other")
    if letters == 0:
        return "und"
    east = {"ko": shares["hangul"], "ja": shares["kana"] + shares["han"]}
    language = max(east, key=lambda name: east[name])
    if east[language] >= 0.2 * letters:
        if language == "ja" and shares["kana"] < 0.05 * east["ja"]:
            return "zh"
        return language
    alphabets = {"th": shares["thai"], "ru": shares["cyrillic"], "en": shares["latin"]}
    return max(alphabets, key=lambda name: alphabets[name])


@cache
def _class_table() -> npt.NDArray[np.uint8]:
    """Return uint8[0x110000]: the place in `SCRIPTS` of every code point."""
    points = np.arange(0x110000, dtype=np.uint32)
    return _CLASSES[np.searchsorted(_EDGES, points, side="right")].astype(np.uint8)


def script_counts(texts: Texts, limit: int = 10_000) -> npt.NDArray[np.int64]:
    """Return int64[n, 7]: characters of each of `SCRIPTS` among the first `limit` of each text.

    Unlike in `script_shares`, white space counts as "other".
    """
    table = _class_table()
    counts = np.zeros((len(texts), len(SCRIPTS)), np.int64)
    starts = texts.offsets[:-1].tolist()
    stops = np.minimum(texts.offsets[1:], texts.offsets[:-1] + limit).tolist()
    for row, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        counts[row] = np.bincount(table[texts.codes[start:stop]], minlength=len(SCRIPTS))
    return counts
