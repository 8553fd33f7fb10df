"""Fused output layers of other packages, for GPUs: `liger-kernel`, or `cut-cross-entropy` (arXiv:2411.09009).

Neither is a dependency. They are Triton kernels and have not been run by this project's tests, which have no GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

_NO_TARGET = -100


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype, z_loss: float
) -> tuple[Tensor, Tensor] | None:
    """Return (summed cross-entropy with z-loss, z-loss alone) from an installed kernel, or None: use our own.

    Ours is taken on a CPU, for no position at all, and where no kernel does what is asked for.
    """
    if hidden.device.type != "cuda" or len(hidden) == 0:
        return None
    if liger := _liger():
        # Positional: the arguments behind `reduction` differ in name between releases, not in order.
        found = liger(
            *(hidden.to(dtype), weight.to(dtype), targets, None, None, _NO_TARGET, z_loss, 0.0, "sum"),
            *(None, bool(z_loss), torch.float32),
        )
        loss = found[0]
        z = found[1].detach() if z_loss else torch.zeros_like(loss)
        return loss.float(), z.float()
    cut = _cut_cross_entropy()
    if cut is not None and not z_loss and dtype == torch.bfloat16:
        # Without its filter, which drops small gradients.
        loss = cut(hidden.to(dtype), weight.to(dtype), targets, reduction="sum", filter_eps=None)
        return loss.float(), torch.zeros_like(loss, dtype=torch.float32)
    return None


@cache
def _liger() -> Callable[..., Any] | None:
    try:
        from liger_kernel.ops.fused_linear_cross_entropy import (  # type: ignore[import-not-found, unused-ignore]
            LigerFusedLinearCrossEntropyFunction,
        )
    except ImportError:
        return None
    found: Callable[..., Any] = LigerFusedLinearCrossEntropyFunction.apply
    return found


@cache
def _cut_cross_entropy() -> Callable[..., Tensor] | None:
    try:
        from cut_cross_entropy import linear_cross_entropy as cut  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None
    found: Callable[..., Tensor] = cut
    return found
