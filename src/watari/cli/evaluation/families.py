"""What `watari eval run` asks of a family of specs: `Family`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import RenderableType

    from watari.artifact.stage import InputArtifact, Stage
    from watari.cli.evaluation.asking import Order
    from watari.cli.evaluation.keeping import Kept
    from watari.endpoint.params import AskingParams
    from watari.errors import CheckFailed
    from watari.generate.preflight import Sent


@dataclass(frozen=True)
class Looked:
    """What a dry run shows.

    Args:
        content: For a program.
        lines: For a person.
        sent: The prompts.
        stops: Whether one of them that loses or doubles BOS ends it.
    """

    content: dict[str, Any]
    lines: Sequence[str]
    sent: Sequence[Sent]
    stops: bool


@dataclass(frozen=True)
class Scored:
    """What came of a run.

    Args:
        content: The scores, for a program.
        table: For a person.
        failed: Why the model has no scores: too much is invalid.
    """

    content: dict[str, Any]
    table: RenderableType
    failed: CheckFailed | None


class Family(Protocol):
    """How the specs of a family are run."""

    @property
    def params(self) -> AskingParams:
        """The stage's parameters."""

    @property
    def artifact(self) -> InputArtifact | None:
        """The model where it runs in this process."""

    @property
    def stage(self) -> Stage:
        """What runs."""

    def look(self) -> Looked:
        """Return what a dry run shows."""

    def check(self) -> None:
        """Tell what cannot be used before the folder is begun."""

    def scored(self, kept: Kept, order: Order) -> Scored:
        """Return the scores of what stands in the folder."""

    def tell(self, kept: Kept) -> None:
        """Print what was done and spent."""
