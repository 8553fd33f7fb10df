"""Checkpoints: fp32 weights, AdamW's state and the position, whole or not there at all.

    work/checkpoint-0000000420/  weights.safetensors  optimizer.safetensors  state.json

A checkpoint is written under a temporary name, synced and renamed, so that one that has its name is complete; what
happens to it later (a disk that loses blocks, a copy cut short) shows in the size and xxh128 of every file that
`state.json` holds, and then the one before it is taken. Loading one and going on gives the bits that an undisturbed run
gives: nothing else is carried from step to step (order, noise and schedule follow from the step's number).

A model divided among several processes is written by all of them, each its parts (`weights-00000-of-00002.safetensors`,
...). The parts carry their offsets, so that any number of processes reads them, one with copies of the model or one that
divides it. Offsets stand in the header of the safetensors files in the form of torch.distributed.checkpoint's
HuggingFaceStorageReader, which can read them too; its own writer needs a process group even where there is one process,
neither syncs nor renames, and keeps no hash; its default format is a pickle, which is not read here at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from watari.artifact import atomic
from watari.artifact.hashing import hash_file
from watari.errors import StageFailed
from watari.train.distributed.divided import is_divided, local, place
from watari.train.distributed.world import World

_STATE = "state.json"
_NOTE = "written-"
_SHARDING = "DCP_SHARDING_INFO"
_FORMAT = 2


@dataclass(frozen=True)
class Position:
    """Where a run stands.

    Args:
        step: Steps done.
        tokens: Tokens seen.
        threads: CPU threads of each process.
        log_bytes: Length of the training log at that point.
        watch_bytes: Length of the evaluation log.
    """

    step: int = 0
    tokens: int = 0
    threads: int = 0
    log_bytes: int = 0
    watch_bytes: int = 0


def latest(work: Path, tell: Callable[..., None] | None = None, *, world: World | None = None) -> Path | None:
    """Return the newest undamaged checkpoint below `work`, or None; on every rank what rank 0 finds below its own.

    Args:
        work: The folder of checkpoints.
        tell: Told of each damaged one that is passed over.
        world: The processes that are to load it.
    """
    world = world or World.single()
    found = None
    if world.is_main:
        for candidate in sorted(work.glob("checkpoint-*"), reverse=True):
            fault = _fault(candidate)
            if fault is None:
                found = str(candidate.absolute())
                break
            if tell is not None:
                tell(f"{candidate.name} is damaged ({fault}); going back to the one before it")
    found = world.from_main(found)
    return None if found is None else Path(found)


def read_position(checkpoint: Path) -> Position:
    """Return where the run stood that wrote `checkpoint`."""
    return Position(**_state(checkpoint)["position"])


def save(
    work: Path,
    position: Position,
    parameters: Mapping[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    *,
    keep: int = 2,
    world: World | None = None,
) -> Path:
    """Write a checkpoint, remove all but the last `keep`, and return its folder.

    Of a model that every rank holds whole, rank 0 writes; of a divided one, each rank its parts, into rank 0's folder.
    It is done when this returns: training goes on only then, so that what is written is what the step left.
    """
    world = world or World.single()
    final = Path(world.from_main(str(work.absolute()))) / f"checkpoint-{position.step:010d}"
    temporary = final.parent / f".writing-{final.name}"
    # The same step of the same run: an interruption right after a checkpoint asks for it again.
    if world.from_main(final.exists() and _fault(final) is None if world.is_main else False):
        return final
    if world.is_main:
        for leftover in final.parent.glob(".writing-*"):
            atomic.remove_tree(leftover)
        temporary.mkdir(parents=True)
    world.barrier()
    try:
        _fill(temporary, parameters, optimizer, position, world)
        if world.is_main:
            # One that stands there is damaged.
            atomic.remove_tree(final)
            atomic.publish_folder(temporary, final)
    except Exception:
        # Half a checkpoint on a full disk only takes the space that the next attempt needs.
        if world.is_main:
            atomic.remove_tree(temporary)
        raise
    if world.is_main:
        for old in sorted(final.parent.glob("checkpoint-*"))[:-keep]:
            atomic.remove_tree(old)
    world.barrier()
    return final


def _fill(
    temporary: Path,
    parameters: Mapping[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    position: Position,
    world: World,
) -> None:
    """Write all files of a checkpoint into its folder; each rank its own."""
    if world.is_main or world.divided:
        suffix = f"-{world.rank:05d}-of-{world.size:05d}" if world.divided else ""
        tensors = {"weights": parameters, "optimizer": _moments(parameters, optimizer)}
        written = {}
        for what, members in tensors.items():
            path = temporary / f"{what}{suffix}.safetensors"
            _write(path, members, world)
            written[path.name] = {"size": path.stat().st_size, "xxh128": hash_file(path)}
        # Each rank hashes what it has written, while that is still in memory; rank 0 gathers the notes.
        atomic.write_json(temporary / f"{_NOTE}{world.rank:05d}.json", written)
    world.barrier()
    if world.is_main:
        files: dict[str, Any] = {}
        for note in sorted(temporary.glob(f"{_NOTE}*.json")):
            files |= json.loads(note.read_text("utf-8"))
            note.unlink()
        shapes = {name: list(parameter.shape) for name, parameter in parameters.items()}
        state = {"format": _FORMAT, "position": asdict(position), "shapes": shapes, "files": files}
        atomic.write_json(temporary / _STATE, state)


def load(
    checkpoint: Path,
    parameters: Mapping[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    *,
    world: World | None = None,
) -> Position:
    """Put the weights and the optimizer's state of `checkpoint` in place and return where it stood.

    Each rank reads what it holds: the whole, or its parts, whoever wrote them.

    Raises:
        StageFailed: if it belongs to another model.
    """
    state = _state(checkpoint)
    if state["shapes"] != {name: list(parameter.shape) for name, parameter in parameters.items()}:
        raise StageFailed(f"{checkpoint}: holds another model's weights", "remove the folder to start anew")
    weights = _Pieces(sorted(checkpoint.glob("weights*.safetensors")))
    with torch.no_grad():
        for name, parameter in parameters.items():
            weights.read_into(name, parameter)
    moments = _Pieces(sorted(checkpoint.glob("optimizer*.safetensors")))
    optimizer.state.clear()
    for key in moments.names:
        field, _, name = key.partition("/")
        parameter = parameters[name]
        # AdamW counts its steps in a tensor on the parameter's device in its fused form, else on the CPU.
        blank = torch.zeros((), device=parameter.device) if field == "step" else torch.zeros_like(parameter)
        moments.read_into(key, blank)
        optimizer.state[parameter][field] = blank.detach()
    if world is not None:
        world.barrier()
    return read_position(checkpoint)


def _state(checkpoint: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((checkpoint / _STATE).read_text("utf-8"))
    return state


def _fault(checkpoint: Path) -> str | None:
    """Return what is wrong with a checkpoint's files, or None; files that have not changed are hashed once a process."""
    try:
        stats = [(path.name, path.stat()) for path in sorted(checkpoint.iterdir())]
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return _judged(checkpoint, tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))


@lru_cache(maxsize=16)
def _judged(checkpoint: Path, stamps: tuple[tuple[str, int, int], ...]) -> str | None:
    try:
        state = _state(checkpoint)
        if state.get("format") != _FORMAT:
            return f"{_STATE} is of another format"
        for name, noted in state["files"].items():
            path = checkpoint / name
            if path.stat().st_size != noted["size"]:
                return f"{name} has {path.stat().st_size} of {noted['size']} bytes"
            if hash_file(path) != noted["xxh128"]:
                return f"{name} is not what was written"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _moments(
    parameters: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    return {
        f"{field}/{name}": tensor
        for name, parameter in parameters.items()
        for field, tensor in optimizer.state.get(parameter, {}).items()
    }


def _write(path: Path, tensors: Mapping[str, Tensor], world: World) -> None:
    """Write what this rank holds of `tensors`; those that every rank holds whole are rank 0's to write."""
    held = {}
    offsets = {}
    for name, tensor in tensors.items():
        if is_divided(tensor) or world.is_main:
            part = local(tensor.detach())
            # Fewer rows than ranks: some of them hold none.
            if part.numel() or not is_divided(tensor):
                held[name] = part.cpu().contiguous()
                offsets[name] = {"saved_offsets": list(place(tensor)[0])}
    save_file(held, path, metadata={_SHARDING: json.dumps(offsets), "format": "pt"})


@dataclass(frozen=True)
class _Piece:
    path: Path
    offset: tuple[int, ...]
    shape: tuple[int, ...]


class _Pieces:
    """The tensors of several files, each in one or more parts."""

    def __init__(self, paths: list[Path]) -> None:
        self._pieces: dict[str, list[_Piece]] = {}
        self._open: dict[Path, Any] = {}
        for path in paths:
            opened: Any = safe_open(path, framework="pt")
            self._open[path] = opened
            offsets = json.loads((opened.metadata() or {})[_SHARDING])
            for name in opened.keys():  # noqa: SIM118 (not a mapping)
                piece = _Piece(
                    path,
                    tuple(offsets[name]["saved_offsets"]),
                    tuple(opened.get_slice(name).get_shape()),
                )
                self._pieces.setdefault(name, []).append(piece)

    @property
    def names(self) -> list[str]:
        """The names of all tensors."""
        return sorted(self._pieces)

    def read_into(self, name: str, target: Tensor) -> None:
        """Fill `target`, or this rank's part of it, from all pieces that reach into it."""
        offset, shape = place(target)
        here = local(target)
        for piece in self._pieces[name]:
            for into, out_of in _overlap(offset, shape, piece):
                part = (
                    self._open[piece.path].get_slice(name)[out_of]
                    if shape
                    else self._open[piece.path].get_tensor(name)
                )
                here[into] = part.to(here.device)


def _overlap(
    offset: tuple[int, ...], shape: tuple[int, ...], piece: _Piece
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Yield where a piece overlaps a region: the slices in the region and in the piece; nothing if it does not."""
    into, out_of = [], []
    for start, length, from_start, from_length in zip(offset, shape, piece.offset, piece.shape, strict=True):
        low = max(start, from_start)
        high = min(start + length, from_start + from_length)
        if low >= high:
            return
        into.append(slice(low - start, high - start))
        out_of.append(slice(low - from_start, high - from_start))
    yield tuple(into), tuple(out_of)
