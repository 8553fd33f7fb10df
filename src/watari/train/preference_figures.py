"""What is said of a policy's preferences beside the loss: in each step's line of the log, and on whole sets of pairs.

    margin, accuracy, chosen_reward, rejected_reward
                      means of the implicit rewards (`preference.PairLoss.rewards`); a tie is half a win
    kl_chosen, kl_rejected
                      mean over replies of (log π - log π_ref) / tokens, nats a token: the plain ("k1") estimate of how
                      far the policy has gone from the reference, on the pairs' replies. These are not drawn from the
                      policy, so that it estimates no divergence without bias and has a sign: it is expected to rise on
                      chosen replies and fall on rejected ones; falling on both is the known failure of DPO.
    length_gap        mean over pairs of how many tokens longer the reply with the higher reward is; it drifts upwards
                      where length is learned in place of quality
    length_slope      reward per additional token: the least-squares slope through the pairs' differences
    length_correlation
                      correlation of those differences (whole sets only, since the parts of a step must add up)
    leaking_reward, clean_reward
                      mean rewards of replies with and without words of another language (`text.leakage`), where there
                      are both; the policy takes to leaking if the first rises above the second

All are symmetric in the order of pairs, and the parts of a step's passes add up to the step's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from watari.artifact import atomic
from watari.train.pairs import Pair
from watari.train.preference import PairLoss, won
from watari.train.preference_score import LogProbs


@dataclass(frozen=True)
class Totals:
    """What a step's figures are divided by, known before it is computed.

    Args:
        pairs: Its pairs.
        chosen_tokens: Supervised tokens of their chosen replies.
        squared_gaps: Sum over pairs of the squared difference of the replies' lengths.
        leaking, clean: Replies with and without foreign words, of pairs whose language is known.
    """

    pairs: int
    chosen_tokens: int
    squared_gaps: int
    leaking: int
    clean: int

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> Totals:
        """Return the totals of a step."""
        lengths = [pair.replies for pair in pairs]
        marks = [mark for pair in pairs if pair.leaks is not None for mark in pair.leaks]
        return cls(
            pairs=len(pairs),
            chosen_tokens=sum(chosen for chosen, _ in lengths),
            squared_gaps=sum((chosen - rejected) ** 2 for chosen, rejected in lengths),
            leaking=sum(marks),
            clean=len(marks) - sum(marks),
        )


def lengths_of(pairs: Sequence[Pair]) -> Tensor:
    """Return the supervised tokens of both replies of each pair, [pairs, 2] fp64."""
    return torch.tensor([pair.replies for pair in pairs], dtype=torch.float64).view(-1, 2)


def figures(pairs: Sequence[Pair], ratios: Tensor, rewards: Tensor, totals: Totals) -> dict[str, float]:
    """Return the share that these pairs have in the figures of a step.

    Args:
        pairs: Of one pass.
        ratios: [pairs, 2] log π - log π_ref of (chosen, rejected), summed.
        rewards: [pairs, 2] implicit rewards.
        totals: Of the whole step.
    """
    ratios, rewards = ratios.detach().double().cpu(), rewards.detach().double().cpu()
    lengths = lengths_of(pairs)
    margins = rewards[:, 0] - rewards[:, 1]
    gaps = lengths[:, 0] - lengths[:, 1]
    per_token = ratios / lengths
    sums = {
        "margin": margins,
        "accuracy": won(margins),
        "chosen_reward": rewards[:, 0],
        "rejected_reward": rewards[:, 1],
        "kl_chosen": per_token[:, 0],
        "kl_rejected": per_token[:, 1],
        "length_gap": torch.sign(margins) * gaps,
    }
    found = {name: float(values.sum()) / totals.pairs for name, values in sums.items()}
    if totals.squared_gaps:
        found["length_slope"] = float((margins * gaps).sum()) / totals.squared_gaps
    if totals.leaking and totals.clean:
        marks = [(False, False) if pair.leaks is None else pair.leaks for pair in pairs]
        leaking = torch.tensor(marks).view(-1, 2)
        judged = torch.tensor([pair.leaks is not None for pair in pairs])[:, None]
        found["leaking_reward"] = float(rewards[leaking].sum()) / totals.leaking
        found["clean_reward"] = float(rewards[judged & ~leaking].sum()) / totals.clean
    return found


@dataclass(frozen=True)
class Agreement:
    """How far a model agrees with preferences; for the other figures see the module's header.

    Args:
        pairs: How many.
        reward_accuracy: Share of pairs whose chosen reply has the higher reward; a tie counts a half, so that the
            reference itself has ½.
        likelihood_accuracy: Share whose chosen reply is the likelier one as it stands.
        margin: Mean difference of the rewards.
        loss: Mean loss over pairs, without an NLL term.
        length_slope, length_correlation: None where all replies of a pair are of equal length or reward.
        leaking_reward, clean_reward: None where there are not both kinds of reply.
    """

    pairs: int
    reward_accuracy: float
    likelihood_accuracy: float
    margin: float
    loss: float
    chosen_reward: float
    rejected_reward: float
    kl_chosen: float
    kl_rejected: float
    length_gap: float
    length_slope: float | None
    length_correlation: float | None
    leaking_reward: float | None
    clean_reward: float | None


def agreement(
    pairs: Sequence[Pair],
    policy: Mapping[str, LogProbs],
    reference: Mapping[str, LogProbs],
    loss: PairLoss,
) -> Agreement | None:
    """Return how far `policy` agrees with `pairs`, or None if there are none."""
    if not pairs:
        return None
    ours, base = _table(pairs, policy), _table(pairs, reference)
    ratios = ours - base
    rewards = loss.rewards(ratios, lengths_of(pairs))
    found = figures(pairs, ratios, rewards, Totals.of(pairs))
    margins = rewards[:, 0] - rewards[:, 1]
    lengths = lengths_of(pairs)
    gaps = lengths[:, 0] - lengths[:, 1]
    spread = math.sqrt(float((gaps**2).sum()) * float((margins**2).sum()))
    rounded = {name: round(value, 6) for name, value in found.items()}
    return Agreement(
        pairs=len(pairs),
        reward_accuracy=rounded["accuracy"],
        likelihood_accuracy=round(float(won(ours[:, 0] - ours[:, 1]).mean()), 6),
        margin=rounded["margin"],
        loss=round(float(loss.of(rewards).mean()), 6),
        chosen_reward=rounded["chosen_reward"],
        rejected_reward=rounded["rejected_reward"],
        kl_chosen=rounded["kl_chosen"],
        kl_rejected=rounded["kl_rejected"],
        length_gap=rounded["length_gap"],
        length_slope=rounded.get("length_slope"),
        length_correlation=round(float((gaps * margins).sum()) / spread, 6) if spread else None,
        leaking_reward=rounded.get("leaking_reward"),
        clean_reward=rounded.get("clean_reward"),
    )


def _table(pairs: Sequence[Pair], found: Mapping[str, LogProbs]) -> Tensor:
    return torch.tensor(
        [[found[pair.key].chosen, found[pair.key].rejected] for pair in pairs], dtype=torch.float64
    )


def add_line(path: Path, step: int, figures: dict[str, Any]) -> None:
    """Write a step's line of a log after those of earlier steps; what a run that was killed wrote later goes."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    kept = [line for line in lines if json.loads(line)["step"] < step]
    atomic.write_text(path, "".join(f"{line}\n" for line in [*kept, json.dumps({"step": step, **figures})]))


def leaking(pairs: Sequence[Pair]) -> dict[str, int]:
    """Return how many pairs have a known language, and in how many of them each side leaks (`text.leakage`)."""
    marks = [pair.leaks for pair in pairs if pair.leaks is not None]
    return {
        "judged": len(marks),
        "chosen": sum(mark[0] for mark in marks),
        "rejected": sum(mark[1] for mark in marks),
    }
