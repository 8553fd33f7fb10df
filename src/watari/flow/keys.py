"""The key of an artifact: what has to be equal for a stage not to be run again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watari.artifact.hashing import hash_json
from watari.artifact.manifest import InputEntry, Manifest
from watari.artifact.outside import fingerprint
from watari.artifact.params import key_parameters, outside_paths
from watari.artifact.store import Store
from watari.errors import UserError
from watari.recipe.graph import Node


def input_entries(node: Node, made: Mapping[str, Manifest]) -> list[InputEntry]:
    """Return what feeds `node`, in order, from the manifests of its sources."""
    return [
        InputEntry(
            parameter=source.parameter,
            name=source.node,
            kind=made[source.node].kind,
            key=made[source.node].key,
            digest=made[source.node].digest,
            selection=source.selection.narrowing(),
        )
        for source in node.sources
    ]


def fingerprints(node: Node) -> dict[str, str]:
    """Return the fingerprint of every outside path of `node`.

    Raises:
        UserError: if one does not exist.
    """
    revision = getattr(node.params, "revision", None)
    try:
        return {path: fingerprint(path, revision) for path in outside_paths(node.params)}
    except UserError as error:
        section = "datasets" if node.dataset else "stages"
        place = f"{node.place}: " if node.place else ""
        raise UserError(f"{place}{section}.{node.name}: {error.message}", error.mend) from None


def read_made(store: Store, node: Node, key: str) -> Manifest:
    """Return the manifest of the artifact of `node` that is in the store.

    Raises:
        UserError: if it was edited or damaged, naming the stage.
    """
    try:
        return store.read(node.kind, key)
    except UserError as error:
        mend = (
            f"make it again with --force {node.name.split('@')[0]}; `watari verify` shows all that is damaged"
        )
        raise UserError(f"stage '{node.name}': {error.message}", mend) from None


def key_of(node: Node, inputs: list[InputEntry], outside: Mapping[str, str]) -> str:
    """Return the xxh128 over stage kind, version, parameters, inputs' digests and outside files' fingerprints.

    The seed is one of the parameters. A stage that gathers (a report) shows the names and manifests of its inputs, not
    only their content, so those count for it too.
    """
    fed: list[Any] = [[entry.parameter, entry.digest, entry.selection] for entry in inputs]
    if node.stage.gathers:
        fed = [[entry.parameter, entry.name, entry.key, entry.digest] for entry in inputs]
    return hash_json(
        {
            "stage": node.stage.kind,
            "version": node.stage.version,
            "parameters": key_parameters(node.params, outside),
            "inputs": fed,
        }
    )
