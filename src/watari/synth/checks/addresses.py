"""Addresses and link targets: all that stand in the source stand in the target, and lead to the same place.

Translators lead to pages of their own language: a locale in the path, a subdomain, a heading's anchor, another Wikipedia.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import islice

from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity, Span
from watari.synth.checks.text import Piece, Turn

CHANGED = "url-changed"
BROKEN = "url-broken"
ELSEWHERE = "url-elsewhere"

_MOST = 100
"""Addresses that differ, looked at: a row with thousands of them takes no longer."""

_HTTP = re.compile(r"^(?:https?|ftp)://", re.I)
_LOCALE = re.compile(r"[a-z]{2}(?:[-_](?:[A-Za-z]{2}|Han[st]|latn))?", re.I)
_WIKIPEDIA = re.compile(r"(?:[a-z-]+\.)?(?:m\.)?(wik[a-z]+\.org)$")
_ENDING = re.compile(r"(?:/index)?\.(?:html?|mdx?|php|pdf)$")
_LOCALE_SUFFIX = re.compile(r"[._-](?:ja|jp|japanese|en|english|ko|kr|zh|cn)(?=\.[a-z]{2,5}$|$)", re.I)
_PAGE = re.compile(r"/(?:\d{1,2}|index|README)$")
_EXAMPLE = re.compile(r"^(?:[\w-]+\.)?example\.(?:com|org|net|jp)(?:/|$)")
"""Hosts that are made up to show something: what stands after them is words, which translators translate."""
_CODE_URL = re.compile(r"\b(?:https?|ftp)://[\w!#$%&*+,./:;=?@~-]+", re.I | re.A)


def addresses(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell which addresses are missing or lead elsewhere."""
    found: list[Finding] = []
    for number, (one, other) in enumerate(zip(source, target, strict=False)):
        if ("://" in one.content or "](" in one.content or "]:" in one.content) and other.content.strip():
            found += _compare(one, other, number, meta)
    return found


def _compare(one: Turn, other: Turn, number: int, meta: Meta) -> Iterator[Finding]:
    mine, theirs = _places(one), _places(other)
    want, have = Counter(place for place, _ in mine), Counter(place for place, _ in theirs)
    written_as, stands_as = dict(mine), dict(theirs)
    lost, new = want - have, have - want
    for place in list(lost)[:_MOST]:
        if match := next(
            (candidate for candidate in islice(new, _MOST) if _same_place(place, candidate)), None
        ):
            count = min(lost[place], new[match])
            lost[place] -= count
            new[match] -= count
            new += Counter()
    for place in list(+lost)[:_MOST]:
        if place in have and not +new:
            continue  # A repetition was left out.
        written = written_as[place].text
        place_instead = max(
            islice(+new, _MOST), key=lambda candidate: _closeness(place, candidate), default=None
        )
        stead = None if place_instead is None else stands_as[place_instead]
        message = f"the address {written[:80]} is missing"
        if stead is not None:
            message += f"; {stead.text[:80] or 'an empty one'} stands in the target"
        span = Span(number, stead.start, stead.stop) if stead is not None else None
        # A wholly other page was chosen by somebody, as an editor leaves one out; one that is nearly the source's is a mistake.
        chosen = meta.free
        if place_instead:
            chosen = place_instead == "#" or _closeness(place, place_instead) < 0.75
        if place_instead and _EXAMPLE.match(place) and _EXAMPLE.match(place_instead):
            chosen = True
        yield Finding(
            ELSEWHERE if chosen else CHANGED, Severity.WARN if chosen else Severity.HARD, message, span
        )
    for _, piece in theirs:
        if piece.text.endswith(("...", "…")) and piece.text not in one.content:
            message = f"the address {piece.text[:80]} is cut"
            yield Finding(CHANGED, Severity.HARD, message, Span(number, piece.start, piece.stop))
    if "" in have and "" not in want:
        yield Finding(BROKEN, Severity.HARD, "a link leads nowhere", None)


def _places(turn: Turn) -> list[tuple[str, Piece]]:
    """Return addresses with the place that they lead to: prose, inline code, and those in code blocks."""
    found: list[tuple[str, Piece]] = []
    taken = [(piece.start, piece.stop) for piece in turn.links]
    for piece in turn.links:
        found.append((place_of(piece.text), piece))
    inside = {start for start, _ in taken}
    for piece in turn.urls:
        if piece.start not in inside and piece.start - 1 not in inside:
            found.append((place_of(piece.text), piece))
    for fence in turn.fences:
        if "://" in fence.text:
            for match in _CODE_URL.finditer(fence.text):
                text = match[0].rstrip(".,;:!?*_")
                found.append((place_of(text), Piece(fence.start, fence.stop, text)))
    return found


@lru_cache(maxsize=4096)
def place_of(address: str) -> str:
    """Return where an address leads, without locale, query, fragment, scheme and the like; "#" within a page."""
    address = address.strip()
    if address.startswith("#"):
        return "#"
    rest, _, fragment = address.partition("#")
    rest, _, _ = rest.partition("?")
    absolute = _HTTP.match(rest)
    host = ""
    if absolute:
        host, _, path = rest[absolute.end() :].partition("/")
        host = host.lower().removeprefix("www.")
        if wiki := _WIKIPEDIA.search(host):
            return f"{wiki[1]}/"
        first, dot, others = host.partition(".")
        if dot and "." in others and _LOCALE.fullmatch(first):
            host = others
    else:
        path = rest
    parts = [part for part in path.split("/") if part and not _LOCALE.fullmatch(part)]
    path = "/".join(parts)
    path = _LOCALE_SUFFIX.sub("", _ENDING.sub("", path)) or (fragment if absolute else "")
    return f"{host}/{path}" if host else path or ("/" if rest.startswith("/") else "")


def _same_place(wanted: str, had: str) -> bool:
    """Return whether a target's address may stand for the source's: moved on its host, or a relative one made whole."""
    if _is_relative(wanted) and _is_relative(had) and _PAGE.sub("", wanted) == _PAGE.sub("", had) != "":
        return True  # A chapter, and its first page.
    host, _, path = wanted.partition("/")
    other, _, others = had.partition("/")
    last, last_other = path.rpartition("/")[2], others.rpartition("/")[2]
    if _is_relative(wanted) != _is_relative(had):
        one, two = wanted.rpartition("/")[2], had.rpartition("/")[2]
        return bool(one) and one == two
    return host == other and bool(last) and last == last_other


def _closeness(place: str, other: str) -> float:
    """Return how like two addresses are, to 1; one that begins the other is wholly like it."""
    if place.startswith(other) or other.startswith(place):
        return 1.0
    return SequenceMatcher(None, place[:200], other[:200], autojunk=False).ratio()


def _is_relative(place: str) -> bool:
    host = place.partition("/")[0]
    return "." not in host.strip(".") and ":" not in host


CHECKS = (
    Check(
        "addresses", 2, {CHANGED: Severity.HARD, BROKEN: Severity.HARD, ELSEWHERE: Severity.WARN}, addresses
    ),
)
