"""A recipe as a checked graph: every edge resolved and of the right kind, no cycles, variants named."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from watari.artifact.hashing import hash_json
from watari.artifact.kinds import Kind
from watari.artifact.params import Edge, Selection, StageParams, edge_fields, edges
from watari.artifact.problems import Place, Problem, RecipeError, did_you_mean
from watari.artifact.stage import Stage
from watari.artifact.yaml_tree import Tree, set_path
from watari.endpoint.settings import Endpoint
from watari.recipe import files
from watari.recipe.declare import Declared, declare, read_top_level
from watari.recipe.matrix import Variant, axes_that_matter, variant_name, variants
from watari.recipe.model import RecipeFile

Choice = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Source:
    """One edge into a node: which parameter takes which node's artifact, and what part of it."""

    parameter: str
    node: str
    selection: Selection


@dataclass(frozen=True)
class Node:
    """One stage of the graph, ready to be run once its sources are."""

    name: str
    stage: Stage
    params: StageParams
    sources: tuple[Source, ...]
    place: Place | None = None
    dataset: bool = False

    @property
    def kind(self) -> Kind:
        """The kind of artifact that it makes."""
        return self.stage.output_kind(self.params)


@dataclass(frozen=True)
class Recipe:
    """A recipe whose graph was checked. `nodes` is in topological order, ties as written."""

    name: str
    description: str
    language: str
    seed: int
    nodes: Mapping[str, Node]
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)

    def names(self, given: str) -> list[str]:
        """Return the nodes that `given` stands for: one by its full name, or every variant of a stage.

        Raises:
            RecipeError: if there is none.
        """
        found = [name for name in self.nodes if name == given or name.split("@")[0] == given]
        if not found:
            raise RecipeError(
                [Problem(None, (), f"no stage named '{given}'{did_you_mean(given, self.nodes)}")]
            )
        return found

    def downstream(self, names: Sequence[str]) -> set[str]:
        """Return `names` and every node that depends on one of them."""
        found = set(names)
        for node in self.nodes.values():
            if any(source.node in found for source in node.sources):
                found.add(node.name)
        return found

    def upstream(self, names: Sequence[str]) -> set[str]:
        """Return `names` and every node that one of them depends on."""
        found = set(names)
        for node in reversed(list(self.nodes.values())):
            if node.name in found:
                found.update(source.node for source in node.sources)
        return found


def load(
    name: str,
    table: Mapping[str, Stage],
    *,
    folder: Path | None = None,
    data: Path | None = None,
    settings: Sequence[files.Setting] = (),
) -> Recipe:
    """Return the checked graph of a recipe.

    Args:
        name: A path, or the name of a packaged recipe.
        table: The stage kinds that exist.
        folder: The current folder (default: the process's).
        data: What relative paths in packaged recipes are relative to (default: `folder`).
        settings: From `--set`.

    Raises:
        RecipeError: with every mistake found, each with file and line.
    """
    tree = files.read(name, folder=folder or Path.cwd(), data=data, settings=settings)
    recipe = read_top_level(tree)
    built: dict[Choice, dict[str, Node]] = {}
    problems: dict[str, Problem] = {}
    for variant in variants(tree):
        varied = _varied(tree, variant)
        nodes, found = _graph(varied, read_top_level(varied), table)
        built[variant.choice] = nodes
        problems.update((str(problem), problem) for problem in found)
    if problems:
        raise RecipeError(list(problems.values()))
    nodes = _in_order(_merge_variants(built), list(recipe.datasets) + list(recipe.stages))
    return Recipe(recipe.name, recipe.description, recipe.language, recipe.seed, nodes, recipe.endpoints)


def _varied(tree: Tree, variant: Variant) -> Tree:
    """Return the tree of one variant. What is set on a stage that another axis deletes falls with it."""
    varied = tree
    for setting in variant.settings:
        try:
            files.check_target(setting, varied)
        except RecipeError:
            files.check_target(setting, tree)
            continue
        varied = set_path(varied, setting.path, setting.value, setting.place)
    return varied


def _graph(
    tree: Tree, recipe: RecipeFile, table: Mapping[str, Stage]
) -> tuple[dict[str, Node], list[Problem]]:
    declared, problems = declare(tree, recipe, table)
    # A stage that could not be read must not be reported as missing by those that name it.
    known = list(dict.fromkeys([*recipe.stages, *recipe.datasets]))
    nodes: dict[str, Node] = {}
    for item in declared.values():
        sources: list[Source] = []
        for found in edges(item.params):
            problem = _edge_problem(item, found, known, declared, tree)
            if problem is not None:
                problems.append(problem)
            else:
                sources.append(Source(found.parameter, found.selection.source, found.selection))
        is_dataset = item.path[0] == "datasets"
        nodes[item.name] = Node(item.name, item.stage, item.params, tuple(sources), item.place, is_dataset)
    if not problems:
        for node in list(nodes.values()):
            if node.stage.gathers and not node.sources:
                nodes[node.name] = _gather(node, nodes)
        problems += _cycles(nodes, declared)
    if problems:
        return {}, problems
    used = {source.node for node in nodes.values() for source in node.sources}
    return {name: node for name, node in nodes.items() if not node.dataset or name in used}, []


def _edge_problem(
    item: Declared, found: Edge, known: Sequence[str], declared: Mapping[str, Declared], tree: Tree
) -> Problem | None:
    path = (*item.path, found.parameter)
    value = getattr(item.params, found.parameter)
    if isinstance(value, list | tuple):
        path = (*path, next(i for i, entry in enumerate(value) if entry is found.selection))
    place = tree.place(path)
    # A list of one may have been written without brackets: then the index is not in the file.
    if path not in tree.places and isinstance(path[-1], int):
        path = path[:-1]
    name = found.selection.source
    if name not in known:
        return Problem(place, path, f"no stage named '{name}'{did_you_mean(name, known)}")
    if name not in declared:
        return None
    other = declared[name]
    kind = other.stage.output_kind(other.params)
    if kind not in found.kinds:
        wanted = " or ".join(k.value for k in found.kinds)
        return Problem(
            place, path, f"'{name}' ({other.stage.kind}) makes {kind.value}, but {wanted} is wanted here"
        )
    return None


def _gather(node: Node, nodes: Mapping[str, Node]) -> Node:
    parameter = next(iter(edge_fields(type(node.params))))
    sources = tuple(
        Source(parameter, other.name, Selection.model_validate({"from": other.name}))
        for other in nodes.values()
        if not other.stage.gathers and not other.dataset
    )
    return Node(node.name, node.stage, node.params, sources, node.place)


def _cycles(nodes: Mapping[str, Node], declared: Mapping[str, Declared]) -> list[Problem]:
    try:
        TopologicalSorter({name: [s.node for s in node.sources] for name, node in nodes.items()}).prepare()
    except CycleError as error:
        # Given from what is used to what uses it; told the other way round, from the one that stands first in the file.
        ring = list(reversed(error.args[1][1:]))
        first = ring.index(next(name for name in nodes if name in ring))
        ring = [*ring[first:], *ring[: first + 1]]
        item = declared[ring[0]]
        return [Problem(item.place, item.path, f"a cycle: {' ← '.join(ring)}")]
    return []


def _merge_variants(built: Mapping[Choice, Mapping[str, Node]]) -> dict[str, Node]:
    if len(built) == 1:
        return dict(next(iter(built.values())))
    hashes: dict[Choice, dict[str, str]] = {choice: _identities(nodes) for choice, nodes in built.items()}
    order = list(dict.fromkeys(name for nodes in built.values() for name in nodes))
    axes = {
        name: axes_that_matter({choice: found.get(name, "") for choice, found in hashes.items()})
        for name in order
    }
    for nodes in built.values():
        # A stage that gathers stands once, whatever the variants.
        axes.update({name: set() for name, node in nodes.items() if node.stage.gathers})
    merged: dict[str, Node] = {}
    for name in order:
        for choice, nodes in built.items():
            if name not in nodes:
                continue
            node = nodes[name]
            new = variant_name(name, choice, axes[name])
            sources = tuple(
                Source(s.parameter, variant_name(s.node, choice, axes[s.node]), s.selection)
                for s in node.sources
            )
            if node.stage.gathers and new in merged:
                before = merged[new]
                added = tuple(s for s in sources if s not in before.sources)
                merged[new] = Node(new, node.stage, node.params, before.sources + added, node.place)
            else:
                merged.setdefault(new, Node(new, node.stage, node.params, sources, node.place, node.dataset))
    rank = {name: position for position, name in enumerate(merged)}
    for name, node in merged.items():
        if node.stage.gathers and not list(edges(node.params)):
            # Variants of a stage side by side, in the order of the recipe.
            ordered = tuple(sorted(node.sources, key=lambda source: rank[source.node]))
            merged[name] = Node(name, node.stage, node.params, ordered, node.place)
    return merged


def _identities(nodes: Mapping[str, Node]) -> dict[str, str]:
    """Return, for each node, a hash over its own parameters and everything upstream of it."""
    found: dict[str, str] = {}
    order = TopologicalSorter({name: [s.node for s in node.sources] for name, node in nodes.items()})
    for name in order.static_order():
        node = nodes[name]
        own = [node.stage.kind, node.params.model_dump(mode="json")]
        fed = [[s.parameter, s.node, found[s.node]] for s in node.sources]
        found[name] = "gathers" if node.stage.gathers else hash_json([*own, *fed])
    return found


def _in_order(nodes: dict[str, Node], written: list[str]) -> dict[str, Node]:
    """Return the nodes in topological order; of those that are ready, the one written first comes first."""
    rank = {name: position for position, name in enumerate(written)}
    by_rank = sorted(nodes, key=lambda name: rank.get(name.split("@")[0], len(rank)))
    place = {name: position for position, name in enumerate(by_rank)}
    users: dict[str, list[str]] = {name: [] for name in nodes}
    missing = {name: len({source.node for source in node.sources}) for name, node in nodes.items()}
    for name, node in nodes.items():
        for source in {source.node for source in node.sources}:
            users[source].append(name)
    ready = [place[name] for name in by_rank if missing[name] == 0]
    done: dict[str, Node] = {}
    while ready:
        name = by_rank[heapq.heappop(ready)]
        done[name] = nodes[name]
        for user in users[name]:
            missing[user] -= 1
            if missing[user] == 0:
                heapq.heappush(ready, place[user])
    return done
