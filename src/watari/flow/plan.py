"""What a run would do: for each stage whether its artifact is there, will be made, or must wait for others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from watari.artifact.manifest import Manifest
from watari.artifact.store import Store
from watari.errors import UserError
from watari.flow.keys import fingerprints, input_entries, key_of, read_made
from watari.recipe.graph import Recipe


class State(StrEnum):
    """The state of a stage in a plan."""

    CACHED = "cached"
    RUN = "run"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Chosen:
    """Which stages a command is about.

    Args:
        only: Just these; what they need must be there.
        start: These and all that depends on them; what they need must be there.
        until: These and all that they depend on.
        force: These are made again, even if they are there.
    """

    only: Sequence[str] = ()
    start: Sequence[str] = ()
    until: Sequence[str] = ()
    force: Sequence[str] = ()

    def nodes(self, recipe: Recipe) -> set[str]:
        """Return the nodes to bring about.

        Raises:
            RecipeError: if a name is unknown.
        """
        wanted = set(recipe.nodes)
        if self.only:
            wanted = {name for given in self.only for name in recipe.names(given)}
        if self.start:
            wanted &= recipe.downstream([name for given in self.start for name in recipe.names(given)])
        if self.until:
            wanted &= recipe.upstream([name for given in self.until for name in recipe.names(given)])
        # A dataset is imported with the stage that needs it.
        for node in recipe.nodes.values():
            if node.name in wanted:
                wanted.update(s.node for s in node.sources if recipe.nodes[s.node].dataset)
        return wanted

    def forced(self, recipe: Recipe) -> set[str]:
        """Return the nodes to make again."""
        return {name for given in self.force for name in recipe.names(given)}


@dataclass(frozen=True)
class PlannedStage:
    """One line of a plan.

    Args:
        key: None while it depends on artifacts that are not made yet.
        bytes: Size of the artifact that is there.
        seconds: How long it took to make, as its manifest says.
    """

    name: str
    uses: str
    kind: str
    state: State
    key: str | None
    inputs: list[str]
    bytes: int | None = None
    seconds: float | None = None
    digest: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    recipe: str
    store: str
    stages: list[PlannedStage] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the documented JSON form (docs/cli.md)."""
        return {
            "recipe": self.recipe,
            "store": self.store,
            "stages": [{**vars(stage), "state": stage.state.value} for stage in self.stages],
            "run": sum(stage.state is State.RUN for stage in self.stages),
            "cached": sum(stage.state is State.CACHED for stage in self.stages),
        }


def plan(recipe: Recipe, store: Store, chosen: Chosen | None = None) -> Plan:
    """Return the plan of a recipe against a store. Nothing is written; outside files are hashed.

    Raises:
        UserError: for a missing outside file, or a damaged artifact.
    """
    chosen = chosen or Chosen()
    wanted, forced = chosen.nodes(recipe), chosen.forced(recipe)
    made: dict[str, Manifest] = {}
    stages = []
    for node in recipe.nodes.values():
        names = list(dict.fromkeys(source.node for source in node.sources))
        key = manifest = None
        if all(name in made for name in names):
            try:
                outside = fingerprints(node)
            except UserError:
                if node.name in wanted:
                    raise
                outside = None
            if outside is not None:
                key = key_of(node, input_entries(node, made), outside)
                if store.find(node.kind, key) is not None and node.name not in forced:
                    manifest = read_made(store, node, key)
        state, reason = State.CACHED, ""
        if manifest is None:
            state = State.RUN if node.name in wanted else State.LEFT_OUT
            waits = [name for name in names if name not in made]
            reason = (
                f"after {', '.join(waits)}"
                if waits
                else ("forced" if node.name in forced else "not made yet")
            )
        else:
            made[node.name] = manifest
        stages.append(
            PlannedStage(
                name=node.name,
                uses=node.stage.kind,
                kind=node.kind.value,
                state=state,
                key=key,
                inputs=names,
                bytes=manifest.bytes if manifest else None,
                seconds=manifest.seconds if manifest else None,
                digest=manifest.digest if manifest else None,
                reason=reason,
            )
        )
    return Plan(recipe.name, str(store.root), stages)


def check_reachable(recipe: Recipe, planned: Plan, wanted: set[str]) -> None:
    """Make sure that all that the wanted stages need is there or wanted too.

    Raises:
        UserError: naming the first stage that is missing.
    """
    state = {stage.name: stage.state for stage in planned.stages}
    for name in recipe.nodes:
        if name not in wanted:
            continue
        for source in recipe.nodes[name].sources:
            if state[source.node] is State.LEFT_OUT:
                raise UserError(
                    f"'{name}' needs '{source.node}', which is not made yet",
                    f"run with --until {name}, or without --only / --from",
                )
