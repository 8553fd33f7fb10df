"""The objective of `train.repair`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from watari.artifact.stage import Progress
from watari.train.batches import Batch
from watari.train.language_model import LanguageModel
from watari.train.objective import Part
from watari.train.pair_params import steps_of
from watari.train.preference_rows import PairPass, pair_passes
from watari.train.repair_figures import Counts, RepairScores, score_spans
from watari.train.repair_rows import Repair
from watari.train.script_loss import Held, script_loss
from watari.train.script_rows import ReplyPass, moved, reply_passes, score_replies
from watari.train.span_loss import span_loss

if TYPE_CHECKING:
    from watari.train.distributed import World
    from watari.train.repair import Params

KIND = "train.repair"


@dataclass(frozen=True)
class SpanPart:
    """Pairs of a step that share a pass, and what the whole step's figures are divided by."""

    batch: Batch
    counts: Counts


@dataclass(frozen=True)
class ReplyPart:
    """Mended replies of a step that share a pass, and the positions of the whole step."""

    batch: Batch
    replies: ReplyPass
    positions: int


class RepairTuning:
    """The objective: unlikelihood on leaks and likelihood on their mends, and on whole mended replies unlikelihood of all
    wrong scripts' tokens while the rest is held; in a seeded order for each epoch.

    Args:
        rows: To train on.
        params: The stage's parameters.
        joint: True to compute what both replies begin with once.
        before: Filled in before the first step: what the model said in the mended replies, by their keys.
    """

    def __init__(
        self, rows: Sequence[Repair], params: Params, *, joint: bool, before: Mapping[str, Held]
    ) -> None:
        self._params = params
        self._joint = joint
        self._before = before
        self._plan = steps_of(rows, params.epochs, params, KIND)

    @property
    def steps(self) -> int:
        """Number of steps; the last of an epoch may be smaller."""
        return len(self._plan)

    def passes(self, step: int, ranks: int = 1) -> list[SpanPart | ReplyPart]:
        """Return the step's passes: those of its pairs, and those of its mended replies."""
        rows = self._plan[step]
        found: list[SpanPart | ReplyPart] = []
        if self._params.alpha_ul or self._params.alpha_rf:
            counts = Counts.of([row.pair for row in rows])
            found += [SpanPart(one.laid(), counts) for one in self.split(rows, ranks)]
        if self._params.whole_replies:
            replies = self.replies(rows, ranks)
            positions = sum(one.positions for one in replies)
            found += [ReplyPart(one.laid(), one, positions) for one in replies]
        return found

    def split(self, rows: Sequence[Repair], ranks: int = 1) -> list[PairPass]:
        """Return the pairs of rows as passes."""
        pairs = [row.pair for row in rows]
        return pair_passes(pairs, self._params.pass_tokens, joint=self._joint, ranks=ranks)

    def replies(self, rows: Sequence[Repair], ranks: int = 1) -> list[ReplyPass]:
        """Return the mended replies of rows as passes."""
        known = [row.reply for row in rows if row.reply is not None]
        return reply_passes(known, self._params.pass_tokens, ranks=ranks)

    def part(self, model: LanguageModel, step: int, batch: SpanPart | ReplyPart) -> Part:
        """Return one pass's share of the step's loss."""
        return self._spans(model, batch) if isinstance(batch, SpanPart) else self._replies(model, batch)

    def _spans(self, model: LanguageModel, part: SpanPart) -> Part:
        """Return α_ul · mean -log(1 - p_bad) + α_rf · mean -log p_good."""
        laid, counts = part.batch.to(model.compute.device), part.counts
        bad = laid.owner % 2 == 1
        scale = torch.where(bad, self._params.alpha_ul / counts.bad, self._params.alpha_rf / counts.good)
        loss, odds = span_loss(model.hidden(laid), model.head.weight, laid.targets, bad, scale.float())
        likely = torch.sigmoid(odds.double())
        figures = {
            "p_bad": float(likely[bad].sum()) / counts.bad,
            "p_good": float(likely[~bad].sum()) / counts.good,
        }
        return Part(loss, laid.tokens, figures)

    def _replies(self, model: LanguageModel, part: ReplyPart) -> Part:
        """Return α_script · mean -log(1 - M) + α_hold · mean KL(q || r)."""
        laid, weight = part.batch.to(model.compute.device), model.head.weight
        found = script_loss(
            model.hidden(laid),
            weight,
            part.replies.wrong(len(weight)).to(laid.ids.device),
            laid.owner,
            moved(part.replies.before(self._before), laid.ids.device),
            unlikely=self._params.alpha_script / part.positions,
            hold=self._params.alpha_hold / part.positions,
        )
        figures = {
            "wrong_mass": float(found.mass.sum()) / part.positions,
            "drift": float(found.drift.sum()) / part.positions,
        }
        return Part(found.loss, laid.tokens, figures)

    def scored(
        self, model: LanguageModel, rows: Sequence[Repair], progress: Progress, note: str, world: World
    ) -> RepairScores:
        """Return what a model makes of rows: of their spans, and of their whole mended replies if these count.

        Raises:
            Interrupted: if the user asked to stop.
        """
        spans = score_spans(model, self.split(rows, world.size), progress=progress, note=note, world=world)
        if not self._params.whole_replies:
            return RepairScores(spans, {})
        work = self.replies(rows, world.size)
        return RepairScores(
            spans, score_replies(model, work, self._before, progress=progress, note=note, world=world)
        )
