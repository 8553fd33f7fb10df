"""`matrix:`: the same graph over variants.

An axis is either `axis: {variant: {stage.field: value, stage: null, ...}, ...}` or the short form
`stage.field: [value, value]`. A stage is repeated only for the axes that change it, itself or through what feeds it;
its variants are called `stage@axis=value`.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from typing import Any

from watari.artifact.problems import Path_, Problem, RecipeError
from watari.artifact.yaml_tree import Tree
from watari.recipe.files import Setting, settings_of, target

_MOST_VARIANTS = 256
_VARIANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\Z")
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_LONGEST = 40
_WHOLE = ("seed", "language")
"""Axes of the short form that are no stage's field."""


@dataclass(frozen=True)
class Variant:
    """One choice of a value on every axis."""

    choice: tuple[tuple[str, str], ...]
    settings: tuple[Setting, ...]


def variants(tree: Tree) -> list[Variant]:
    """Return every combination of the matrix of a recipe, in the order written; one empty one without a matrix.

    Raises:
        RecipeError: for an axis that has no variants or is not in one of the two forms.
    """
    matrix = tree.value.get("matrix") or {}
    if not isinstance(matrix, dict):
        raise RecipeError([Problem(tree.place(("matrix",)), ("matrix",), "a mapping of axes is wanted")])
    axes: list[list[tuple[str, str, list[Setting]]]] = []
    for axis, body in matrix.items():
        path: Path_ = ("matrix", axis)
        if isinstance(body, dict) and body:
            for name in (axis, *body):
                if not _VARIANT.match(name):
                    message = f"{name!r} is not a name: write letters, digits, '.', '_', '+' and '-'"
                    raise RecipeError([Problem(tree.place(path), path, message)])
            axes.append([(axis, name, settings_of(part, (*path, name), tree)) for name, part in body.items()])
        elif isinstance(body, list) and body and ("." in axis or axis in _WHOLE):
            axes.append(_short_axis(axis, body, path, tree))
        else:
            message = "write `axis: {variant: {stage.field: value}}`, or `stage.field: [value, value]`"
            raise RecipeError([Problem(tree.place(path), path, message)])
    found = []
    for combination in itertools.product(*axes):
        choice = tuple((axis, name) for axis, name, _ in combination)
        found.append(Variant(choice, tuple(s for _, _, settings in combination for s in settings)))
        if len(found) > _MOST_VARIANTS:
            message = f"more than {_MOST_VARIANTS} variants"
            raise RecipeError([Problem(tree.place(("matrix",)), ("matrix",), message)])
    return found


def _short_axis(
    axis: str, values: list[Any], path: Path_, tree: Tree
) -> list[tuple[str, str, list[Setting]]]:
    found: list[tuple[str, str, list[Setting]]] = []
    for position, value in enumerate(values):
        where = (*path, position)
        place = tree.place(where)
        assert place is not None
        name = _shown(value)
        if name in (other for _, other, _ in found):
            message = (
                f"two variants are called '{name}'; write `axis: {{variant: {{{axis}: value}}}}` to name them"
            )
            raise RecipeError([Problem(place, where, message)])
        found.append((axis, name, [Setting(target(axis), value, place)]))
    return found


def _shown(value: Any) -> str:
    """Return a value as it stands in the name of a variant, which is also the name of a file."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = _UNSAFE.sub("-", text)
    return text[:_LONGEST] or "empty"


def axes_that_matter(hashes: dict[tuple[tuple[str, str], ...], str]) -> set[str]:
    """Return the axes along which a stage differs.

    Args:
        hashes: For each variant's choice, what identifies the stage there ("" where it is absent).
    """
    found = set()
    for choice, value in hashes.items():
        for other, other_value in hashes.items():
            differing = [a for (a, x), (_, y) in zip(choice, other, strict=True) if x != y]
            if len(differing) == 1 and value != other_value:
                found.add(differing[0])
    return found


def variant_name(name: str, choice: tuple[tuple[str, str], ...], axes: set[str]) -> str:
    """Return `stage@axis=value,axis=value` with only the axes that matter."""
    parts = [f"{axis}={value}" for axis, value in choice if axis in axes]
    return f"{name}@{','.join(parts)}" if parts else name
