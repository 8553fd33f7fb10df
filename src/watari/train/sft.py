"""`train.sft`: supervised fine-tuning on conversations, loss on the assistant's tokens only.

The loss is the cross-entropy of the supervised tokens, averaged over all those of a step, so that it does not depend on
how the step is split into passes. Defaults are Swallow's instruct v0.1 (facts/seed-systems.md §3-4): 2 epochs, 256
conversations a step, 2e-5 → 2e-6 along a cosine, no warm-up; NEFTune, if wanted, at the 5 of Shisa V2.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
    from watari.train.loop import Part

KIND = "train.sft"


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
    sequence: Count = Field(
        4096, ge=8, description="longest conversation in tokens; longer ones are dropped and told"
    )


class FineTuning:
    """The objective: cross-entropy of the assistant's tokens, in a seeded order for each epoch."""

    def __init__(self, samples: Sequence[Sample], params: Params) -> None:
        from watari.train.batches import pack

        self._params = params
        self._plan: list[list[list[Sample]]] = []
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
            self._plan += [rows[start : start + params.batch] for start in range(0, len(rows), params.batch)]

    @property
    def steps(self) -> int:
        """Number of steps; the last of an epoch may be smaller."""
        return len(self._plan)

    @property
    def rows(self) -> int:
        """Rows of all steps."""
        return sum(len(rows) for rows in self._plan)

    def passes(self, step: int) -> list[tuple[Batch, list[str], int]]:
        """Return the step's batches, each with its conversations' ids and the step's number of supervised tokens."""
        from watari.train.batches import lay_out, passes

        rows = self._plan[step]
        total = sum(sample.supervised for row in rows for sample in row)
        return [
            (lay_out(part), [sample.id for row in part for sample in row], total)
            for part in passes(rows, self._params.pass_tokens)
        ]

    def part(self, model: LanguageModel, step: int, batch: tuple[Batch, list[str], int]) -> Part:
        """Return one batch's share of the step's mean loss, with NEFTune's noise if asked for."""
        from watari.train.head import cross_entropy
        from watari.train.loop import Part
        from watari.train.neftune import noise

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
            )
        laid = laid.to(model.compute.device)
        hidden = model.hidden(laid, added)
        loss = cross_entropy(hidden, model.head.weight, laid.targets, model.compute.dtype) / total
        return Part(loss, laid.tokens, {})


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Fine-tune the model on the conversations and write it with the chat template that it was trained with.

    Rows that cannot be trained on (too long, no reply, roles that the template refuses, ...) are in `dropped.parquet`.

    Raises:
        UserError: if no row is left, or the template is unfit (no BOS, no end of turn, ...).
        StageFailed: if training diverges.
        Interrupted: if asked to stop.
    """
    from watari.pretrained import load_tokenizer
    from watari.train.chat import chosen_template
    from watari.train.examples import read_conversations
    from watari.train.session import run_training

    folder = inputs.one("model").path
    tokenizer = load_tokenizer(folder)
    chat = chosen_template(tokenizer, params.template, params.template_file, folder)
    examples = read_conversations(
        inputs.many("data"),
        tokenizer,
        chat.template,
        sequence=params.sequence,
        last_only=params.loss_on == "last",
        seed=params.seed,
        stage=KIND,
    )
    counts = examples.ledger.close(out, rows_in=examples.rows_in, kept=examples.rows_kept)
    if not examples.samples:
        raise UserError(
            f"none of {examples.rows_in} conversations can be trained on: {counts['dropped_by_reason']}",
            "raise `sequence`, or choose a template that fits the data",
        )
    objective = FineTuning(examples.samples, params)
    trained = run_training(
        params,
        folder,
        out,
        progress,
        packed=params.packing,
        objective=lambda model: objective,
        tokenizer_settings=chat.tokenizer_settings,
        generation=chat.generation,
    )
    figures = {
        "conversations": len(examples.samples),
        "rows": objective.rows,
        "supervised_tokens": sum(sample.supervised for sample in examples.samples),
        "data_tokens": sum(len(sample) for sample in examples.samples),
    }
    return StageResult({**trained.metrics, **counts, **figures}, trained.performance)


def _memory(params: Params, inputs: Inputs) -> int:
    from watari.train.memory import training_bytes

    return training_bytes(
        inputs.one("model").path,
        pass_tokens=params.pass_tokens,
        sequence=params.sequence,
        batch=params.batch,
    )


STAGE = Stage(kind=KIND, version=1, output=Kind.MODEL, params=Params, run=run, resumes=True, memory=_memory)
