"""The objective of `train.dpo`: a loss over pairs, in a seeded order for each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from watari.train.batches import Batch
from watari.train.language_model import LanguageModel
from watari.train.objective import Part
from watari.train.pair_params import steps_of
from watari.train.pairs import Pair
from watari.train.preference_figures import Totals, figures, lengths_of
from watari.train.preference_rows import PairPass, pair_passes
from watari.train.preference_score import LogProbs, reply_logprobs

if TYPE_CHECKING:
    from watari.train.dpo import Params


class PreferenceTuning:
    """The objective: a loss over pairs, in a seeded order for each epoch.

    Args:
        pairs: To train on.
        params: The stage's parameters.
        joint: True to compute shared prompts once.
        reference: Filled in before the first step: the reference's log-probabilities by the pairs' keys.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        params: Params,
        *,
        joint: bool,
        reference: Mapping[str, LogProbs],
    ) -> None:
        self._params = params
        self._loss = params.pair_loss()
        self._joint = joint
        self._reference = reference
        self._plan = steps_of(pairs, params.epochs, params, "train.dpo")

    @property
    def steps(self) -> int:
        """Number of steps; the last of an epoch may be smaller."""
        return len(self._plan)

    def passes(self, step: int, ranks: int = 1) -> list[tuple[Batch, tuple[Pair, ...], Totals]]:
        """Return the step's batches, each with its pairs and what the whole step's figures are divided by."""
        totals = Totals.of(self._plan[step])
        return [(one.laid(), one.pairs, totals) for one in self.split(self._plan[step], ranks)]

    def first_epoch(self, ranks: int = 1) -> list[PairPass]:
        """Return the passes of the first epoch: every pair once, as it will be computed."""
        return [
            one
            for step in range(self.steps // self._params.epochs)
            for one in self.split(self._plan[step], ranks)
        ]

    def split(self, pairs: Sequence[Pair], ranks: int = 1) -> list[PairPass]:
        """Return pairs as passes."""
        return pair_passes(pairs, self._params.pass_tokens, joint=self._joint, ranks=ranks)

    def part(self, model: LanguageModel, step: int, batch: tuple[Batch, tuple[Pair, ...], Totals]) -> Part:
        """Return one batch's share of the step's mean loss and of its figures (see `preference_figures`)."""
        laid, pairs, totals = batch
        laid = laid.to(model.compute.device)
        policy = reply_logprobs(model, laid).view(-1, 2)
        known = [self._reference[pair.key] for pair in pairs]
        base = torch.tensor([[one.chosen, one.rejected] for one in known], dtype=policy.dtype)
        ratios = policy - base.to(policy.device)
        rewards = self._loss.rewards(ratios, lengths_of(pairs).to(policy.device))
        loss = self._loss.of(rewards).sum() / totals.pairs
        found = figures(pairs, ratios, rewards, totals)
        if self._params.rpo_alpha:
            likelihood = -policy[:, 0].sum() / totals.chosen_tokens
            loss = loss + self._params.rpo_alpha * likelihood
            found["chosen_nll"] = float(likelihood.detach())
        return Part(loss.float(), laid.tokens, found)
