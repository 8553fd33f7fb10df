"""`tokens.pack`: documents as token ids in Megatron's form, tokenised once, in an order that mixes the sources.

Each document is [bos] ids [eos]. Documents stand back to back, and training cuts its windows across them; or they are
packed into windows whole, as far as they fit. Ids and names wait on disk while the rest is tokenised: memory holds a
few batches of texts and some 60 bytes a document.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from watari.artifact.kinds import Kind
from watari.artifact.params import RUNTIME, Count, OneOrMore, StageParams, Tokenizer
from watari.artifact.params import Documents as DocumentsEdge
from watari.artifact.stage import InputArtifact, Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.artifact.tokens import TokenReader, TokensInfo, TokenWriter, dtype_for
from watari.corpus.pack_encoding import decoded, encoded
from watari.corpus.pack_index import Pieces, Sample, Spool
from watari.corpus.pack_reading import Documents, read_documents
from watari.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KIND = "tokens.pack"


class Params(StageParams):
    """Parameters of `tokens.pack`."""

    documents: Annotated[list[DocumentsEdge], OneOrMore] = Field(
        min_length=1,
        description="documents to pack, each as often as its column `copies` says; `ratio` in a selection repeats or"
        " thins one of them",
    )
    tokenizer: Tokenizer = Field(description="the tokenizer, or a model whose own is meant")
    bos: bool | None = Field(
        default=None,
        description="start each document with BOS. Default: as the tokenizer itself does, so that training sees what"
        " use will see (a Shisa checkpoint without BOS: llm-jp-eval 0.0391 for 0.7166, facts/seed-systems.md)",
    )
    eos: bool = Field(default=True, description="end each document with EOS")
    packing: Literal["concatenate", "best-fit"] = Field(
        default="concatenate",
        description="concatenate: documents back to back, windows of any length are cut later (as Megatron-LM);"
        " best-fit: whole documents into windows of `sequence` tokens, only longer ones are cut (arXiv:2404.10830)",
    )
    sequence: Count | None = Field(
        default=None,
        ge=8,
        description="tokens of a window with best-fit; training must use the same (Swallow: 4096)",
    )
    check: Annotated[int, Field(ge=0)] | Literal["all"] = Field(
        default=200,
        description="documents that are read back from the shard, decoded and compared with their text, chosen by"
        " their draws; all: every one, decoded as it is tokenised",
    )
    batch: Annotated[int, RUNTIME] = Field(default=256, ge=1, description="documents tokenised at a time")
    workers: Annotated[int | None, RUNTIME] = Field(
        default=None, ge=1, description="threads that tokenise. Default: the cores that this process may use"
    )

    @model_validator(mode="after")
    def _length_where_it_counts(self) -> Params:
        if (self.packing == "best-fit") != (self.sequence is not None):
            raise ValueError("sequence: wanted with `packing: best-fit`, and only there")
        return self


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Pack the documents: `tokens.bin`, `tokens.idx`, `documents.parquet`, `tokens.json`; `windows.npy` with best-fit.

    Their order is a draw on (seed, id), whatever order they come in; a further copy has a draw of its own.

    Metrics: documents (copies counted), tokens (bos and eos included), characters, unknown_tokens, repeated (copies
    beyond the first), languages {language: {documents, tokens, characters, characters_per_token}}, round_trip
    {checked, equal}; with best-fit windows {sequence, windows, padding, padding_share, cut_documents}.
    `characters_per_token` counts the text's own tokens.

    Raises:
        UserError: if there is no document, one has no text, or the tokenizer has no BOS or EOS where one is wanted.
    """
    from watari.pretrained import load_tokenizer
    from watari.pretrained.encoding import adds_bos

    artifact = inputs.one("tokenizer")
    tokenizer = load_tokenizer(artifact.path)
    wants_bos = adds_bos(tokenizer) if params.bos is None else params.bos
    info = TokensInfo(
        vocabulary=len(tokenizer),
        tokenizer_digest=artifact.manifest.digest,
        bos=_special(tokenizer, "bos", artifact.name) if wants_bos else None,
        eos=_special(tokenizer, "eos", artifact.name) if params.eos else None,
        sequence=params.sequence,
    )
    dtype = dtype_for(info.vocabulary)
    started = time.monotonic()
    sample = 0 if params.check == "all" else params.check
    tally = _Tally(tokenizer.unk_token_id, (info.bos is not None) + (info.eos is not None))
    with Spool(out / "work", dtype, seed=params.seed, stage=KIND, sample=sample) as spool:
        for batch in encoded(
            _batches(inputs.many("documents"), params),
            tokenizer,
            bos=info.bos,
            eos=info.eos,
            vocabulary=info.vocabulary,
            workers=params.workers or _cores(),
            decode=params.check == "all",
        ):
            rows = batch.documents.rows
            characters = np.asarray(pc.utf8_length(rows.column("text")), np.int64)
            spool.add(batch, characters)
            tally.add(rows, batch.documents.copies, batch.ids, batch.sizes, characters, batch.unequal)
            stop_if_asked(progress)
            progress.update(len(spool), None, unit="documents")
        if not len(spool):
            raise UserError(f"{KIND}: no documents to pack")
        spool.close()
        pieces, windows = _written(out, spool, info, progress)
        if params.check != "all":
            tally.checked, tally.equal = _read_back(out, tokenizer, spool.samples, pieces, info)
    if tally.equal < tally.checked:
        progress.log(
            f"{tally.checked - tally.equal} of {tally.checked} documents do not decode to their text"
        )
    seconds = time.monotonic() - started
    metrics = tally.metrics() | ({"windows": windows} if windows else {})
    return StageResult(
        metrics=metrics,
        performance={"tokens_per_second": round(metrics["tokens"] / seconds) if seconds else None},
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _batches(artifacts: list[InputArtifact], params: Params) -> Iterator[Documents]:
    for artifact in artifacts:
        yield from read_documents(artifact, seed=params.seed, stage=KIND, batch=params.batch)


def _written(
    out: Path, spool: Spool, info: TokensInfo, progress: Progress
) -> tuple[Pieces, dict[str, Any] | None]:
    """Write the shard; return what stands in it, and the metrics of its windows."""
    pieces, figures = spool.ordered(), None
    if info.sequence is not None:
        from watari.corpus.pack_windows import best_fit

        found = best_fit(pieces, info.sequence)
        pieces, windows = found.pieces, len(found.bounds) - 1
        with (out / "windows.npy").open("wb") as handle:
            np.save(handle, found.bounds, allow_pickle=False)
        info = replace(info, windows=windows)
        padding = windows * info.sequence - int(pieces.size.sum()) if info.sequence else 0
        figures = {
            "sequence": info.sequence,
            "windows": windows,
            "padding": padding,
            "padding_share": round(padding / (windows * (info.sequence or 1)), 6),
            "cut_documents": found.cut,
        }
    with TokenWriter(out, info) as writer:
        for done in spool.write(pieces, writer):
            stop_if_asked(progress)
            progress.update(done, len(pieces), unit="documents", note="writing")
    return pieces, figures


def _read_back(
    out: Path, tokenizer: PreTrainedTokenizerBase, samples: list[Sample], pieces: Pieces, info: TokensInfo
) -> tuple[int, int]:
    """Return how many documents were read from the shard and decoded, and how many of them gave their text."""
    reader = TokenReader(out)
    first_copies = np.flatnonzero(pieces.copy == 0)
    wanted = np.array([sample.document for sample in samples], np.int64)
    rows = first_copies[np.isin(pieces.document[first_copies], wanted)]
    parts: dict[int, list[tuple[int, int]]] = {}
    for row in rows.tolist():
        parts.setdefault(int(pieces.document[row]), []).append((int(pieces.part[row]), row))
    head, tail = info.bos is not None, info.eos is not None
    equal = 0
    for sample in samples:
        ids = np.concatenate([reader.document(row) for _, row in sorted(parts[sample.document])]).tolist()
        equal += decoded(tokenizer, ids[head : len(ids) - tail]) == sample.text
    return len(samples), equal


class _Tally:
    """What is counted while documents go by."""

    def __init__(self, unknown: int | None, around: int) -> None:
        self._unknown = unknown
        self._around = around
        self._languages: dict[str, npt.NDArray[np.int64]] = {}
        self._unknown_tokens = 0
        self._repeated = 0
        self.checked = 0
        self.equal = 0

    def add(
        self,
        rows: pa.Table,
        copies: npt.NDArray[np.int64],
        ids: npt.NDArray[Any],
        sizes: npt.NDArray[np.int64],
        characters: npt.NDArray[np.int64],
        unequal: int | None,
    ) -> None:
        """Count a batch."""
        languages = rows.column("language").combine_chunks().dictionary_encode()
        codes = np.asarray(languages.indices)
        for code, name in enumerate(languages.dictionary.to_pylist()):
            own = codes == code
            sums = [(copies * weight)[own].sum() for weight in (1, sizes - self._around, characters)]
            self._languages[name] = self._languages.get(name, np.zeros(3, np.int64)) + np.array(sums)
        if self._unknown is not None:
            found = np.flatnonzero(ids == self._unknown)
            owners = np.searchsorted(np.cumsum(sizes), found, side="right")
            self._unknown_tokens += int(copies[owners].sum())
        self._repeated += int((copies - 1).sum())
        if unequal is not None:
            self.checked += rows.num_rows
            self.equal += rows.num_rows - unequal

    def metrics(self) -> dict[str, Any]:
        """Return the figures as JSON data."""
        documents, tokens, characters = sum(self._languages.values(), np.zeros(3, np.int64)).tolist()
        return {
            "documents": documents,
            "tokens": tokens + documents * self._around,
            "characters": characters,
            "unknown_tokens": self._unknown_tokens,
            "repeated": self._repeated,
            "languages": {
                name: {
                    "documents": counts[0],
                    "tokens": counts[1],
                    "characters": counts[2],
                    "characters_per_token": round(counts[2] / counts[1], 4) if counts[1] else None,
                }
                for name, counts in sorted((name, sums.tolist()) for name, sums in self._languages.items())
            },
            "round_trip": {"checked": self.checked, "equal": self.equal},
        }


def _special(tokenizer: PreTrainedTokenizerBase, name: str, artifact: str) -> int:
    value = getattr(tokenizer, f"{name}_token_id")
    if value is None:
        raise UserError(f"{artifact}: the tokenizer has no {name.upper()} token", f"set `{name}: false`")
    return int(value)


STAGE = Stage(kind=KIND, version=2, output=Kind.TOKENS, params=Params, run=run)
