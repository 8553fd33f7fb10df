"""The processes that train one model together: who computes what, and what they agree on.

Exact data parallelism: a step's passes are dealt to the ranks, and its gradient is the plain sum over all of them, as it
is over the passes of one process. Nothing is averaged, so a step does not depend on how many ranks share it (up to the
order of fp32 additions).

Two ways to hold the model:

- a copy in each rank: gradients are summed after the step's last pass, bucket by bucket;
- divided among the ranks (FSDP2, `torch.distributed.fsdp.fully_shard`): each decoder layer, and one root with the
  embedding, the last norm and the head. Weights are gathered and gradients summed in fp32, and matrices multiplied under
  autocast as in one process: gathering in bfloat16 would halve the traffic, but then our cross-entropy, which sums the
  head's gradient chunk by chunk into a tensor of the weight's type, would sum it in bfloat16.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import torch
import torch.distributed as dist
from torch import Tensor

from watari.errors import UserError
from watari.train.distributed.divided import divide, is_divided, local
from watari.train.distributed.launch import HOME, RENDEZVOUS

if TYPE_CHECKING:
    from watari.train.language_model import LanguageModel

_T = TypeVar("_T")

_BUCKET = 1 << 23
"""Elements of a gradient bucket: 32 MiB of fp32."""
_TIMEOUT = timedelta(hours=1)
"""Longest wait for another rank. A rank that dies is noticed at once; this is for one that hangs."""


class World:
    """The ranks of a run, seen from one of them.

    `here` is the number of those on this machine, which share its cores.

    Args:
        rank: This process's number from 0.
        size: How many there are.
        device: Where tensors are summed.
        divided: True to divide the model among the ranks, False for a copy in each.
        home: The stage's folder, which rank 0 writes and the others may read; None for a single process.
    """

    def __init__(
        self,
        rank: int,
        size: int,
        device: torch.device | None = None,
        *,
        divided: bool = False,
        home: Path | None = None,
    ) -> None:
        self.rank = rank
        self.size = size
        self.here = _local("LOCAL_WORLD_SIZE", size) if size > 1 else 1
        self.home = home
        self.divided = divided and size > 1
        self._device = device or torch.device("cpu")
        self._roots: WeakKeyDictionary[LanguageModel, Any] = WeakKeyDictionary()

    @classmethod
    def single(cls) -> World:
        """Return the world of one process, which has nobody to wait for."""
        return cls(0, 1)

    @classmethod
    def from_environment(cls, device: torch.device | None = None, *, sharding: str = "none") -> World:
        """Return the world of this process: that of its process group, or of itself alone if it is no rank.

        The group is that of `joined`, which the program of a rank opens; a RANK that stands in the environment for
        another reason does not make a process wait for others.

        Args:
            device: Where the model lies.
            sharding: "fsdp" to divide the model, "none" for a copy in each rank.

        Raises:
            UserError: if there are more ranks on this machine than GPUs.
        """
        if not (dist.is_available() and dist.is_initialized()):
            return cls.single()
        here, gpus = _local("LOCAL_WORLD_SIZE", dist.get_world_size()), torch.cuda.device_count()
        if device is not None and device.type == "cuda" and here > gpus:
            raise UserError(
                f"processes: {here} for {gpus} GPU{'s' if gpus != 1 else ''}: each needs one of its own",
                f"set `processes: {gpus}`, or `device: cpu`",
            )
        return cls(
            dist.get_rank(),
            dist.get_world_size(),
            device,
            divided=sharding == "fsdp",
            home=Path(os.environ[HOME]) if HOME in os.environ else None,
        )

    @property
    def is_main(self) -> bool:
        """True for rank 0, which alone writes logs and the model."""
        return self.rank == 0

    def share(self, batches: Sequence[_T]) -> list[_T | None]:
        """Return this rank's batches of a step, one a round; None where a round has none left for it.

        Every rank gets as many rounds, since a divided model is computed together or not at all. Batches are dealt in
        turn: neighbours are of like length (`batches.passes`), so that nobody waits long.
        """
        rounds = range(0, len(batches), self.size)
        places = [start + self.rank for start in rounds]
        return [batches[place] if place < len(batches) else None for place in places]

    def sum(self, values: Sequence[float]) -> list[float]:
        """Return the sums of `values` over all ranks, place by place, in fp64."""
        if self.size == 1:
            return list(values)
        summed = torch.tensor(list(values), dtype=torch.float64, device=self._device)
        dist.all_reduce(summed)
        return [float(value) for value in summed.tolist()]

    def from_main(self, value: _T) -> _T:
        """Return rank 0's `value`, JSON data, on every rank."""
        if self.size == 1:
            return value
        data = json.dumps(value).encode() if self.is_main else b""
        length = torch.tensor([len(data)], dtype=torch.int64, device=self._device)
        dist.broadcast(length, 0)
        content = torch.zeros(int(length), dtype=torch.uint8, device=self._device)
        if self.is_main:
            content.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        dist.broadcast(content, 0)
        received: _T = json.loads(bytes(content.cpu().numpy()))
        return received

    def barrier(self) -> None:
        """Wait until every rank has come here."""
        self.sum([0.0])

    def reduce(self, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        """Replace each gradient by its sum over all ranks; of a divided model it is that already.

        A parameter that has a gradient on no rank keeps none, so that the optimizer leaves it alone as it would in one
        process.
        """
        if self.size == 1 or self.divided:
            return
        members = list(parameters.values())
        used = self.sum([float(parameter.grad is not None) for parameter in members])
        bucket: list[Tensor] = []
        for parameter, ranks in zip(members, used, strict=True):
            if not ranks:
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if bucket and sum(gradient.numel() for gradient in bucket) + parameter.numel() > _BUCKET:
                _sum_in_place(bucket)
                bucket = []
            bucket.append(parameter.grad)
        if bucket:
            _sum_in_place(bucket)

    def clip(self, parameters: Mapping[str, torch.nn.Parameter], limit: float) -> float:
        """Scale all gradients so that their norm is at most `limit` and return what it was.

        As torch.nn.utils.clip_grad_norm_, over the whole model, divided or not.
        """
        if not self.divided:
            return float(torch.nn.utils.clip_grad_norm_(parameters.values(), limit))
        gradients = [local(p.grad) for p in parameters.values() if p.grad is not None]
        squares = [float(torch.linalg.vector_norm(gradient).double()) ** 2 for gradient in gradients]
        norm = math.sqrt(self.sum([math.fsum(squares)])[0])
        if not norm <= limit:
            for gradient in gradients:
                gradient.mul_(limit / (norm + 1e-6))
        return norm

    def shard(self, model: LanguageModel) -> None:
        """Make the model one of this world: equal copies, or divided.

        Raises:
            StageFailed: if dividing it was asked for and its weights are not divided afterwards.
        """
        if self.size == 1:
            return
        for parameter in model.model.parameters():
            # Every rank has read the same folder. This makes it certain, as one differing bit would grow unseen.
            dist.broadcast(parameter.data, 0)
        if self.divided:
            self._roots[model] = divide(model, self.size)

    def forward(self, model: LanguageModel, work: Callable[[], Tensor]) -> Tensor:
        """Return `work()`, run where the model's weights are at hand.

        All of `work`'s use of the weights must be inside it, and its result must be the tensor that backward starts
        from: FSDP2 gathers the root's weights before, and hangs on to the result to gather them again in backward.
        """
        root = self._roots.get(model)
        if root is None:
            return work()
        result: Tensor = root(work)
        if not torch.is_grad_enabled():
            # No backward will do so; left gathered, the whole weights would stand where an optimizer looks for parts.
            root.reshard()
        return result

    def full_state(self, model: LanguageModel) -> dict[str, Tensor]:
        """Return the whole weights by name, on the CPU, on rank 0; nothing on the others.

        Each parameter comes once; tied ones have the name under which `named_parameters` lists them.
        """
        state: dict[str, Tensor] = {}
        for name, parameter in model.model.named_parameters():
            whole = parameter.detach()
            if is_divided(whole):
                gathered: Any = whole
                whole = gathered.full_tensor()
            if self.is_main:
                state[name] = whole.cpu()
        return state


@contextmanager
def joined() -> Iterator[None]:
    """Join the process group that the environment describes (RANK, WORLD_SIZE, LOCAL_RANK, as torchrun sets them).

    gloo for tensors on the CPU, NCCL for those on a GPU; a rank's GPU is the one of its LOCAL_RANK.
    """
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(_local("LOCAL_RANK", rank) % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(
        backend,
        init_method=os.environ.get(RENDEZVOUS, "env://"),
        rank=rank,
        world_size=size,
        timeout=_TIMEOUT,
    )
    yield
    # Not after an error: the others may not come along.
    dist.destroy_process_group()


def _local(name: str, default: int) -> int:
    return int(os.environ.get(name, default))


def _sum_in_place(tensors: list[Tensor]) -> None:
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    start = 0
    for tensor in tensors:
        tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
        start += tensor.numel()
