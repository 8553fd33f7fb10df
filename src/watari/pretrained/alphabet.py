"""The byte-level alphabet of GPT-2: every byte as one printable letter, in which vocabularies are written."""

from __future__ import annotations

from functools import cache


@cache
def letters() -> dict[int, str]:
    """Return the letter of each byte: itself where it can be printed, else the next free one from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    found = {value: chr(value) for value in printable}
    hidden = [value for value in range(256) if value not in found]
    return found | {value: chr(0x100 + place) for place, value in enumerate(hidden)}


@cache
def _latin() -> dict[int, str]:
    """Return a table from letters to the Latin-1 characters of their bytes; what is no letter leaves Latin-1."""
    return dict.fromkeys(range(256), "\uffff") | {
        ord(letter): chr(value) for value, letter in letters().items()
    }


def to_alphabet(data: bytes) -> str:
    """Return bytes as a vocabulary writes them, one letter a byte."""
    known = letters()
    return "".join([known[value] for value in data])


def from_alphabet(entry: str) -> bytes:
    """Return the bytes that a vocabulary entry stands for.

    Raises:
        ValueError: if a character is no letter of the alphabet.
    """
    try:
        return entry.translate(_latin()).encode("latin-1")
    except UnicodeEncodeError as error:
        raise ValueError(f"{entry[error.start]!r} is no letter of the byte-level alphabet") from None
