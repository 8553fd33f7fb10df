"""What is trained under the loop: an objective says which passes a step has and what a pass costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from watari.train.language_model import LanguageModel


@dataclass(frozen=True)
class Part:
    """One forward pass's share of a step.

    Args:
        loss: Its part of the step's loss; the parts of a step add up to the loss.
        tokens: Tokens in it, without padding.
        figures: Its parts of other figures for the log, which add up as well.
    """

    loss: Tensor
    tokens: int
    figures: dict[str, float]


class Objective(Protocol):
    """What is trained: the sequences of each step and their loss."""

    @property
    def steps(self) -> int:
        """Number of steps."""

    def passes(self, step: int, ranks: int = 1) -> Sequence[Any]:
        """Return the forward passes of a step, from its number alone; if rows allow, a multiple of `ranks` of them."""

    def part(self, model: LanguageModel, step: int, batch: Any) -> Part:
        """Return the loss of one of them."""
