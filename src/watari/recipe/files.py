"""Finding recipe files, reading them with everything that they extend, and laying `--set` and `override` on them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from watari.artifact.problems import Path_, Place, Problem, RecipeError, did_you_mean
from watari.artifact.yaml_tree import Tree, merge, read_tree, set_path
from watari.errors import UserError
from watari.recipe.model import TOP_LEVEL

_SETTABLE_WHOLE = ("name", "description", "language", "seed")


@dataclass(frozen=True)
class Setting:
    """One `path: value` laid on a recipe, from `--set`, `override:` or a variant of a matrix."""

    path: Path_
    value: Any
    place: Place


def packaged() -> dict[str, Path]:
    """Return the recipes that travel in the package, by name."""
    folder = Path(str(resources.files("watari") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find(name: str, folder: Path) -> Path:
    """Return the file of a recipe given as a path or as a packaged name.

    Raises:
        UserError: if there is neither.
    """
    path = folder / Path(name).expanduser()
    if path.is_file():
        return path
    known = packaged()
    if name in known:
        return known[name]
    if path.is_dir():
        raise UserError(f"{name}: is a folder", "give the recipe file in it")
    near = did_you_mean(name, known)
    raise UserError(f"{name}: no such recipe file, and no packaged recipe of that name{near}")


def read(name: str, *, folder: Path, data: Path | None = None, settings: Sequence[Setting] = ()) -> Tree:
    """Return the tree of a recipe with its `extends`, its `override` and `settings` laid on it, in that order.

    `matrix` is left as it stands; `extends` and `override` are gone from the result.

    Args:
        name: A path, or a packaged name.
        folder: The current folder.
        data: What relative paths in *packaged* recipes are relative to (default: `folder`). In a file of the
            user's own they are relative to that file.
        settings: From `--set`.

    Raises:
        RecipeError: with the line of every mistake.
    """
    tree = _read_file(find(name, folder), name, folder, data or folder, ())
    override = tree.value.pop("override", None)
    laid: list[Setting] = []
    if override is not None:
        laid += settings_of(override, ("override",), tree)
    for setting in [*laid, *settings]:
        check_target(setting, tree)
        tree = set_path(tree, setting.path, setting.value, setting.place)
    return tree


def _read_file(path: Path, shown: str, folder: Path, data: Path, above: tuple[Path, ...]) -> Tree:
    resolved = path.resolve()
    base = data if resolved in {p.resolve() for p in packaged().values()} else resolved.parent
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{shown}: cannot be read: {error}") from None
    tree = read_tree(text, shown, base)
    if not isinstance(tree.value, dict):
        raise RecipeError([Problem(tree.place(()), (), "a recipe is a mapping: name:, stages:, ...")])
    extends = tree.value.pop("extends", None)
    if extends is None:
        return _laid_on(Tree({}), tree)
    names = extends if isinstance(extends, list) else [extends]
    below = Tree({})
    for position, name in enumerate(names):
        where = ("extends", position) if isinstance(extends, list) else ("extends",)
        if not isinstance(name, str):
            raise RecipeError([Problem(tree.place(where), where, "the name of a recipe or a path is wanted")])
        try:
            found = find(name, path.parent)
        except UserError as error:
            raise RecipeError([Problem(tree.place(where), where, error.message)]) from None
        if found.resolve() in (*above, resolved):
            raise RecipeError([Problem(tree.place(where), where, f"'{name}' extends itself")])
        parent = _read_file(found, _shown(found, name, folder), folder, data, (*above, resolved))
        below = _laid_on(below, parent)
    return _laid_on(below, tree)


def _shown(path: Path, name: str, folder: Path) -> str:
    """Return how a file that another extends is called in messages."""
    if path == packaged().get(name):
        return name
    relative = os.path.relpath(path, folder)
    return str(path) if relative.startswith("..") else relative


def _laid_on(below: Tree, above: Tree) -> Tree:
    """Merge two files. `matrix` and `override` merge by their own keys only: a null deeper in them is a deletion to
    come; a null in place of an axis, or of the whole section, takes back what the file below says."""
    problems = list(_vain_deletions(below, above))
    if problems:
        raise RecipeError(problems)
    kept: dict[str, dict[str, Any]] = {}
    for section in ("matrix", "override"):
        for tree in (below, above):
            if section not in tree.value:
                continue
            part = tree.value[section]
            if part is not None and not isinstance(part, dict):
                raise RecipeError([Problem(tree.place((section,)), (section,), "a mapping is wanted")])
            kept[section] = {**kept.get(section, {}), **part} if part is not None else {}
    if "matrix" in kept:
        kept["matrix"] = {axis: body for axis, body in kept["matrix"].items() if body is not None}
    merged = merge(below, above)
    merged.value.update(kept)
    return merged


def _vain_deletions(below: Tree, above: Tree) -> Iterator[Problem]:
    """Yield each null in place of a stage or dataset that the file below does not have: most often an empty body."""
    for section in ("stages", "datasets", "endpoints"):
        entries = above.value.get(section)
        known = below.value.get(section) or {}
        for name, body in entries.items() if isinstance(entries, dict) else ():
            if body is None and name not in known:
                path = (section, name)
                hint = did_you_mean(name, known)
                yield Problem(above.place(path), path, f"is empty, and there is none to delete{hint}")


def settings_of(part: Any, path: Path_, tree: Tree) -> list[Setting]:
    """Return the settings in an `override:` map or a matrix variant.

    Keys are `stage` (value: a map of fields, or null to delete the stage) or `stage.field`.

    Raises:
        RecipeError: if `part` is not a map.
    """
    if part is None:
        return []
    if not isinstance(part, dict):
        raise RecipeError([Problem(tree.place(path), path, "a mapping `stage.field: value` is wanted")])
    found = []
    for key, value in part.items():
        place = tree.place((*path, key))
        assert place is not None
        found.append(Setting(target(key), value, place))
    return found


def target(text: str) -> Path_:
    """Return the path that `sft.lr`, `stages.sft.lr`, `datasets.x.path` or `seed` stands for."""
    parts = text.split(".")
    if parts[0] == "defaults" and len(parts) > 2:
        # Stage kinds and groups have a dot of their own: defaults.train.sft.lr, defaults.train.*.lr.
        return ("defaults", ".".join(parts[1:3]), *parts[3:])
    if parts[0] in TOP_LEVEL:
        return tuple(parts)
    return ("stages", *parts)


def parse_set(text: str, folder: Path) -> Setting:
    """Return the setting of one `--set stage.field=value`; the value is YAML.

    Raises:
        UserError: if there is no `=`.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UserError(f"--set {text}: write --set stage.field=value")
    place = Place(f"--set {name}", 0, folder)
    # The value is not shown in messages: it may be a secret put in the wrong place.
    parsed = read_tree(value, f"--set {name}", folder).value if value.strip() else None
    return Setting(target(name.strip()), parsed, place)


def check_target(setting: Setting, tree: Tree) -> None:
    """Make sure that the stage, dataset or endpoint that a setting is laid on is there.

    Raises:
        RecipeError: if it is not.
    """
    head, *rest = setting.path
    if not rest and head not in _SETTABLE_WHOLE and not (head == "matrix" and setting.value is None):
        raise RecipeError([Problem(setting.place, setting.path, "name one entry of it: stage.field=value")])
    if head in ("stages", "datasets", "endpoints") and (len(rest) > 1 or (rest and setting.value is None)):
        known = tree.value.get(head)
        if isinstance(known, dict) and rest[0] not in known:
            names = [str(name) for name in known]
            what = {"stages": "stage", "datasets": "dataset", "endpoints": "endpoint"}[str(head)]
            hint = did_you_mean(str(rest[0]), names)
            raise RecipeError([Problem(setting.place, (), f"no {what} named '{rest[0]}'{hint}")])
