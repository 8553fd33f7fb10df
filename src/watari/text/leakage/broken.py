"""Characters that are no text: what is left where bytes were cut or read with the wrong encoding."""

from __future__ import annotations

import re
from collections.abc import Iterator

from watari.text.leakage.event import UNDETERMINED, Event

# (what it is, pattern). UTF-8 read as Latin-1 or cp1252, and as cp932: two such pairs, for one may be meant.
_KINDS: tuple[tuple[str, str], ...] = (
    ("a character that could not be decoded", "[\ufffd]+"),
    ("a control character of Latin-1", "[\x80-\x84\x86-\x9f]+"),
    ("a byte order mark in the text", "\ufeff+"),
    ("a byte token", r"(?:<0x[0-9A-Fa-f]{2}>)+"),
    ("a part of a surrogate pair", "[\ud800-\udfff]+"),
    (
        "UTF-8 read as another encoding",
        "(?:â€[\u0080-\u00bf\u0152-\u2122]|[ÃÂ][\u0080-\u00bf]|ã[\u0080-\u00bf]{1,2}ã)+",
    ),
    ("UTF-8 read as another encoding", "(?:[縺繧繝][\uff61-\uff9f\u4e00-\u9fff]){2,}"),
)
_ANY = re.compile("|".join(f"({pattern})" for _, pattern in _KINDS))
_FIRST = re.compile("[\ufffd\x80-\x84\x86-\x9f\ufeff\ud800-\udfffâÃÂã縺繧繝]|<0x")


def broken(text: str) -> Iterator[Event]:
    """Yield an event for every run of broken characters."""
    if _FIRST.search(text) is None:
        return
    for match in _ANY.finditer(text):
        what = _KINDS[(match.lastindex or 1) - 1][0]
        yield Event("glyph", UNDETERMINED, match.start(), match.end(), match[0], "high", what)
