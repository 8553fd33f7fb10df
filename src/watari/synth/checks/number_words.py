"""Words that name numbers: English ones that explain a digit in the target, kanji that stand for one of the source."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

KANJI = {"〇": 0, "零": 0, "一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_TENS = {"十": 10, "百": 100, "千": 1000}
_KANJI_NUMBER = re.compile(
    r"(?<=第)[〇零一二三四五六七八九十百千]+|[〇零一二三四五六七八九十百千]+(?:[.・．][〇一二三四五六七八九]+)?"
    r"(?=[つ人回度個件本枚年月日時分秒番目倍歳才章節種週点方者対組階社台冊例字行列項段次元重世万億割桁語文連片箇か名匹杯着択進角面要体])"
)
_IDIOMS = re.compile(r"一[方体連般緒部度種]|万一|一時的|一致")
_READINGS = {"ひとつ": "1", "ふたつ": "2", "みっつ": "3", "初": "1", "両": "2", "半": "0.5", "ゼロ": "0", "ダース": "12", "倍": "2", "ひと": "1", "ふた": "2", "単一": "1", "各": "1", "片": "1", "毎": "1", "パーセント": "100", "なし": "0", "以上": "1", "もう": "1"}  # fmt: skip

_UNITS = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15", "sixteen": "16",
    "seventeen": "17", "eighteen": "18", "nineteen": "19", "zero": "0",
    "first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "seventh": "7", "eighth": "8",
    "ninth": "9", "tenth": "10", "eleventh": "11", "twelfth": "12", "thirteenth": "13", "fourteenth": "14",
    "fifteenth": "15", "sixteenth": "16", "seventeenth": "17", "eighteenth": "18", "nineteenth": "19",
}  # fmt: skip
_DECADES = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
    "twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60, "seventies": 70, "eighties": 80,
    "nineties": 90, "twentieth": 20, "thirtieth": 30, "fortieth": 40, "fiftieth": 50, "sixtieth": 60, "seventieth": 70,
    "eightieth": 80, "ninetieth": 90,
}  # fmt: skip
_OTHERS = {
    "a": "1", "an": "1", "single": "1", "once": "1", "only": "1", "another": "1", "each": "1", "every": "1",
    "either": "1 2", "both": "2", "twice": "2", "pair": "2", "pairs": "2", "couple": "2", "double": "2", "doubles": "2",
    "doubled": "2", "half": "2 1 0.5 50", "halves": "2", "binary": "2", "dual": "2", "last": "1 2", "latter": "2 1",
    "former": "1", "triple": "3", "thrice": "3", "quarter": "4 1 25 15", "quarters": "4", "third": "3 1", "thirds": "3",
    "quadruple": "4", "dozen": "12", "dozens": "12 10", "decade": "10", "decades": "10", "score": "20", "century": "100",
    "hundred": "100 1", "hundreds": "100", "thousand": "1000 1", "thousands": "1000", "million": "1000000 1 100",
    "millions": "1000000 100", "billion": "1000000000 1 10", "billions": "1000000000 10", "week": "1 7",
    "year": "1", "day": "1", "month": "1", "hour": "1", "minute": "1", "fortnight": "2", "noon": "12", "midnight": "0 12",
    "no": "0", "nothing": "0", "none": "0", "empty": "0", "neither": "2", "two-dimensional": "2", "initial": "1",
    "same": "1", "next": "1", "one-": "1", "per": "1", "alternate": "1", "quarterly": "4", "daily": "1", "weekly": "1",
    "monthly": "1", "yearly": "1", "annual": "1", "annually": "1", "whole": "1", "sole": "1", "separate": "1",
    "following": "1", "previous": "1", "individual": "1", "unique": "1", "hexadecimal": "16", "hex": "16", "octal": "8", "decimal": "10",
    "byte": "1 8", "bytes": "8", "teens": "10", "teenager": "10", "teenagers": "10", "teenage": "10", "toddler": "1",
    "twin": "2", "twins": "2", "part": "1", "besides": "1", "any": "1", "all": "1 100", "fully": "100", "percent": "100",
}  # fmt: skip
_MONTHS = {
    name: str(number)
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
            "september sep sept", "october oct", "november nov", "december dec",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_ROMAN = {
    "i": "1",
    "ii": "2",
    "iii": "3",
    "iv": "4",
    "v": "5",
    "vi": "6",
    "vii": "7",
    "viii": "8",
    "ix": "9",
    "x": "10",
}
_WORD = re.compile(r"[a-z]+")
_CLOCK = re.compile(r"(\d{1,2})(?:[:.]\d{2})?\s?p\.?m\b", re.I)
_DECADE = re.compile(r"(?<!\d)'?(\d0)s\b")
_YEARS = re.compile(r"(?<!\d)(\d\d)\d\d\s?[-–—/]\s?(\d\d)(?![\d/-])", re.A)
"""Years from 1998–99, of which the second is told whole elsewhere."""
_RATIO = re.compile(r"(\d+(?:\.\d+)?)\s*(?:%|percent)", re.I)
_TERMS = {
    **{word: value.split() for word, value in {**_UNITS, **_OTHERS, **_MONTHS}.items()},
    **{word: [str(value)] for word, value in _DECADES.items()},
}
for _word, _value in _UNITS.items():
    _TERMS[_word] = sorted({*_TERMS[_word], _value})


def explained_by_words(text: str) -> set[str]:
    """Return the numbers that English words in a text may stand as in a translation."""
    found: set[str] = set()
    words = _WORD.findall(text.lower())
    before = ""
    for word in words:
        found.update(_TERMS.get(word, ()))
        if word in _UNITS and before in _DECADES:
            found.add(str(_DECADES[before] + int(_UNITS[word])))
        if word in _SCALED and before in _TERMS:
            for value in _TERMS[before]:
                if value.isdigit():
                    found.update((str(int(value) * _SCALED[word]), str(int(value) * _SCALED[word] // 10**4)))
        if word in _ROMAN and len(word) > 1:
            found.add(_ROMAN[word])
        before = word
    for match in _DECADE.finditer(text):
        found.update((f"19{match[1]}", f"20{match[1]}"))
    return found


def afternoon_hours(text: str) -> dict[str, str]:
    """Return the hours of the afternoon that a text tells, as they stand and as a clock of 24 hours has them."""
    return {match[1]: str(int(match[1]) % 12 + 12) for match in _CLOCK.finditer(text)}


def short_years(text: str) -> dict[str, str]:
    """Return the years that a text tells by two digits after a whole one (1998-99), as they stand and whole."""
    return {match[2]: f"{match[1]}{match[2]}" for match in _YEARS.finditer(text)}


def cardinals(text: str) -> list[str]:
    """Return the numbers from two to twelve that a text tells as words."""
    return [value for word in _WORD.findall(text.lower()) if (value := _CARDINALS.get(word))]


def counted(text: str) -> Counter[str]:
    """Return how often a text tells each of the numbers to nineteen as a word: two, second."""
    return Counter(value for word in _WORD.findall(text.lower()) if (value := _UNITS.get(word)))


_CARDINALS = {
    word: _UNITS[word]
    for word in ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
}
_SCALED = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}


def kanji_numbers(text: str) -> set[str]:
    """Return the numbers that kanji and readings in a text name."""
    found = {value for word, value in _READINGS.items() if word in text}
    for match in _KANJI_NUMBER.finditer(_IDIOMS.sub("", text)):
        if len(match[0]) <= 20:
            found.update(_kanji_values(match[0]))
    return found


@lru_cache(maxsize=2048)
def _kanji_values(text: str) -> tuple[str, ...]:
    whole = re.split("[.・．]", text)[0]
    total = 0
    digits = ""
    for char in whole:
        if char in KANJI:
            digits += str(KANJI[char])
        else:
            total += (int(digits) if digits else 1) * _TENS[char]
            digits = ""
    return tuple({str(total + int(digits or 0)), digits or "0"})
