"""`corpus.build`: documents from many sources, in normal form, each text once, with an account of every row.

The first form: read, normalise (NFC), drop what is empty, too short or in another language, remove exact duplicates,
keep one part of a train / test split, cut long documents. The documents that stay are held in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from watari.artifact.draws import draw_uniform
from watari.artifact.kinds import Kind
from watari.artifact.params import Count, OneOrMore, Selection, StageParams
from watari.artifact.records import Fault, OnError, Policy, meta_of
from watari.artifact.rows import ROWS, Ledger, RowWriter
from watari.artifact.stage import Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.corpus.dedup import ExactDedup, distinct_ids
from watari.corpus.sources import Document, Source, SourceFile, read_source
from watari.errors import UserError
from watari.text.chunks import chunks

KIND = "corpus.build"


class Split(BaseModel):
    """One of two disjoint parts of the same documents.

    A document's part is a draw on (seed, its own id), after duplicates are gone: two stages with the same sources,
    filters and seed, one with `part: train` and one with `part: test`, share no document and no text; documents of
    the same id (the two sides of a translation) fall into the same part.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    part: Literal["train", "test"] = Field(description="the part to keep")
    test_share: float = Field(
        default=0.02, gt=0, lt=1, description="expected share of documents in the test part"
    )


class Params(StageParams):
    """Parameters of `corpus.build`."""

    sources: Annotated[list[Source], OneOrMore] = Field(
        min_length=1, description="stages that make documents, and files outside"
    )
    language: Annotated[list[str] | None, OneOrMore] = Field(
        default=None, description="keep documents in these languages only; default: all"
    )
    min_characters: Count = Field(
        default=1,
        ge=1,
        description="shorter documents are dropped (characters, after normalising). Default: only empty ones;"
        " Swallow's 400 would drop every encyclopaedia paragraph (facts/corpus.md §4)",
    )
    max_characters: Count | None = Field(
        default=None,
        ge=100,
        description="longer documents are cut at paragraph or sentence ends; default: not cut",
    )
    split: Split | None = Field(
        default=None, description="keep one part of a train / test split; default: everything"
    )
    on_error: OnError = Field(
        default="stop", description="what a row that cannot be read does: stop, or drop with a reason"
    )


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Build the corpus: `rows.parquet`, sorted by id, and `dropped.parquet`.

    Metrics: rows_in, kept, dropped, dropped_by_reason (these count documents as read), written, renamed_ids, and
    documents, characters, bytes (UTF-8) by language and by source (these count what was written).

    Raises:
        UserError: for a source that cannot be read or holds no rows, for a broken row with `on_error: stop`, and
            if no document is left.
    """
    ledger = Ledger()
    dedup = ExactDedup()
    rows_in = _read(params, inputs, ledger, dedup, progress)
    for duplicate in dedup.duplicates():
        _drop(ledger, duplicate.document, "duplicate", f"same text as {duplicate.survivor.id}")
    survivors = dedup.survivors()
    ids, renamed = distinct_ids(survivors)
    kept = []
    for document, name in zip(survivors, ids, strict=True):
        if params.split and part_of(document.id, params.split, params.seed) != params.split.part:
            _drop(ledger, document, "other part of the split")
        else:
            kept.append(replace(document, id=name))
    if not kept:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(ledger.reasons.items()))
        raise UserError(f"no document is left of {rows_in:,} ({reasons})", "loosen the filters or the split")
    tally = Tally()
    seen: set[str] = set()
    with RowWriter(out / ROWS, Kind.DOCUMENTS) as writer:
        for document in kept:
            for part in _parts(document, params.max_characters):
                if part.id in seen:
                    raise UserError(
                        f"{document.source}: two documents would be named {part.id}", "change one id"
                    )
                seen.add(part.id)
                writer.write(part.row())
                tally.add(part)
    account = ledger.close(out, rows_in=rows_in, kept=len(kept))
    return StageResult(metrics=account | {"written": writer.count, "renamed_ids": renamed} | tally.metrics())


def _read(params: Params, inputs: Inputs, ledger: Ledger, dedup: ExactDedup, progress: Progress) -> int:
    policy = Policy(params.on_error, ledger)
    artifacts = iter(inputs.many("sources"))
    total = 0
    for source in params.sources:
        artifact = next(artifacts) if isinstance(source, Selection) else None
        name = artifact.name if artifact else source.path if isinstance(source, SourceFile) else ""
        label = source.source if isinstance(source, SourceFile) else name
        before = total
        for item in read_source(source, artifact, seed=params.seed, stage=KIND):
            total += 1
            if isinstance(item, Fault):
                policy.settle(item, source=label)
            elif reason := _refused(item, params):
                _drop(ledger, item, reason)
            else:
                dedup.add(item)
            if total % 500 == 0:
                stop_if_asked(progress)
                progress.update(total, unit="rows", note=label)
        if total == before:
            raise UserError(f"{name}: holds no rows", "check the path and the file format")
    return total


def _refused(document: Document, params: Params) -> str:
    if not document.text:
        return "empty"
    if len(document.text) < params.min_characters:
        return "too short"
    if params.language is not None and document.language not in params.language:
        return "other language"
    return ""


def _drop(ledger: Ledger, document: Document, reason: str, detail: str = "") -> None:
    ledger.drop(reason, id=document.id, source=document.source, place=document.place.inside, detail=detail)


def part_of(document_id: str, split: Split, seed: int) -> str:
    """Return the part of the split that a document falls into, by its own id."""
    return "test" if draw_uniform(seed, f"{KIND}/split", document_id) < split.test_share else "train"


def _parts(document: Document, limit: int | None) -> Iterator[Document]:
    if limit is None or len(document.text) <= limit:
        yield document
        return
    texts = [text.strip() for text in chunks(document.text, limit)]
    texts = [text for text in texts if text]
    for number, text in enumerate(texts, 1):
        meta = meta_of({"meta": document.meta}, (), parent=document.id, part=number, parts=len(texts))
        yield replace(document, id=f"{document.id}#{number:05d}", text=text, meta=meta)


class Tally:
    """Documents, characters and bytes by language and by source."""

    def __init__(self) -> None:
        self._languages: dict[str, list[int]] = {}
        self._sources: dict[str, list[int]] = {}

    def add(self, document: Document) -> None:
        """Count one document."""
        sizes = (1, len(document.text), len(document.text.encode("utf-8")))
        for table, name in ((self._languages, document.language), (self._sources, document.source)):
            counts = table.setdefault(name, [0, 0, 0])
            for index, size in enumerate(sizes):
                counts[index] += size

    def metrics(self) -> dict[str, Any]:
        """Return {"languages": {ja: {documents, characters, bytes}}, "sources": {…}}, names sorted."""
        names = ("documents", "characters", "bytes")
        return {
            label: {name: dict(zip(names, table[name], strict=True)) for name in sorted(table)}
            for label, table in (("languages", self._languages), ("sources", self._sources))
        }


STAGE = Stage(kind=KIND, version=1, output=Kind.DOCUMENTS, params=Params, run=run)
