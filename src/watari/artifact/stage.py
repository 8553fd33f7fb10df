"""A stage: one step of a recipe, and an ordinary library function.

Each stage is one module with a `Params` model, a `run(params, inputs, out, progress)` and a `STAGE` that binds them.
The table of all of them is `watari.flow.stages`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from watari.artifact.kinds import Kind
from watari.artifact.manifest import Manifest
from watari.artifact.params import Selection, StageParams
from watari.errors import Interrupted


class Progress(Protocol):
    """How a stage tells what it is doing. Calls are cheap; the flow decides what is shown and how often."""

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        """Tell how far the work is: `done` of `total` in `unit` ("rows", "steps"), with a short note."""

    def log(self, message: str, **fields: Any) -> None:
        """Write one line to the stage's log and the run's events."""

    def stop_requested(self) -> bool:
        """True once the user asked to stop: save a checkpoint, then raise `Interrupted`."""


class Silent:
    """A `Progress` that shows nothing: for library use and tests."""

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        """Do nothing."""

    def log(self, message: str, **fields: Any) -> None:
        """Do nothing."""

    def stop_requested(self) -> bool:
        """Never."""
        return False


def stop_if_asked(progress: Progress) -> None:
    """Raise `Interrupted` if the user asked to stop; for stages that have nothing to save first."""
    if progress.stop_requested():
        raise Interrupted("stopped as asked; run the same command to go on")


@dataclass(frozen=True)
class InputArtifact:
    """A finished artifact as a stage gets it: where it lies, its manifest, and what part of it is meant."""

    name: str
    path: Path
    manifest: Manifest
    selection: Selection


class Inputs:
    """The artifacts that feed a stage, by parameter name, in the order in which the recipe names them."""

    def __init__(self, artifacts: dict[str, list[InputArtifact]] | None = None) -> None:
        self._artifacts = artifacts or {}

    def one(self, parameter: str) -> InputArtifact:
        """Return the only artifact of `parameter`; the graph check has made sure that there is one."""
        (artifact,) = self._artifacts[parameter]
        return artifact

    def optional(self, parameter: str) -> InputArtifact | None:
        """Return the artifact of `parameter`, or None if the recipe gives none."""
        found = self._artifacts.get(parameter, [])
        return found[0] if found else None

    def many(self, parameter: str) -> list[InputArtifact]:
        """Return the artifacts of `parameter`, in the order of the recipe."""
        return list(self._artifacts.get(parameter, []))

    def items(self) -> Iterator[tuple[str, InputArtifact]]:
        """Yield (parameter, artifact) pairs."""
        for parameter, found in self._artifacts.items():
            for artifact in found:
                yield parameter, artifact


@dataclass
class StageResult:
    """What a stage says of its work, for the manifest.

    Args:
        metrics: Figures that the same inputs give again (counts, losses, scores); JSON data, finite numbers only.
        performance: Figures that they do not (tokens/s, peak memory); never hashed, never in a report's digest.
    """

    metrics: dict[str, Any] = field(default_factory=dict)
    performance: dict[str, Any] = field(default_factory=dict)


class Run(Protocol):
    """The work of a stage: read `inputs`, write files below `out`, tell `progress`, say what came of it."""

    def __call__(self, params: Any, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
        """Do the work. `out` exists; `out/work/` is kept across an interruption and dropped at completion;
        `out/logs/` is kept but not hashed."""


@dataclass(frozen=True)
class Stage:
    """A stage kind and how to run it.

    Args:
        kind: Its name in recipes: `train.sft`.
        version: Raised when the same parameters and inputs give other bytes than before; it is part of the key.
        output: The kind of artifact that it makes; or a function of the parameters where that depends on them.
        params: Its parameter model.
        run: The work.
        resumes: True if a later run may find the files of an interrupted one in `out` and goes on from them;
            otherwise `out` is emptied first.
        gathers: True if it takes every variant of a matrix instead of being repeated for each.
        memory: Bytes that it is expected to need, from its parameters and inputs; a guide for running side by side.
    """

    kind: str
    version: int
    output: Kind | Callable[[Any], Kind]
    params: type[StageParams]
    run: Run
    resumes: bool = False
    gathers: bool = False
    memory: Callable[[Any, Inputs], int] | None = None

    def output_kind(self, params: StageParams) -> Kind:
        """Return the kind of artifact that it makes with these parameters."""
        return self.output if isinstance(self.output, Kind) else self.output(params)
