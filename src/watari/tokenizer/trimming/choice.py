"""Which ids of a tokenizer are kept: all that are wanted, all that these are made from, and as many as alignment asks.

A piece that a text comes to was joined from its characters in one way only, whatever stands around it: joins across
its ends never happened, or it would not have become this piece. So a kept piece needs the pieces that come about on
that way, and no others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watari.tokenizer.trimming.characters import Unwanted, unwanted_in
from watari.tokenizer.trimming.forms import Form

UNUSED = "unused"
"""The reason of a token that the text uses too seldom."""


@dataclass(frozen=True)
class Choice:
    """What is kept.

    Args:
        kept: Base ids, rising.
        dropped: The others, each with the reason; gaps of the table are neither here nor there.
        needed: Ids kept only because another kept piece is made from them.
        filled: Ids kept only for alignment.
    """

    kept: list[int]
    dropped: dict[int, str]
    needed: list[int]
    filled: list[int]

    def reasons(self) -> dict[str, int]:
        """Return the number of dropped ids by reason, the most frequent first."""
        return dict(sorted(Counter(self.dropped.values()).items(), key=lambda item: (-item[1], item[0])))


def reasons_against(
    form: Form,
    unwanted: Unwanted | None,
    counts: npt.NDArray[np.int64] | None,
    min_frequency: int | None,
) -> dict[int, str]:
    """Return the ids that somebody asks to drop, each with the reason; those that are never dropped are not in it.

    Args:
        form: The tokenizer.
        unwanted: The rule for characters, if any.
        counts: How often each id comes out of the text.
        min_frequency: Ids that come out more seldom are dropped.
    """
    fixed = form.fixed()
    found: dict[int, str] = {}
    for index, surface in enumerate(form.surfaces()):
        if surface is None or index in fixed:
            continue
        reason = None if unwanted is None else unwanted_in(surface, unwanted)
        if (
            reason is None
            and counts is not None
            and min_frequency is not None
            and counts[index] < min_frequency
        ):
            reason = UNUSED
        if reason is not None:
            found[index] = reason
    return found


def choose(
    form: Form,
    against: Mapping[int, str],
    *,
    counts: npt.NDArray[np.int64] | None = None,
    align: int | None = None,
) -> Choice:
    """Return what is kept if the ids `against` shall go.

    Args:
        form: The tokenizer.
        against: Ids to drop, with reasons.
        counts: How often each id comes out of the text: of the ids that alignment keeps the more frequent come first,
            of equally frequent ones the lower id.
        align: Keep so many that the size is a multiple of this.
    """
    everything = [index for index, piece in enumerate(form.pieces()) if piece]
    kept = {index for index in everything if index not in against}
    needed: set[int] = set()
    for index in sorted(kept):
        needed |= form.needs(index) - kept
    kept |= needed
    filled: set[int] = set()
    wanted = len(kept) if align is None else -(-len(kept) // align) * align
    order = sorted(
        (index for index in everything if index not in kept),
        key=lambda index: (0 if counts is None else -int(counts[index]), index),
    )
    # One that brings along more than there is room for waits; one without missing parts is always among the rest.
    while len(kept) < wanted and order:
        waiting = []
        for index in order:
            missing = form.needs(index) - kept if len(kept) < wanted else {index}
            if len(kept) + len(missing) <= wanted:
                kept |= missing
                filled |= missing
            elif index not in kept:
                waiting.append(index)
        order = [index for index in waiting if index not in kept]
    gone = {index: against[index] for index in everything if index not in kept}
    return Choice(sorted(kept), gone, sorted(needed), sorted(filled))
