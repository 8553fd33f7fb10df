"""Stops a corpus in which deduplication has eaten more than anybody would expect."""

from __future__ import annotations

from watari.corpus.dedup.clusters import DedupResult
from watari.corpus.dedup.params import DedupParams
from watari.errors import StageFailed


def guard(result: DedupResult, params: DedupParams) -> None:
    """Return if the duplicates are believable.

    Raises:
        StageFailed: where one cluster holds more than `max_cluster_share` of the documents, or a source loses
            more than `max_source_loss` of its own; it names the source, the sizes and the survivor of the
            largest cluster.
    """
    for name, source in result.sources.items():
        if source.documents < params.guard_documents or source.largest is None:
            continue
        share = source.lost / source.documents
        if share > params.max_source_loss:
            raise StageFailed(
                f"source {name!r} loses {source.lost:,} of {source.documents:,} documents ({share:.1%}) to"
                f" duplicates ({source.exact:,} exact, {source.near:,} near); its largest cluster has"
                f" {source.largest.size:,} documents and keeps {source.largest.survivor}",
                "look at that document; if the loss is meant, set dedup.max_source_loss: 1 and build anew",
            )
    largest = result.largest
    if largest is None or largest.size < params.guard_documents:
        return
    share = largest.size / result.documents
    if share > params.max_cluster_share:
        names = [name for name, source in result.sources.items() if source.largest == largest]
        raise StageFailed(
            f"one cluster holds {largest.size:,} of {result.documents:,} documents ({share:.1%}); it keeps"
            f" {largest.survivor} and takes from source {', '.join(map(repr, names))}",
            "look at that document; if they are duplicates, set dedup.max_cluster_share: 1 and build anew",
        )
