"""What a stage knows of its data before the first step: counts, lengths, BOS and EOS, some sequences to look at.

Each stage makes one `DataFacts` (one line: `facts_of_samples` or `facts_of_windows`) and hands it to the preflight, which
judges and shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from watari.pretrained.encoding import adds_bos
from watari.train.batches import Sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from watari.train.windows import Mixture, Source

SHOWN = 2
"""Sequences that are shown."""
SHOWN_TOKENS = 160
"""Tokens of each of them: half from its start, half from its end."""
_SCANNED = 100_000
"""Documents of a shard whose ends are looked at: all of them, or so many evenly spaced."""


@dataclass(frozen=True)
class Passage:
    """A stretch of a shown sequence that is trained as a whole, or not at all."""

    text: str
    trained: bool


@dataclass(frozen=True)
class Shown:
    """A sequence as a person reads it.

    Args:
        id: Of its row.
        tokens: Its length.
        passages: Its text; of a long one the start and the end, with `…` between.
    """

    id: str
    tokens: int
    passages: tuple[Passage, ...]


@dataclass(frozen=True)
class Marks:
    """BOS and EOS, by sequence (pre-training: by document).

    Args:
        sequences: How many were looked at.
        bos: The tokenizer's BOS as text, or None if it has none.
        bos_wanted: True if the tokenizer itself starts every text with BOS, so that a model expects it.
        bos_missing: Sequences that do not begin with it.
        bos_doubled: Sequences that begin with two or more.
        bos_inside: Sequences that hold it again later (some templates write it for every turn).
        first_bad: The id of the first sequence of which one of the first two is true and should not be.
        eos: The tokenizer's EOS as text, or None.
        end_trained: Sequences whose last trained token is a control token: what teaches the model to stop.
        eos_trained: Sequences in which EOS itself is trained.
    """

    sequences: int
    bos: str | None
    bos_wanted: bool
    bos_missing: int
    bos_doubled: int
    bos_inside: int
    first_bad: str | None
    eos: str | None
    end_trained: int
    eos_trained: int


@dataclass(frozen=True)
class DataFacts:
    """What a stage knows of its data.

    Args:
        unit: What a row is: "conversations", "pairs", "documents".
        rows_in, rows_kept: Rows read, and rows that are trained on.
        dropped: The others by reason.
        lengths: [sequences] tokens of each (pre-training: of each document).
        supervised: [sequences] how many of them are trained.
        planned_tokens: Tokens that the whole run reads, all epochs.
        marks: BOS and EOS.
        shown: Some sequences.
        per: What the loss is a mean over: trained tokens, pairs, or the tokens of spans (a few of each reply, which need not
            hold its end).
        packed: (rows, positions) of one epoch if sequences are packed, for the share that is wasted.
    """

    unit: str
    rows_in: int
    rows_kept: int
    dropped: Mapping[str, int]
    lengths: npt.NDArray[np.int64]
    supervised: npt.NDArray[np.int64]
    planned_tokens: int
    marks: Marks
    shown: tuple[Shown, ...]
    per: Literal["token", "pair", "span"] = "token"
    packed: tuple[int, int] | None = None

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return int(self.lengths.max()) if len(self.lengths) else 0


def facts_of_samples(
    samples: Sequence[Sample],
    tokenizer: PreTrainedTokenizerBase,
    *,
    unit: str,
    rows_in: int,
    rows_kept: int,
    dropped: Mapping[str, int],
    epochs: float = 1,
    per: Literal["token", "pair", "span"] = "token",
    packed: tuple[int, int] | None = None,
) -> DataFacts:
    """Return the facts of conversations, or of pairs given as chosen, rejected, chosen, …

    Args:
        samples: Every sequence that is trained on, once.
        tokenizer: The model's.
        unit, rows_in, rows_kept, dropped, per, packed: See `DataFacts`.
        epochs: Passes over the sequences.
    """
    lengths = np.fromiter((len(sample) for sample in samples), np.int64, len(samples))
    return DataFacts(
        unit=unit,
        rows_in=rows_in,
        rows_kept=rows_kept,
        dropped=dict(dropped),
        lengths=lengths,
        supervised=np.fromiter((sample.supervised for sample in samples), np.int64, len(samples)),
        planned_tokens=round(epochs * int(lengths.sum())),
        marks=_marks(samples, tokenizer),
        shown=tuple(shown(sample, tokenizer) for sample in samples[:SHOWN]),
        per=per,
        packed=packed,
    )


def facts_of_windows(
    sources: Sequence[Source],
    mixture: Mixture,
    tokenizer: PreTrainedTokenizerBase,
    *,
    respect_documents: bool,
) -> DataFacts:
    """Return the facts of packed tokens: of the documents as they lie in the shards, and of the windows that are read.

    Args:
        sources, mixture: What is read and when.
        tokenizer: The model's.
        respect_documents: As the stage has it; for the windows that are shown.
    """
    lengths = np.concatenate([np.diff(source.reader.offsets) for source in sources]).astype(np.int64)
    first = [
        sources[int(mixture.source[index])].read(
            int(mixture.window[index]), respect_documents=respect_documents
        )[0]
        for index in range(min(SHOWN, len(mixture.window)))
    ]
    return DataFacts(
        unit="documents",
        rows_in=len(lengths),
        rows_kept=len(lengths),
        dropped={},
        lengths=lengths,
        # Every token but a stream's first is predicted once an epoch.
        supervised=lengths,
        planned_tokens=sum(mixture.tokens),
        marks=_document_marks(sources, tokenizer),
        shown=tuple(shown(sample, tokenizer) for sample in first),
    )


def shown(sample: Sample, tokenizer: PreTrainedTokenizerBase) -> Shown:
    """Return a sequence as text, with its trained stretches apart."""
    ids, trained = sample.ids, sample.trained.copy()
    # The first token is never predicted, whatever its mark says.
    trained[:1] = False
    half = SHOWN_TOKENS // 2
    parts = [(0, len(ids))] if len(ids) <= SHOWN_TOKENS else [(0, half), (len(ids) - half, len(ids))]
    passages: list[Passage] = []
    for number, (start, end) in enumerate(parts):
        if number:
            passages.append(Passage("…", False))
        edges = [start, *(np.flatnonzero(np.diff(trained[start:end].astype(np.int8))) + start + 1), end]
        said = ""
        for left, right in pairwise(edges):
            # What a token reads as depends on those before it (a blank at the start of a text is not written).
            whole = _decoded(tokenizer, ids[start:right])
            text = whole[len(said) :] if whole.startswith(said) else _decoded(tokenizer, ids[left:right])
            said = whole
            passages.append(Passage(text, bool(trained[left])))
    return Shown(sample.id, len(ids), tuple(passages))


def _decoded(tokenizer: PreTrainedTokenizerBase, ids: npt.NDArray[np.int32]) -> str:
    return str(tokenizer.decode(ids.tolist(), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _marks(samples: Sequence[Sample], tokenizer: PreTrainedTokenizerBase) -> Marks:
    from watari.generate.masking import special_ids

    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    wanted = bos is not None and adds_bos(tokenizer)
    control = special_ids(tokenizer)
    missing = doubled = inside = ends = eos_trained = 0
    first_bad: str | None = None
    for sample in samples:
        ids = sample.ids
        if bos is not None:
            at = np.flatnonzero(ids == bos)
            starts = bool(len(at) and at[0] == 0)
            twice = bool(starts and len(at) > 1 and at[1] == 1)
            missing += not starts
            doubled += twice
            inside += bool((at > 0).any())
            if first_bad is None and (twice or (wanted and not starts)):
                first_bad = sample.id
        taught = ids[1:][sample.trained[1:]]
        ends += len(taught) > 0 and int(taught[-1]) in control
        eos_trained += eos is not None and bool((taught == eos).any())
    return Marks(
        len(samples),
        tokenizer.bos_token,
        wanted,
        missing,
        doubled,
        inside,
        first_bad,
        tokenizer.eos_token,
        ends,
        eos_trained,
    )


def _document_marks(sources: Sequence[Source], tokenizer: PreTrainedTokenizerBase) -> Marks:
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    wanted = bos is not None and adds_bos(tokenizer)
    looked = missing = doubled = ends = 0
    first_bad: str | None = None
    for source in sources:
        offsets, tokens = source.reader.offsets, source.reader.tokens
        # A part of a document that was cut need not begin with BOS or end with EOS.
        numbers = np.flatnonzero((np.diff(offsets) > 0) & source.reader.uncut())
        if len(numbers) > _SCANNED:
            numbers = numbers[np.linspace(0, len(numbers) - 1, _SCANNED).astype(np.int64)]
        starts, stops = offsets[numbers], offsets[numbers + 1]
        looked += len(numbers)
        if bos is not None:
            begins = np.asarray(tokens[starts]) == bos
            second = np.asarray(tokens[np.minimum(starts + 1, stops - 1)]) == bos
            twice = begins & second & (stops - starts > 1)
            missing += int((~begins).sum())
            doubled += int(twice.sum())
            bad = np.flatnonzero(twice | (~begins & wanted))
            if first_bad is None and len(bad):
                first_bad = f"{source.name}, document {int(numbers[bad[0]])}"
        if eos is not None:
            ends += int((np.asarray(tokens[stops - 1]) == eos).sum())
    return Marks(
        looked,
        tokenizer.bos_token,
        wanted,
        missing,
        doubled,
        0,
        first_bad,
        tokenizer.eos_token,
        ends,
        ends,
    )
