"""Pre-training's order: windows of the documents of several sources, mixed by tokens, in a seeded order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watari.artifact.draws import generator
from watari.artifact.rows import filter_rows
from watari.artifact.stage import InputArtifact
from watari.artifact.tokens import TokenReader
from watari.errors import UserError
from watari.train.batches import Sample


class Source:
    """The windows of one token artifact.

    Where its documents stand back to back, they are one stream, cut into windows: window i holds tokens i·sequence …
    (i+1)·sequence, both ends included: the last one is predicted only, so that every token but the stream's first is
    predicted once an epoch. The last window may be shorter.

    Where they were packed into windows (best-fit), window i is the i-th of the shard: at most `sequence` tokens, each but
    its first predicted. What it lacks is padded in the batch and takes no part in the loss.

    Args:
        artifact: The tokens, with the recipe's selection; `where` names columns of `documents.parquet`.
        sequence: Tokens that a window predicts, or holds.
        seed, stage: For the selection's draws.

    Raises:
        UserError: if the selection leaves nothing, or the shard was packed into windows of another length.
    """

    def __init__(self, artifact: InputArtifact, sequence: int, *, seed: int, stage: str) -> None:
        self.reader = TokenReader(artifact.path)
        self.name = artifact.name
        self.ratio = artifact.selection.ratio
        self._sequence = sequence
        offsets = self.reader.offsets
        chosen = np.arange(len(self.reader))
        if artifact.selection.where or artifact.selection.limit is not None:
            whole = artifact.selection.model_copy(update={"ratio": None})
            rows = ({**row, "index": index} for index, row in enumerate(self.reader.rows()))
            kept = filter_rows(rows, whole, name=artifact.name, seed=seed, stage=stage)
            chosen = np.fromiter((row["index"] for row in kept), dtype=np.int64)
        self._starts: npt.NDArray[np.int64] = offsets[chosen]
        self._ends: npt.NDArray[np.int64] = np.cumsum(offsets[chosen + 1] - offsets[chosen])
        held = int(self._ends[-1]) if len(chosen) else 0
        self._bounds = self._packed_windows(chosen)
        # A window of its own loses the prediction of its first token, a stream that of one token in all.
        self.tokens = held if self._bounds is None else held - (len(self._bounds) - 1) + 1
        if self.tokens < 2:
            raise UserError(f"{artifact.name}: no tokens to train on")

    def _packed_windows(self, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
        """Return int64[windows + 1]: where the chosen sequences of each window start; None for a stream."""
        windows = self.reader.windows()
        if windows is None:
            return None
        if self.reader.info.sequence != self._sequence:
            raise UserError(
                f"{self.name}: its documents were packed into windows of {self.reader.info.sequence} tokens, training"
                f" takes {self._sequence}",
                "set the same `sequence` in both",
            )
        counts = np.diff(np.searchsorted(chosen, windows))
        # A window of which nothing was chosen is none.
        return np.concatenate([[0], np.cumsum(counts[counts > 0])]).astype(np.int64)

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return -(-(self.tokens - 1) // self._sequence) if self._bounds is None else len(self._bounds) - 1

    def predicted(self, windows: npt.NDArray[np.int64]) -> int:
        """Return how many tokens these windows predict, each as one sequence."""
        if self._bounds is not None:
            ends = np.concatenate([[0], self._ends])[self._bounds]
            return int((ends[windows + 1] - ends[windows] - 1).sum())
        short = self.windows * self._sequence - (self.tokens - 1)
        return int(len(windows) * self._sequence - short * (windows == self.windows - 1).sum())

    def read(self, window: int, *, respect_documents: bool) -> list[Sample]:
        """Return the window as one sequence, or as one a document (each predicts only within itself)."""
        if self._bounds is None:
            pieces = self._cut(window * self._sequence)
        else:
            pieces = [self._piece(number) for number in range(*self._bounds[window : window + 2].tolist())]
        pieces = [piece for piece in pieces if len(piece)]
        if not respect_documents:
            pieces = [np.concatenate(pieces)]
        return [Sample(str(window), piece, np.ones(len(piece), np.bool_)) for piece in pieces]

    def _cut(self, start: int) -> list[npt.NDArray[np.int32]]:
        """Return the documents' shares of the window of the stream that starts at `start`."""
        stop = min(start + self._sequence + 1, self.tokens)
        pieces = []
        document = int(np.searchsorted(self._ends, start, side="right"))
        while start < stop:
            end = min(int(self._ends[document]), stop)
            first = int(self._starts[document]) + start - (int(self._ends[document - 1]) if document else 0)
            pieces.append(np.asarray(self.reader.tokens[first : first + end - start], dtype=np.int32))
            start, document = end, document + 1
        return pieces

    def _piece(self, number: int) -> npt.NDArray[np.int32]:
        """Return one of the chosen sequences."""
        size = int(self._ends[number]) - (int(self._ends[number - 1]) if number else 0)
        first = int(self._starts[number])
        return np.asarray(self.reader.tokens[first : first + size], dtype=np.int32)


@dataclass(frozen=True)
class Mixture:
    """Which window of which source comes when.

    Args:
        source: [windows] the number of the source.
        window: [windows] the number of its window.
        tokens: predicted tokens of each source.
    """

    source: npt.NDArray[np.int32]
    window: npt.NDArray[np.int64]
    tokens: tuple[int, ...]


def quotas(
    sources: Sequence[Source],
    sequence: int,
    *,
    tokens: int | None,
    epochs: float | None,
    replayed: Sequence[Source] = (),
    replay_ratio: float = 0.0,
) -> list[int]:
    """Return how many windows each source is to give, those of `sources` first.

    With a budget of `tokens`, `ratio` is the source's weight in it, and without any ratio the sources count by their
    size. With `epochs`, `ratio` multiplies the source's own windows, as it does everywhere else in a recipe. Sources that
    are replayed make up `replay_ratio` of all windows, shared among them by the same weights.

    Raises:
        UserError: if neither or both are given, only some sources have a ratio, or nothing is left to train on.
    """
    share = replay_ratio if replayed else 0.0
    if tokens is not None and epochs is None:
        budget = tokens / sequence * (1 - share)
        wanted = [budget * weight for weight in _weights(sources, "data")]
    elif epochs is not None and tokens is None:
        wanted = [
            epochs * source.windows * (1.0 if source.ratio is None else source.ratio) for source in sources
        ]
    else:
        raise UserError("give either tokens (a budget) or epochs (passes over the data)")
    if not any(wanted):
        raise UserError("data: every source has ratio 0")
    if share:
        budget = sum(wanted) * share / (1 - share)
        wanted += [budget * weight for weight in _weights(replayed, "replay")]
    # A source that is wanted at all gives one window at least.
    return [max(round(windows), 1) if windows > 0 else 0 for windows in wanted]


def _weights(sources: Sequence[Source], parameter: str) -> list[float]:
    """Return each source's share of a budget: by its ratio, or by its size where none has one."""
    given = [source.ratio for source in sources if source.ratio is not None]
    if given and len(given) < len(sources):
        bare = next(source.name for source in sources if source.ratio is None)
        raise UserError(
            f"{parameter}: '{bare}' has no ratio, another source has", "give every source one, or none"
        )
    weights = given or [float(source.tokens) for source in sources]
    return [weight / (sum(weights) or 1.0) for weight in weights]


def mix(sources: Sequence[Source], counts: Sequence[int], *, seed: int, stage: str) -> Mixture:
    """Return the order of all windows.

    Each pass over a source is a permutation of its windows keyed by (seed, stage, source's number, epoch); the j-th of a
    source's n windows stands at (j + ½)/n of the whole, so that every stretch of training has the mixture's proportions.
    """
    numbers, windows, places = [], [], []
    for number, (source, count) in enumerate(zip(sources, counts, strict=True)):
        passes = -(-count // source.windows)
        order = [
            generator(seed, f"{stage} windows", f"{number}:{epoch}").permutation(source.windows)
            for epoch in range(passes)
        ]
        if count:
            windows.append(np.concatenate(order)[:count].astype(np.int64))
            numbers.append(np.full(count, number, dtype=np.int32))
            places.append((np.arange(count) + 0.5) / count)
    ranked = np.lexsort((np.concatenate(numbers), np.concatenate(places)))
    source_of = np.concatenate(numbers)[ranked]
    window_of = np.concatenate(windows)[ranked]
    given = []
    for number, source in enumerate(sources):
        given.append(source.predicted(window_of[source_of == number]))
    return Mixture(source_of, window_of, tuple(given))
