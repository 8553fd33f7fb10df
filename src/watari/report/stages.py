"""The stages of a run as the report sees them: who feeds whom, how deep each lies, and its anchor on the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from watari.artifact.kinds import Kind
from watari.artifact.manifest import Manifest
from watari.artifact.stage import InputArtifact


@dataclass(frozen=True)
class Source:
    """One input of a stage: the parameter that takes it, and the stage that made it."""

    parameter: str
    name: str
    kind: Kind
    key: str
    digest: str
    selection: dict[str, object] | None
    stage: ReportStage | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, eq=False)
class ReportStage:
    """One stage of the run with its finished artifact.

    Args:
        name: As in the recipe, with its variant: `sft@vocabulary=32k`.
        anchor: The id of its details on the page; letters, digits and hyphens only.
        path: The artifact's folder; it never appears on the page.
        manifest: The artifact's manifest.
        sources: Its inputs. They are matched by key, since a cached artifact's manifest may carry the names of the
            recipe that first made it.
        level: The longest way to it from a stage without inputs.
        position: Its place in the recipe.
    """

    name: str
    anchor: str
    path: Path
    manifest: Manifest
    sources: tuple[Source, ...]
    level: int
    position: int

    @property
    def base(self) -> str:
        """The name without its matrix variant."""
        return self.name.partition("@")[0]

    @property
    def variant(self) -> str:
        """The matrix variant (`vocabulary=32k`), or an empty string."""
        return self.name.partition("@")[2]

    @property
    def uses(self) -> str:
        """The stage kind: `train.sft`."""
        return self.manifest.uses

    @property
    def room(self) -> str:
        """What the stage is about, for its colour: data, tokenizer, model, train, eval or other."""
        head = self.uses.partition(".")[0]
        if self.uses == "leakage.mine":
            return "data"
        return {
            "corpus": "data",
            "data": "data",
            "synth": "data",
            "tokens": "data",
            "tokenizer": "tokenizer",
            "model": "model",
            "train": "train",
            "eval": "eval",
            "leakage": "eval",
            "sweep": "eval",
        }.get(head, "other")

    def source(self, kind: Kind) -> Source | None:
        """Return its first input of this kind."""
        return next((source for source in self.sources if source.kind == kind), None)

    @property
    def subject(self) -> ReportStage:
        """The stage whose model it judges, for an evaluation; itself otherwise."""
        found = self.source(Kind.MODEL)
        return found.stage if found and found.stage else self


def read_stages(artifacts: Sequence[InputArtifact]) -> list[ReportStage]:
    """Return the run's stages in the order of the recipe, each with its sources resolved and its level."""
    by_key: dict[str, list[int]] = {}
    for position, artifact in enumerate(artifacts):
        by_key.setdefault(artifact.manifest.key, []).append(position)

    anchors: dict[str, int] = {}
    names = [_anchor(artifact.name, anchors) for artifact in artifacts]
    made: dict[int, ReportStage] = {}

    def build(position: int) -> ReportStage:
        if position in made:
            return made[position]
        artifact = artifacts[position]
        sources = []
        level = 0
        for entry in artifact.manifest.inputs:
            found = _match(entry.name, by_key.get(entry.key, []), artifact.name, artifacts)
            maker = None if found is None or found == position else build(found)
            if maker is not None:
                level = max(level, maker.level + 1)
            sources.append(
                Source(
                    entry.parameter,
                    maker.name if maker else entry.name,
                    entry.kind,
                    entry.key,
                    entry.digest,
                    entry.selection,
                    maker,
                )
            )
        made[position] = ReportStage(
            artifact.name,
            names[position],
            artifact.path,
            artifact.manifest,
            tuple(sources),
            level,
            position,
        )
        return made[position]

    return [build(position) for position in range(len(artifacts))]


def graph_order(stages: Sequence[ReportStage]) -> list[ReportStage]:
    """Return `stages` by how far along the graph the model lies that each is about, then by place in the recipe."""
    return sorted(stages, key=lambda stage: (stage.subject.level, stage.subject.position, stage.position))


def _match(
    name: str, candidates: Sequence[int], consumer: str, artifacts: Sequence[InputArtifact]
) -> int | None:
    """Return which artifact with the right key is meant: the named one, else one of the same variant, else any."""
    variant = consumer.partition("@")[2]
    ranked = sorted(
        candidates,
        key=lambda position: (
            artifacts[position].name != name,
            artifacts[position].name.partition("@")[2] != variant,
            position,
        ),
    )
    return ranked[0] if ranked else None


def _anchor(name: str, taken: dict[str, int]) -> str:
    slug = "stage-" + (re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "x")
    taken[slug] = taken.get(slug, 0) + 1
    return slug if taken[slug] == 1 else f"{slug}-{taken[slug]}-again"
