"""Notes for the readers of a result: English as files and terminals have them, with their Japanese for the page beside."""

from __future__ import annotations

from collections.abc import Callable, Iterable

_SHOWN = 8


class Note(str):
    """What a reader must be told. It is the English text, and so stands in files as that.

    Attributes:
        japanese: The same in Japanese.
    """

    __slots__ = ("japanese",)

    japanese: str

    def __new__(cls, english: str, japanese: str) -> Note:
        """Return the note of two texts."""
        made = super().__new__(cls, english)
        made.japanese = japanese
        return made

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """Return what a copy is made of."""
        return str(self), self.japanese


def japanese_of(note: str) -> str:
    """Return a note in Japanese; one that is a text alone stays as it is."""
    return note.japanese if isinstance(note, Note) else note


def rewritten(note: str, change: Callable[[str], str]) -> str:
    """Return a note with a change made to both of its texts."""
    return Note(change(str(note)), change(note.japanese)) if isinstance(note, Note) else change(note)


def counted(n: int, what: str) -> str:
    """Return `1 row`, `2,000 rows`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def some(names: Iterable[str]) -> str:
    """Return the first few names, and how many there are beyond."""
    shown, beyond = _first(names)
    return ", ".join(shown) + (f", and {beyond} more" if beyond else "")


def some_in_japanese(names: Iterable[str]) -> str:
    """Return the same in Japanese."""
    shown, beyond = _first(names)
    return "、".join(shown) + (f"、ほか {beyond} 件" if beyond else "")


def _first(names: Iterable[str]) -> tuple[list[str], int]:
    every = list(names)
    return every[:_SHOWN], max(0, len(every) - _SHOWN)
