"""`train.dpo`: direct preference optimisation, with the reference's log-probabilities computed once.

Defaults: β 0.1, one epoch, a constant rate after warm-up, 1.25e-7 and 64 pairs a step for 8B parameters
(facts/seed-systems.md §2: Shisa V2; the rate scales with 1/√N). NEFTune has no place here: a policy with noise against a
reference without starts away from ln 2 (facts/training.md §1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from watari.artifact.draws import draw_uniform, shuffled
from watari.artifact.kinds import Kind
from watari.artifact.manifest import WORK
from watari.artifact.params import Count, Model, OneOrMore, OutsidePath, Preferences
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.errors import UserError
from watari.train.settings import TrainingParams

if TYPE_CHECKING:
    from watari.train.batches import Batch
    from watari.train.language_model import LanguageModel
    from watari.train.loop import Part
    from watari.train.pairs import Pair
    from watari.train.preference import LogProbs

KIND = "train.dpo"


class Params(TrainingParams):
    """Parameters of `train.dpo`."""

    model: Model = Field(description="the model to go on from")
    data: Annotated[list[Preferences], OneOrMore] = Field(
        min_length=1, description="preferences; several are joined, each through its selection"
    )
    reference: Model | None = Field(
        default=None, description="the model that the policy is held to; by default the starting weights"
    )
    beta: float = Field(0.1, gt=0, description="strength of the hold (Shisa V2: 0.1)")
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="share of pairs believed to be labelled the wrong way round"
    )
    holdout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of the pairs, drawn by id, that is only measured, before and after",
    )
    template: Literal["model", "shisa", "swallow"] = Field(
        default="model", description="chat template: the one that the model has (it should), or a preset"
    )
    template_file: OutsidePath | None = Field(
        default=None, description="a .jinja chat template to use instead"
    )
    epochs: Count = Field(1, ge=1, description="passes over the pairs (Shisa V2: 1)")
    lr: float = Field(1.25e-7, gt=0, description="peak learning rate (Shisa V2 at 8B: 1.25e-7)")
    schedule: Literal["cosine", "linear", "constant", "wsd"] = Field(
        "constant", description="see TrainingParams (Shisa V2: constant with warm-up)"
    )
    warmup: float = Field(0.1, ge=0, description="share of the steps, or steps if 1 or more")
    weight_decay: float = Field(0.0, ge=0, description="none: the reference is what the policy is held to")
    batch: Count = Field(64, ge=1, description="pairs in a step (Shisa V2: 64)")
    sequence: Count = Field(2048, ge=8, description="longest prompt with a reply (Shisa V2: 2048 to 4096)")


class PreferenceTuning:
    """The objective: the DPO loss over pairs, in a seeded order for each epoch."""

    def __init__(self, pairs: Sequence[Pair], reference: dict[str, LogProbs], params: Params) -> None:
        self._params = params
        self._reference = reference
        self._by_sample = {id(pair.chosen): pair for pair in pairs}
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

    def passes(self, step: int, ranks: int = 1) -> list[tuple[Batch, list[Pair], int]]:
        """Return the step's batches, each with its pairs and the number of pairs of the whole step."""
        from watari.train.batches import lay_out, passes
        from watari.train.preference import pair_rows

        pairs = self._plan[step]
        return [
            (
                lay_out(rows),
                [self._by_sample[id(rows[index][0])] for index in range(0, len(rows), 2)],
                len(pairs),
            )
            for rows in passes(pair_rows(pairs), self._params.pass_tokens, together=2, ranks=ranks)
        ]

    def part(self, model: LanguageModel, step: int, batch: tuple[Batch, list[Pair], int]) -> Part:
        """Return one batch's share of the step's mean loss, rewards and accuracy."""
        import torch

        from watari.train.loop import Part
        from watari.train.preference import dpo_loss, reply_logprobs

        laid, pairs, total = batch
        laid = laid.to(model.compute.device)
        policy = reply_logprobs(model, laid).view(-1, 2)
        base = policy.new_tensor(
            [[self._reference[pair.key].chosen, self._reference[pair.key].rejected] for pair in pairs]
        )
        ratios = policy - base
        margins = ratios[:, 0] - ratios[:, 1]
        beta = self._params.beta
        loss = dpo_loss(margins, beta, self._params.label_smoothing).sum() / total
        rewards = (beta * ratios.detach()).double()
        won = (torch.sign(rewards[:, 0] - rewards[:, 1]) + 1) / 2
        figures = {
            "margin": float((rewards[:, 0] - rewards[:, 1]).sum()) / total,
            "accuracy": float(won.sum()) / total,
            "chosen_reward": float(rewards[:, 0].sum()) / total,
            "rejected_reward": float(rewards[:, 1].sum()) / total,
        }
        return Part(loss, laid.tokens, figures)


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Tune the model on the preferences and write it.

    Metrics `before` and `after` hold, for the training pairs and for those held out, the figures of
    `preference.Agreement`; rows that cannot be trained on are in `dropped.parquet`.

    Raises:
        UserError: if no pair is left, or the template is unfit.
        StageFailed: if training diverges.
        Interrupted: if asked to stop.
    """
    from watari.pretrained import load_tokenizer
    from watari.train.chat import chosen_template
    from watari.train.pairs import read_preferences
    from watari.train.preference import agreement, score
    from watari.train.distributed import World, delegated
    from watari.train.facts import facts_of_samples
    from watari.train.session import reading, run_training

    if (done := delegated(KIND, params, inputs, out, progress)) is not None:
        return done
    folder = inputs.one("model").path
    tokenizer = load_tokenizer(folder)
    chat = chosen_template(tokenizer, params.template, params.template_file, folder)
    found = read_preferences(
        inputs.many("data"), tokenizer, chat.template, sequence=params.sequence, seed=params.seed, stage=KIND
    )
    counts = found.ledger.close(out, rows_in=found.rows_in, kept=len(found.pairs))
    held = [p for p in found.pairs if draw_uniform(params.seed, f"{KIND} holdout", p.id) < params.holdout]
    apart = {id(pair) for pair in held}
    train_pairs = [pair for pair in found.pairs if id(pair) not in apart]
    if not train_pairs:
        raise UserError(
            f"none of {found.rows_in} preferences can be trained on: {counts['dropped_by_reason']}",
            "raise `sequence`, or give more pairs",
        )
    other = inputs.optional("reference")
    work = out / WORK
    reference: dict[str, LogProbs] = {}
    before: dict[str, LogProbs] = {}
    after: dict[str, LogProbs] = {}

    def scored(model: LanguageModel, note: str, kept_in: Path) -> dict[str, LogProbs]:
        return score(
            model,
            found.pairs,
            pass_tokens=params.pass_tokens,
            progress=progress,
            note=note,
            kept_in=kept_in,
        )

    if other is not None:
        with reading(params, other.path, out, World.single()) as judge:
            check_same_vocabulary(judge, folder, other.name)
            reference.update(scored(judge, "reference", work / "reference.jsonl"))

    def objective(model: LanguageModel, world: World) -> PreferenceTuning:
        before.update(scored(model, "before", work / "before.jsonl"))
        reference.update(reference or before)
        return PreferenceTuning(train_pairs, reference, params)

    trained = run_training(
        KIND,
        params,
        inputs,
        out,
        progress,
        packed=False,
        facts=facts_of_samples(
            [side for pair in train_pairs for side in (pair.chosen, pair.rejected)],
            tokenizer,
            unit="pairs",
            rows_in=found.rows_in,
            rows_kept=len(found.pairs),
            dropped=counts["dropped_by_reason"],
            epochs=params.epochs,
            per="pair",
        ),
        objective=objective,
        finish=lambda model, world: after.update(scored(model, "after", work / "after.jsonl")),
        tokenizer_settings=chat.tokenizer_settings,
        generation=chat.generation,
    )

    def figures(policy: dict[str, LogProbs]) -> dict[str, Any]:
        parts = {"train": train_pairs, "holdout": held}
        measured = {
            name: agreement(
                pairs, policy, reference, beta=params.beta, label_smoothing=params.label_smoothing
            )
            for name, pairs in parts.items()
        }
        return {name: asdict(value) for name, value in measured.items() if value is not None}

    metrics = {**trained.metrics, **counts, "before": figures(before), "after": figures(after)}
    return StageResult(metrics, trained.performance)


def check_same_vocabulary(judge: LanguageModel, folder: Path, name: str) -> None:
    """Make sure that the reference scores the same ids as the policy.

    Raises:
        UserError: if its vocabulary has another size.
    """
    import json

    rows = int(json.loads((folder / "config.json").read_text("utf-8"))["vocab_size"])
    own = int(judge.head.weight.shape[0])
    if own != rows:
        raise UserError(
            f"reference: '{name}' has a vocabulary of {own}, the model one of {rows}",
            "take a reference with the same tokenizer, such as the model before DPO",
        )


def _memory(params: Params, inputs: Inputs) -> int:
    from watari.train.memory import training_bytes

    # A separate reference is scored and let go before training begins.
    return training_bytes(
        inputs.one("model").path,
        pass_tokens=params.pass_tokens,
        sequence=2 * params.sequence,
        batch=params.batch,
    )


STAGE = Stage(kind=KIND, version=1, output=Kind.MODEL, params=Params, run=run, resumes=True, memory=_memory)
