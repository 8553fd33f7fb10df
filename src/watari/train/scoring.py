"""Passes that are only scored: one a process at a time, their results on every process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from watari.artifact.stage import Progress
from watari.errors import Interrupted

if TYPE_CHECKING:
    from watari.train.distributed import World
    from watari.train.language_model import LanguageModel

_Pass = TypeVar("_Pass")


def each_pass(
    model: LanguageModel,
    passes: Sequence[_Pass],
    work: Callable[[_Pass], Tensor],
    size: Callable[[_Pass], int],
    *,
    progress: Progress,
    note: str,
    world: World | None = None,
) -> Iterator[tuple[_Pass, Tensor]]:
    """Yield every pass, in order, with what `work` makes of it: flat, fp64, on the CPU.

    Args:
        model: The model; of several processes each calls with the same passes.
        passes: What to compute.
        work: Computes one, with all its use of the model's weights inside.
        size: How many numbers that gives.
        progress: Told of every pass.
        note: What it is told.
        world: The processes that share the passes.

    Raises:
        Interrupted: if the user asked to stop.
    """
    ranks, rank = (1, 0) if world is None else (world.size, world.rank)
    for start in range(0, len(passes), ranks):
        asked = float(progress.stop_requested())
        if asked if world is None else world.sum([asked])[0]:
            raise Interrupted("stopped as asked; run the same command to go on")
        here = passes[start : start + ranks]
        # A process without a pass goes through the motions: a divided model computes together or not at all.
        own = partial(work, here[min(rank, len(here) - 1)])
        with torch.no_grad():
            values = (own() if world is None else world.forward(model, own)).flatten().double().cpu()
        if world is None or ranks == 1:
            yield here[0], values
        else:
            sizes = [size(one) for one in here]
            slots = [torch.zeros(count, dtype=torch.float64) for count in sizes]
            if rank < len(here):
                slots[rank] = values
            summed = torch.tensor(world.sum(torch.cat(slots).tolist()), dtype=torch.float64)
            yield from zip(here, torch.split(summed, sizes), strict=True)
        progress.update(min(start + ranks, len(passes)), len(passes), unit="passes", note=note)
