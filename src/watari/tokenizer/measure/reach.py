"""Vocabulary entries that nothing gives."""

from __future__ import annotations

from watari.tokenizer.encoder import Encoder

CONTEXTS = (("", ""), ("\n", ""), ("a", ""), ("。", ""), ("", "\n"), ("", " a"))
"""What is put before and behind an entry's text; an entry that comes out beside any of them can be reached."""
_BATCH = 4096


def unreachable(encoder: Encoder) -> list[int]:
    """Return the ids, ascending, of entries that are whole text and that this text does not give.

    An entry's text stands alone, behind a line break, a letter, and a full stop, and before a break and a word; if the
    id is among those that come out, it can be reached. Entries that are parts of characters are not looked at: no text
    of their own exists. An entry told here may still come out beside other text, but was not made for it.
    """
    left: dict[int, str] = {}
    for index, surface in enumerate(encoder.surfaces()):
        if not surface:
            continue
        try:
            left[index] = surface.decode("utf-8")
        except UnicodeDecodeError:
            continue
    for before, behind in CONTEXTS:
        ids = list(left)
        for start in range(0, len(ids), _BATCH):
            part = ids[start : start + _BATCH]
            found = encoder.encode([before + left[index] + behind for index in part])
            for index, got in zip(part, found, strict=True):
                if index in got:
                    del left[index]
    return sorted(left)
