"""AdamW over the trained weights, with a rate of its own for the rows that a graft has added.

The rows of one table share a tensor, and AdamW knows one rate a tensor. Its update is linear in the rate, so new rows
that shall move `f` times as fast are moved `f` times as far: w + f · (AdamW(w) - w), exact up to one fp32 rounding, with
nothing added to the optimizer's state (a checkpoint looks the same).

A first phase may train the new rows alone: every other gradient is dropped before the norm is taken, decay is off, and
the moments are forgotten when the phase ends, as they say nothing of the weights that begin to move then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from watari.train.settings import TrainingParams


@dataclass(frozen=True)
class NewRows:
    """The rows that a graft has added.

    Args:
        tables: For each table of token rows, by the name of its parameter, its first new row; 0 if all of its rows are new.
        alone: How many steps at the start train nothing but these rows.
    """

    tables: Mapping[str, int] = field(default_factory=dict)
    alone: int = 0


class Optimizer:
    """AdamW in its fused form (one pass over memory, deterministic); decay on matrices only.

    Args:
        parameters: The trained weights by name.
        params: Rates and decay.
        new_rows: The rows with a rate of their own.
    """

    def __init__(
        self,
        parameters: Mapping[str, torch.nn.Parameter],
        params: TrainingParams,
        new_rows: NewRows | None = None,
    ) -> None:
        new_rows = new_rows or NewRows()
        self._parameters = parameters
        self._params = params
        self._tables = {name: first for name, first in new_rows.tables.items() if name in parameters}
        self._alone = new_rows.alone if self._tables else 0
        self._factor = 1.0 if params.lr_new_rows is None else params.lr_new_rows / params.lr
        groups: dict[tuple[str, float], list[torch.nn.Parameter]] = {}
        for name, parameter in parameters.items():
            kind = "plain"
            if name in self._tables:
                kind = "rows" if self._tables[name] else "new"
            decay = params.weight_decay if parameter.ndim >= 2 else 0.0
            groups.setdefault((kind, decay), []).append(parameter)
        self.inner = torch.optim.AdamW(
            [
                {"params": members, "weight_decay": decay, "decay": decay, "kind": kind}
                for (kind, decay), members in groups.items()
            ],
            lr=params.lr,
            betas=(params.beta1, params.beta2),
            eps=params.eps,
            fused=True,
        )

    def begin(self, step: int, rate: float) -> None:
        """Make ready for a step: its rate, its phase, and gradients that are not there yet.

        Args:
            step: Its number from 0.
            rate: The learning rate of all weights but the new rows.
        """
        alone = step < self._alone
        if step == self._alone and step > 0:
            self.inner.state.clear()
        for group in self.inner.param_groups:
            # Rates as tensors would be one more way to differ; the fused form takes numbers.
            group["lr"] = rate * (self._factor if group["kind"] == "new" else 1.0)
            group["weight_decay"] = 0.0 if alone else group["decay"]
        self.inner.zero_grad(set_to_none=True)
        if self._alone:
            for name, parameter in self._parameters.items():
                # What is not trained needs no gradient computed. A divided model keeps its own accounts of that.
                if name not in self._tables and not hasattr(parameter, "to_local"):
                    parameter.requires_grad_(not alone)

    def restrict(self, step: int) -> None:
        """Drop the gradients of what this step does not train; before the gradient's norm is taken."""
        if step >= self._alone:
            return
        for name, parameter in self._parameters.items():
            if name not in self._tables:
                parameter.grad = None
            elif parameter.grad is not None:
                gradient, start = _rows_here(parameter.grad)
                gradient[: max(0, self._tables[name] - start)] = 0

    def step(self) -> None:
        """Move the weights."""
        before: list[tuple[Tensor, Tensor]] = []
        if self._factor != 1.0:
            for name, first in self._tables.items():
                if first:
                    weight, start = _rows_here(self._parameters[name].data)
                    rows = weight[max(0, first - start) :]
                    before.append((rows, rows.clone()))
        self.inner.step()
        for rows, old in before:
            torch.lerp(old, rows, self._factor, out=rows)


def _rows_here(tensor: Tensor) -> tuple[Tensor, int]:
    """Return this process's rows of a tensor and the number of the first of them: all, unless it is divided (FSDP2)."""
    divided: Any = tensor
    if not hasattr(divided, "to_local"):
        return tensor, 0
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    _, offset = compute_local_shape_and_global_offset(divided.shape, divided.device_mesh, divided.placements)
    return divided.to_local(), int(offset[0])
