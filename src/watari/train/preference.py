"""The DPO loss, and the log-probabilities of replies that it compares (Rafailov et al. 2023, arXiv:2305.18290)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from watari.artifact.stage import Progress, stop_if_asked
from watari.train.batches import Batch, Sample, lay_out, passes
from watari.train.head import token_logprobs
from watari.train.language_model import LanguageModel
from watari.train.pairs import Pair


@dataclass(frozen=True)
class LogProbs:
    """Summed log-probabilities of both replies of a pair under one model."""

    chosen: float
    rejected: float


def dpo_loss(margins: Tensor, beta: float, label_smoothing: float) -> Tensor:
    """Return the loss of each pair.

    Args:
        margins: [pairs] (log π - log π_ref) of the chosen reply minus that of the rejected.
        beta: How strongly the policy is held to the reference.
        label_smoothing: Share of pairs believed to be labelled the wrong way round (conservative DPO, Mitchell 2023).
    """
    return -logsigmoid(beta * margins) * (1 - label_smoothing) - logsigmoid(-beta * margins) * label_smoothing


def reply_logprobs(model: LanguageModel, batch: Batch) -> Tensor:
    """Return the summed log-probability of the supervised tokens of each sequence, [sequences] fp32."""
    each = token_logprobs(model.hidden(batch), model.head.weight, batch.targets, model.compute.dtype)
    return torch.zeros(len(batch.spans), device=each.device).index_add(0, batch.owner, each)


def pair_rows(pairs: Sequence[Pair]) -> list[list[Sample]]:
    """Return the rows of `pairs`: chosen and rejected of each, one after the other."""
    return [[side] for pair in pairs for side in (pair.chosen, pair.rejected)]


def score(
    model: LanguageModel,
    pairs: Sequence[Pair],
    *,
    pass_tokens: int,
    progress: Progress,
    note: str,
    kept_in: Path | None = None,
) -> dict[str, LogProbs]:
    """Return the log-probabilities of every pair under `model`, by the pair's key.

    Args:
        model: The model.
        pairs: In any order; equal pairs are scored once.
        pass_tokens: Most tokens in a forward pass.
        progress: Told of every pass.
        note: What it is told.
        kept_in: A file that keeps each pass's results at once, so that an interrupted run does not compute them again.

    Raises:
        Interrupted: if the user asked to stop.
    """
    unique = list({pair.key: pair for pair in pairs}.values())
    found = _read(kept_in) if kept_in is not None else {}
    by_sample = {id(pair.chosen): pair for pair in unique}
    batches = passes(pair_rows(unique), pass_tokens, together=2)
    handle = kept_in.open("a", encoding="utf-8") if kept_in is not None else None
    try:
        for number, rows in enumerate(batches):
            keys = [by_sample[id(rows[index][0])].key for index in range(0, len(rows), 2)]
            # What a pass computes depends on all of its rows (padding): it is taken whole or computed whole.
            if not all(key in found for key in keys):
                stop_if_asked(progress)
                with torch.no_grad():
                    sums = reply_logprobs(model, lay_out(rows).to(model.compute.device)).view(-1, 2).tolist()
                for key, (chosen, rejected) in zip(keys, sums, strict=True):
                    found[key] = LogProbs(chosen, rejected)
                if handle is not None:
                    handle.write("".join(json.dumps([key, *sums[i]]) + "\n" for i, key in enumerate(keys)))
                    handle.flush()
            progress.update(number + 1, len(batches), unit="passes", note=note)
    finally:
        if handle is not None:
            handle.close()
    return found


def _read(path: Path) -> dict[str, LogProbs]:
    """Return what an interrupted run has kept; a line cut short by its death is left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, LogProbs] = {}
    whole = 0
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else []:
        if not line.endswith(b"\n"):
            break
        key, chosen, rejected = json.loads(line)
        found[key] = LogProbs(chosen, rejected)
        whole += len(line)
    if path.is_file():
        with path.open("r+b") as handle:
            handle.truncate(whole)
    return found


@dataclass(frozen=True)
class Agreement:
    """How far a model agrees with preferences.

    Args:
        pairs: How many.
        reward_accuracy: Share of pairs whose chosen reply has the higher implicit reward β (log π - log π_ref); a tie
            counts a half, so that the reference itself has ½.
        likelihood_accuracy: Share whose chosen reply is the likelier one as it stands.
        margin: Mean difference of the rewards.
        loss: Mean DPO loss.
    """

    pairs: int
    reward_accuracy: float
    likelihood_accuracy: float
    margin: float
    loss: float


def agreement(
    pairs: Sequence[Pair],
    policy: dict[str, LogProbs],
    reference: dict[str, LogProbs],
    *,
    beta: float,
    label_smoothing: float,
) -> Agreement | None:
    """Return how far `policy` agrees with `pairs`, or None if there are none."""
    if not pairs:
        return None
    ours = torch.tensor([[policy[p.key].chosen, policy[p.key].rejected] for p in pairs], dtype=torch.float64)
    base = torch.tensor(
        [[reference[p.key].chosen, reference[p.key].rejected] for p in pairs], dtype=torch.float64
    )
    likelihood = ours[:, 0] - ours[:, 1]
    margins = likelihood - (base[:, 0] - base[:, 1])

    def share(values: Tensor) -> float:
        return round(float((torch.sign(values) + 1).mean() / 2), 6)

    return Agreement(
        pairs=len(pairs),
        reward_accuracy=share(margins),
        likelihood_accuracy=share(likelihood),
        margin=round(float(beta * margins.mean()), 6),
        loss=round(float(dpo_loss(margins, beta, label_smoothing).mean()), 6),
    )
