"""YAML with line numbers, and the merging of recipe files.

A `Tree` is plain data plus the place where each value was written. Scalars follow the YAML 1.2 core schema, so that
`no` is a word, `1e-4` a number and `0123` not octal, which PyYAML's 1.1 rules get wrong for recipes. Duplicate keys are
errors.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from watari.artifact.problems import Path_, Place, Problem, RecipeError

_INT = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_MOST_NODES = 200_000
_MOST_DIGITS = 300
_PLAIN = "plain"
_TAGS = {
    _PLAIN,
    *(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")),
}


class _Loader(yaml.SafeLoader):
    """Composes nodes without the 1.1 rules for plain scalars, which are told apart from quoted and tagged ones."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


@dataclass
class Tree:
    """Plain data and, for each path in it, the place where it was written."""

    value: Any
    places: dict[Path_, Place] = field(default_factory=dict)

    def place(self, path: Path_) -> Place | None:
        """Return where the value at `path` was written, or its nearest parent that is known."""
        for length in range(len(path), -1, -1):
            if (found := self.places.get(path[:length])) is not None:
                return found
        return None


def read_tree(text: str, file: str, folder: Path) -> Tree:
    """Return the tree of one YAML document.

    Args:
        text: The document.
        file: Its name as shown in messages.
        folder: What its relative paths are relative to.

    Raises:
        RecipeError: with the line, for malformed YAML, duplicate keys, and tags or keys that are not plain data.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1 if mark else 0, folder)
        raise RecipeError([Problem(place, (), f"malformed YAML: {error.problem or error.context}")]) from None
    except yaml.YAMLError as error:
        line = str(error).splitlines()[0]
        raise RecipeError([Problem(Place(file, 0, folder), (), f"malformed YAML: {line}")]) from None
    except RecursionError:
        raise RecipeError(
            [Problem(Place(file, 0, folder), (), "malformed YAML: nested too deeply")]
        ) from None
    tree = Tree(None)
    if root is None:
        raise RecipeError([Problem(Place(file, 0, folder), (), "the file is empty")])
    tree.value = _Reader(file, folder, tree).read(root, ())
    return tree


class _Reader:
    """Turns composed YAML nodes into plain data and notes the line of each."""

    def __init__(self, file: str, folder: Path, tree: Tree) -> None:
        self.file, self.folder, self.tree = file, folder, tree
        self.nodes = 0

    def fail(self, node: yaml.Node, path: Path_, message: str) -> RecipeError:
        place = Place(self.file, node.start_mark.line + 1, self.folder)
        return RecipeError([Problem(place, path, message)])

    def read(self, node: yaml.Node, path: Path_) -> Any:
        self._count(node, len(path))
        self.tree.places[path] = Place(self.file, node.start_mark.line + 1, self.folder)
        if node.tag not in _TAGS:
            raise self.fail(node, path, f"tag {node.tag} is not allowed in a recipe")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.MappingNode)
        return self._mapping(node, path)

    def _count(self, node: yaml.Node, depth: int) -> None:
        self.nodes += 1
        if self.nodes > _MOST_NODES or depth > 60:
            raise self.fail(node, (), "the file is too large, or an alias refers to itself")

    def _mapping(self, node: yaml.MappingNode, path: Path_, merges: int = 0) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: list[tuple[str, yaml.ScalarNode, yaml.Node]] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.fail(key_node, path, "a key must be a word")
            if key_node.value != "<<" or key_node.style is not None:
                own.append((str(key_node.value), key_node, value_node))
                continue
            sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            # The first source wins, so it is read last: then the places noted are its own.
            for source in reversed(sources):
                if not isinstance(source, yaml.MappingNode):
                    raise self.fail(source, path, "'<<' takes a mapping")
                self._count(source, merges)
                merged.update(self._mapping(source, path, merges + 1))
        found: dict[str, Any] = {}
        for key, key_node, value_node in own:
            if key in found:
                raise self.fail(key_node, (*path, key), "this key is given twice")
            found[key] = self.read(value_node, (*path, key))
            # The line of the key is what a person looks for, even where the value starts on the next one.
            self.tree.places[(*path, key)] = Place(self.file, key_node.start_mark.line + 1, self.folder)
        return {**merged, **found}

    def _scalar(self, node: yaml.ScalarNode, path: Path_) -> Any:
        text = str(node.value)
        if node.tag == "tag:yaml.org,2002:str":
            return text
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if _INT.match(text) or _FLOAT.match(text):
            if len(text) > _MOST_DIGITS or not math.isfinite(float(text)):
                raise self.fail(node, path, f"too large a number: {text[:20]}...")
            return int(text) if _INT.match(text) else float(text)
        return text


def merge(base: Tree, over: Tree) -> Tree:
    """Return `base` with `over` laid on it: maps merge, lists and scalars replace, null deletes."""
    result = Tree(_merge_values(base.value, over.value))
    result.places = {**base.places, **over.places}
    return result


def _merge_values(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        merged = dict(base)
        for key, value in over.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = _merge_values(merged[key], value) if key in merged else _without_nulls(value)
        return merged
    return _without_nulls(over)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def set_path(tree: Tree, path: Path_, value: Any, place: Place) -> Tree:
    """Return `tree` with the value at `path` laid over (a map merges, null deletes)."""
    nested: Any = value
    for part in reversed(path):
        nested = {part: nested}
    overlay = Tree(nested)
    for length in range(len(path) + 1):
        overlay.places[path[:length]] = tree.places.get(path[:length], place) if length < len(path) else place
    for inner in _inner_paths(value):
        overlay.places[path + inner] = place
    return merge(tree, overlay)


def _inner_paths(value: Any) -> list[Path_]:
    found: list[Path_] = []
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, item in items:
        found.append((key,))
        found += [(key, *rest) for rest in _inner_paths(item)]
    return found
