"""From what a person writes after `watari train STAGE` to the stage's parameters and inputs, and what tells two runs apart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from watari.errors import UserError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from watari.artifact.stage import Progress

    Checked = TypeVar("Checked", bound=BaseModel)

OPTIONS = {
    "sources": "input",
    "select": "share",
    "language": "only",
    "profile_file": "profile",
    "teachers": "endpoint",
}
"""Options whose name is not their field's."""
EDGES = ("model", "data", "replay", "evaluate", "reference")


def stage_params(kind: str, given: Mapping[str, list[str]], settings: Sequence[str], *, dry_run: bool) -> Any:
    """Return the stage's parameters.

    Raises:
        UserError: naming the first setting that is wrong.
    """
    from watari.flow.stages import TABLE

    values: dict[str, Any] = {
        name: [{"from": f"{name}-{i}"} for i in range(len(p))] for name, p in given.items()
    }
    values["model"] = {"from": "model"}
    if "reference" in values:
        values["reference"] = {"from": "reference"}
    if dry_run:
        values["dry_run"] = True
    return lay(TABLE[kind].params, values, settings, kind, inputs=EDGES)


def lay(
    model: type[Checked],
    given: Mapping[str, Any],
    settings: Sequence[str],
    kind: str,
    *,
    inputs: Sequence[str],
) -> Checked:
    """Return a stage's parameters from what options say, with those of `--set name=value` laid on.

    Args:
        model: The stage's parameters.
        given: Values by field.
        settings: What followed `--set`.
        kind: The stage, for messages.
        inputs: Fields that are files here and not to be set.

    Raises:
        UserError: naming the first setting that is wrong.
    """
    from pydantic import ValidationError

    from watari.artifact.problems import did_you_mean
    from watari.artifact.yaml_tree import read_tree

    values: dict[str, Any] = dict(given)
    for text in settings:
        name, equals, written = text.partition("=")
        path = name.strip().split(".")
        if not equals or not name.strip():
            raise UserError(f"--set {text}: write --set name=value")
        if path[0] in inputs:
            raise UserError(f"--set {name}: inputs are files here", f"give --{OPTIONS.get(path[0], path[0])}")
        if path[0] not in model.model_fields:
            near = did_you_mean(path[0], [field for field in model.model_fields if field not in inputs])
            raise UserError(f"--set {name}: {kind} has no such parameter{near}")
        place = values
        for part in path[:-1]:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                raise UserError(f"--set {name}: {part} has no parts")
            place = inner
        # The value is not shown in messages, as nowhere else with --set.
        place[path[-1]] = read_tree(written, f"--set {name}", Path.cwd()).value if written.strip() else None
    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        said = str(first["msg"]).removeprefix("Value error, ")
        parts = [str(part) for part in first["loc"] if not str(part).startswith("function-")]
        if not parts:
            raise UserError(said) from None
        laid = any(text.partition("=")[0].strip().split(".")[0] == parts[0] for text in settings)
        option = OPTIONS.get(parts[0], parts[0])
        where = f"--set {'.'.join(parts)}" if laid or parts[0] not in given else f"--{option}"
        raise UserError(f"{where}: {said}") from None


def stage_inputs(
    params: Any, model: Path, given: Mapping[str, list[str]], folder: Path, progress: Progress
) -> Any:
    """Return the stage's inputs, made ready below `folder/work` where files had to be read."""
    from watari.artifact.manifest import WORK
    from watari.artifact.params import edge_fields
    from watari.artifact.stage import Inputs
    from watari.cli.training_inputs import data_inputs, model_input

    base = model_input("model", model)
    found = {"model": [base]}
    kinds = edge_fields(type(params))
    for name, places in given.items():
        if name == "reference":
            found[name] = [model_input(name, Path(places[0]))]
        else:
            found[name] = data_inputs(
                name, places, kinds[name][0], folder / WORK / "inputs", progress, model=base
            )
    return Inputs(found)


def identity_of(kind: str, params: Any, model: Path, given: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return what must be equal for an interrupted run to go on: parameters that count, and the inputs."""
    from watari.artifact.outside import fingerprint as outside_fingerprint
    from watari.artifact.params import key_parameters, outside_paths
    from watari.cli.training_inputs import fingerprint
    from watari.flow.stages import TABLE
    from watari.pretrained import find_model

    outside = {path: outside_fingerprint(path) for path in outside_paths(params)}
    places = {name: [outside_fingerprint(place) for place in several] for name, several in given.items()}
    identity: dict[str, Any] = {
        "stage": kind,
        "version": TABLE[kind].version,
        "parameters": key_parameters(params, outside),
        "model": fingerprint(find_model(model)),
        "data": places,
    }
    # As it will be read back.
    return dict(json.loads(json.dumps(identity)))
