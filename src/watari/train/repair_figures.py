"""What is measured of a repair: how probable leaks and their mends are, and wrong scripts at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from watari.artifact.stage import Progress
from watari.train.language_model import LanguageModel
from watari.train.pairs import Pair
from watari.train.preference_rows import PairPass
from watari.train.repair_rows import Repair
from watari.train.scoring import each_pass
from watari.train.script_rows import ReplyScore
from watari.train.span_loss import span_loss

if TYPE_CHECKING:
    from watari.train.distributed import World


@dataclass(frozen=True)
class Counts:
    """Tokens of a step's spans: to be made unlikely and likely."""

    bad: int
    good: int

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> Counts:
        """Return those of a step."""
        return cls(sum(pair.replies[1] for pair in pairs), sum(pair.replies[0] for pair in pairs))


@dataclass(frozen=True)
class SpanScore:
    """What a model makes of a pair's spans.

    Args:
        bad, good: Probabilities of the tokens of the leak and of its mend, summed.
        first_bad, first_good: Probability of the first token of each, where the leak begins or does not.
        whole_bad: Log-probability of all tokens of the leak, each given those before it.
    """

    bad: float
    good: float
    first_bad: float
    first_good: float
    whole_bad: float


@dataclass(frozen=True)
class SpanFigures:
    """How probable leaks and mends are under a model.

    Args:
        pairs: How many.
        p_bad, p_good: Mean probability of a token of a leak, of a mend.
        first_p_bad, first_p_good: The same of first tokens only: whether a leak begins at all.
        leak_logprob: Mean log-probability of a whole leak.
        mended: Share of pairs in which the mend's first token is likelier than the leak's.
    """

    pairs: int
    p_bad: float
    p_good: float
    first_p_bad: float
    first_p_good: float
    leak_logprob: float
    mended: float


def span_figures(pairs: Sequence[Pair], found: Mapping[str, SpanScore]) -> SpanFigures | None:
    """Return the figures of `pairs`, six digits each, or None if there are none."""
    if not pairs:
        return None
    scores = [found[pair.key] for pair in pairs]
    counts = Counts.of(pairs)

    def mean(values: Sequence[float], count: int) -> float:
        return float(f"{sum(values) / count:.6g}")

    return SpanFigures(
        pairs=len(pairs),
        p_bad=mean([one.bad for one in scores], counts.bad),
        p_good=mean([one.good for one in scores], counts.good),
        first_p_bad=mean([one.first_bad for one in scores], len(pairs)),
        first_p_good=mean([one.first_good for one in scores], len(pairs)),
        leak_logprob=mean([one.whole_bad for one in scores], len(pairs)),
        mended=mean([float(one.first_good > one.first_bad) for one in scores], len(pairs)),
    )


@dataclass(frozen=True)
class RepairScores:
    """What a model makes of rows: of spans by the pairs' keys, of whole mended replies by theirs."""

    spans: Mapping[str, SpanScore]
    replies: Mapping[str, ReplyScore]


def repair_figures(rows: Sequence[Repair], scores: RepairScores) -> dict[str, Any]:
    """Return the fields of `SpanFigures`, and of whole mended replies `replies` and `tokens`, the mean probability of wrong
    scripts' tokens, `wrong_mass`, and `drift`, how far the rest is from what it was (nats a token); six digits each."""
    spans = span_figures([row.pair for row in rows], scores.spans)
    found = {} if spans is None else asdict(spans)
    whole = [scores.replies[row.reply.key] for row in rows if row.reply and row.reply.key in scores.replies]
    if whole:
        tokens = sum(one.positions for one in whole)
        found |= {
            "replies": len(whole),
            "tokens": tokens,
            "wrong_mass": float(f"{sum(one.mass for one in whole) / tokens:.6g}"),
            "drift": float(f"{sum(one.drift for one in whole) / tokens:.6g}"),
        }
    return found


def score_spans(
    model: LanguageModel,
    passes: Sequence[PairPass],
    *,
    progress: Progress,
    note: str,
    world: World | None = None,
) -> dict[str, SpanScore]:
    """Return what `model` makes of the spans of every pair in `passes`, by the pair's key.

    Args:
        model: The model; of several processes each calls with the same passes.
        passes: What to compute.
        progress: Told of every pass.
        note: What it is told.
        world: The processes that share the passes.

    Raises:
        Interrupted: if the user asked to stop.
    """
    found: dict[str, SpanScore] = {}
    for one, values in each_pass(
        model,
        passes,
        partial(_scores, model),
        lambda one: 5 * len(one.pairs),
        progress=progress,
        note=note,
        world=world,
    ):
        for pair, numbers in zip(one.pairs, values.view(-1, 5).tolist(), strict=True):
            found.setdefault(pair.key, SpanScore(*numbers))
    return found


def _scores(model: LanguageModel, one: PairPass) -> Tensor:
    """Return the fields of `SpanScore` of each pair of a pass, [pairs, 5] in fp64."""
    laid = one.laid().to(model.compute.device)
    bad = laid.owner % 2 == 1
    none = torch.zeros(len(bad), dtype=torch.float32, device=bad.device)
    odds = span_loss(model.hidden(laid), model.head.weight, laid.targets, bad, none)[1].double()
    likely = torch.sigmoid(odds)
    logs = torch.nn.functional.logsigmoid(odds)
    pair = laid.owner // 2
    first = torch.ones_like(bad)
    first[1:] = laid.owner[1:] != laid.owner[:-1]
    columns = [
        likely * bad,
        likely * ~bad,
        likely * (bad & first),
        likely * (~bad & first),
        logs * bad,
    ]
    table = torch.zeros(len(one.pairs), len(columns), dtype=torch.float64, device=odds.device)
    return table.index_add(0, pair, torch.stack(columns, 1))
