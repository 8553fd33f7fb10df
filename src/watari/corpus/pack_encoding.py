"""Documents as token ids, on several threads, in the order in which they come."""

from __future__ import annotations

import os
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from watari.artifact.tokens import dtype_for
from watari.corpus.pack_reading import Documents
from watari.pretrained.encoding import encode_documents

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_AHEAD = 2
"""Batches a thread that may wait to be written."""


@dataclass(frozen=True)
class Encoded:
    """Some documents and their ids.

    Args:
        documents: As they were read.
        ids: [bos] ids [eos] of each, back to back, in the type of the shard.
        sizes: int64[n] of them, bos and eos included.
        unequal: Documents whose ids do not decode to their text; None if that was not looked at.
    """

    documents: Documents
    ids: npt.NDArray[Any]
    sizes: npt.NDArray[np.int64]
    unequal: int | None


def encoded(
    batches: Iterable[Documents],
    tokenizer: PreTrainedTokenizerBase,
    *,
    bos: int | None,
    eos: int | None,
    vocabulary: int,
    workers: int,
    decode: bool,
) -> Iterator[Encoded]:
    """Yield the batches with their ids, in order.

    Args:
        batches: The documents.
        tokenizer: Text that looks like a special token is text to it.
        bos, eos: Put around each document; None is left out.
        vocabulary: Number of ids.
        workers: Threads; a tokenizer without a Rust backend works on one.
        decode: Decode each document's ids again and compare.
    """
    head, tail = [] if bos is None else [bos], [] if eos is None else [eos]

    def work(batch: Documents, ids_of: Callable[[Sequence[str]], Iterable[list[int]]]) -> Encoded:
        texts = batch.rows.column("text").to_pylist()
        # One growing array: no list and no copy a document beside the one that `Encoding.ids` makes.
        flat, ends = array("i"), []
        unequal = 0 if decode else None
        for text, ids in zip(texts, ids_of(texts), strict=True):
            flat.extend(head)
            flat.fromlist(ids)
            flat.extend(tail)
            ends.append(len(flat))
            if unequal is not None:
                unequal += decoded(tokenizer, ids) != text
        whole = np.frombuffer(flat, np.int32) if flat else np.zeros(0, np.int32)
        if int(whole.max(initial=0)) >= vocabulary:
            raise ValueError(f"the tokenizer gives id {whole.max()}, it has {vocabulary}")
        return Encoded(
            batch, whole.astype(dtype_for(vocabulary)), np.diff(np.array(ends, np.int64), prepend=0), unequal
        )

    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        for batch in batches:
            yield work(batch, lambda texts: encode_documents(tokenizer, texts))
        return

    def rust(texts: Sequence[str]) -> Iterator[list[int]]:
        for encoding in fast.encode_batch_fast(list(texts), add_special_tokens=False):
            yield encoding.ids

    with _as_text(fast), _one_thread_a_call(), ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Encoded]] = deque()
        try:
            for batch in batches:
                waiting.append(pool.submit(work, batch, rust))
                if len(waiting) >= _AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def decoded(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    """Return the text of ids."""
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


@contextmanager
def _as_text(fast: Any) -> Iterator[None]:
    before = fast.encode_special_tokens
    fast.encode_special_tokens = True
    try:
        yield
    finally:
        fast.encode_special_tokens = before


@contextmanager
def _one_thread_a_call() -> Iterator[None]:
    """Keep the tokenizer from starting threads of its own beside ours."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
