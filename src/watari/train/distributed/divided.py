"""A model divided among ranks (FSDP2), and the parts of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from watari.errors import StageFailed

if TYPE_CHECKING:
    from watari.train.language_model import LanguageModel


def is_divided(tensor: Tensor) -> bool:
    """Return whether a tensor is a DTensor: one of which each rank holds a part."""
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def local(tensor: Tensor) -> Tensor:
    """Return this rank's part of a divided tensor (the same memory), or a plain tensor itself."""
    divided: Any = tensor
    return divided.to_local() if is_divided(tensor) else tensor


def place(tensor: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return (offset, shape) of this rank's part of a tensor within the whole; of a plain one, all of it."""
    if not is_divided(tensor):
        return (0,) * tensor.ndim, tuple(tensor.shape)
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    divided: Any = tensor
    shape, offset = compute_local_shape_and_global_offset(
        divided.shape, divided.device_mesh, divided.placements
    )
    return tuple(offset), tuple(shape)


class _Root(torch.nn.Module):
    """Holds the whole model, so that its hooks surround whatever is computed with it."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[], Tensor]) -> Tensor:
        """Run the work."""
        return work()


def divide(model: LanguageModel, size: int) -> torch.nn.Module:
    """Divide the model's weights among `size` ranks in place and return the module that gathers them: call it with work.

    Raises:
        StageFailed: if a weight is not divided afterwards, or tied ones are tied no more.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    mesh = init_device_mesh(model.compute.device.type, (size,))
    tied = model.embeddings.weight is model.head.weight
    for layer in _layers(model.body):
        fully_shard(layer, mesh=mesh)
    root = _Root(model.model)
    fully_shard(root, mesh=mesh)
    for module in root.modules():
        if isinstance(module, FSDPModule):
            # A plain sum: a factor of 1 alone would ask for an operation that gloo does not know.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
    whole = [name for name, parameter in model.model.named_parameters() if not is_divided(parameter)]
    if whole:
        raise StageFailed(
            f"sharding: fsdp was asked for, but {len(whole)} weights are not divided ({whole[0]}, ...)"
        )
    if (model.embeddings.weight is model.head.weight) != tied:
        raise StageFailed("sharding: fsdp has untied the model's embedding and head")
    return root


def _layers(body: torch.nn.Module) -> Sequence[torch.nn.Module]:
    """Return the decoder layers: the longest list of modules in the body."""
    lists = [list(module) for module in body.modules() if isinstance(module, torch.nn.ModuleList)]
    return max(lists, key=len, default=[])
