"""The normal form of a document's text."""

from __future__ import annotations

import re
import unicodedata

_NEWLINES = re.compile("\r\n?|\u2028|\u2029|\x85")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufeff]")


def normalise(text: str) -> str:
    """Return `text` in NFC, with `\\n` as its only line end, without control characters and outer white space.

    NFC and not NFKC: NFKC would turn ！？（） into ASCII and lose what Japanese typography says (facts/corpus.md §4).
    Tabs stay; a byte-order mark anywhere is dropped. Idempotent.
    """
    return unicodedata.normalize("NFC", _CONTROLS.sub("", _NEWLINES.sub("\n", text))).strip()
