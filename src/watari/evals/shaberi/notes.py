"""What a reader of a result of the family shaberi must be told beside its figures."""

from __future__ import annotations

from collections.abc import Sequence

from watari.evals.shaberi.sheets import Read
from watari.evals.shaberi.spec import Benchmark, ShaberiSpec
from watari.pages.noted import Note

Counted = tuple[Benchmark, Sequence[str], Sequence[int], int]
"""A benchmark, the item and the run of each of its ratings, and how many ratings lie outside of its scale."""


def notes_of(spec: ShaberiSpec, present: Sequence[Counted], read: Read, model: str) -> list[str]:
    """Return the notes on one model's ratings by one judge.

    Args:
        spec: What counts.
        present: Its benchmarks that there are ratings of, in the order of the tables.
        read: What the files hold, with what reading them said.
        model: Whose.
    """
    return [
        *_lacking(spec, [dataset.short for dataset, _, _, _ in present]),
        *(note for one in present for note in _of_benchmark(*one)),
        *read.notes.get(model, []),
        *read.notes.get("", []),
    ]


def _lacking(spec: ShaberiSpec, there: Sequence[str]) -> list[Note]:
    lacking = [one.short for one in spec.datasets if one.short not in there]
    if len(lacking) == len(spec.datasets):
        return [
            Note(
                f"questions of one's own, none of {spec.name}'s benchmarks",
                f"独自の問題だけで、{spec.name} のベンチマークは含まれていません",
            )
        ]
    if not lacking:
        return []
    return [
        Note(
            f"no ratings on {', '.join(lacking)}: the average is over {', '.join(sorted(there))} alone",
            f"{'、'.join(lacking)} の評点がありません。平均は {'、'.join(sorted(there))} だけのものです",
        )
    ]


def _of_benchmark(dataset: Benchmark, items: Sequence[str], runs: Sequence[int], outside: int) -> list[Note]:
    short = dataset.short
    notes = []
    if others := sum(item.startswith("other ") for item in items):
        notes.append(
            Note(
                f"{short}: {others} of {len(items)} ratings are of questions outside of the benchmark",
                f"{short}：評点 {len(items)} 件のうち {others} 件は、ベンチマークにない問題のものです",
            )
        )
    if (twice := len(items) - len(set(zip(items, runs, strict=True)))) > 0:
        notes.append(
            Note(
                f"{short}: {twice} ratings of a question that has one already, averaged in",
                f"{short}：すでに評点のある問題への評点が {twice} 件あり、これも平均に含めています",
            )
        )
    if outside:
        low, high = dataset.scale
        notes.append(
            Note(
                f"{short}: {outside} ratings outside of {low:g} to {high:g}, averaged in as upstream does",
                f"{short}：{low:g}～{high:g} の範囲を外れた評点が {outside} 件あり、元の実装と同じく平均に含めています",
            )
        )
    return notes
