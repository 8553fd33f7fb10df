"""How a document that is longer than the context is read: in windows that overlap, each token counted once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """Part of a document as the model reads it.

    Args:
        document: Its place in the list of documents.
        ids: Tokens read, in order.
        new: How many of the last of them are counted.
    """

    document: int
    ids: Sequence[int]
    new: int


def windows(document: int, ids: Sequence[int], start: int, *, window: int, stride: int) -> Iterator[Window]:
    """Yield the windows of a document such that each of its tokens is counted in exactly one.

    Args:
        document: Its place in the list of documents.
        ids: Its tokens, without BOS.
        start: The token before the first one (BOS).
        window: Tokens that the model reads at once, the predicted last one not included.
        stride: New tokens in each window after the first; at most `window`.
    """
    whole = [start, *ids]
    done = 0
    while done < len(ids):
        new = min(window if done == 0 else stride, len(ids) - done)
        end = done + new  # whole[end] is the last token counted
        begin = max(0, end - window)
        yield Window(document, whole[begin : end + 1], new)
        done = end
