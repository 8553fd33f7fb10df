"""Loss on a whole set of tokens at once: those of wrong scripts unlikely, everything else as it was.

Where leaks are drawn from a broad tail, no single token of them is likely: -log(1 - p) of one that came says little of the
thousands that might have. So all of them are made unlikely together, at every position of a reply (unlikelihood of a set
of tokens at once: Welleck et al. 2019, arXiv:1908.04319, whose candidates are summed one by one), and what is left is held
to what the model said before:

    unlikelihood   -log(1 - M),  M = Σ p(v) over wrong tokens v
    hold           KL(q || r),   q, r: probabilities among the other tokens, before and now

Their sum is KL(q || p): the distance to the model itself with the wrong tokens forbidden, as a mask at decoding would do it,
so nothing else is asked of the model than to be what it is without its leaks. The hold is taken over the likeliest tokens
and the rest as one: never above the whole divergence, and 0 only where they agree.

The unlikelihood is softplus of log-odds, so that nothing cancels at M = 1e-12 or 1. All in fp32, in chunks of positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from watari.train.head import chunk_rows

LIKELIEST = 64
"""Tokens of a position that are held one by one."""


@dataclass(frozen=True)
class Held:
    """What the model said before, among the tokens that are not wrong.

    Args:
        ids: [n, k] its likeliest tokens.
        share: [n, k] fp32, their probabilities.
        rest: [n] fp32, that of all others together.
    """

    ids: Tensor
    share: Tensor
    rest: Tensor


def held(hidden: Tensor, weight: Tensor, wrong: Tensor, owner: Tensor) -> Held:
    """Return what a model says of the tokens that are not wrong, to be held to later.

    Args:
        hidden, weight, wrong, owner: As `script_loss` takes them.
    """
    states, matrix = hidden.float(), weight.float()
    size = chunk_rows(len(matrix), states.device)
    ids, share, rest = [], [], []
    with torch.no_grad(), torch.autocast(states.device.type, enabled=False):
        for start in range(0, len(states), size):
            part = slice(start, start + size)
            scores = (states[part] @ matrix.T).masked_fill_(wrong[owner[part]], float("-inf"))
            whole = torch.logsumexp(scores, -1, keepdim=True)
            top = scores.topk(min(LIKELIEST, scores.shape[1]), -1)
            others = torch.logsumexp(scores.scatter_(1, top.indices, float("-inf")), -1, keepdim=True)
            ids.append(top.indices)
            share.append((top.values - whole).exp_())
            rest.append((others - whole).exp_()[:, 0])
    return Held(torch.cat(ids), torch.cat(share), torch.cat(rest))


@dataclass(frozen=True)
class ScriptScores:
    """What the positions came to.

    Args:
        loss: Scalar, weighted and summed; differentiable in `hidden` and `weight`.
        mass: [n] fp64 probability of wrong tokens.
        drift: [n] fp64 the hold, in nats.
    """

    loss: Tensor
    mass: Tensor
    drift: Tensor


def script_loss(
    hidden: Tensor,
    weight: Tensor,
    wrong: Tensor,
    owner: Tensor,
    before: Held,
    *,
    unlikely: float,
    hold: float,
) -> ScriptScores:
    """Return the summed loss over positions: `unlikely` · -log(1 - M) + `hold` · KL(q || r).

    Args:
        hidden: [n, width] last hidden states of the positions.
        weight: [vocabulary, width] output matrix.
        wrong: [sequences, vocabulary] True for the tokens that are wrong in a sequence.
        owner: [n] the sequence of each position.
        before: What each position is held to.
        unlikely, hold: The weights.
    """
    loss, mass, drift = _ScriptLoss.apply(hidden, weight, wrong, owner, before, unlikely, hold)  # type: ignore[no-untyped-call]
    return ScriptScores(loss, mass, drift)


class _ScriptLoss(torch.autograd.Function):
    """The gradient of a sum does not depend on what follows it, so it is taken while the logits are at hand."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        wrong: Tensor,
        owner: Tensor,
        before: Held,
        unlikely: float,
        hold: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        for_hidden, for_weight = ctx.needs_input_grad[:2]
        states, matrix = hidden.float(), weight.float()
        by_hidden = torch.zeros_like(states) if for_hidden else None
        by_weight = torch.zeros_like(matrix) if for_weight else None
        mass = torch.empty(len(states), dtype=torch.float64, device=states.device)
        drift = torch.empty_like(mass)
        loss = torch.zeros((), dtype=torch.float64, device=states.device)
        size = chunk_rows(len(matrix), states.device)
        for start in range(0, len(states), size):
            part = slice(start, start + size)
            here = Held(before.ids[part], before.share[part], before.rest[part])
            # fp32 products are meant as such: not as bf16 ones, which autocast would make of them.
            with torch.autocast(states.device.type, enabled=False):
                logits = states[part] @ matrix.T
                chunk = _Chunk(logits, wrong[owner[part]], here)
                mass[part] = torch.sigmoid(chunk.odds.double())
                drift[part] = chunk.drift()
                loss += unlikely * softplus(chunk.odds.double()).sum() + hold * drift[part].sum()
                if not (for_hidden or for_weight):
                    continue
                gradient = chunk.gradient(unlikely, hold)
                if by_hidden is not None:
                    by_hidden[part] = gradient @ matrix
                if by_weight is not None:
                    by_weight.addmm_(gradient.T, states[part])
        ctx.by_hidden, ctx.by_weight = by_hidden, by_weight
        ctx.types = hidden.dtype, weight.dtype
        ctx.mark_non_differentiable(mass, drift)
        return loss.float(), mass, drift

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        found = []
        for gradient, dtype in zip((ctx.by_hidden, ctx.by_weight), ctx.types, strict=True):
            found.append(None if gradient is None else (gradient * upstream[0]).to(dtype))
        return *found, None, None, None, None, None


class _Chunk:
    """Some positions' logits, [rows, vocabulary]: log-odds of wrong tokens, the hold, and the gradient of both."""

    def __init__(self, logits: Tensor, wrong: Tensor, before: Held) -> None:
        none = float("-inf")
        foreign = torch.logsumexp(logits.masked_fill(~wrong, none), -1)
        self._right = logits.masked_fill(wrong, none)
        own = torch.logsumexp(self._right, -1)
        self.odds = foreign - own
        self._logits, self._own, self._before = logits, own, before
        self._whole = torch.logaddexp(foreign, own)
        # log r of the tokens that are held one by one, and of the rest together.
        self._now = self._right.gather(1, before.ids) - own[:, None]
        others = self._right.scatter(1, before.ids, none)
        self._rest = torch.logsumexp(others, -1) - own

    def drift(self) -> Tensor:
        """Return KL(q || r) of each row, in fp64; 0·log 0 is 0."""
        share, rest = self._before.share.double(), self._before.rest.double()
        # A token without any share may have become impossible: 0 · (0 - -∞) is not to be computed.
        now = torch.where(share > 0, self._now.double(), 0.0)
        last = torch.where(rest > 0, self._rest.double(), 0.0)
        whole = (torch.xlogy(share, share) - share * now).sum(-1) + torch.xlogy(rest, rest) - rest * last
        # Rounding can bring it a little below what it is.
        return whole.clamp_min_(0.0)

    def gradient(self, unlikely: float, hold: float) -> Tensor:
        """Return the weighted losses' gradient by the logits."""
        among = (self._right - self._own[:, None]).exp_()
        found = (self._logits - self._whole[:, None]).exp_().sub_(among).mul_(unlikely)
        before = self._before
        scale = 1.0 - torch.where(before.rest > 0, before.rest / self._rest.exp(), 0.0)
        top = among.gather(1, before.ids)
        held = among.mul_(scale[:, None]).scatter_(1, before.ids, top - before.share)
        return found.add_(held, alpha=hold)
