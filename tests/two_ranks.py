"""The program of each rank in tests: several stages and checks of `World` in one process group, to start torch once.

    RANK=0 WORLD_SIZE=2 WATARI_RENDEZVOUS=file:///... python two_ranks.py FOLDER

Runs every FOLDER/*/work/launch.json, up to the step that a `stop` file beside it names; then, if FOLDER/alone
is there, writes what `World` does into FOLDER/world-RANK.json.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tiny_llama import make_folder
from watari.artifact.stage import Silent
from watari.errors import Interrupted
from watari.pretrained import load_model
from watari.train import checkpoint
from watari.train.batches import Sample, lay_out
from watari.train.checkpoint import Position
from watari.train.device import Compute
from watari.train.distributed.divided import is_divided, local
from watari.train.distributed.launch import HOME
from watari.train.distributed.spec import Launch
from watari.train.distributed.world import World, joined
from watari.train.head import cross_entropy
from watari.train.language_model import LanguageModel

CPU = Compute(torch.device("cpu"), torch.float32)


class StopAt(Silent):
    """Asks to stop at the step given, on rank 0 alone."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.done = 0.0

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        self.done = done if unit == "steps" else 0

    def stop_requested(self) -> bool:
        return self.done >= self.step


def models(folder: Path) -> dict[str, Path]:
    """Make the tiny models, for every process; save_pretrained writes on rank 0 alone."""
    return {
        name: make_folder(folder / "models" / name, tied=name == "tied", initializer_range=0.05)
        for name in ("plain", "tied")
    }


def batch(seed: int) -> Any:
    """Return a batch of two sequences."""
    draw = np.random.Generator(np.random.PCG64(seed))
    samples = [
        Sample(str(n), draw.integers(3, 400, n).astype(np.int32), np.ones(n, np.bool_)) for n in (9, 7)
    ]
    return lay_out([[sample] for sample in samples])


def steps(
    model: LanguageModel, world: World, numbers: range, optimizer: torch.optim.Optimizer
) -> list[float]:
    """Do steps of three passes each and return loss and gradient norm of each."""
    found = []
    parameters = model.trainable()
    for number in numbers:
        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for mine in world.share([batch(3 * number + part) for part in range(3)]):
            laid = batch(0) if mine is None else mine

            def work(laid: Any = laid, factor: float = 0.0 if mine is None else 1.0) -> torch.Tensor:
                hidden = model.hidden(laid)
                return cross_entropy(hidden, model.head.weight, laid.targets, torch.float32) * factor

            loss = world.forward(model, work)
            loss.backward()
            total += float(loss.detach())
        world.reduce(parameters)
        found += [world.sum([total])[0], world.clip(parameters, 1.0)]
        optimizer.step()
    return found


def trained(folder: Path, world: World, *, tied: bool, resume: Path | None = None) -> dict[str, Any]:
    """Train a tiny model under `world` and return what was seen; save after two steps, or go on from a checkpoint."""
    made = folder.parent / "models" / ("tied" if tied else "plain")
    model = LanguageModel(load_model(made), CPU)
    world.shard(model)
    parameters = model.trainable()
    optimizer = torch.optim.AdamW(parameters.values(), lr=1e-3, fused=True)
    seen: dict[str, Any] = {
        "divided": [is_divided(parameter) for parameter in parameters.values()],
        "held": sum(local(parameter).numel() for parameter in parameters.values()),
        "tied": model.head.weight is model.embeddings.weight,
    }
    if resume is None:
        seen["first"] = steps(model, world, range(2), optimizer)
        checkpoint.save(folder / "work", Position(2, 5, 1), parameters, optimizer, keep=2, world=world)
    else:
        found = checkpoint.latest(resume, world=world)
        assert found is not None
        assert checkpoint.load(found, parameters, optimizer, world=world).step == 2
    seen["second"] = steps(model, world, range(2, 4), optimizer)
    with torch.no_grad():
        laid = batch(99)
        scored = world.forward(
            model, lambda: cross_entropy(model.hidden(laid), model.head.weight, laid.targets, torch.float32)
        )
    seen["scored"] = float(scored)
    seen["still divided"] = [is_divided(parameter) for parameter in model.trainable().values()]
    state = world.full_state(model)
    seen["state"] = {name: float(tensor.double().sum()) for name, tensor in state.items()}
    seen["shapes"] = {name: list(tensor.shape) for name, tensor in state.items()}
    return seen


def sums(world: World) -> dict[str, Any]:
    """Return what the ranks agree on, and the sum of gradients that some of them lack."""
    a, b, c = (torch.nn.Parameter(torch.zeros(3)) for _ in range(3))
    a.grad = torch.full((3,), 1.0 + world.rank)
    if world.is_main:
        b.grad = torch.full((3,), 5.0)
    world.reduce({"a": a, "b": b, "c": c})
    world.barrier()
    return {
        "rank": world.rank,
        "sum": world.sum([1.0, 0.1 * (world.rank + 1), 1e300]),
        "told": world.from_main({"größe": [world.rank, None]}),
        "share": world.share(list(range(5))),
        "nothing": world.share([]),
        "gradients": [None if p.grad is None else p.grad.tolist() for p in (a, b, c)],
    }


def main(folder: Path) -> None:
    """Run the stages, then the checks."""
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    with joined():
        for path in sorted(folder.glob("*/work/launch.json")):
            launch = Launch.read(path)
            os.environ[HOME] = str(launch.out)
            out = launch.out if rank == 0 else launch.scratch(rank)
            out.mkdir(exist_ok=True)
            stop = launch.out / "work" / "stop"
            progress = StopAt(int(stop.read_text())) if rank == 0 and stop.is_file() else Silent()
            try:
                result = launch.stage().run(launch.parameters(), launch.artifacts(), out, progress)
            except Interrupted:
                continue
            if rank == 0:
                launch.write_result(result)
        seen: dict[str, Any] = {"sums": sums(World.from_environment())}
        ways = [("copies", "none", False), ("divided", "fsdp", False), ("divided-tied", "fsdp", True)]
        for name, sharding, tied in ways if (folder / "alone").is_dir() else []:
            # Saved below rank 0's folder by all ranks.
            own = folder / name if rank == 0 else folder / f"{name}-{rank}"
            world = World.from_environment(sharding=sharding)
            seen[name] = trained(own, world, tied=tied)
            alone = folder / ("alone-tied" if tied else "alone") / "work"
            seen[f"{name} resumed"] = trained(own, world, tied=tied, resume=alone)
    (folder / f"world-{rank}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    # As a rank ends: gloo's threads may abort an interpreter that goes on to its own end.
    os._exit(0)
