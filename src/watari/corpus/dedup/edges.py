"""Which documents are duplicates of which: a task looks at one range of hashes and band keys, over all
pieces.

A pair of documents whose texts differ is written down only if their signatures agree. Texts that are the same
meet in every band, so the one with the smallest key stands for all.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from watari.artifact.atomic import write_bytes, write_json
from watari.corpus.dedup.arrays import Arrays, Rows, Words64, by_key
from watari.corpus.dedup.params import DedupParams
from watari.errors import UserError
from watari.kernels import lsh

Pairs = npt.NDArray[np.uint64]
"""Pairs of documents, each packed into one word: the first one's number in the high half."""

TASK_DOCUMENTS = 1 << 20
"""Documents of which a task sorts one band's share at a time: some 0.2 GB."""

SMALL_TASK = 20_000
"""Documents below which another task is not worth its start."""

FEW_TASKS = 8
"""Tasks of a corpus that would fit into one, so that several workers have something to do."""

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def edge_tasks(folder: Path, pieces: int, params: DedupParams) -> int:
    """Return the number of tasks of `find_edges`, and write down what they need to know of the pieces.

    Args:
        folder: With the arrays of the pieces 0 … `pieces` - 1.
        pieces: How many there are.
        params: The same in every step.

    Raises:
        UserError: for 2**32 documents or more.
    """
    arrays = Arrays.of(folder, pieces, params)
    documents = len(arrays)
    if documents >= 1 << 32:
        raise UserError(
            f"{documents:,} documents: deduplication takes fewer than {1 << 32:,}",
            "build the corpus in parts",
        )
    few = min(FEW_TASKS, documents // SMALL_TASK)
    tasks = max(1, few, -(-documents // TASK_DOCUMENTS))
    write_json(folder / "plan.json", {"tasks": tasks, "rows": arrays.rows, "signed": arrays.signed})
    return tasks


def planned(folder: Path, params: DedupParams) -> tuple[Arrays, int]:
    """Return (the arrays, the number of tasks) as `edge_tasks` wrote them down."""
    plan = json.loads((folder / "plan.json").read_bytes())
    return Arrays(folder, plan["rows"], plan["signed"], params.words), plan["tasks"]


def edges_file(folder: Path, kind: str, task: int) -> Path:
    """Return where a task writes its `exact` or `near` pairs."""
    return folder / "edges" / f"{kind}-{task:05d}"


def unpacked(pairs: Pairs) -> tuple[Rows, Rows]:
    """Return the documents of packed pairs: (first, second), int64."""
    return (pairs >> _HALF).astype(np.int64), (pairs & _LOW).astype(np.int64)


def _packed(left: Rows, right: Rows) -> Pairs:
    return left.astype(np.uint64) << _HALF | right.astype(np.uint64)


def find_edges(folder: Path, task: int, params: DedupParams) -> None:
    """Write the pairs that the task's range holds: exact ones (the one that stands for the text, another),
    and near ones.

    The ranges are parts of the hashes, so that a bucket lies in one range whole, whatever their number.
    """
    arrays, tasks = planned(folder, params)
    first, last = (task << 64) // tasks, (task + 1 << 64) // tasks - 1
    exact = near = settled = np.zeros(0, np.uint64)
    if params.exact:
        exact = _exact_pairs(arrays, *arrays.exact_range(first, last))
    for band in range(params.bands if params.near else 0):
        keys, documents = _met(*arrays.band_range(band, first, last))
        new, settled = _unsettled(keys, documents, settled)
        near = _near_pairs(arrays, keys[new], documents[new], near, params)
    write_bytes(edges_file(folder, "exact", task), exact.tobytes())
    write_bytes(edges_file(folder, "near", task), near.tobytes())


def _exact_pairs(arrays: Arrays, hashes: Words64, documents: Rows) -> Pairs:
    _, documents = _met(hashes, documents)
    exact = arrays.exact(documents)
    order = by_key(arrays.keys(documents), exact[:, 0], exact[:, 1])
    documents, exact = documents[order], exact[order]
    new = _changes(exact[:, 0]) | _changes(exact[:, 1])
    standing = documents[new][np.cumsum(new) - 1] if len(new) else documents
    return np.sort(_packed(standing[~new], documents[~new]))


def _unsettled(keys: Words64, documents: Rows, settled: Pairs) -> tuple[npt.NDArray[np.bool_], Pairs]:
    """Return (which members are to be looked at, `settled` with the buckets of two that are).

    Most buckets are two documents that have met in another band already; what was found of them then still
    holds.
    """
    starts = np.flatnonzero(_changes(keys))
    two = starts[np.diff(np.append(starts, len(keys))) == 2]
    one, other = documents[two], documents[two + 1]
    pairs = _packed(np.minimum(one, other), np.maximum(one, other))
    met = _among(pairs, settled)
    new = np.ones(len(keys), bool)
    new[two[met]] = new[two[met] + 1] = False
    return new, np.sort(np.concatenate([settled, pairs[~met]]))


def _near_pairs(arrays: Arrays, keys: Words64, documents: Rows, known: Pairs, params: DedupParams) -> Pairs:
    """Return `known` with the similar pairs of some buckets (members side by side), sorted, each once."""
    exact, names = arrays.exact(documents), arrays.keys(documents)
    order = by_key(names, keys, exact[:, 0], exact[:, 1])
    new = _changes(keys[order]) | _changes(exact[order, 0]) | _changes(exact[order, 1])
    kept = order[new]  # of each text in a bucket, the one with the smallest key
    kept = kept[by_key(names[kept], keys[kept])]
    keys, documents = keys[kept], documents[kept]
    del exact, names, order, new, kept

    def similar(left: Rows, right: Rows) -> npt.NDArray[np.bool_]:
        pairs = _packed(documents[left], documents[right])
        met = _among(pairs, known)
        asked = np.flatnonzero(~met)
        same = arrays.agreement(documents[left[asked]], documents[right[asked]])
        met[asked] = agrees(same, params)
        return met

    left, right = lsh.pairs(keys, similar)
    found = np.sort(np.concatenate([known, _packed(documents[left], documents[right])]))
    return found[_changes(found)]


def _among(pairs: Pairs, known: Pairs) -> npt.NDArray[np.bool_]:
    if not len(known):
        return np.zeros(len(pairs), bool)
    places = np.minimum(np.searchsorted(known, pairs), len(known) - 1)
    found: npt.NDArray[np.bool_] = known[places] == pairs
    return found


def agrees(same: npt.NDArray[np.uint16], params: DedupParams) -> npt.NDArray[np.bool_]:
    """Return whether signatures that agree in so many words belong to near duplicates."""
    return same >= np.float64(params.threshold) * params.words


def _met(hashes: Words64, documents: Rows) -> tuple[Words64, Rows]:
    """Return (hashes, documents) of those alone whose hash occurs more than once, sorted by hash."""
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    new = np.concatenate([_changes(hashes), [True]])
    shared = ~(new[:-1] & new[1:])
    return hashes[shared], documents[order[shared]]


def _changes(sorted_words: Words64) -> npt.NDArray[np.bool_]:
    """Return whether each word differs from the one before it; the first one does."""
    changed = np.ones(len(sorted_words), bool)
    np.not_equal(sorted_words[1:], sorted_words[:-1], out=changed[1:])
    return changed
