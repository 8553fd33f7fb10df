"""`train.pretrain`: continued pre-training on packed token shards.

The order is windows of the concatenated documents, mixed by tokens (see `windows`); the loss is next-token
cross-entropy, averaged over the step's tokens. Defaults are Swallow's continued pre-training of Llama 2 7B
(facts/seed-systems.md §3): cosine 1e-4 → 3.3e-6, 1000 warm-up steps of 25,000, 1024 sequences of 4096 tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from watari.artifact.kinds import Kind
from watari.artifact.params import Count, Model, OneOrMore, Tokens
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.errors import UserError
from watari.train.settings import TrainingParams

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from watari.train.batches import Batch
    from watari.train.language_model import LanguageModel
    from watari.train.objective import Part
    from watari.train.windows import Mixture, Source

KIND = "train.pretrain"


class Params(TrainingParams):
    """Parameters of `train.pretrain`."""

    model: Model = Field(description="the model to go on from")
    data: Annotated[list[Tokens], OneOrMore] = Field(
        min_length=1,
        description="packed tokens; `ratio` of a selection is that source's weight in the mixture",
    )
    replay: Annotated[list[Tokens], OneOrMore] = Field(
        default_factory=list,
        description="packed tokens of what the base has learned (its own language), mixed in so that it is not forgotten",
    )
    replay_ratio: float = Field(
        0.1, gt=0, lt=1, description="share of all windows that are replayed (Swallow: a tenth in English)"
    )
    new_rows_first: float = Field(
        0.0,
        ge=0,
        description="a first phase that trains nothing but the rows of the graft: a share of all steps if below 1, "
        "else a number of steps",
    )
    tokens: Count | None = Field(default=None, ge=1, description="budget in tokens; or give epochs")
    epochs: float | None = Field(default=None, gt=0, description="passes over the data; or give tokens")
    respect_documents: bool = Field(
        default=False,
        description="keep attention and loss within a document; off as in Megatron-LM and so in Swallow",
    )
    lr: float = Field(1e-4, gt=0, description="peak learning rate (Swallow 7B and 13B; 70B: 5e-5)")
    lr_min_ratio: float = Field(0.033, ge=0, le=1, description="last rate / lr (Swallow: 3.3e-6 / 1e-4)")
    warmup: float = Field(
        0.04, ge=0, description="share of the steps, or steps if 1 or more (Swallow: 1000 of 25,000)"
    )
    batch: Count = Field(1024, ge=1, description="windows in a step (Swallow: 1024)")
    sequence: Count = Field(4096, ge=8, description="tokens in a window (Swallow: 4096)")


class Pretraining:
    """The objective: next-token cross-entropy over windows."""

    def __init__(self, sources: Sequence[Source], mixture: Mixture, params: Params) -> None:
        self._sources = sources
        self._mixture = mixture
        self._params = params

    @property
    def steps(self) -> int:
        """Number of steps; the last may hold fewer windows."""
        return -(-len(self._mixture.window) // self._params.batch)

    def passes(self, step: int, ranks: int = 1) -> list[tuple[Batch, int]]:
        """Return the step's batches, each with the number of tokens that the whole step predicts."""
        from watari.train.batches import lay_out, passes

        first = step * self._params.batch
        chosen = range(first, min(first + self._params.batch, len(self._mixture.window)))
        rows = [
            self._sources[self._mixture.source[index]].read(
                int(self._mixture.window[index]), respect_documents=self._params.respect_documents
            )
            for index in chosen
        ]
        # At least 1: a step may hold nothing but documents of one token, which predict nothing.
        total = max(1, sum(sample.supervised for row in rows for sample in row))
        return [(lay_out(part), total) for part in passes(rows, self._params.pass_tokens, ranks=ranks)]

    def part(self, model: LanguageModel, step: int, batch: tuple[Batch, int]) -> Part:
        """Return one batch's share of the step's mean loss."""
        from watari.train.head import scores
        from watari.train.objective import Part

        laid, total = batch
        laid = laid.to(model.compute.device)
        z_loss = self._params.z_loss
        found = scores(
            model.hidden(laid), model.head.weight, laid.targets, model.compute.dtype, z_loss=z_loss
        )
        figures = {"z_loss": float(found.z) / total} if z_loss else {}
        return Part(found.loss / total, len(laid.targets), figures)


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Pre-train the model on the packed tokens and write it, with its tokenizer as it was.

    Raises:
        UserError: if the tokens were packed with another vocabulary than the model's, or the mixture makes no sense.
        StageFailed: if training diverges.
        Interrupted: if asked to stop.
    """
    from watari.pretrained import load_tokenizer
    from watari.train.distributed import delegated
    from watari.train.facts import facts_of_windows
    from watari.train.session import run_training
    from watari.train.windows import Source, mix, quotas

    if (done := delegated(KIND, params, inputs, out, progress)) is not None:
        return done
    folder = inputs.one("model").path
    tokenizer = load_tokenizer(folder)
    artifacts = {name: inputs.many(name) for name in ("data", "replay")}
    found = {
        name: [Source(artifact, params.sequence, seed=params.seed, stage=KIND) for artifact in several]
        for name, several in artifacts.items()
    }
    sources = [source for several in found.values() for source in several]
    for source in sources:
        check_vocabulary(source, tokenizer)
    counts = quotas(
        found["data"],
        params.sequence,
        tokens=params.tokens,
        epochs=params.epochs,
        replayed=found["replay"],
        replay_ratio=params.replay_ratio,
    )
    mixture = mix(sources, counts, seed=params.seed, stage=KIND)
    trained = run_training(
        KIND,
        params,
        inputs,
        out,
        progress,
        packed=params.respect_documents,
        facts=facts_of_windows(sources, mixture, tokenizer, respect_documents=params.respect_documents),
        objective=lambda model, world: Pretraining(sources, mixture, params),
        new_rows_alone=lambda steps: _alone(params.new_rows_first, steps),
    )
    mixed: dict[str, Any] = {
        "source_tokens": list(mixture.tokens),
        "source_epochs": [
            round(given / (source.tokens - 1), 4)
            for given, source in zip(mixture.tokens, sources, strict=True)
        ],
    }
    if found["replay"]:
        mixed["replayed"] = round(sum(mixture.tokens[len(found["data"]) :]) / sum(mixture.tokens), 6)
    return StageResult({**trained.metrics, **mixed}, trained.performance)


def _alone(first: float, steps: int) -> int:
    """Return the number of steps that train only new rows."""
    return round(first * steps) if first < 1 else int(first)


def check_vocabulary(source: Source, tokenizer: PreTrainedTokenizerBase) -> None:
    """Make sure that the ids of a shard mean what the model's tokenizer means by them.

    Raises:
        UserError: if the size of the vocabulary, BOS or EOS differ.
    """
    info = source.reader.info
    for what, packed, own in (
        ("vocabulary", info.vocabulary, len(tokenizer)),
        ("BOS id", info.bos, tokenizer.bos_token_id),
        ("EOS id", info.eos, tokenizer.eos_token_id),
    ):
        if packed is not None and packed != own:
            raise UserError(
                f"{source.name}: its tokens have {what} {packed}, the model's tokenizer {own}",
                "pack the documents with the tokenizer of this model",
            )


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
