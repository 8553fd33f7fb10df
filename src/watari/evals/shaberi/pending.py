"""Sheets in the making: which item each rating belongs to, and what is a rating at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from watari.errors import UserError
from watari.evals.shaberi.sheets import RAW, UNREADABLE, Sheet
from watari.evals.shaberi.spec import Benchmark

_FAR = 1000.0


@dataclass(slots=True)
class Pending:
    """A sheet that is read rating by rating."""

    judge: str
    dataset: Benchmark
    model: str
    source: str
    scores: list[Any] = field(default_factory=list)
    numbers: list[int | str | None] = field(default_factory=list)
    questions: list[str | None] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Problem:
    """Stands for a rating that there is not, with the reason."""

    reason: str


def sheet_of(
    judge: str,
    dataset: Benchmark,
    model: str,
    names: tuple[str, ...],
    scores: Sequence[Any],
    source: str,
    runs: Sequence[int],
) -> Sheet:
    """Return a sheet of scores as they stand in a file.

    Raises:
        UserError: for a score far outside of the judge's scale, or NaN.
    """
    kinds = set(map(type, scores))
    if kinds == {int} and min(scores) > -_FAR and max(scores) < _FAR:
        ratings: tuple[float | None, ...] = tuple(scores)
        reasons: dict[int, str] = {}
    else:
        found = [number_of(score, dataset, source) for score in scores]
        reasons = {place: one.reason for place, one in enumerate(found) if isinstance(one, Problem)}
        ratings = tuple(None if isinstance(one, Problem) else one for one in found)
    runs = tuple(runs) if any(runs) else ()
    return Sheet(judge, dataset, model, names, ratings, reasons, runs, source)


def number_of(score: Any, dataset: Benchmark, place: str) -> float | Problem:
    """Return a score as a rating, or why it is none.

    Raises:
        UserError: if it is a number that no judge's scale has.
    """
    if score is None:
        return Problem(UNREADABLE)
    if isinstance(score, Problem):
        return score
    if isinstance(score, bool) or not isinstance(score, int | float):
        return Problem(RAW)
    if not abs(score) < _FAR:  # also NaN
        low, high = dataset.scale
        raise UserError(
            f"{place}: a score of {score!r:.40}, where the judge's scale is {low:g} to {high:g}",
            "null stands for an unreadable one",
        )
    return score


def base_questions(sheets: Iterable[Pending]) -> dict[str, dict[str, str]]:
    """Return, of each benchmark, the number of each question: from the sheets that have as many as it has items."""
    found: dict[str, dict[str, str]] = {}
    for one in sheets:
        if len(one.questions) == one.dataset.items and None not in one.questions:
            known = found.setdefault(one.dataset.short, {})
            if not known:
                known |= {str(text): str(place) for place, text in enumerate(one.questions, 1)}
    return found


def names_of(sheet: Pending, base: dict[str, str]) -> tuple[str, ...]:
    """Return which items the ratings of a sheet belong to: by their numbers, else their questions, else their places."""
    count = len(sheet.scores)
    if all(number is not None for number in sheet.numbers):
        return tuple(item_name(number) for number in sheet.numbers)
    if base and None not in sheet.questions:
        return tuple(base.get(str(text)) or f"other {_short(str(text))}" for text in sheet.questions)
    return plain_names(count)


def _short(text: str) -> str:
    from watari.artifact.hashing import hash_text

    return hash_text(text)[:8]


def item_name(number: Any) -> str:
    """Return an item's number as its name: 7, "7" and "007" are the same."""
    if isinstance(number, str) and number.isascii() and number.isdecimal():
        return number.lstrip("0") or "0"
    return str(number)


@cache
def plain_names(count: int) -> tuple[str, ...]:
    """Return the names of a benchmark's first items, the same tuple for the same count."""
    return tuple(str(number) for number in range(1, count + 1))


_ORDERS: dict[tuple[Any, ...], tuple[str, ...]] = {}


def ordered_names(order: tuple[Any, ...], items: int, place: str) -> tuple[str, ...]:
    """Return the items that `order` says, the same tuple for the same order; what is not among them gets its place."""
    for index in order:
        if index is not None and (
            isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < items
        ):
            raise UserError(f"{place}: `order` holds {index!r:.40}", f"0 to {items - 1}, or null, is wanted")
    known = _ORDERS.get(order)
    if known is None:
        total = len(order)
        known = _ORDERS[order] = tuple(
            f"other {at}/{total}" if index is None else str(index + 1) for at, index in enumerate(order, 1)
        )
    return known
