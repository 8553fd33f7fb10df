"""The objective of `train.repair`, and what is measured of it: how probable leaks and their mends are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from watari.artifact.draws import shuffled
from watari.artifact.stage import Progress
from watari.errors import Interrupted
from watari.train.batches import Batch
from watari.train.language_model import LanguageModel
from watari.train.objective import Part
from watari.train.pairs import Pair
from watari.train.preference_rows import PairPass, pair_passes
from watari.train.span_loss import span_loss

if TYPE_CHECKING:
    from watari.train.distributed import World
    from watari.train.repair import Params

KIND = "train.repair"


@dataclass(frozen=True)
class Counts:
    """Tokens of a step's spans: to be made unlikely and likely."""

    bad: int
    good: int

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> Counts:
        """Return those of a step."""
        return cls(sum(pair.replies[1] for pair in pairs), sum(pair.replies[0] for pair in pairs))


class RepairTuning:
    """The objective: unlikelihood on leaks and likelihood on their mends, in a seeded order for each epoch.

    Args:
        pairs: To train on.
        params: The stage's parameters.
        joint: True to compute what both replies begin with once.
    """

    def __init__(self, pairs: Sequence[Pair], params: Params, *, joint: bool) -> None:
        self._params = params
        self._joint = joint
        ids = [pair.id for pair in pairs]
        self._plan: list[list[Pair]] = []
        for epoch in range(params.epochs):
            order = shuffled(ids, params.seed, f"{KIND} epoch {epoch}")
            self._plan += [
                [pairs[index] for index in order[start : start + params.batch]]
                for start in range(0, len(order), params.batch)
            ]

    @property
    def steps(self) -> int:
        """Number of steps; the last of an epoch may be smaller."""
        return len(self._plan)

    def passes(self, step: int, ranks: int = 1) -> list[tuple[Batch, Counts]]:
        """Return the step's batches, each with what the whole step's figures are divided by."""
        counts = Counts.of(self._plan[step])
        return [(one.laid(), counts) for one in self.split(self._plan[step], ranks)]

    def split(self, pairs: Sequence[Pair], ranks: int = 1) -> list[PairPass]:
        """Return pairs as passes."""
        return pair_passes(pairs, self._params.pass_tokens, joint=self._joint, ranks=ranks)

    def part(self, model: LanguageModel, step: int, batch: tuple[Batch, Counts]) -> Part:
        """Return one batch's share of the step's loss: α_ul · mean -log(1 - p_bad) + α_rf · mean -log p_good."""
        laid, counts = batch
        laid = laid.to(model.compute.device)
        bad = laid.owner % 2 == 1
        scale = torch.where(bad, self._params.alpha_ul / counts.bad, self._params.alpha_rf / counts.good)
        loss, odds = span_loss(model.hidden(laid), model.head.weight, laid.targets, bad, scale.float())
        likely = torch.sigmoid(odds.double())
        figures = {
            "p_bad": float(likely[bad].sum()) / counts.bad,
            "p_good": float(likely[~bad].sum()) / counts.good,
        }
        return Part(loss, laid.tokens, figures)


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
    size, rank = (1, 0) if world is None else (world.size, world.rank)
    found: dict[str, SpanScore] = {}
    for start in range(0, len(passes), size):
        asked = float(progress.stop_requested())
        if asked if world is None else world.sum([asked])[0]:
            raise Interrupted("stopped as asked; run the same command to go on")
        here = passes[start : start + size]
        # A process without a pass goes through the motions: a divided model computes together or not at all.
        work = partial(_scores, model, here[min(rank, len(here) - 1)])
        with torch.no_grad():
            own = work() if world is None else world.forward(model, work)
        values = own.flatten().tolist()
        if world is not None and size > 1:
            slots = [[0.0] * 5 * len(one.pairs) for one in here]
            if rank < len(here):
                slots[rank] = values
            values = world.sum([value for slot in slots for value in slot])
        for place, pair in enumerate(pair for one in here for pair in one.pairs):
            found.setdefault(pair.key, SpanScore(*values[5 * place : 5 * place + 5]))
        progress.update(min(start + size, len(passes)), len(passes), unit="passes", note=note)
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
