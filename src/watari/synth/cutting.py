"""A long text cut between its blocks, else between lines, else between sentences; a code block stays whole."""

from __future__ import annotations

import re

_BLOCKS = re.compile(r"(\n[ \t]*(?:\n[ \t]*)+)")
_LINES = re.compile(r"(\n)")
_SENTENCES = re.compile(r"((?<=[.!?。！？])\s+)")


def pieces_of(text: str, size: int) -> list[str]:
    """Return `text` cut between blocks into pieces of at most `size` characters; joined, they are the text again."""
    if len(text) <= size:
        return [text]
    pieces = [text]
    for cut in (_BLOCKS, _LINES, _SENTENCES):
        pieces = [smaller for piece in pieces for smaller in _packed(piece, cut, size)]
    return pieces


def _packed(text: str, cut: re.Pattern[str], size: int) -> list[str]:
    if len(text) <= size:
        return [text]
    # With one group, `split` gives text, separator, text, ...: a separator goes with what stands before it.
    halves = cut.split(text)
    atoms = [halves[at] + (halves[at + 1] if at + 1 < len(halves) else "") for at in range(0, len(halves), 2)]
    found: list[str] = []
    for atom in _whole_fences(atoms):
        if found and len(found[-1]) + len(atom.rstrip()) <= size:
            found[-1] += atom
        else:
            found.append(atom)
    return found


def _whole_fences(atoms: list[str]) -> list[str]:
    """Return the atoms with those of one code block joined, so that no block is cut."""
    found: list[str] = []
    open_ = False
    for atom in atoms:
        if open_:
            found[-1] += atom
        else:
            found.append(atom)
        if sum(1 for line in atom.splitlines() if line.lstrip(" \t>").startswith(("```", "~~~"))) % 2:
            open_ = not open_
    return found
