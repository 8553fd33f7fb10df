"""Numbers: each of the target's comes from the source, and none of the source's was exchanged for another.

Compared as values: 16.7 million is 1670万, December 3rd is 12 月 3 日, two is 2 or 二つ, 3 pm is 15 時. Words that name a
number explain one in the target; that a small number became a word (1 → 一つ, 最初) or fell away is no fault.
Of a free translation that turns feet into metres, numbers are told but not held against it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity, Span
from watari.synth.checks.number_words import (
    afternoon_hours,
    cardinals,
    counted,
    explained_by_words,
    kanji_numbers,
    short_years,
)
from watari.synth.checks.text import Turn

CHANGED = "number-changed"
MISSING = "number-missing"

_NUMBER = re.compile(r"(?<![\d.])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)*", re.A)
_SCALES = {"百": 100, "千": 1000, "万": 10**4, "億": 10**8, "兆": 10**12}
_SCALE = re.compile(r"\s?(百|千)?\s?(万|億|兆)|\s?(百|千)(?![\w一-鿿])")
_ENGLISH_SCALES = {
    "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12,
}  # fmt: skip
_ENGLISH_SCALE = re.compile(r"[ -]?(hundred|thousand|million|billion|trillion)s?\b|([kKMB])(?![A-Za-z0-9])")
_LETTERS = {"k": 1000, "K": 1000, "M": 10**6, "B": 10**9}
_MARKER = re.compile(r"^[ \t]*(\d{1,3})[.)][ \t]", re.M)
_DIGIT = re.compile(r"\d")
_SMALL = frozenset("234")
_RAISED = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉]")
_ERA = re.compile(
    r"(?:明治|大正|昭和|平成|令和)\s?(?:\d{1,2}|元)年|[一-龥]天皇\s?(?:\d{1,2}|元)年|[一-龥]{2}(?:[ _]?\([^()]{1,8}\))?\s?(?:\d{1,2}|元)年(?=(?:閏?\d{1,2}月(?:\d{1,2}日)?)?\s?[（(]\s?\d{3,4}年|[^年]{0,12}旧暦)"
    r"|\d{3,4}年(?:\d{1,2}月(?:\d{1,2}日)?)?\s?[（(]\s?[一-龥]{2}(?:[ _]?\([^()]{1,8}\))?\s?(?:\d{1,2}|元)年|旧暦"
)
"""A year of an era, which a translation turns into one of another calendar, with its month and day."""
_MEASURE = re.compile(
    r"\b(?:feet|foot|ft|inch(?:es)?|miles?|mph|yards?|acres?|pounds?|lbs?|ounces?|oz|gallons?|quarts?|pints?|cups?|degrees|fahrenheit|stones?)\b|°\s?F|[$£€¥]\s?\d|\b(?:dollars?|pounds?|euros?|cents?|USD|yen)\b",
    re.I,
)
_METRIC = re.compile(
    r"メートル|キロ|センチ|ミリ|グラム|リットル|℃|摂氏|度|平方|ヘクタール|トン|円|ドル|(?<=\d)\s?(?:k?m|cm|mm|k?g|ml|l|L)(?![A-Za-z])"
)
"""Measures and money of one country, told in those of another."""
_OTHER_FORMS = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉０-９，．①-⑳]")


def numbers(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell which numbers were exchanged, or came from nowhere."""
    found: list[Finding] = []
    for number, (one, other) in enumerate(zip(source, target, strict=False)):
        digits = _DIGIT.search(one.content) or _DIGIT.search(other.content)
        if digits and other.content.strip():
            found += _compare(one, other, number, meta)
    return found


def _compare(one: Turn, other: Turn, number: int, meta: Meta) -> Iterator[Finding]:
    mine_text, theirs_text = _readable(one), _readable(other)
    if (marks := _markers(one)) != (others := _markers(other)) and len(marks) == len(others):
        message = f"list items are numbered {', '.join(others[:6])} for the source's {', '.join(marks[:6])}"
        yield Finding(CHANGED, Severity.HARD, message, None)
        return
    mine, theirs = _values(mine_text, english=True), _values(theirs_text, english=False)
    if not mine and not theirs:
        return
    lost, new = mine - theirs, theirs - mine
    if not lost and not new:
        return
    for told, whole in (*afternoon_hours(mine_text).items(), *short_years(mine_text).items()):
        if told in lost and whole in new:
            lost, new = lost - Counter([told]), new - Counter([whole])
    words = explained_by_words(mine_text)
    everywhere = _values(one.content, english=True).keys()
    spelt = kanji_numbers(theirs_text)
    gone = Counter({value: count for value, count in lost.items() if value not in spelt})
    strange = [value for value in new if value not in everywhere and value not in words]
    exchanged = [value for value in new if value not in words] or (
        list(new) if new.total() == gone.total() else []
    )
    if not gone and lost.total() == new.total():
        gone, exchanged = lost, list(new)
    soft = (strange or exchanged) and (
        _ERA.search(theirs_text)
        or (_MEASURE.search(mine_text) and _METRIC.search(theirs_text))
        or (meta.free and meta.kind == "chat")
    )
    if gone and (strange or exchanged):
        value = (strange or exchanged)[0]
        message = f"the number {value} stands for {next(iter(gone))}"
        # An editor turns feet into metres, and sets facts right.
        severity = Severity.WARN if soft else Severity.HARD
        yield Finding(CHANGED, severity, message, _span(other, number, value))
    elif strange:
        unsaid = [value for value in cardinals(mine_text) if value not in theirs and value not in spelt]
        # Who counts what the source lists writes a small number; an editor puts a year to "today".
        counted = not unsaid and all(value in _SMALL for value in strange)
        # Words of other languages than English that name a number are not known.
        unknown = meta.source != "en"
        severity = Severity.WARN if soft or counted or unknown else Severity.HARD
        message = f"the number {strange[0]} does not stand in the source"
        yield Finding(CHANGED, severity, message, _span(other, number, strange[0]))
    elif (twice := _told_twice(new, mine_text, theirs, spelt)) and not meta.free:
        message = f"{twice[0]} is told more often than in the source, {twice[1]} is not told"
        yield Finding(CHANGED, Severity.HARD, message, _span(other, number, twice[0]))
    elif gone:
        told_gone = ", ".join(list(gone)[:4])
        yield Finding(MISSING, Severity.WARN, f"numbers of the source are missing: {told_gone}", None)


def _told_twice(
    new: Counter[str], source: str, theirs: Counter[str], spelt: set[str]
) -> tuple[str, str] | None:
    """Return a number that words of the source explain, but not so often, and one in words that is missing for it."""
    words = counted(source)
    unsaid = [value for value in words if value not in theirs and value not in spelt]
    if unsaid:
        for value, count in new.items():
            if 0 < words[value] < count:
                return value, unsaid[0]
    return None


def _readable(turn: Turn) -> str:
    """Return a content without code blocks, addresses and anchors; inline code stays."""
    text = turn.without_marks
    if _OTHER_FORMS.search(text):
        text = unicodedata.normalize("NFKC", _RAISED.sub(" ", text))
    return text


def _markers(turn: Turn) -> list[str]:
    return _MARKER.findall(turn.outside)


def _values(text: str, *, english: bool) -> Counter[str]:
    """Return the numbers in digits as they are compared: `16700000`, `3.4`, `18`."""
    found: Counter[str] = Counter()
    for match in _NUMBER.finditer(text):
        plain = match[0].replace(",", "") if "," in match[0] else match[0]
        scale = 1
        if after := _ENGLISH_SCALE.match(text, match.end()):
            scale = _ENGLISH_SCALES[after[1]] if after[1] else _LETTERS[after[2]]
        elif not english and (after := _SCALE.match(text, match.end())):
            scale = _SCALES[after[1] or after[3] or "百"] if after[1] or after[3] else 1
            scale *= _SCALES[after[2]] if after[2] else 1
        found[_scaled(plain, scale)] += 1
    return found


def _scaled(plain: str, scale: int) -> str:
    if scale == 1:
        # 07 is July, 00 is no 0.
        return plain[1:] if len(plain) == 2 and plain[0] == "0" and plain[1] != "0" else plain
    if plain.count(".") > 1 or len(plain) > 40:
        return plain
    value = Fraction(plain) * scale
    return str(value.numerator) if value.denominator == 1 else str(float(value))


def _span(turn: Turn, number: int, value: str) -> Span | None:
    at = turn.content.find(value)
    return Span(number, at, at + len(value)) if at >= 0 else None


CHECKS = (Check("numbers", 3, {CHANGED: Severity.HARD, MISSING: Severity.WARN}, numbers),)
