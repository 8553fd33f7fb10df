"""How many bits a model needs for a text: -log2 of the probability of its tokens, each counted once.

Long documents are read in windows that overlap: after the first, a window holds `window - stride` tokens of context
and `stride` new ones, and only the new ones are counted (the rolling log-likelihood of lm-evaluation-harness, with
context). The first token is conditional on BOS (EOS where the tokenizer has no BOS), as training had it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from watari.pretrained.rolling import Window, windows

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LOGITS = 1 << 26
"""Numbers in the logits of a batch at most: 256 MB in float32. A single window may need more."""
_BATCH_TOKENS = 8192
_PIECE = 32


def bits_of(
    model: PreTrainedModel,
    documents: Sequence[Sequence[int]],
    *,
    start: int,
    window: int,
    stride: int,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> list[float]:
    """Return the bits of each document: the sum of -log2 p over its tokens.

    Windows are batched with others of like length; padding stands on the right, where causal attention does not look.
    Logits are computed for counted tokens only.

    Args:
        model: In evaluation mode, on its device.
        documents: Token ids without BOS and EOS.
        start: The token that comes before the first.
        window: See `windows`.
        stride: See `windows`.
        tell: Called with (tokens done, all tokens) after each batch; may raise to stop.
    """
    pending = [
        item
        for index, ids in enumerate(documents)
        for item in windows(index, ids, start, window=window, stride=stride)
    ]
    pending.sort(key=lambda item: (len(item.ids) - item.new, len(item.ids), item.document))
    total = sum(item.new for item in pending)
    done = 0
    bits = np.zeros(len(documents), dtype=np.float64)
    vocabulary = int(model.config.get_text_config().vocab_size)
    for batch in _batches(pending, vocabulary):
        for item, value in zip(batch, _score(model, batch), strict=True):
            bits[item.document] += value
            done += item.new
        tell(done, total)
    return [float(value) for value in bits]


def _batches(pending: Sequence[Window], vocabulary: int) -> Iterator[list[Window]]:
    batch: list[Window] = []
    for item in pending:
        rows = [*batch, item]
        longest = max(len(row.ids) for row in rows)
        positions = longest - 1 - min(len(row.ids) - 1 - row.new for row in rows)
        large = len(rows) * longest > _BATCH_TOKENS or len(rows) * positions * vocabulary > _LOGITS
        if batch and large:
            yield batch
            rows = [item]
        batch = rows
    if batch:
        yield batch


@torch.inference_mode()
def _score(model: PreTrainedModel, batch: Sequence[Window]) -> list[float]:
    longest = max(len(item.ids) for item in batch)
    # Position p predicts ids[p + 1]; the first position that counts differs little within a batch.
    first = min(len(item.ids) - 1 - item.new for item in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.int64)
    for row, item in enumerate(batch):
        ids[row, : len(item.ids)] = torch.tensor(item.ids)
    ids = ids.to(model.device)
    positions = torch.arange(first, longest - 1, device=model.device)
    logits = model(input_ids=ids[:, :-1], logits_to_keep=positions, use_cache=False).logits
    found = []
    for row, item in enumerate(batch):
        end = len(item.ids) - 1 - first
        counted = slice(end - item.new, end)
        nats = _nats(logits[row, counted], ids[row, first + 1 :][counted])
        found.append(nats / math.log(2))
    return found


def _nats(logits: torch.Tensor, targets: torch.Tensor) -> float:
    # In pieces that stay in the cache: half the time of one call over a long document.
    losses = [
        torch.nn.functional.cross_entropy(part.float(), target, reduction="none")
        for part, target in zip(torch.split(logits, _PIECE), torch.split(targets, _PIECE), strict=True)
    ]
    return float(torch.cat(losses).double().sum())
