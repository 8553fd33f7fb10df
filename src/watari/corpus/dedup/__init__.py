"""Exact and near duplicates: which document of several stays, however the corpus is divided into pieces.

    with ArraysWriter(folder, piece, params) as writer:        # once a piece, while it is cleaned
        writer.add(table)                                      # every batch of kept rows, in order
    tasks = edge_tasks(folder, pieces, params)                 # once, when all pieces are there
    find_edges(folder, task, params)                           # once a task, in any process
    result = resolve(folder, params, progress)                 # once; writes each piece's decisions
    guard(result, params)
    decisions = load_decisions(folder, piece)                  # once a piece
    table = apply(table, decisions.of(start, stop), params)    # every batch, in the same order

Exact duplicates have the same text (xxh128). Near duplicates agree in at least `threshold` of the words of
their MinHash signatures, and it is the document that stays with which each dropped one agrees: nothing is
dropped because it resembles something that resembles something else. Of a cluster, the document with the
smallest key stays.
"""

from watari.corpus.dedup.arrays import ArraysWriter, signatures, write_arrays
from watari.corpus.dedup.clusters import DedupResult, SourceLoss, resolve
from watari.corpus.dedup.decisions import Decisions, apply, load_decisions
from watari.corpus.dedup.edges import edge_tasks, find_edges
from watari.corpus.dedup.guards import guard
from watari.corpus.dedup.params import DedupParams

__all__ = [
    "ArraysWriter",
    "Decisions",
    "DedupParams",
    "DedupResult",
    "SourceLoss",
    "apply",
    "edge_tasks",
    "find_edges",
    "guard",
    "load_decisions",
    "resolve",
    "signatures",
    "write_arrays",
]
