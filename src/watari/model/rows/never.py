"""A row that is never sampled: for padding rows, which every converter and sampler would else take for tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watari.model.rows.bias import bias_direction

if TYPE_CHECKING:
    from torch import Tensor

_MARGIN = 50.0
"""How far below the best logit of any sampled state its logit lies, in nats."""
_SURE = 0.25
"""Smallest component along u that a sampled state may have for the direction to be trusted."""
_DEVIATIONS = 5.0
"""How many standard deviations its mean must be above 0."""
_NUDGE = 10.0
"""How far a direction that is not even is used: a context at -0.3 along it gains 3 nats, which is not enough to win."""
_ASIDE = 0.3
_FEW = 64
"""States left out below which nothing is known."""
_FOLDS = 5
_LOOKED_AT = 256
_BLOCK = 4096


@dataclass(frozen=True)
class Never:
    """A row that scores low in every context looked at.

    Args:
        row: (width,), float32.
        how: "bias direction", or "row of base token N", with or without "moved against the bias direction".
        probability: The largest that it had over the states looked at.
    """

    row: Tensor
    how: str
    probability: float


def never_sampled(hidden: Tensor, window: Tensor, head: Tensor) -> Never:
    """Return a row that no context gives any probability.

    It is c·u with the direction u of `bias_direction` and a large negative c: a logit 50 below the lowest best one.
    In a context with a negative component along u it would be the only token ever sampled: so u is trusted only if,
    fitted without every fifth window, it is even on those. Else it is the row of the base token whose largest
    probability over the contexts is the smallest: trained never to come; a step of 10 against u is added where no
    state of the windows left out has a component far below 0.

    Args:
        hidden: Hidden states (n, width); 256 of them, evenly spread, are scored.
        window: The window of text that each comes from (n,).
        head: The base's output rows, those of its tokenizer alone.
    """
    import torch

    looked = hidden[:: max(1, len(hidden) // _LOOKED_AT)][:_LOOKED_AT].float()
    # By blocks of rows: the whole head in float32 may be larger than the model's largest tensor.
    logits = torch.cat([looked @ block.float().T for block in torch.split(head, _BLOCK)], dim=1)
    best, total = logits.max(1).values, logits.logsumexp(1)
    direction = bias_direction(hidden, window)
    smallest = float((hidden.float() @ direction).min())
    along = _left_out(hidden.float(), window)
    known = len(along) >= _FEW
    if known and min(smallest, float(along.min())) >= _SURE and along.mean() > _DEVIATIONS * along.std():
        row = direction * ((min(float(best.min()), 0.0) - _MARGIN) / smallest)
        how = "bias direction"
    else:
        token = int((logits - total[:, None]).max(0).values.argmin())
        row, how = head[token].float().clone(), f"row of base token {token}"
        if known and float(along.min()) > -_ASIDE and along.mean() > 2 * along.std():
            row -= _NUDGE * direction
            how += ", moved against the bias direction"
    return Never(row, how, float((looked @ row - total).max().exp()))


def _left_out(hidden: Tensor, window: Tensor) -> Tensor:
    """Return the components of every fifth window's states along a direction fitted on the other windows."""
    import torch

    held = torch.isin(window, torch.unique(window)[::_FOLDS])
    if bool(held.all()):
        return hidden.new_zeros(0)
    return hidden[held] @ bias_direction(hidden[~held], window[~held])
