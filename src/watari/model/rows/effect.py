"""What new columns do to a language that does not use them: the base's loss with them and without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK = 4096


@dataclass(frozen=True)
class Effect:
    """Mean next-token loss in nats over `tokens` predictions, with the base's columns alone and with all."""

    before: float
    after: float
    tokens: int


def loss_change(
    hidden: Tensor,
    target: Tensor,
    head: Tensor,
    rows: Tensor,
    *,
    bias: Tensor | None = None,
    terms: Tensor | None = None,
) -> Effect | None:
    """Return the loss on some states before and after the graft, or None without states.

    Args:
        hidden: (n, width), float32.
        target: (n,) base ids that followed.
        head: The base's output rows.
        rows: The new ones.
        bias: The head's bias over the base's rows, if it has one.
        terms: Its new entries.
    """
    import torch

    if not len(hidden):
        return None
    base = _logits(hidden, head, bias)
    before = base.logsumexp(1)
    after = torch.logaddexp(before, _logits(hidden, rows, terms).logsumexp(1))
    said = base.gather(1, target[:, None])[:, 0]
    return Effect(float((before - said).mean()), float((after - said).mean()), len(hidden))


def _logits(hidden: Tensor, table: Tensor, bias: Tensor | None) -> Tensor:
    import torch

    # By blocks of rows: the whole head in float32 may be larger than the model's largest tensor.
    logits = torch.cat([hidden @ block.float().T for block in torch.split(table, _BLOCK)], dim=1)
    return logits if bias is None else logits + bias.float()
