"""From logits to tokens: a batch of rows, each with draws of its own.

A row's n-th draw is the n-th uniform number of a generator keyed by (seed, "generate", row id) and nothing else: not
the batch, not the order of the rows, not the device. The token is the draw's place in the cumulative distribution
of the tokens that the sampler keeps, likeliest first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from watari.artifact import draws
from watari.generate.sampler import Sampler

STAGE = "generate"
"""The name under which draws are keyed."""

_HEAD = 512
"""Tokens looked at before a full sort: with top_p < 1 these nearly always hold the whole kept mass."""


class Chooser:
    """Chooses the next token of every row of a batch.

    Args:
        sampler: The settings.
        seed: The seed of all draws.
        ids: One id a row.
        prompts: The token ids of the rows' prompts, for the repetition penalty.
        vocabulary: Tokens that the tokenizer knows; rows of the head beyond it are padding and never chosen.
        width: Columns of the logits.
        device: Where the logits lie.
        logit_bias: Added to the logits of tokens before anything else, by id; -inf forbids one.
    """

    def __init__(
        self,
        sampler: Sampler,
        seed: int,
        ids: Sequence[str],
        prompts: Sequence[Sequence[int]],
        *,
        vocabulary: int,
        width: int,
        device: torch.device,
        logit_bias: Mapping[int, float] | None = None,
    ) -> None:
        self._sampler = sampler
        self._vocabulary = min(vocabulary, width)
        self._bias: torch.Tensor | None = None
        if logit_bias:
            self._bias = torch.zeros(width, device=device)
            places = torch.tensor(list(logit_bias), device=device)
            self._bias[places] = torch.tensor(list(logit_bias.values()), dtype=torch.float32, device=device)
        self._generators = [] if sampler.greedy else [draws.generator(seed, STAGE, i) for i in ids]
        self._used: torch.Tensor | None = None
        if sampler.repetition_penalty != 1:
            self._used = torch.zeros(len(prompts), width, dtype=torch.bool, device=device)
            for row, prompt in enumerate(prompts):
                self._used[row, torch.tensor(prompt, device=device)] = True

    def choose(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the next token of every row.

        Args:
            logits: [rows, width], the last position's.

        Returns:
            [rows], int64.
        """
        scores = logits.float()
        if self._bias is not None:
            scores = scores + self._bias
        if self._used is not None:
            penalty = self._sampler.repetition_penalty
            scores = torch.where(
                self._used, torch.where(scores < 0, scores * penalty, scores / penalty), scores
            )
        scores = scores[:, : self._vocabulary]
        if self._sampler.greedy:
            tokens = scores.argmax(dim=-1)
        else:
            uniform = torch.tensor(
                np.array([generator.random() for generator in self._generators]), device=scores.device
            )
            tokens = _draw(*kept(scores, self._sampler), uniform)
        if self._used is not None:
            self._used.scatter_(1, tokens[:, None], True)
        return tokens

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows only."""
        if self._generators:
            self._generators = [self._generators[row] for row in rows.tolist()]
        if self._used is not None:
            self._used = self._used[rows]


def kept(scores: torch.Tensor, sampler: Sampler) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the sampler keeps of every row: (probabilities, tokens), each [rows, n].

    The probabilities are float64, sum to 1 and are 0 where a token was cut; tokens come likeliest first, or in the
    order of the vocabulary where nothing is cut. Same set and same distribution as transformers' warpers in its
    order: temperature, top_k, top_p, min_p (`generation/utils.py`, 5.23).

    Args:
        scores: [rows, vocabulary] float32 logits after the repetition penalty.
        sampler: The settings; `temperature` is above 0.
    """
    width = scores.shape[-1]
    if not sampler.top_k and sampler.top_p >= 1 and sampler.min_p == 0:
        tokens = torch.arange(width, device=scores.device).expand_as(scores)
        return (scores.double() / sampler.temperature).softmax(dim=-1), tokens
    # What everything weighs, before any cut: a softmax over the whole row gives it without a sort.
    norm = torch.logsumexp(scores.double() / sampler.temperature, dim=-1, keepdim=True)
    top, tokens = torch.topk(scores, min(sampler.top_k or _HEAD, width), dim=-1)
    top = top.double() / sampler.temperature
    if sampler.top_k:
        # After top_k the rest is renormalised before top_p looks at it, as in a chain of softmaxes over -inf.
        norm = torch.logsumexp(top, dim=-1, keepdim=True)
    elif top.shape[-1] < width and not _covers((top - norm).exp(), sampler):
        top, tokens = torch.sort(scores, dim=-1, descending=True)
        top = top.double() / sampler.temperature
    probabilities = (top - norm).exp()
    # A token stays while the mass before it is below top_p: so the one that crosses the line stays too.
    before = probabilities.cumsum(dim=-1) - probabilities
    keep = (before < sampler.top_p) & (probabilities >= sampler.min_p * probabilities[:, :1])
    keep[:, 0] = True
    probabilities = torch.where(keep, probabilities, 0.0)
    return probabilities / probabilities.sum(dim=-1, keepdim=True), tokens


def _covers(probabilities: torch.Tensor, sampler: Sampler) -> bool:
    """True if the tokens looked at surely hold all that top_p and min_p keep, with top_k off."""
    enough = probabilities.sum(dim=-1) >= sampler.top_p if sampler.top_p < 1 else None
    below = probabilities[:, -1] < sampler.min_p * probabilities[:, 0] if sampler.min_p else None
    done = below if enough is None else enough if below is None else enough | below
    return done is not None and bool(done.all())


def _draw(probabilities: torch.Tensor, tokens: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    cumulative = probabilities.cumsum(dim=-1)
    # Scaled by the sum as it came out, so that rounding never points behind the last token that was kept.
    place = torch.searchsorted(cumulative, (uniform * cumulative[:, -1])[:, None], right=True)
    return tokens.gather(1, place.clamp(max=tokens.shape[1] - 1))[:, 0]
