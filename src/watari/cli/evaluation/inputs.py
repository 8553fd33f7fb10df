"""Files given to `watari eval compare` and `watari eval judges`, as results of one spec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from watari.errors import UserError
from watari.evals.folder import is_evaluation
from watari.evals.result import Result
from watari.evals.scoring import guess_spec, score_files
from watari.evals.spec import load_spec


def results_of(
    files: Sequence[str],
    *,
    spec: str | None,
    judge: str | None = None,
    invalid: str | None = None,
    seed: int = 0,
) -> list[Result]:
    """Score all files by one spec. A model that is in two evaluation folders is named by its folder, too.

    Raises:
        UserError: if the files are of several specs, or cannot be scored.
    """
    paths = [Path(file) for file in files]
    if spec is None:
        found = {path: guess_spec(path) for path in paths}
        if len(set(found.values())) > 1:
            said = ", ".join(f"{path}: {name}" for path, name in found.items())
            raise UserError(f"files of different specs cannot be compared: {said}", "or name one: --spec")
        spec = found[paths[0]]
    if load_spec(spec).family == "jaster" and judge is not None:
        raise UserError(f"--judge {judge}: nobody judges under {spec}", "leave it out")
    folders = [path for path in paths if is_evaluation(path)]
    plain = [path for path in paths if path not in folders]
    groups = [[folder] for folder in folders] + ([plain] if plain else [])
    results = [
        (result, group[0])
        for group in groups
        for result in score_files(spec, group, judge=judge, invalid=invalid, seed=seed)
    ]
    names = [(result.model, result.judge) for result, _ in results]
    return [
        replace(result, model=f"{result.model} ({origin.name})")
        if names.count((result.model, result.judge)) > 1
        else result
        for result, origin in results
    ]


def of_models(results: Sequence[Result], models: Sequence[str]) -> list[Result]:
    """Return the results of the models named, in that order; all of them, if none is.

    Raises:
        UserError: for a name that is not there.
    """
    if not models:
        return list(results)
    known = list(dict.fromkeys(result.model for result in results))
    for name in models:
        if name not in known:
            raise UserError(f"--model {name}: no such model in these files", "there are " + ", ".join(known))
    return [result for name in dict.fromkeys(models) for result in results if result.model == name]
