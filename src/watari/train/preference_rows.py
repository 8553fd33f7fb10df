"""Pairs laid out for a forward pass: each reply in a row of its own, or both behind one prompt.

A joint row is [prompt | chosen | rejected]: positions go on from the prompt's end in both replies, and a mask keeps the
rejected reply from seeing the chosen one. So each reply sees what it would see alone, at the same positions, and the
prompt is computed once. Where attention is more than a mask (sliding windows shorter than the sequence, recurrent layers),
it does not hold; `joint_works` tries it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from watari.train.batches import Batch, Sample, lay_out, passes
from watari.train.pairs import Pair


@dataclass(frozen=True)
class PairBatch:
    """Pairs that share a forward pass.

    Args:
        laid: Their tensors; sequence 2·i is the chosen reply of pair i, 2·i + 1 the rejected one.
        pairs: The pairs, in that order.
    """

    laid: Batch
    pairs: tuple[Pair, ...]

    def to(self, device: torch.device) -> PairBatch:
        """Return the batch with its tensors on `device`."""
        return replace(self, laid=self.laid.to(device))


def prompt_length(pair: Pair) -> int:
    """Return the number of tokens before the first supervised one, or 0 if the two sides do not share just these."""
    first = [int(np.argmax(side.trained)) for side in (pair.chosen, pair.rejected)]
    same = first[0] == first[1] and bool(
        (pair.chosen.ids[: first[0]] == pair.rejected.ids[: first[0]]).all()
    )
    return first[0] if same else 0


def worth_sharing(pair: Pair) -> bool:
    """True if one row for both replies costs less than two."""
    prompt = prompt_length(pair)
    return prompt > 0


def pair_passes(
    pairs: Sequence[Pair], pass_tokens: int, *, joint: bool, ranks: int = 1
) -> list[PairBatch]:
    """Return `pairs` as forward passes of at most `pass_tokens` tokens, padding included.

    Args:
        pairs: In any order; pairs of like length share a pass.
        pass_tokens: The limit; one pair is taken even if it is longer.
        joint: True to compute shared prompts once where that is worthwhile.
        ranks: Asks for a number of passes that is a multiple of it.
    """
    together = [pair for pair in pairs if joint and worth_sharing(pair)]
    single = {id(pair) for pair in together}
    apart = [pair for pair in pairs if id(pair) not in single]
    made: list[PairBatch] = []
    for chosen, lay in ((together, _joint_pass), (apart, _plain_pass)):
        if chosen:
            made += lay(chosen, pass_tokens)
    return made


def _joint_pass(pairs: Sequence[Pair], pass_tokens: int) -> list[PairBatch]:
    rows = [_pieces(pair) for pair in pairs]
    owner = {id(row[1]): pair for row, pair in zip(rows, pairs, strict=True)}
    return [
        PairBatch(_lay_out_joint(part), tuple(owner[id(row[1])] for row in part))
        for part in passes(rows, pass_tokens)
    ]


def _plain_pass(pairs: Sequence[Pair], pass_tokens: int) -> list[PairBatch]:
    rows = [[side] for pair in pairs for side in (pair.chosen, pair.rejected)]
    owner = {id(pair.chosen): pair for pair in pairs}
    return [
        PairBatch(lay_out(part), tuple(owner[id(row[0])] for row in part[::2]))
        for part in passes(rows, pass_tokens, together=2)
    ]


def _pieces(pair: Pair) -> list[Sample]:
    """Return [prompt, chosen reply, rejected reply], up to the last supervised token of each reply."""
    start = prompt_length(pair)
    pieces = [Sample(pair.id, pair.chosen.ids[:start], pair.chosen.trained[:start])]
    for side in (pair.chosen, pair.rejected):
        end = int(np.flatnonzero(side.trained)[-1]) + 1
        pieces.append(Sample(pair.id, side.ids[start:end], side.trained[start:end]))
    return pieces


def _lay_out_joint(rows: Sequence[Sequence[Sample]]) -> Batch:
    """Return the tensors of joint rows. A reply's last token predicts nothing and is left out."""
    width = max(len(prompt) + len(one) - 1 + len(two) - 1 for prompt, one, two in rows)
    shape = (len(rows), width)
    ids, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    # Which part each column belongs to: 0 the prompt, 1 and 2 the replies, 3 padding, which sees the prompt and itself.
    part = np.full(shape, 3, np.int8)
    where, targets, owner, spans = [], [], [], []
    for index, (prompt, *replies) in enumerate(rows):
        begin = len(prompt)
        ids[index, :begin], part[index, :begin] = prompt.ids, 0
        positions[index, :begin] = np.arange(begin)
        column = begin
        for number, reply in enumerate(replies):
            taken = len(reply) - 1
            ids[index, column : column + taken] = reply.ids[:taken]
            positions[index, column : column + taken] = begin + np.arange(taken)
            part[index, column : column + taken] = number + 1
            predicted = np.flatnonzero(reply.trained)
            # The prompt's last token predicts the first of both replies.
            where.append(index * width + np.where(predicted == 0, begin, column + predicted) - 1)
            targets.append(reply.ids[predicted])
            owner.append(np.full(len(predicted), 2 * index + number))
            spans.append((index, column, taken, begin + len(reply)))
            column += taken
    seen = torch.from_numpy(part)
    same = (seen[:, None, :] == seen[:, :, None]) | (seen[:, None, :] == 0)
    mask = same.tril_()
    return Batch(
        ids=torch.from_numpy(ids),
        positions=torch.from_numpy(positions),
        where=torch.from_numpy(np.concatenate(where).astype(np.int64)),
        targets=torch.from_numpy(np.concatenate(targets).astype(np.int64)),
        owner=torch.from_numpy(np.concatenate(owner).astype(np.int64)),
        spans=tuple(spans),
        tokens=sum(2 * len(prompt) + len(one) + len(two) for prompt, one, two in rows),
        mask=mask[:, None],
    )
