"""Strings that may not become new pieces, because the base would use them to make tokens of its own."""

from __future__ import annotations

from watari.tokenizer.encoder import BpeTokenizer
from watari.tokenizer.policy import Policy
from watari.tokenizer.sequences import whole_text


def banned(base: BpeTokenizer, policy: Policy) -> frozenset[str]:
    """Return the strings that may not become pieces: those of the base, and what a join could complete to one.

    A new piece that is the beginning of a base token whose end is a token too could be joined to it by the base's
    own, higher rank, and the base's segmentation would change; byte-level encoders also disagree about such a join
    (facts: tokenizer §6.4). The same for ends. Where both halves could be new, the end is banned and the beginning is
    free. Only halves that are whole characters with a strict one among them matter: others cannot be pieces.
    """
    found: set[str] = set()
    surfaces = base.surfaces()
    known = frozenset(surfaces)
    strict = policy.script.has_strict
    for piece, surface in zip(base.pieces(), surfaces, strict=True):
        if surface is None:
            found.add(piece)
            continue
        found.add(whole_text(surface))
        if surface.isascii():
            continue
        for at in range(1, len(surface)):
            if surface[at] & 0xC0 == 0x80:
                continue
            start, end = surface[:at], surface[at:]
            first, last = whole_text(start), whole_text(end)
            if end not in known and (start in known or strict(first)) and strict(last):
                found.add(last)
            elif end in known and start not in known and strict(first):
                found.add(first)
    return frozenset(found)
