"""From a recipe's tree to checked stage declarations: parameters validated, defaults filled, paths located."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from watari.artifact.outside import locate
from watari.artifact.params import EndpointMark, OutsideMark, StageParams, edge_fields, marked_fields
from watari.artifact.problems import Path_, Place, Problem, RecipeError, did_you_mean
from watari.artifact.stage import Stage
from watari.artifact.yaml_tree import Tree
from watari.recipe.model import RecipeFile

IMPORT = "data.import"

_WORDS = {
    "model_type": "a mapping is wanted",
    "dict_type": "a mapping is wanted",
    "list_type": "a list is wanted",
    "string_type": "a text is wanted",
}
"""What pydantic says of types, in the words of a recipe's reader."""


@dataclass(frozen=True)
class Declared:
    """One stage of one variant, checked by itself; its edges are not resolved yet."""

    name: str
    stage: Stage
    params: StageParams
    path: Path_
    place: Place | None


def read_top_level(tree: Tree) -> RecipeFile:
    """Return the top level of a recipe.

    Raises:
        RecipeError: for unknown keys, wrong types, bad names.
    """
    _refuse_interpolation(tree)
    try:
        return RecipeFile.model_validate(tree.value)
    except ValidationError as error:
        raise RecipeError(
            list(problems_of(error, tree.value, tree, (), "a recipe", list(RecipeFile.model_fields)))
        ) from None


def declare(
    tree: Tree, recipe: RecipeFile, table: Mapping[str, Stage]
) -> tuple[dict[str, Declared], list[Problem]]:
    """Return every stage and dataset of a recipe by name, in the order written, and every mistake found."""
    found: dict[str, Declared] = {}
    problems = list(_check_defaults(tree, recipe, table))
    for name in recipe.datasets:
        raw = {key: value for key, value in tree.value["datasets"][name].items() if value is not None}
        made = _declare_one(name, IMPORT, raw, ("datasets", name), tree, recipe, table, problems)
        if made is not None:
            found[name] = made
    for name, body in recipe.stages.items():
        path: Path_ = ("stages", name)
        if name in recipe.datasets:
            problems.append(Problem(tree.place(path), path, "a dataset has this name too"))
        raw = dict(body)
        kind = raw.pop("uses", None)
        if not isinstance(kind, str):
            problems.append(Problem(tree.place(path), path, "no `uses`: say which stage kind this is"))
            continue
        if kind not in table:
            where = (*path, "uses")
            hint = did_you_mean(kind, table)
            problems.append(Problem(tree.place(where), where, f"no stage kind '{kind}'{hint}"))
            continue
        made = _declare_one(name, kind, raw, path, tree, recipe, table, problems)
        if made is not None:
            found[name] = made
    return found, problems


def _declare_one(
    name: str,
    kind: str,
    raw: dict[str, Any],
    path: Path_,
    tree: Tree,
    recipe: RecipeFile,
    table: Mapping[str, Stage],
    problems: list[Problem],
) -> Declared | None:
    stage = table[kind]
    model = stage.params
    filled = dict(raw)
    for source, defaults in _defaults(kind, recipe, model):
        for field, value in defaults.items():
            if field not in filled:
                filled[field] = value
                _move_places(tree, ("defaults", source, field), (*path, field), value)
    filled.setdefault("seed", recipe.seed)
    language = model.model_fields.get("language")
    if language is not None and language.is_required():
        filled.setdefault("language", recipe.language)
    located = _locate(model, _named_endpoints(model, filled, path, tree, recipe, problems), path, tree)
    try:
        params = model.model_validate(located)
    except ValidationError as error:
        problems += problems_of(error, located, tree, path, kind, list(model.model_fields))
        return None
    return Declared(name, stage, params, path, tree.place(path))


def _named_endpoints(
    model: type[StageParams],
    raw: dict[str, Any],
    path: Path_,
    tree: Tree,
    recipe: RecipeFile,
    problems: list[Problem],
) -> dict[str, Any]:
    """Return `raw` with the settings of an endpoint wherever a field names one.

    Where a field takes a model of the graph as well, a name that is no endpoint's is left for the graph to resolve.
    """
    result = dict(raw)
    edge_names = edge_fields(model)

    def settings(value: Any, name: str, where: Path_) -> Any:
        if not isinstance(value, str):
            return value
        if value in recipe.endpoints:
            return {**recipe.endpoints[value].model_dump(), "name": value}
        if name not in edge_names:
            hint = did_you_mean(value, recipe.endpoints)
            problems.append(Problem(tree.place(where), where, f"no endpoint named '{value}'{hint}"))
        return value

    for name in marked_fields(model, EndpointMark):
        if name not in raw:
            continue
        value = raw[name]
        if isinstance(value, list):
            result[name] = [settings(item, name, (*path, name, i)) for i, item in enumerate(value)]
        else:
            result[name] = settings(value, name, (*path, name))
    if "run_budget" in model.model_fields:
        result["run_budget"] = recipe.budget.model_dump()
    return result


def _defaults(
    kind: str, recipe: RecipeFile, model: type[StageParams]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the recipe's `defaults` say of a stage kind: first its own, then its group's."""
    for source in (kind, f"{kind.split('.')[0]}.*"):
        values = recipe.defaults.get(source, {})
        yield source, {name: value for name, value in values.items() if name in model.model_fields}


def _move_places(tree: Tree, written: Path_, path: Path_, value: Any) -> None:
    """Note that the value at `path` was written at `written`: its lines and its folder are those."""
    if (place := tree.place(written)) is not None:
        tree.places[path] = place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        _move_places(tree, (*written, key), (*path, key), item)


def _check_defaults(tree: Tree, recipe: RecipeFile, table: Mapping[str, Stage]) -> Iterator[Problem]:
    for target, values in recipe.defaults.items():
        path: Path_ = ("defaults", target)
        group = target.removesuffix(".*") if target.endswith(".*") else None
        if group is None:
            if target not in table:
                known = [*table, *sorted({kind.split(".")[0] + ".*" for kind in table})]
                hint = did_you_mean(target, known)
                yield Problem(tree.place(path), path, f"no stage kind '{target}'{hint}")
                continue
            fields = list(table[target].params.model_fields)
        else:
            kinds = [kind for kind in table if kind.startswith(f"{group}.")]
            fields = list(dict.fromkeys(name for kind in kinds for name in table[kind].params.model_fields))
        if not fields:
            yield Problem(tree.place(path), path, f"no stage kind begins with '{group}.'")
            continue
        for field in values:
            if field not in fields:
                hint = did_you_mean(field, fields)
                yield Problem(tree.place((*path, field)), (*path, field), f"no {target} stage has it{hint}")


def _locate(model: type[BaseModel], raw: Any, path: Path_, tree: Tree) -> Any:
    """Return `raw` with every outside path in it made absolute, relative to the file in which it was written."""
    if not isinstance(raw, dict):
        return raw
    marked = set(marked_fields(model, OutsideMark))
    result = dict(raw)
    for name, field in model.model_fields.items():
        if name not in raw:
            continue
        value, where = raw[name], (*path, name)
        if name in marked:
            result[name] = _located(value, where, tree)
            continue
        nested = list(_models_in(field.annotation))
        if nested and isinstance(value, list):
            result[name] = [_locate_any(nested, item, (*where, i), tree) for i, item in enumerate(value)]
        elif nested:
            result[name] = _locate_any(nested, value, where, tree)
    return result


def _locate_any(models: list[type[BaseModel]], raw: Any, path: Path_, tree: Tree) -> Any:
    for model in models:
        raw = _locate(model, raw, path, tree)
    return raw


def _located(value: Any, path: Path_, tree: Tree) -> Any:
    if isinstance(value, list):
        return [_located(item, (*path, i), tree) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {name: _located(item, (*path, name), tree) for name, item in value.items()}
    place = tree.place(path)
    if isinstance(value, str) and place is not None:
        return locate(value, place.folder)
    return value


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, list, tuple, dict) or hasattr(
        annotation, "__metadata__"
    ):
        for part in get_args(annotation):
            yield from _models_in(part)


def problems_of(
    error: ValidationError, raw: Any, tree: Tree, path: Path_, owner: str, fields: list[str]
) -> Iterator[Problem]:
    """Yield one problem for each field that pydantic refused, in words, at its line."""
    seen: set[Path_] = set()
    for detail in error.errors(include_url=False):
        inner = _existing(raw, detail["loc"])
        where = (*path, *inner)
        kind = detail["type"]
        last = str(detail["loc"][-1]) if detail["loc"] else ""
        if kind == "extra_forbidden":
            top = len(detail["loc"]) == 1
            message = (
                f"no parameter '{last}' for {owner}{did_you_mean(last, fields)}"
                if top
                else f"no key '{last}' here"
            )
        elif kind == "missing":
            message = f"'{last}' is missing" + ("" if len(detail["loc"]) > 1 else f": {owner} needs it")
        else:
            message = _WORDS.get(kind, detail["msg"].removeprefix("Value error, "))
            message = message[:1].lower() + message[1:]
            given = detail.get("input")
            # What stands under an endpoint may be a secret in the wrong place.
            secret = where[:1] == ("endpoints",)
            if kind != "value_error" and not secret and isinstance(given, str | int | float | bool):
                message += f" (got {given!r})"
        if where in seen:
            continue
        seen.add(where) if kind != "missing" else None
        yield Problem(tree.place(where), where, message)


def _existing(raw: Any, location: tuple[int | str, ...]) -> Path_:
    """Drop the parts of a pydantic location that are no keys of the data (union tags), and follow aliases."""
    found: list[str | int] = []
    here = raw
    for part in location:
        inside = isinstance(here, dict) and part in here
        if inside or (isinstance(here, list) and isinstance(part, int) and part < len(here)):
            here = here[part]
        else:
            continue
        found.append(part)
    return tuple(found)


def _refuse_interpolation(tree: Tree) -> None:
    def walk(value: Any, path: Path_) -> Iterator[Problem]:
        if isinstance(value, str) and "${" in value and path[-1:] != ("key_env",):
            yield Problem(
                tree.place(path),
                path,
                "environment variables are not read here; only an endpoint's key_env names one",
            )
        items = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, item in items:
            yield from walk(item, (*path, key))

    problems = list(walk(tree.value, ()))
    if problems:
        raise RecipeError(problems)
