"""The count bias: how far a new piece's output row is moved, and along which direction.

The output row is that of the first parent p1, moved along the direction u in which every hidden state has component
1, by log P(rest | p1) = log(count(piece) / count(p1)); by the chain rule the piece is then as likely as its base
spelling, on average over contexts (facts: tokenizer §7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from watari.pretrained.graft import Graft

if TYPE_CHECKING:
    from torch import Tensor

_SMOOTH = 0.5
"""Added to both counts: a piece that only served to build longer ones may never come out itself."""
_RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Shares of the Gram matrix's mean eigenvalue, from next to nothing."""
_FOLDS = 5
_BLOCK = 4096
_STEPS = 5


def log_ratios(graft: Graft) -> Tensor:
    """Return log(count(piece) / count(first parent)) of each piece (n,), never above 0."""
    import torch

    pieces = torch.tensor(graft.frequency, dtype=torch.float64) + _SMOOTH
    firsts = torch.tensor(graft.first_frequency, dtype=torch.float64) + _SMOOTH
    return torch.log(pieces / firsts).clamp(max=0.0).float()


def as_likely(rows: Tensor, model: Tensor, direction: Tensor, contexts: Tensor, head: Tensor) -> Tensor:
    """Return `rows` moved along u until each is as likely as its row in `model`, on average over contexts.

    For a tied table, whose rows cannot be those of the first parents: log count ratios are right for those alone. The
    shift s solves log mean P(row + s·u) = log mean P(model row) over the contexts, P taken against the base's own
    columns; five steps of the fixed point s ← s + difference, since every context has a component near 1 along u.

    Args:
        rows: (n, width), float32.
        model: (n, width): rows of the right likelihood.
        direction: u (width,).
        contexts: Hidden states (m, width).
        head: The base's output rows.
    """
    import torch

    logits = [contexts @ block.float().T for block in torch.split(head, _BLOCK)]
    total = torch.cat(logits, dim=1).logsumexp(1)
    along = contexts @ direction
    moved = []
    for mine, theirs in zip(torch.split(rows, _BLOCK), torch.split(model, _BLOCK), strict=True):
        wanted = (contexts @ theirs.T - total[:, None]).logsumexp(0)
        scores, shift = contexts @ mine.T - total[:, None], torch.zeros(len(mine))
        for _ in range(_STEPS):
            shift = shift + wanted - (scores + along[:, None] * shift).logsumexp(0)
        moved.append(mine + shift[:, None] * direction)
    return torch.cat(moved)


def bias_direction(hidden: Tensor, window: Tensor | None = None) -> Tensor:
    """Return u (width,) = argmin ‖H u − 1‖² + λ‖u‖² over hidden states H (n, width), float64 inside.

    λ is chosen out of `_RIDGES` by the error on windows left out (every fifth): 10,000 states of a model whose width
    is 8,192 can be met exactly by a u that is worth nothing anywhere else. Without windows it is the smallest, which
    only keeps the system solvable.

    Args:
        hidden: Hidden states.
        window: The window of text that each comes from (n,); states of one window are left out together.
    """
    import torch

    states = hidden.double()
    ridge = _RIDGES[0]
    if window is not None and len(folds := torch.unique(window)) >= _FOLDS:
        held = torch.isin(window, folds[::_FOLDS])
        gram, total = states[~held].T @ states[~held], states[~held].sum(0)
        errors = [float((states[held] @ _solve(gram, total, ridge) - 1).square().mean()) for ridge in _RIDGES]
        ridge = _RIDGES[errors.index(min(errors))]
    return _solve(states.T @ states, states.sum(0), ridge).float()


def _solve(gram: Tensor, total: Tensor, ridge: float) -> Tensor:
    import torch

    damped = gram.clone()
    damped.diagonal().add_(ridge * float(gram.diagonal().mean()))
    factor = torch.linalg.cholesky(damped)
    return torch.cholesky_solve(total[:, None], factor)[:, 0]
