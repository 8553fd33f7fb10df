"""From pairs to decisions: which document of each cluster stays, and in whose place every other one goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from watari.artifact.stage import Progress, stop_if_asked
from watari.corpus.dedup.arrays import Arrays, Rows, Words64, by_key, hex_of
from watari.corpus.dedup.decisions import EXACT, KEPT, NEAR, empty_records, save_decisions
from watari.corpus.dedup.edges import Pairs, agrees, edges_file, planned, unpacked
from watari.corpus.dedup.params import DedupParams
from watari.kernels import lsh, unionfind

LEADERS = 1024
"""Survivors of a component with which its other documents are compared; past that, a document stays."""

_READ = 1 << 19  # pairs read at a time
_NODES = 1 << 17  # documents whose signatures are held at a time: some 60 MB
_DECIDED = 1 << 18  # documents whose decisions are made at a time


class Cluster(BaseModel):
    """A document that stays and those that go for it."""

    model_config = ConfigDict(frozen=True)
    survivor: str
    """Its key."""
    size: int
    """Documents, the survivor included."""


class SourceLoss(BaseModel):
    """What a source loses."""

    model_config = ConfigDict(frozen=True)
    documents: int
    exact: int
    near: int
    largest: Cluster | None
    """The largest cluster for which the source loses a document."""

    @property
    def lost(self) -> int:
        """Documents that go."""
        return self.exact + self.near


class DedupResult(BaseModel):
    """What deduplication found; the decisions on the rows lie beside the arrays of their pieces."""

    model_config = ConfigDict(frozen=True)
    documents: int
    exact: int
    near: int
    clusters: dict[int, int]
    """How many clusters have how many documents; a document without duplicates is a cluster of 1."""
    largest: Cluster | None
    """The largest cluster of at least two."""
    sources: dict[str, SourceLoss]


@dataclass
class _Clusters:
    """Of every document, by its number; 7 bytes each."""

    survivor: npt.NDArray[np.uint32]
    agreement: npt.NDArray[np.uint16]
    kind: npt.NDArray[np.uint8]


def resolve(folder: Path, params: DedupParams, progress: Progress) -> DedupResult:
    """Write the decisions on every row of every piece; return the counts.

    Near duplicates that the pairs connect are one component; in it, the document with the smallest key stays,
    and all whose signatures agree with its own go; of the others again the smallest stays, and so on. A
    document whose text is another's goes where that one goes.

    Raises:
        Interrupted: if the user asked to stop.
    """
    arrays, tasks = planned(folder, params)
    clusters = _clustered(arrays, tasks, params, progress)
    _follow_texts(arrays, tasks, clusters)
    size = np.zeros(len(arrays), np.uint32)
    for start in range(0, len(arrays), _DECIDED):
        np.add.at(size, clusters.survivor[start : start + _DECIDED], np.uint32(1))
    return _decided(arrays, clusters, size, progress)


def _pairs(folder: Path, kind: str, tasks: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield the pairs of all tasks, a part of a file at a time."""
    for task in range(tasks):
        path = edges_file(folder, kind, task)
        count = path.stat().st_size // 8
        for start in range(0, count, _READ):
            part: Pairs = np.fromfile(path, np.uint64, min(_READ, count - start), offset=8 * start)
            yield unpacked(part)


def _clustered(arrays: Arrays, tasks: int, params: DedupParams, progress: Progress) -> _Clusters:
    """Return the clusters of texts that differ."""
    size = len(arrays)
    component = unionfind.singles(size)
    paired = np.zeros(size, bool)
    for left, right in _pairs(arrays.folder, "near", tasks):
        stop_if_asked(progress)
        unionfind.join(component, left.astype(np.uint32), right.astype(np.uint32))
        paired[left] = True
        paired[right] = True
    unionfind.flatten(component)
    documents = np.flatnonzero(paired)
    del paired
    roots = component[documents]
    clusters = _Clusters(component, np.zeros(size, np.uint16), np.zeros(size, np.uint8))
    # From here on `component` holds survivors: every document its own, until another one is found for it.
    clusters.survivor[documents] = documents
    order = np.argsort(roots, kind="stable")
    documents, roots = documents[order], roots[order]
    for start, stop in _parts(roots):
        stop_if_asked(progress)
        _lead(arrays, documents[start:stop], roots[start:stop], clusters, params)
        progress.update(stop, len(documents), unit="documents", note="near duplicates")
    return clusters


def _parts(roots: npt.NDArray[np.uint32]) -> Iterator[tuple[int, int]]:
    """Yield ranges of whole components, of `_NODES` documents or of one component that is larger."""
    start = 0
    while start < len(roots):
        stop = min(start + _NODES, len(roots))
        if stop < len(roots):
            cut = int(np.searchsorted(roots, roots[stop], side="left"))
            stop = cut if cut > start else int(np.searchsorted(roots, roots[start], side="right"))
        yield start, stop
        start = stop


def _lead(
    arrays: Arrays, documents: Rows, roots: npt.NDArray[np.uint32], clusters: _Clusters, params: DedupParams
) -> None:
    """Decide on whole components."""
    order = by_key(arrays.keys(documents), roots)
    documents, roots = documents[order], roots[order]

    def similar(members: Rows, leaders: Rows) -> npt.NDArray[np.bool_]:
        same = arrays.agreement(documents[members], documents[leaders])
        clusters.agreement[documents[members]] = same
        return agrees(same, params)

    followers, leaders, _ = lsh.led(
        np.arange(len(documents), dtype=np.int64), roots.astype(np.int64), similar, LEADERS
    )
    clusters.survivor[documents[followers]] = documents[leaders]
    clusters.kind[documents[followers]] = NEAR


def _follow_texts(arrays: Arrays, tasks: int, clusters: _Clusters) -> None:
    """Let every document follow the one that stands for its text."""
    for standing, other in _pairs(arrays.folder, "exact", tasks):
        clusters.survivor[other] = clusters.survivor[standing]
        clusters.agreement[other] = clusters.agreement[standing]
        clusters.kind[other] = np.where(clusters.kind[standing] == KEPT, EXACT, NEAR)


@dataclass
class _Tally:
    documents: int = 0
    exact: int = 0
    near: int = 0
    largest: Cluster | None = None

    def meet(self, sizes: npt.NDArray[np.uint32], keys: Words64) -> None:
        """Take the clusters of documents that go: their sizes and the keys of their survivors."""
        if not len(sizes):
            return
        rows = np.flatnonzero(sizes == sizes.max())
        row = rows[by_key(keys[rows])[0]]
        found = Cluster(survivor=hex_of(keys[row : row + 1])[0], size=int(sizes[row]))
        if self.largest is None or (-found.size, found.survivor) < (
            -self.largest.size,
            self.largest.survivor,
        ):
            self.largest = found

    def loss(self) -> SourceLoss:
        return SourceLoss(documents=self.documents, exact=self.exact, near=self.near, largest=self.largest)


def _decided(
    arrays: Arrays, clusters: _Clusters, size: npt.NDArray[np.uint32], progress: Progress
) -> DedupResult:
    """Write the decisions, some pieces at a time."""
    tallies: dict[str, _Tally] = {}
    piece = 0
    while piece < len(arrays.rows):
        stop_if_asked(progress)
        last = int(np.searchsorted(arrays.starts, arrays.starts[piece] + _DECIDED, side="right")) - 1
        last = max(piece + 1, min(last, len(arrays.rows)))
        start, stop = int(arrays.starts[piece]), int(arrays.starts[last])
        part = slice(start, stop)
        records = empty_records(stop - start)
        records["key"] = arrays.keys(np.arange(start, stop, dtype=np.int64))
        records["survivor"] = arrays.keys(clusters.survivor[part].astype(np.int64))
        records["size"] = size[clusters.survivor[part]]
        records["agreement"] = clusters.agreement[part] * (clusters.kind[part] == NEAR)
        records["kind"] = clusters.kind[part]
        for number in range(piece, last):
            own = records[arrays.starts[number] - start : arrays.starts[number + 1] - start]
            save_decisions(arrays.folder, number, own)
            names, codes = arrays.sources(number)
            for code, name in enumerate(names):
                _count(tallies.setdefault(name, _Tally()), own[codes == code])
        progress.update(stop, len(arrays), unit="documents", note="decisions")
        piece = last
    kept = clusters.kind == KEPT
    sizes, counts = np.unique(size[kept], return_counts=True)
    largest = [tally.largest for tally in tallies.values() if tally.largest is not None]
    return DedupResult(
        documents=len(arrays),
        exact=int(np.count_nonzero(clusters.kind == EXACT)),
        near=int(np.count_nonzero(clusters.kind == NEAR)),
        clusters=dict(zip(sizes.tolist(), counts.tolist(), strict=True)),
        largest=min(largest, key=lambda one: (-one.size, one.survivor), default=None),
        sources={name: tallies[name].loss() for name in sorted(tallies)},
    )


def _count(tally: _Tally, records: npt.NDArray[np.void]) -> None:
    gone = records[records["kind"] != KEPT]
    tally.documents += len(records)
    tally.exact += int(np.count_nonzero(gone["kind"] == EXACT))
    tally.near += int(np.count_nonzero(gone["kind"] == NEAR))
    tally.meet(gone["size"], gone["survivor"])
