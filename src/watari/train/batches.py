"""Sequences laid out as tensors: padded or packed rows, and the positions that are trained.

Rows carry no attention mask. A row of one sequence is padded on the right, where causal attention cannot see it from the
left; a row of several restarts its positions at each, which makes transformers build block-diagonal attention, but only
without a mask and without a cache (facts/training.md §1, the packing trap).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """One sequence.

    Args:
        id: Of its row, for keyed draws.
        ids: [length] token ids.
        trained: [length] True where the token is to be predicted; the first token never is.
    """

    id: str
    ids: npt.NDArray[np.int32]
    trained: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def supervised(self) -> int:
        """How many of its tokens are predicted."""
        return int(self.trained[1:].sum())


@dataclass(frozen=True)
class Batch:
    """What one forward pass takes.

    Args:
        ids: [rows, width].
        positions: [rows, width] restarting at each sequence, or None if every row holds one sequence.
        where: [n] flat positions (row * width + column) whose next token is trained.
        targets: [n] those next tokens.
        owner: [n] the number of the sequence that each belongs to, in the order given.
        spans: for each sequence (row, first column, columns, full length).
        tokens: tokens of all sequences, without padding.
        mask: [rows, 1, width, width] True where a position (third axis) sees another (fourth), or None: what causal
            attention and `positions` say.
    """

    ids: Tensor
    positions: Tensor | None
    where: Tensor
    targets: Tensor
    owner: Tensor
    spans: tuple[tuple[int, int, int, int], ...]
    tokens: int
    mask: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Return the batch with its tensors on `device`."""
        return replace(
            self,
            ids=self.ids.to(device),
            positions=None if self.positions is None else self.positions.to(device),
            where=self.where.to(device),
            targets=self.targets.to(device),
            owner=self.owner.to(device),
            mask=None if self.mask is None else self.mask.to(device),
        )


def lay_out(rows: Sequence[Sequence[Sample]]) -> Batch:
    """Return the tensors of `rows`, each a list of sequences that share it.

    The last token of a row predicts nothing and is left out; no target ever comes from another sequence.
    """
    width = max(sum(len(sample) for sample in row) for row in rows) - 1
    ids = np.zeros((len(rows), width), dtype=np.int64)
    positions = np.zeros((len(rows), width), dtype=np.int64)
    where, targets, owner, spans = [], [], [], []
    number = tokens = 0
    for index, row in enumerate(rows):
        column = 0
        for sample in row:
            taken = min(len(sample), width - column)
            ids[index, column : column + taken] = sample.ids[:taken]
            positions[index, column : column + taken] = np.arange(taken)
            predicted = np.flatnonzero(sample.trained[1:])
            where.append(index * width + column + predicted)
            targets.append(sample.ids[1:][predicted])
            owner.append(np.full(len(predicted), number))
            spans.append((index, column, taken, len(sample)))
            number += 1
            tokens += len(sample)
            column += taken
        # Padding is a sequence of its own, so that it starts at position 0 like every other.
        positions[index, column:] = np.arange(width - column)
    packed = any(len(row) > 1 for row in rows)
    return Batch(
        ids=torch.from_numpy(ids),
        positions=torch.from_numpy(positions) if packed else None,
        where=torch.from_numpy(np.concatenate(where).astype(np.int64)),
        targets=torch.from_numpy(np.concatenate(targets).astype(np.int64)),
        owner=torch.from_numpy(np.concatenate(owner).astype(np.int64)),
        spans=tuple(spans),
        tokens=tokens,
    )


def passes(
    rows: Sequence[Sequence[Sample]], pass_tokens: int, *, together: int = 1, ranks: int = 1
) -> list[list[list[Sample]]]:
    """Split the rows of a step into forward passes of at most `pass_tokens` tokens, padding included.

    Rows are taken longest first, so that a pass holds rows of like length and little padding; a step's gradient is the
    same sum in whatever passes it is computed.

    Args:
        rows: The step's rows.
        pass_tokens: The limit; one unit is taken even if it is longer.
        together: Rows that must share a pass: 2 for pairs.
        ranks: Processes that share the passes; their number is made a multiple of it, by halving the largest ones, as
            long as there are rows to halve.
    """
    units = [list(rows[start : start + together]) for start in range(0, len(rows), together)]
    lengths = [max(sum(len(sample) for sample in row) for row in unit) for unit in units]
    order = sorted(range(len(units)), key=lambda index: (-lengths[index], index))
    split: list[list[list[Sample]]] = []
    width = 0
    for index in order:
        unit = [list(row) for row in units[index]]
        if split and (len(split[-1]) + together) * width <= pass_tokens:
            split[-1].extend(unit)
        else:
            split.append(unit)
            width = lengths[index]
    while len(split) % ranks:
        sizes = [len(part) * max(sum(len(s) for s in row) for row in part) for part in split]
        divisible = [place for place, part in enumerate(split) if len(part) > together]
        if not divisible:
            break
        place = max(divisible, key=lambda place: sizes[place])
        part = split[place]
        middle = -(-len(part) // together // 2) * together
        # In place: neighbours, which different ranks compute at the same time, stay of like length.
        split[place : place + 1] = [part[:middle], part[middle:]]
    return split


def pack(lengths: Sequence[int], capacity: int, order: Sequence[int]) -> list[list[int]]:
    """Pack sequences into rows of at most `capacity` tokens by best-fit decreasing and return the members of each row.

    Each sequence, longest first, goes into the fullest row that still holds it (Johnson 1973: at most 11/9 of the optimal
    number of rows, plus 4). No sequence is cut.

    Args:
        lengths: Tokens of each sequence; none above `capacity`.
        capacity: Tokens of a row.
        order: A permutation that decides among sequences of equal length: a seeded one, so that rows differ by epoch.
    """
    rows: list[list[int]] = []
    # waiting[room] lists the rows with that many free tokens; bit `room` of `open_rooms` says that there are some.
    waiting: list[list[int]] = [[] for _ in range(capacity + 1)]
    open_rooms = 0
    sizes = np.asarray(lengths, dtype=np.int64)
    permutation = np.asarray(order, dtype=np.int64)
    for index in permutation[np.argsort(-sizes[permutation], kind="stable")].tolist():
        need = lengths[index]
        # The lowest bit from `need` on is the fullest row that holds it.
        enough = open_rooms >> need
        if enough:
            room = need + (enough & -enough).bit_length() - 1
            row = waiting[room].pop()
            if not waiting[room]:
                open_rooms &= ~(1 << room)
        else:
            room = capacity
            row = len(rows)
            rows.append([])
        rows[row].append(index)
        waiting[room - need].append(row)
        open_rooms |= 1 << (room - need)
    return rows
