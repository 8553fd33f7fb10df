"""`eval.perplexity`: bits per character and per byte, by language, so that models with other tokenizers compare.

Perplexity per token is no measure across vocabularies: fewer tokens, each harder, may say the same text better. Bits
per character divide what the model needs for the whole text by what a reader counts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from watari.artifact import draws
from watari.artifact.kinds import Kind
from watari.artifact.params import RUNTIME, Count, Documents, Model, OneOrMore, StageParams
from watari.artifact.rows import select_rows
from watari.artifact.stage import Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.errors import UserError
from watari.evals.scores import figures, score_row, write_scores
from watari.stats import bootstrap_ratio

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

KIND = "eval.perplexity"
SPEC = "bits-per-character/1"
_LONGEST_DEFAULT = 1024
_UNKNOWN_DEFAULT = 512


class Params(StageParams):
    """Parameters of `eval.perplexity`."""

    model: Model = Field(description="the model to measure")
    documents: Annotated[list[Documents], OneOrMore] = Field(
        min_length=1, description="held-back documents; nothing of them may have been trained on"
    )
    window: Count | None = Field(
        default=None,
        ge=2,
        description="tokens read at once. Default: the model's max_position_embeddings, at most 1024; 512 if unknown",
    )
    stride: Count | None = Field(
        default=None,
        ge=1,
        description="new tokens in each window after the first; the rest is context. Default: half a window",
    )
    characters: Count = Field(
        default=100_000,
        ge=1,
        description="characters measured per language; documents are drawn by (seed, id)",
    )
    per_document: Count = Field(
        default=2_000,
        ge=1,
        description="of a longer document, its first so many characters, so that one book does not stand for a language",
    )
    device: Annotated[str, RUNTIME] = Field(default="cpu", description="torch device: cpu, cuda")

    @model_validator(mode="after")
    def _stride_fits(self) -> Params:
        if self.window is not None and self.stride is not None and self.stride > self.window:
            raise ValueError(f"stride: {self.stride} is more than the window of {self.window}")
        return self


@dataclass(frozen=True)
class Sample:
    """One text to measure."""

    id: str
    language: str
    text: str


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Measure the model: `rows.parquet` (scores) and `documents.jsonl`, the figures of each document.

    Metrics: {language: {bits_per_character, bits_per_byte: {value, n, ci_low, ci_high}, characters, bytes, tokens,
    characters_per_token, unknown_tokens}}. n counts documents; the interval is a bootstrap over them. A token that the
    tokenizer does not know costs few bits and says nothing: with many `unknown_tokens` the figures do not compare.

    Raises:
        UserError: if there is nothing to measure, or the tokenizer has neither BOS nor EOS.
    """
    import json

    from watari.artifact import atomic
    from watari.evals.bits import bits_of
    from watari.pretrained import load_model, load_tokenizer
    from watari.pretrained.encoding import encode_documents

    samples = _samples(params, inputs)
    artifact = inputs.one("model")
    tokenizer = load_tokenizer(artifact.path)
    model = load_model(artifact.path)
    if params.device != "cpu":
        model = model.to(params.device)  # type: ignore[arg-type]
    window = params.window or _window(model)
    started = time.monotonic()
    ids = encode_documents(tokenizer, [sample.text for sample in samples])

    def tell(done: int, total: int) -> None:
        stop_if_asked(progress)
        progress.update(done, total, unit="tokens")

    bits = bits_of(
        model,
        ids,
        start=_start(tokenizer, artifact.name),
        window=window,
        stride=min(params.stride or max(1, window // 2), window),
        tell=tell,
    )
    unknown = tokenizer.unk_token_id
    rows: list[dict[str, Any]] = []
    metrics: dict[str, Any] = {}
    for language in sorted({sample.language for sample in samples}):
        chosen = [index for index, sample in enumerate(samples) if sample.language == language]
        names = [samples[index].id for index in chosen]
        needed = [bits[index] for index in chosen]
        sizes = {
            "bits_per_character": [len(samples[index].text) for index in chosen],
            "bits_per_byte": [len(samples[index].text.encode("utf-8")) for index in chosen],
        }
        tokens = sum(len(ids[index]) for index in chosen)
        figure: dict[str, Any] = {}
        for metric, lengths in sizes.items():
            estimate = bootstrap_ratio(needed, lengths, names, seed=params.seed)
            rows.append(score_row(metric, language, estimate, spec=SPEC))
            figure[metric] = figures(rows[-1])
        characters = sum(sizes["bits_per_character"])
        metrics[language] = figure | {
            "characters": characters,
            "bytes": sum(sizes["bits_per_byte"]),
            "tokens": tokens,
            "characters_per_token": round(characters / tokens, 4),
            "unknown_tokens": sum(ids[index].count(unknown) for index in chosen)
            if unknown is not None
            else 0,
        }
    write_scores(out, rows)
    lines = [
        json.dumps(
            {
                "id": sample.id,
                "language": sample.language,
                "characters": len(sample.text),
                "tokens": len(ids[index]),
                "bits": round(bits[index], 3),
            },
            ensure_ascii=False,
        )
        for index, sample in enumerate(samples)
    ]
    atomic.write_text(out / "documents.jsonl", "\n".join(lines) + "\n")
    seconds = time.monotonic() - started
    return StageResult(
        metrics=metrics, performance={"tokens_per_second": round(sum(map(len, ids)) / max(seconds, 1e-9))}
    )


def _samples(params: Params, inputs: Inputs) -> list[Sample]:
    """Return the texts to measure, by language, each language's in the order of their draws."""
    found: dict[str, dict[str, Sample]] = {}
    for artifact in inputs.many("documents"):
        for row in select_rows(artifact, seed=params.seed, stage=KIND):
            text = str(row.get("text") or "")[: params.per_document]
            if text.strip():
                language = str(row.get("language") or "und")
                found.setdefault(language, {})[str(row["id"])] = Sample(str(row["id"]), language, text)
    if not found:
        raise UserError(f"{KIND}: no document with text to measure")
    samples = []
    for language in sorted(found):
        by_id = found[language]
        names = sorted(by_id)
        characters = 0
        for position in draws.shuffled(names, params.seed, KIND):
            if characters >= params.characters:
                break
            samples.append(by_id[names[position]])
            characters += len(samples[-1].text)
    return samples


def _window(model: PreTrainedModel) -> int:
    known = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return min(int(known), _LONGEST_DEFAULT) if known else _UNKNOWN_DEFAULT


def _start(tokenizer: PreTrainedTokenizerBase, name: str) -> int:
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    raise UserError(f"{name}: the tokenizer has neither BOS nor EOS to start a document with")


STAGE = Stage(kind=KIND, version=1, output=Kind.SCORES, params=Params, run=run)
