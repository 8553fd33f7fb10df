"""What a rank has to know to run a stage, as a JSON file that any machine with the same folders can read."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from watari.artifact import atomic
from watari.artifact.hashing import hash_json
from watari.artifact.manifest import WORK, Manifest
from watari.artifact.params import Selection, StageParams, runtime_parameters
from watari.artifact.stage import InputArtifact, Inputs, Stage, StageResult
from watari.errors import UserError

SPEC = "launch.json"
_RESULT = "result.json"
KINDS = ("train.pretrain", "train.sft", "train.dpo", "train.repair")


class Given(BaseModel):
    """An input artifact."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    parameter: str
    name: str
    path: Path
    manifest: Manifest
    selection: Selection


class Launch(BaseModel):
    """A stage, its parameters, its inputs, and the folder that rank 0 writes.

    Args:
        kind: The stage's kind.
        params: Its parameters, as JSON.
        inputs: Its artifacts, in order.
        out: Its folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: str
    params: dict[str, Any]
    inputs: list[Given]
    out: Path

    @classmethod
    def of(cls, kind: str, params: StageParams, inputs: Inputs, out: Path) -> Launch:
        """Return the description of a run of the stage."""
        given = [
            Given(
                parameter=parameter,
                name=artifact.name,
                path=artifact.path.absolute(),
                manifest=artifact.manifest,
                selection=artifact.selection,
            )
            for parameter, artifact in inputs.items()
        ]
        data = params.model_dump(mode="json", by_alias=True)
        return cls(kind=kind, params=data, inputs=given, out=out.absolute())

    @property
    def path(self) -> Path:
        """Where it is written."""
        return self.out / WORK / SPEC

    def scratch(self, rank: int) -> Path:
        """Return the folder of a rank other than 0, which ends with the stage."""
        return self.out / WORK / f"rank-{rank:05d}"

    def write(self) -> None:
        """Write it below the stage's working folder."""
        atomic.write_text(self.path, self.model_dump_json(by_alias=True, indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> Launch:
        """Return what is written in `path`.

        Raises:
            UserError: if it cannot be read or says something else.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise UserError(
                f"{path}: not the description of a launch: {str(error).splitlines()[0]}",
                "`watari run` with `processes: 2` or more writes one into the stage's working folder",
            ) from None

    def stage(self) -> Stage:
        """Return the stage.

        Raises:
            UserError: if it is none that can be launched.
        """
        if self.kind not in KINDS:
            raise UserError(f"{self.kind!r} does not run on several processes", f"one of {', '.join(KINDS)}")
        stage: Stage = importlib.import_module(f"watari.{self.kind}").STAGE
        return stage

    def parameters(self) -> StageParams:
        """Return the stage's parameters."""
        return self.stage().params.model_validate(self.params)

    def artifacts(self) -> Inputs:
        """Return the stage's inputs."""
        found: dict[str, list[InputArtifact]] = {}
        for each in self.inputs:
            artifact = InputArtifact(each.name, each.path, each.manifest, each.selection)
            found.setdefault(each.parameter, []).append(artifact)
        return Inputs(found)

    def write_result(self, result: StageResult) -> None:
        """Note what the finished stage said, so that nobody runs it a second time to hear it."""
        noted = {"identity": self._identity(), "metrics": result.metrics, "performance": result.performance}
        atomic.write_json(self.out / WORK / _RESULT, noted)

    def result(self) -> StageResult | None:
        """Return what the stage said, if it has been run to its end in this folder."""
        try:
            noted = json.loads((self.out / WORK / _RESULT).read_text("utf-8"))
        except FileNotFoundError:
            return None
        if noted["identity"] != self._identity():
            return None
        return StageResult(noted["metrics"], noted["performance"])

    def _identity(self) -> str:
        """Return a hash of all that decides the result: not the paths, nor the number of processes."""
        runtime = runtime_parameters(self.parameters())
        params = {name: value for name, value in self.params.items() if name not in runtime}
        inputs = [[each.parameter, each.manifest.digest, each.selection.narrowing()] for each in self.inputs]
        return hash_json([self.kind, self.stage().version, params, inputs])
