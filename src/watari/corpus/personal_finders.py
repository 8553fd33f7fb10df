"""Finders of personal data in the ASCII form of a text (`to_ascii`), in which places are the places of the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from watari.corpus import personal_checks
from watari.languages.personal import Identity, personal_forms

Kind = Literal["email", "phone", "identity", "ip", "card"]


@dataclass(frozen=True)
class Span:
    """A place of a text that is masked.

    Args:
        start, stop: Characters.
        kind: What it is counted as.
        value: It, in ASCII.
    """

    start: int
    stop: int
    kind: str
    value: str


_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_ASCII = (
    _WIDE
    | dict.fromkeys(map(ord, "‐‑‒–—―−ーｰ─━﹣－⁃˗"), ord("-"))
    | dict.fromkeys(map(ord, "\u3000\u00a0\u2002\u2003\u2009\u202f"), ord(" "))
)
"""One to one, so that places in the ASCII form are places in the text."""


def to_ascii(text: str) -> str:
    """Return a text of the same length with full-width letters, digits, hyphens and blanks as ASCII."""
    return text.translate(_ASCII)


Finder = Callable[[str, int, int], Iterator[Span]]
"""(ASCII text, first place, last place) → what is found between them."""
Looks = Callable[[str], list[tuple[int, int]]]
"""ASCII text → the parts of it that are worth a finder's look: a cheap search spares several dear ones."""

_AT = re.compile(r"@|[\[(<【] ?(?:at|AT|アット)")
_NUMBER = re.compile(r"[0-9](?:[-.() +]{0,3}[0-9]){6,}")
_IP = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]")


def _whole(mark: re.Pattern[str]) -> Looks:
    return lambda plain: [(0, len(plain))] if mark.search(plain) else []


def _rows_of_digits(plain: str) -> list[tuple[int, int]]:
    # With what may stand before and behind them: `+(`, and the character that ends a number.
    return [(max(0, match.start() - 3), match.end() + 3) for match in _NUMBER.finditer(plain)]


def finders(kinds: Sequence[Kind], languages: Sequence[str]) -> Iterator[tuple[Looks, Finder]]:
    """Yield (where to look, finder), those that are surest first."""
    if "email" in kinds:
        yield _whole(_AT), _emails
    if "ip" in kinds:
        yield _whole(_IP), _addresses
    if "card" in kinds:
        yield _rows_of_digits, _cards
    if "identity" in kinds:
        for code in languages:
            for form in personal_forms(code).identity:
                yield _rows_of_digits, _identity_finder(form.kind, code)
    if "phone" in kinds:
        for code in languages:
            if personal_forms(code).phone is not None:
                yield _rows_of_digits, _phone_finder(code)


# A letter of the local part, or of the domain, before it would make it another address. Kana and kanji are none.
_LOCAL = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~."
_LABEL = r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?|[ぁ-ゖァ-ヺー一-鿿]{1,20})"
_EMAIL = re.compile(
    rf"(?<![{_LOCAL}\-])[A-Za-z0-9_](?:[{_LOCAL}\-]{{0,62}}[A-Za-z0-9_+\-.])?"
    r"(?: ?@ ?| ?[\[(<【] ?(?:@|at|AT|アット|アットマ-ク) ?[\])>】] ?)"
    rf"(?:{_LABEL}\.)+(?:[A-Za-z]{{2,24}}|xn--[A-Za-z0-9\-]{{2,59}})(?![A-Za-z0-9])"
)
_FILES = {
    "avif",
    "bmp",
    "css",
    "gif",
    "htm",
    "html",
    "ico",
    "jpeg",
    "jpg",
    "js",
    "json",
    "mjs",
    "php",
    "png",
    "svg",
}
_FILES |= {"ts", "txt", "webp", "xml", "yaml", "yml"}
"""Ends of file names: `icon@2x.png` is none of a domain."""
_RESERVED = re.compile(
    r"(?:^|\.)(?:example(?:\.(?:com|org|net|jp|co\.jp))?|test|invalid|localhost)$", re.IGNORECASE
)


def _emails(plain: str, start: int, stop: int) -> Iterator[Span]:
    for match in _EMAIL.finditer(plain, start, stop):
        value = match[0]
        domain = re.split(r"@|[\])>】]", value)[-1].strip()
        spaced = " @" in value or "@ " in value
        if domain.rpartition(".")[2].lower() in _FILES or _RESERVED.search(domain) or spaced:
            continue
        if value.startswith("git@"):
            continue
        yield Span(match.start(), match.end(), "email", value)


_IPV4 = re.compile(r"(?<![0-9A-Za-z.\-])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9]|\.[0-9]|-[0-9])")
_IPV6 = re.compile(
    r"(?<![0-9A-Za-z:.])[23][0-9A-Fa-f]{3}:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:])"
)
_VERSION = re.compile(
    r"(?:v|ver|version|release|rel|build|バ-ジョン|版|/|緯|経|緯度|経度|lat|lon|latitude|longitude)[. :]{0,2}$",
    re.IGNORECASE,
)
_IP_WORD = re.compile(
    r"\bip|アドレス|address|host|ホスト|サ-バ|server|dns|ping|proxy|プロキシ", re.IGNORECASE
)


def _addresses(plain: str, start: int, stop: int) -> Iterator[Span]:
    for match in _IPV4.finditer(plain, start, stop):
        value = match[0]
        before = plain[max(0, match.start() - 30) : match.start()]
        octets = value.split(".")
        # 3.1.2.4 is a section or a version, 34.30.3.5 a latitude, unless it is said to be an address.
        small = all(int(octet) < 60 for octet in octets)
        if any(len(octet) > 1 and octet[0] == "0" for octet in octets) or not personal_checks.public_address(
            value
        ):
            continue
        url = before.endswith("://")
        if url or (not _VERSION.search(before[-12:]) and (not small or _IP_WORD.search(before))):
            yield Span(match.start(), match.end(), "ip", value)
    for match in _IPV6.finditer(plain, start, stop):
        if personal_checks.public_address(match[0]):
            documentation = match[0].lower().startswith(("2001:db8:", "2001:0db8:"))
            if not documentation:
                yield Span(match.start(), match.end(), "ip", match[0])


_EDGE = r"(?<![0-9A-Za-z.])(?<![0-9A-Za-z]-)"
_END = r"(?![0-9A-Za-z]|[-.][0-9])"
_CARD = re.compile(
    rf"{_EDGE}(?:[0-9]{{4}}([ -])[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}(?:\1[0-9]{{1,3}})?"
    rf"|[0-9]{{4}}([ -])[0-9]{{6}}\2[0-9]{{4,5}}|[0-9]{{14,16}}){_END}"
)


def _cards(plain: str, start: int, stop: int) -> Iterator[Span]:
    for match in _CARD.finditer(plain, start, stop):
        digits = re.sub("[^0-9]", "", match[0])
        if personal_checks.card(digits):
            yield Span(match.start(), match.end(), "card", digits)


@cache
def _identity_finder(kind: str, language: str) -> Finder:
    form: Identity = next(form for form in personal_forms(language).identity if form.kind == kind)
    groups = [rf"[0-9]{{{size}}}" for size in form.groups]
    bare = rf"{_EDGE}[0-9]{{{sum(form.groups)}}}{_END}"
    # 4-4-4 of a longer row of groups is another number.
    spaced = rf"{_EDGE}(?<![0-9][ -]){groups[0]}([ -])" + r"\1".join(groups[1:]) + rf"{_END}(?!\1[0-9])"
    pattern = re.compile(f"{spaced}|{bare}" if len(groups) > 1 else bare)
    words = re.compile("|".join(re.escape(word.translate(_ASCII)) for word in form.context))
    check = personal_checks.CHECKS[form.check]

    def finder(plain: str, start: int, stop: int) -> Iterator[Span]:
        for match in pattern.finditer(plain, start, stop):
            digits = re.sub("[^0-9]", "", match[0])
            said = words.search(plain, max(0, match.start() - 20), match.start()) is not None
            if (said or len(digits) < len(match[0])) and check(digits):
                yield Span(match.start(), match.end(), form.kind, digits)

    return finder


@cache
def _phone_finder(language: str) -> Finder:
    phone = personal_forms(language).phone
    assert phone is not None
    words = [word.translate(_ASCII) for word in phone.context]
    # TEL03-1234-5678: of all letters only these words may stand against a number.
    glued = "".join(
        rf"|(?<={re.escape(word)})" for word in words if word[-1:].isascii() and word[-1:].isalpha()
    )
    edge = rf"(?:(?<![0-9A-Za-z.]){glued})(?<![0-9A-Za-z]-)"
    joint = r" ?[-.] ?| "
    pattern = re.compile(
        # +81 3-1234-5678, +81-(0)90-1234-5678, 0081 …
        rf"(?:(?<![0-9A-Za-z+]){glued})(?P<country>(?:\+|00 ?){phone.country}[- .]{{0,2}}(?:\(0\)[- ]?|0(?=[0-9]))?)"
        rf"(?P<after>\(?[1-9][0-9]{{0,4}}\)?(?:[- .]?[0-9]){{5,9}}){_END}"
        # 03-1234-5678, (03)1234-5678, 03(1234)5678, 03 1234 5678
        rf"|{edge}(?:\((?P<p1>0[0-9]{{1,4}})\) ?(?P<p2>[0-9]{{1,4}})(?:{joint})(?P<p3>[0-9]{{3,4}})"
        rf"|(?P<q1>0[0-9]{{1,4}}) ?\((?P<q2>[0-9]{{1,4}})\) ?(?:- ?)?(?P<q3>[0-9]{{3,4}})"
        rf"|(?P<r1>0[0-9]{{1,4}})(?:{joint})(?P<r2>[0-9]{{1,4}})(?:{joint})(?P<r3>[0-9]{{3,4}})"
        # 09012345678
        rf"|(?P<bare>0[0-9]{{8,12}})){_END}"
    )
    context = re.compile("|".join(map(re.escape, words)) or "(?!)")

    def finder(plain: str, start: int, stop: int) -> Iterator[Span]:
        place = start
        while match := pattern.search(plain, place, stop):
            digits = re.sub("[^0-9]", "", match["after"] or match["bare"] or "")
            if match["country"]:
                found = personal_checks.phone_digits(f"0{digits}", language, bare=False)
            elif match["bare"]:
                said = context.search(plain, max(0, match.start() - 12), match.start()) is not None
                found = personal_checks.phone_digits(digits, language, bare=not said)
            else:
                groups = [match[f"{form}{part}"] for form in "pqr" if match[f"{form}1"] for part in "123"]
                found = personal_checks.phone_groups(groups, language)
            if found:
                yield Span(match.start(), match.end(), "phone", re.sub("[^0-9+]", "", match[0]))
            # What is no number may hold the start of one: `01 03-1234-5678`.
            place = match.end() if found else match.start() + 1

    return finder
