"""How often each row of a mixture is taken: ratios, caps, weights. Every choice goes by the draw of the row's id."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watari.artifact.stage import InputArtifact
from watari.data.mix_index import Index, Numbers
from watari.data.mix_params import EVERY_OTHER, Caps
from watari.errors import UserError

NOT_DRAWN = "not drawn"
Counts = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Share:
    """What one input gives, and what was asked of it.

    Args:
        wanted: Rows (or characters) that its weight stands for; None where nothing is weighted.
        given: What it gives.
    """

    wanted: int | None
    given: int


def apply_caps(index: Index, caps: Caps) -> None:
    """Drop the rows that are over a cap: source first, then language, then category."""
    for kind in ("source", "language", "category"):
        limits: Mapping[str, int] = getattr(caps, kind)
        if not limits:
            continue
        numbers: npt.NDArray[np.int32] = getattr(index, kind)
        rows = index.kept
        rows = rows[numbers[rows] >= 0]
        order = rows[np.lexsort((rows, index.draw[rows], numbers[rows]))]
        ordered = numbers[order]
        # The place of each row among those of its name, by draw.
        starts = (
            np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(order) else order
        )
        sizes = np.diff(np.concatenate([starts, [len(order)]]))
        place = np.arange(len(order)) - np.repeat(starts, sizes)
        names = index.names[kind]
        every = limits.get(EVERY_OTHER)
        most = np.array(
            [limits.get(name, every if every is not None else len(order)) for name in names], np.int64
        )
        if len(order):
            index.drop(np.sort(order[place >= most[ordered]]), f"over the cap of its {kind}")


def copies_of(
    index: Index,
    inputs: Sequence[InputArtifact],
    *,
    weights: Mapping[str, float],
    rows: int | None,
    characters: bool,
    repeat: float,
) -> tuple[Counts, list[Share]]:
    """Return (how often each row is written, int32[n]; what each input gives), and drop the rows taken 0 times.

    Args:
        index: After everything else was dropped.
        inputs: In their order; their selections' `ratio` counts where there are no weights.
        weights: Share of each input, by name; empty: all rows.
        rows: Rows (or characters) in all; None: as many as the weights allow without taking a row more than `repeat` times.
        characters: Weights and `rows` count characters.
        repeat: Times that a row is taken at most where weights ask for more than there is.

    Raises:
        UserError: if weights and inputs do not name each other, or nothing is left of an input that has a weight.
    """
    size = index.characters if characters else np.ones(len(index), np.int64)
    count = np.zeros(len(index), np.int32)
    kept = index.kept
    owners = index.input_of(kept)
    groups = [kept[owners == place] for place in range(len(inputs))]
    if weights:
        shares = _weighted(index, inputs, groups, size, count, weights, rows, repeat)
    else:
        for artifact, group in zip(inputs, groups, strict=True):
            ratio = 1.0 if artifact.selection.ratio is None else artifact.selection.ratio
            drawn = index.draw[group] < np.uint64(min(int((ratio - int(ratio)) * 2**64), 2**64 - 1))
            count[group] = int(ratio) + (drawn if ratio != int(ratio) else 0)
        if rows is not None:
            left = kept[count[kept] > 0]
            _thin(index, left, size, count, rows)
        shares = [Share(None, int((count[group] * size[group]).sum())) for group in groups]
    index.drop(kept[count[kept] == 0], NOT_DRAWN)
    return count, shares


def _weighted(
    index: Index,
    inputs: Sequence[InputArtifact],
    groups: Sequence[Numbers],
    size: Numbers,
    count: Counts,
    weights: Mapping[str, float],
    rows: int | None,
    repeat: float,
) -> list[Share]:
    names = [artifact.name for artifact in inputs]
    for name in weights:
        if name not in names:
            raise UserError(f"weights: no input named '{name}'", f"the inputs: {', '.join(names)}")
    for name in names:
        if name not in weights:
            raise UserError(f"weights: input '{name}' has none", "give every input a weight; 0 leaves it out")
    for artifact in inputs:
        if artifact.selection.ratio is not None:
            raise UserError(
                f"{artifact.name}: `ratio` and `weights` contradict each other", "write one of them"
            )
    whole = sum(weights.values())
    if not whole > 0:
        raise UserError("weights: all are 0", "give at least one input a weight")
    supply = [int(size[group].sum()) for group in groups]
    part = [weights[name] / whole for name in names]
    for name, there, share in zip(names, supply, part, strict=True):
        if share and not there:
            raise UserError(
                f"weights: nothing is left of '{name}' after duplicates and caps", "give it weight 0"
            )
    total: float = (
        rows
        if rows is not None
        else min(there * repeat / share for there, share in zip(supply, part, strict=True) if share)
    )
    shares = []
    for group, there, share in zip(groups, supply, part, strict=True):
        wanted = math.floor(total * share + 1e-9)
        quota = min(wanted, math.floor(there * repeat + 1e-9))
        if there:
            times = quota // there
            count[group] = times
            rest = quota - times * there
            order = group[np.lexsort((group, index.draw[group]))]
            # The row that crosses the border is taken if most of it fits.
            until = np.cumsum(size[order]) - size[order] / 2
            count[order[until < rest]] += 1
        shares.append(Share(wanted, int((count[group] * size[group]).sum())))
    return shares


def _thin(index: Index, left: Numbers, size: Numbers, count: Counts, most: int) -> None:
    """Take rows by draw until there is `most`; a row with several copies keeps as many as fit."""
    order = left[np.lexsort((left, index.draw[left]))]
    repeated = np.repeat(order, count[order])
    until = np.cumsum(size[repeated])
    taken = repeated[until <= most]
    count[left] = 0
    np.add.at(count, taken, 1)
