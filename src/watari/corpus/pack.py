"""`tokens.pack`: documents as token ids in Megatron's form, tokenised once, in an order that mixes the sources.

Each document is [bos] ids [eos]; documents stand back to back. Windows are cut by the training stage. The ids wait
in a file while the rest is tokenised, so memory holds one batch of texts and the index of documents.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from watari.artifact import draws
from watari.artifact.kinds import Kind
from watari.artifact.params import RUNTIME, Documents, OneOrMore, StageParams, Tokenizer
from watari.artifact.rows import Row, select_rows
from watari.artifact.stage import InputArtifact, Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.artifact.tokens import TokensInfo, TokenWriter
from watari.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KIND = "tokens.pack"


class Params(StageParams):
    """Parameters of `tokens.pack`."""

    documents: Annotated[list[Documents], OneOrMore] = Field(
        min_length=1, description="documents to pack; `ratio` in a selection repeats or thins one of them"
    )
    tokenizer: Tokenizer = Field(description="the tokenizer, or a model whose own is meant")
    bos: bool | None = Field(
        default=None,
        description="start each document with BOS. Default: as the tokenizer itself does, so that training sees what"
        " use will see (a Shisa checkpoint without BOS: llm-jp-eval 0.0391 for 0.7166, facts/seed-systems.md)",
    )
    eos: bool = Field(default=True, description="end each document with EOS")
    check: int = Field(
        default=200, ge=0, description="documents whose ids are decoded again and compared with their text"
    )
    batch: Annotated[int, RUNTIME] = Field(default=256, ge=1, description="documents tokenised at a time")


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Pack the documents: `tokens.bin`, `tokens.idx`, `documents.parquet`, `tokens.json`.

    Their order is a draw on (seed, id), whatever order they come in.

    Metrics: documents, tokens (bos and eos included), characters, unknown_tokens, languages {language: {documents,
    tokens, characters, characters_per_token}}, round_trip {checked, equal}. `characters_per_token` counts the text's
    own tokens.

    Raises:
        UserError: if there is no document, one has no text, or the tokenizer has no BOS or EOS where one is wanted.
    """
    from watari.pretrained import load_tokenizer
    from watari.pretrained.encoding import adds_bos, encode_documents

    artifact = inputs.one("tokenizer")
    tokenizer = load_tokenizer(artifact.path)
    wants_bos = adds_bos(tokenizer) if params.bos is None else params.bos
    info = TokensInfo(
        vocabulary=len(tokenizer),
        tokenizer_digest=artifact.manifest.digest,
        bos=_special(tokenizer, "bos", artifact.name) if wants_bos else None,
        eos=_special(tokenizer, "eos", artifact.name) if params.eos else None,
    )
    head = [info.bos] if info.bos is not None else []
    tail = [info.eos] if info.eos is not None else []
    packed: list[_Packed] = []
    unknown = tokenizer.unk_token_id
    unknown_tokens = checked = equal = 0
    (out / "work").mkdir(parents=True, exist_ok=True)
    waiting = out / "work" / "ids.int32"
    rows = _rows(inputs.many("documents"), params.seed)
    started = time.monotonic()
    with waiting.open("wb") as handle:
        while batch := list(islice(rows, params.batch)):
            texts = [row["text"] for row in batch]
            for row, ids in zip(batch, encode_documents(tokenizer, texts), strict=True):
                if len(packed) < params.check:
                    checked += 1
                    equal += _decoded(tokenizer, ids) == row["text"]
                if unknown is not None:
                    unknown_tokens += ids.count(unknown)
                whole = np.array([*head, *ids, *tail], dtype=np.int32)
                handle.write(whole.tobytes())
                packed.append(
                    _Packed(
                        row["id"],
                        row["language"] or "und",
                        row["source"] or "",
                        whole.size,
                        len(ids),
                        len(row["text"]),
                    )
                )
            stop_if_asked(progress)
            progress.update(len(packed), None, unit="documents")
    if not packed:
        raise UserError(f"{KIND}: no documents to pack")
    _write(out, waiting, packed, info, params.seed)
    if equal < checked:
        progress.log(f"{checked - equal} of {checked} documents do not decode to their text", stage=KIND)
    seconds = time.monotonic() - started
    total = sum(item.size for item in packed)
    return StageResult(
        metrics={
            "documents": len(packed),
            "tokens": total,
            "characters": sum(item.characters for item in packed),
            "unknown_tokens": unknown_tokens,
            "languages": _by_language(packed),
            "round_trip": {"checked": checked, "equal": equal},
        },
        performance={"tokens_per_second": round(total / seconds) if seconds else None},
    )


@dataclass(frozen=True)
class _Packed:
    id: str
    language: str
    source: str
    size: int = field(metadata={"unit": "tokens, bos and eos included"})
    tokens: int = field(metadata={"unit": "tokens of the text alone"})
    characters: int


def _rows(artifacts: list[InputArtifact], seed: int) -> Iterator[Row]:
    for artifact in artifacts:
        for number, row in enumerate(select_rows(artifact, seed=seed, stage=KIND), 1):
            if not isinstance(row.get("text"), str):
                raise UserError(f"{artifact.name}: row {number} ({row.get('id')}) has no text")
            yield row


def _write(out: Path, waiting: Path, packed: list[_Packed], info: TokensInfo, seed: int) -> None:
    ends = np.cumsum([item.size for item in packed], dtype=np.int64)
    ids = np.memmap(waiting, dtype=np.int32, mode="r") if int(ends[-1]) else np.zeros(0, np.int32)
    with TokenWriter(out, info) as writer:
        for position in draws.shuffled([item.id for item in packed], seed, KIND):
            item = packed[position]
            writer.add(
                item.id,
                ids[ends[position] - item.size : ends[position]],
                language=item.language,
                source=item.source,
                characters=item.characters,
            )
    waiting.unlink()


def _special(tokenizer: PreTrainedTokenizerBase, name: str, artifact: str) -> int:
    value = getattr(tokenizer, f"{name}_token_id")
    if value is None:
        raise UserError(f"{artifact}: the tokenizer has no {name.upper()} token", f"set `{name}: false`")
    return int(value)


def _decoded(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _by_language(packed: list[_Packed]) -> dict[str, Any]:
    table: dict[str, list[int]] = {}
    for item in packed:
        counts = table.setdefault(item.language, [0, 0, 0])
        for index, size in enumerate((1, item.tokens, item.characters)):
            counts[index] += size
    return {
        language: {
            "documents": documents,
            "tokens": tokens,
            "characters": characters,
            "characters_per_token": round(characters / tokens, 4) if tokens else None,
        }
        for language, (documents, tokens, characters) in sorted(table.items())
    }


STAGE = Stage(kind=KIND, version=1, output=Kind.TOKENS, params=Params, run=run)
