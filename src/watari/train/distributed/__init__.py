"""Training on several processes: `World` (what they do together) and `delegated` (how they are started).

    world.py    the processes: who computes what, sums over all, the model in copies or divided (FSDP2)
    divided.py  the divided model and the parts of its tensors
    spec.py     what a rank has to know, as a JSON file
    launch.py   starts one process a rank on this machine and stands in for them
    rank.py     the program of one rank; also the one to start under torchrun, on several machines

Starting costs no torch: the process that waits for the ranks never imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watari.train.distributed.launch import delegated

if TYPE_CHECKING:
    from watari.train.distributed.world import World

__all__ = ["World", "delegated"]


def __getattr__(name: str) -> Any:
    if name == "World":
        from watari.train.distributed.world import World

        return World
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
