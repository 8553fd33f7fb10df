"""Personal data that rules can tell: e-mail and IP addresses, telephone, identity and card numbers, masked and counted.

Rules are written for text without blanks between words: an address that stands against kana (`連絡はfoo@x.jp`) is one,
full-width letters, digits, hyphens and parentheses count as their ASCII forms. A number alone says nothing: telephone
numbers need their country's area codes and separators or a word before them (only mobile numbers stand alone), card
numbers an issuer, a length and the Luhn sum, My Numbers their check digit and blanks or a word before them.
Names and postal addresses are not looked for.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, field_validator

from watari.artifact.draws import draw_uint64
from watari.artifact.params import OneOrMore
from watari.corpus.personal_finders import Kind, Looks, Span, finders, to_ascii
from watari.corpus.table import with_column
from watari.corpus.texts import with_texts
from watari.languages.personal import personal_languages

MASKED = "masked"
"""The column that `mask` adds: JSON of how many of each kind were masked in a row, or null."""
STAGE = "corpus.build/personal"

_PASSES = 8
"""Looks at a text until nothing is found in it: two, but for made-up cases."""
_ALL: tuple[Kind, ...] = ("email", "phone", "identity", "ip", "card")


class PersonalParams(BaseModel):
    """Which personal data is masked, and by what."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kinds: Annotated[list[Kind], OneOrMore] = Field(
        default_factory=lambda: list(_ALL),
        description="email: addresses; phone: telephone numbers; identity: numbers that states give to people (My"
        " Number); ip: public IPv4 and IPv6 addresses; card: credit and debit cards",
    )
    languages: Annotated[list[str], OneOrMore] = Field(
        default_factory=lambda: ["ja"],
        description="whose telephone and identity numbers are looked for, in documents of any language",
    )
    replacement: Literal["example", "placeholder"] = Field(
        default="example",
        description="example: what has the form and belongs to nobody (an address at example.com, an IP address of RFC"
        " 5737 or 3849, zeros for digits), the same for the same value within a document and another in other"
        " documents; placeholder: <email>, <phone>, <my_number>, <ip>, <card>",
    )
    seed: int = Field(default=0, ge=0, description="of the draws of example addresses")

    @field_validator("languages")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        for code in value:
            if code not in personal_languages():
                raise ValueError(
                    f"'{code}' has no forms of personal data; known: {', '.join(personal_languages())}"
                )
        return value


_DIGITS = "0-9０-９"
_JOINTS = r"\-.() ‐‑‒–—―−ーｰ─━﹣－⁃˗（）．　\x{a0}"
_SUSPECT = {
    "email": r"[@＠]|[\[(（<＜【][\s　]?(?:at|AT|アット|アットマーク)[\s　]?[\])）>＞】]",
    # Seven digits with at most two joints between them: dates and prices have fewer.
    "number": rf"[{_DIGITS}](?:[{_JOINTS}]{{0,3}}[{_DIGITS}]){{6}}",
    "ipv4": rf"[{_DIGITS}][.．][{_DIGITS}]{{1,3}}[.．][{_DIGITS}]{{1,3}}[.．][{_DIGITS}]",
    "ipv6": r"[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]",
}
"""RE2: a text without a match of these holds nothing to mask, which pyarrow tells quickly."""


def mask(table: pa.Table, params: PersonalParams | None = None) -> pa.Table:
    """Return the table with personal data in `text` replaced, and counts in `masked`: JSON {"email": 2}, or null."""
    params = params or PersonalParams()
    column = table.column("text")
    rows = _suspects(column, params)
    counts: list[str | None] = [None] * table.num_rows
    texts: dict[int, str] = {}
    keys = table.column("key")
    for row in rows:
        text = column[row].as_py()
        spans = find(text, params)
        if not spans:
            continue
        tally: Counter[str] = Counter()
        key = keys[row].as_py() or ""
        for _ in range(_PASSES):
            tally.update(span.kind for span in spans)
            text = _replaced(text, spans, key, params)
            # An address that took the end of a card number may leave a shorter one whose check digit is right.
            spans = [span for span in find(text, params) if span.kind != "phone"]
            if not spans:
                break
        texts[row] = text
        counts[row] = json.dumps(dict(sorted(tally.items())))
    table = with_texts(table, texts)
    return with_column(table, MASKED, pa.array(counts, pa.string()))


def _suspects(column: pa.ChunkedArray, params: PersonalParams) -> list[int]:
    wanted = []
    if "email" in params.kinds:
        wanted.append(_SUSPECT["email"])
    if {"phone", "identity", "card"} & set(params.kinds):
        wanted.append(_SUSPECT["number"])
    if "ip" in params.kinds:
        wanted += [_SUSPECT["ipv4"], _SUSPECT["ipv6"]]
    if not wanted:
        return []
    found = pc.match_substring_regex(column, "|".join(wanted))
    return [int(row) for row in np.flatnonzero(found.fill_null(False).to_numpy())]


def find(text: str, params: PersonalParams) -> list[Span]:
    """Return the personal data of a text, in order, not overlapping: what is told surest comes first."""
    plain = to_ascii(text)
    spans: list[Span] = []
    taken = bytearray(len(text))
    parts: dict[Looks, list[tuple[int, int]]] = {}
    for looks, finder in finders(params.kinds, params.languages):
        if looks not in parts:
            parts[looks] = looks(plain)
        for span in (span for start, stop in parts[looks] for span in finder(plain, start, stop)):
            if not any(taken[span.start : span.stop]):
                taken[span.start : span.stop] = b"\x01" * (span.stop - span.start)
                spans.append(span)
    return sorted(spans, key=lambda span: span.start)


def _replaced(text: str, spans: list[Span], key: str, params: PersonalParams) -> str:
    parts = []
    place = 0
    for span in spans:
        parts.append(text[place : span.start])
        if params.replacement == "placeholder":
            parts.append(f"<{span.kind}>")
        else:
            parts.append(_example(text[span.start : span.stop], span, key, params.seed))
        place = span.stop
    return "".join([*parts, text[place:]])


def _example(written: str, span: Span, key: str, seed: int) -> str:
    if span.kind not in ("email", "ip"):
        return re.sub(f"[{_DIGITS}]", lambda digit: "0" if digit[0] < "\x80" else "０", written)
    draw = draw_uint64(seed, STAGE, f"{key}\x1f{span.value.lower()}")
    if span.kind == "email":
        return f"user{draw % 10_000:04d}@example.{('com', 'org', 'net')[draw // 10_000 % 3]}"
    if ":" in span.value:
        return f"2001:db8::{draw % 0xFFFF + 1:x}"
    return f"{('192.0.2', '198.51.100', '203.0.113')[draw // 1000 % 3]}.{draw % 254 + 1}"


def counts(table: pa.Table) -> dict[str, dict[str, int]]:
    """Return {kind: {"documents", "masked"}} of a table that `mask` has made, kinds sorted."""
    found: dict[str, dict[str, int]] = {}
    for text in table.column(MASKED).to_pylist():
        for kind, number in json.loads(text or "{}").items():
            entry = found.setdefault(kind, {"documents": 0, "masked": 0})
            entry["documents"] += 1
            entry["masked"] += number
    return dict(sorted(found.items()))
