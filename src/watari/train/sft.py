"""`train.sft`: supervised fine-tuning on conversations, loss on the assistant's tokens only.

The loss is the cross-entropy of the supervised tokens, averaged over all those of a step, so that it does not depend on
how the step is split into passes. Defaults are Swallow's instruct v0.1 (facts/seed-systems.md §3-4): 2 epochs, 256
conversations a step, 2e-5 → 2e-6 along a cosine, no warm-up; NEFTune, if wanted, at the 5 of Shisa V2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from watari.artifact.draws import shuffled
from watari.artifact.kinds import Kind
from watari.artifact.params import Conversations, Count, Model, OneOrMore, OutsidePath
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.errors import UserError
from watari.train.settings import TrainingParams

if TYPE_CHECKING:
    from watari.train.batches import Batch, Sample
    from watari.train.language_model import LanguageModel
    from watari.train.objective import Part

KIND = "train.sft"
_NOTABLE = 0.1
"""A larger share of rows dropped than this is told while the stage runs, not only counted."""


class Params(TrainingParams):
    """Parameters of `train.sft`."""

    model: Model = Field(description="the model to go on from")
    data: Annotated[list[Conversations], OneOrMore] = Field(
        min_length=1, description="conversations; several are joined, each through its selection"
    )
    template: Literal["model", "shisa", "swallow"] = Field(
        default="model",
        description="chat template: the one that the model has, or a preset; the trained model carries it",
    )
    template_file: OutsidePath | None = Field(
        default=None, description="a .jinja chat template to use instead"
    )
    epochs: Count = Field(2, ge=1, description="passes over the data (Swallow: 2)")
    loss_on: Literal["assistant", "last"] = Field(
        "assistant", description="supervise every reply, or only the last (as Swallow did)"
    )
    too_long: Literal["drop", "cut"] = Field(
        "drop",
        description="a conversation longer than `sequence` is dropped, or cut at its end (as Swallow and TRL do) if a "
        "token to train on is left; both are told as numbers",
    )
    neftune_alpha: float | None = Field(
        default=None, gt=0, description="strength of NEFTune's noise; Shisa V2: 5; none by default"
    )
    packing: bool = Field(
        default=False,
        description="pack several conversations into each row of `sequence` tokens, kept apart by attention; "
        "`batch` then counts rows. Without it, rows of like length share a pass, which wastes little either",
    )
    lr: float = Field(2e-5, gt=0, description="peak learning rate (Swallow 7B: 2e-5)")
    batch: Count = Field(256, ge=1, description="conversations (packed: rows) in a step (Swallow: 256)")
    sequence: Count = Field(4096, ge=8, description="longest conversation in tokens (Swallow: 4096)")


class FineTuning:
    """The objective: cross-entropy of the assistant's tokens, in a seeded order for each epoch."""

    def __init__(self, samples: Sequence[Sample], params: Params) -> None:
        from watari.train.batches import pack

        self._params = params
        self._plan: list[list[list[Sample]]] = []
        self._epochs: list[int] = []
        ids = [sample.id for sample in samples]
        lengths = [len(sample) for sample in samples]
        for epoch in range(params.epochs):
            order = shuffled(ids, params.seed, f"{KIND} epoch {epoch}")
            if params.packing:
                packed = pack(lengths, params.sequence, order)
                heads = [f"{ids[row[0]]} {len(row)}" for row in packed]
                places = shuffled(heads, params.seed, f"{KIND} rows {epoch}")
                rows = [[samples[index] for index in packed[place]] for place in places]
            else:
                rows = [[samples[index]] for index in order]
            self._epochs.append(len(rows))
            self._plan += [rows[start : start + params.batch] for start in range(0, len(rows), params.batch)]

    @property
    def steps(self) -> int:
        """Number of steps; the last of an epoch may be smaller."""
        return len(self._plan)

    @property
    def rows(self) -> list[int]:
        """Rows of each epoch."""
        return list(self._epochs)

    @property
    def waste(self) -> float:
        """Share of the positions of packed rows that hold no token; of each epoch, the emptiest row is left out."""
        loads = iter([sum(len(sample) for sample in row) for rows in self._plan for row in rows])
        empty = total = 0
        for count in self._epochs:
            full = sorted(islice(loads, count))[1:]
            total += len(full) * self._params.sequence
            empty += len(full) * self._params.sequence - sum(full)
        return empty / total if total else 0.0

    def passes(self, step: int, ranks: int = 1) -> list[tuple[Batch, list[str], int]]:
        """Return the step's batches, each with its conversations' ids and the step's number of supervised tokens."""
        from watari.train.batches import lay_out, passes

        rows = self._plan[step]
        total = sum(sample.supervised for row in rows for sample in row)
        return [
            (lay_out(part), [sample.id for row in part for sample in row], total)
            for part in passes(rows, self._params.pass_tokens, ranks=ranks)
        ]

    def part(self, model: LanguageModel, step: int, batch: tuple[Batch, list[str], int]) -> Part:
        """Return one batch's share of the step's mean loss, with NEFTune's noise if asked for."""
        from watari.train.head import scores
        from watari.train.neftune import noise
        from watari.train.objective import Part

        laid, row_ids, total = batch
        added = None
        if self._params.neftune_alpha is not None:
            added = noise(
                laid,
                row_ids,
                width=model.width,
                alpha=self._params.neftune_alpha,
                seed=self._params.seed,
                stage=KIND,
                step=step,
                device=model.compute.device,
            )
        laid = laid.to(model.compute.device)
        z_loss = self._params.z_loss
        found = scores(
            model.hidden(laid, added), model.head.weight, laid.targets, model.compute.dtype, z_loss=z_loss
        )
        figures = {"z_loss": float(found.z) / total} if z_loss else {}
        return Part(found.loss / total, laid.tokens, figures)


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Fine-tune the model on the conversations and write it with the chat template that it was trained with.

    Rows that cannot be trained on (too long, no reply, roles that the template refuses, ...) are in `dropped.parquet`.
    Metric `datasets` has the counts of each input, in the recipe's order (see `examples.DatasetCounts`); with packing,
    `packing_waste` is the share of empty positions.

    Raises:
        UserError: if no row is left, or the template is unfit (no BOS, no end of turn, ...).
        StageFailed: if training diverges.
        Interrupted: if asked to stop.
    """
    from watari.pretrained import load_tokenizer
    from watari.train.chat import chosen_template
    from watari.train.distributed import World, delegated
    from watari.train.examples import read_conversations
    from watari.train.facts import facts_of_samples
    from watari.train.session import run_training

    if (done := delegated(KIND, params, inputs, out, progress)) is not None:
        return done
    folder = inputs.one("model").path
    tokenizer = load_tokenizer(folder)
    chat = chosen_template(tokenizer, params.template, params.template_file, folder)
    examples = read_conversations(
        inputs.many("data"),
        tokenizer,
        chat.template,
        sequence=params.sequence,
        loss_on=params.loss_on,
        too_long=params.too_long,
        seed=params.seed,
        stage=KIND,
    )
    counts = examples.ledger.close(out, rows_in=examples.rows_in, kept=examples.rows_kept)
    if not examples.samples:
        raise UserError(
            f"none of {examples.rows_in} conversations can be trained on: {counts['dropped_by_reason']}",
            "raise `sequence`, or choose a template that fits the data",
        )
    if counts["dropped"] > _NOTABLE * counts["rows_in"]:
        progress.log(
            f"{counts['dropped']} of {counts['rows_in']} conversations cannot be trained on",
            reasons=counts["dropped_by_reason"],
        )
    tuning = FineTuning(examples.samples, params)

    def objective(model: LanguageModel, world: World) -> FineTuning:
        return tuning

    trained = run_training(
        KIND,
        params,
        inputs,
        out,
        progress,
        packed=params.packing,
        facts=facts_of_samples(
            examples.samples,
            tokenizer,
            unit="conversations",
            rows_in=examples.rows_in,
            rows_kept=examples.rows_kept,
            dropped=counts["dropped_by_reason"],
            epochs=params.epochs,
            packed=(tuning.rows[0], tuning.rows[0] * params.sequence) if params.packing else None,
        ),
        objective=objective,
        tokenizer_settings=chat.tokenizer_settings,
        generation=chat.generation,
    )
    figures: dict[str, Any] = {
        "conversations": len(examples.samples),
        "cut": sum(one.cut for one in examples.datasets),
        "rows": sum(tuning.rows),
        "supervised_tokens": sum(one.supervised_tokens for one in examples.datasets),
        "data_tokens": sum(one.tokens for one in examples.datasets),
        "datasets": [asdict(one) for one in examples.datasets],
    }
    if params.packing:
        figures["packing_waste"] = round(tuning.waste, 6)
    return StageResult({**trained.metrics, **counts, **figures}, trained.performance)


def _memory(params: Params, inputs: Inputs) -> int:
    from watari.train.memory import training_bytes

    return training_bytes(
        inputs.one("model").path,
        pass_tokens=params.pass_tokens,
        sequence=params.sequence,
        batch=params.batch,
        params=params,
    )


STAGE = Stage(kind=KIND, version=2, output=Kind.MODEL, params=Params, run=run, resumes=True, memory=_memory)
