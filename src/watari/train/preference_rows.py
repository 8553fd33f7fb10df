"""Pairs laid out for a forward pass: each reply in a row of its own, or both behind one prompt.

A joint row is [prompt | chosen | rejected]: positions go on from the prompt's end in both replies, and a mask keeps the
rejected reply from seeing the chosen one. So each reply sees what it would see alone, at the same positions, and the
prompt is computed once. Where attention is more than a mask (windows shorter than the sequence, recurrent layers), this
does not hold; `can_share_prompts` finds out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from watari.train.batches import Batch, Sample, lay_out, passes
from watari.train.head import token_logprobs
from watari.train.pairs import Pair

if TYPE_CHECKING:
    from watari.train.distributed import World
    from watari.train.language_model import LanguageModel

_GAIN = 1.2
"""A joint row is taken where two rows have this many times its tokens. Measured forward and backward on a CPU, 15M Llama:
at 1.06-1.08 times as many tokens, 0.98-1.06 times the time; at 1.33, 1.05-1.17; at 1.75-1.89, 1.43-2.3."""
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class PairPass:
    """Pairs that share a forward pass.

    Args:
        pairs: The pairs.
        joint: True if each has one row for both replies.
    """

    pairs: tuple[Pair, ...]
    joint: bool

    def laid(self) -> Batch:
        """Return their tensors; sequence 2·i is the chosen reply of pair i, 2·i + 1 the rejected one."""
        if self.joint:
            return _lay_out_joint([_pieces(pair) for pair in self.pairs])
        return lay_out(_sides(self.pairs))

    @property
    def tokens(self) -> int:
        """Tokens of all sequences."""
        return sum(len(pair.chosen) + len(pair.rejected) for pair in self.pairs)

    def halves(self) -> tuple[PairPass, PairPass]:
        """Return the pass as two."""
        middle = -(-len(self.pairs) // 2)
        return PairPass(self.pairs[:middle], self.joint), PairPass(self.pairs[middle:], self.joint)


def prompt_length(pair: Pair) -> int:
    """Return the number of tokens before the first supervised one, or 0 if the two sides do not share just these."""
    first = [int(np.argmax(side.trained)) for side in (pair.chosen, pair.rejected)]
    same = first[0] == first[1] and bool((pair.chosen.ids[: first[0]] == pair.rejected.ids[: first[0]]).all())
    return first[0] if same else 0


def worth_sharing(pair: Pair) -> bool:
    """True if one row for both replies costs clearly less than two."""
    prompt = prompt_length(pair)
    lengths = len(pair.chosen), len(pair.rejected)
    return prompt > 0 and 2 * max(lengths) >= _GAIN * (sum(lengths) - prompt)


def pair_passes(pairs: Sequence[Pair], pass_tokens: int, *, joint: bool, ranks: int = 1) -> list[PairPass]:
    """Return `pairs` as forward passes of at most `pass_tokens` tokens, padding included.

    Args:
        pairs: In any order; pairs of like length share a pass.
        pass_tokens: The limit; one pair is taken even if it is longer.
        joint: True to compute shared prompts once where that is worth while.
        ranks: Processes that share the passes; their number is made a multiple of it, by halving the largest, as long as
            there are pairs to halve.
    """
    shared = [joint and worth_sharing(pair) for pair in pairs]
    together = [pair for pair, one in zip(pairs, shared, strict=True) if one]
    apart = [pair for pair, one in zip(pairs, shared, strict=True) if not one]
    made: list[PairPass] = []
    if together:
        rows = [_pieces(pair) for pair in together]
        of = {id(row[1]): pair for row, pair in zip(rows, together, strict=True)}
        made += [PairPass(tuple(of[id(row[1])] for row in part), True) for part in passes(rows, pass_tokens)]
    if apart:
        of = {id(pair.chosen): pair for pair in apart}
        split = passes(_sides(apart), pass_tokens, together=2)
        made += [PairPass(tuple(of[id(row[0])] for row in part[::2]), False) for part in split]
    while len(made) % ranks and any(len(one.pairs) > 1 for one in made):
        place = max(range(len(made)), key=lambda place: made[place].tokens * (len(made[place].pairs) > 1))
        made[place : place + 1] = made[place].halves()
    return made


def can_share_prompts(model: LanguageModel, sequence: int, world: World | None = None) -> bool:
    """True if joint rows give this model's own log-probabilities, by its configuration and by trying it in fp32.

    Args:
        model: The model; of several processes each calls.
        sequence: The longest sequence, which a window of attention must not be shorter than.
        world: The processes.
    """
    config: Any = model.model.config.get_text_config()
    # Where a configuration does not name its layers, a window that it has counts.
    layers = set(getattr(config, "layer_types", None) or ["sliding_attention"])
    windows = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    narrow = any(window is not None and window < sequence for window in windows)
    if layers - {"full_attention", "sliding_attention", "chunked_attention"}:
        return False
    if narrow and layers != {"full_attention"}:
        return False
    draw = np.random.Generator(np.random.PCG64(0)).integers(0, model.head.weight.shape[0], 13)
    sides = [
        Sample(side, np.r_[draw[:6], reply].astype(np.int32), np.arange(6 + len(reply)) >= 6)
        for side, reply in (("chosen", draw[6:10]), ("rejected", draw[10:]))
    ]
    plain = lay_out([[side] for side in sides])
    joint = _lay_out_joint([_pieces(Pair("", "", sides[0], sides[1]))])

    def each(batch: Batch) -> Tensor:
        laid = batch.to(model.compute.device)
        hidden = model.hidden(laid, exact=True)
        return token_logprobs(hidden, model.head.weight, laid.targets, torch.float32)

    with torch.no_grad():
        found = [
            work() if world is None else world.forward(model, work)
            for work in (partial(each, joint), partial(each, plain))
        ]
    return bool(((found[0] - found[1]).abs().max() < _TOLERANCE).item())


def _sides(pairs: Sequence[Pair]) -> list[list[Sample]]:
    return [[side] for pair in pairs for side in (pair.chosen, pair.rejected)]


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
