"""Losses over pairs of replies, from the log-probabilities of both under the policy and the reference.

All compare a score of each reply, log π - log π_ref, summed over its tokens or averaged (`ipo`, `sigmoid_norm`); β times
the score is the reply's implicit reward. Names are TRL's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

LossName = Literal["sigmoid", "sigmoid_norm", "robust", "ipo"]


@dataclass(frozen=True)
class PairLoss:
    """A loss over pairs.

    Args:
        name: sigmoid: DPO (Rafailov et al. 2023, arXiv:2305.18290), with label smoothing in its conservative form
            (Mitchell 2023), as TRL has it in `aot` but not in `sigmoid`.
            sigmoid_norm: the same over scores averaged per token, so that length alone brings no reward (Tülu 3,
            arXiv:2411.15124).
            robust: DPO, made unbiased where labels are wrong with the probability `label_smoothing` (Chowdhury et al.
            2024, arXiv:2403.00409).
            ipo: the squared distance of the difference of scores, averaged per token, from 1 / (2 β) (Azar et al. 2023,
            arXiv:2310.12036; averaged as its authors and TRL do).
        beta: How strongly the policy is held to the reference; IPO's τ.
        label_smoothing: Share of pairs believed to be labelled the wrong way round.
    """

    name: LossName
    beta: float
    label_smoothing: float = 0.0

    def rewards(self, ratios: Tensor, tokens: Tensor) -> Tensor:
        """Return the implicit reward of each reply, [pairs, 2]: what the loss compares.

        Args:
            ratios: [pairs, 2] log π - log π_ref of (chosen, rejected), summed over the reply.
            tokens: [pairs, 2] supervised tokens of each.
        """
        averaged = self.name in ("sigmoid_norm", "ipo")
        return self.beta * (ratios / tokens if averaged else ratios)

    def of(self, rewards: Tensor) -> Tensor:
        """Return the loss of each pair, [pairs], from its `rewards`."""
        margins = rewards[:, 0] - rewards[:, 1]
        if self.name == "ipo":
            return (margins / self.beta - 1 / (2 * self.beta)) ** 2
        right, wrong = -logsigmoid(margins), -logsigmoid(-margins)
        share = self.label_smoothing
        if self.name == "robust":
            return ((1 - share) * right - share * wrong) / (1 - 2 * share)
        return (1 - share) * right + share * wrong


def won(margins: Tensor) -> Tensor:
    """Return 1 where the chosen reply has the higher reward, 0 where it has the lower, ½ at a tie."""
    return (torch.sign(margins) + 1) / 2
