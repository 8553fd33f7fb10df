"""Which letters a language is written with: Unicode blocks, marks and digits that others use left out."""

from __future__ import annotations

import re
from functools import cache

from watari.languages import languages, load_language

# (language named, first-last of its letters). Of a script that several languages use, the largest is named.
LETTERS: tuple[tuple[str, str], ...] = (
    ("ja", "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fd-\u30ff\u31f0-\u31ff\uff66-\uff6f\uff71-\uff9d"),
    ("ko", "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7fb"),
    ("zh", "\u3105-\u312f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003347f"),
    ("ru", "\u0400-\u0482\u048a-\u052f"),
    ("th", "\u0e01-\u0e3a\u0e40-\u0e4e"),
    ("ar", "\u0620-\u065f\u066e-\u06d3\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc"),
    ("he", "\u0591-\u05f4\ufb1d-\ufb4f"),
    ("hi", "\u0900-\u0963\u0971-\u097f"),
    ("bn", "\u0980-\u09e5\u09f0-\u09fe"),
    ("pa", "\u0a01-\u0a65\u0a70-\u0a75"),
    ("gu", "\u0a81-\u0ae3"),
    ("ta", "\u0b82-\u0bd7"),
    ("te", "\u0c00-\u0c63"),
    ("kn", "\u0c80-\u0ce3"),
    ("ml", "\u0d00-\u0d63"),
    ("si", "\u0d81-\u0df3"),
    ("lo", "\u0e81-\u0ebd\u0ec0-\u0ecd"),
    ("bo", "\u0f40-\u0fbc"),
    ("my", "\u1000-\u103f\u1050-\u109d"),
    ("ka", "\u10a0-\u10ff"),
    ("hy", "\u0531-\u0587"),
    ("am", "\u1200-\u135a"),
    ("km", "\u1780-\u17d3"),
    ("mn", "\u1820-\u18aa"),
)
# Three letters of Greek make a word; one or two are a formula.
GREEK = "\u0370-\u03ff\u1f00-\u1fff"
LATIN = "A-Za-z\u00c0-\u024f\u1e00-\u1eff"
HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff々"
# Latin letters beyond ASCII.
BEYOND = "\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
LATIN_LETTER = re.compile(f"[{LATIN}]")


@cache
def written_with(code: str) -> frozenset[int]:
    """Return the places in `LETTERS` of the scripts that a language is written with."""
    named = frozenset(at for at, (name, _) in enumerate(LETTERS) if name == code)
    if code == "ja":
        return named | {2}
    if named:
        return named
    for known in languages():
        if code in load_language(known).script.shares and known not in ("ja", "zh"):
            return written_with(known)
    return frozenset()


@cache
def own_letters(code: str) -> re.Pattern[str]:
    """Return a pattern for one letter of the scripts that a language is written with, Latin ones only if no other is."""
    own = "".join(LETTERS[at][1] for at in written_with(code))
    return re.compile(f"[{own or LATIN}]")
