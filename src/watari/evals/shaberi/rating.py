"""Reading a rating out of a judge's text: upstream's parsers of all vintages, as the spec lists them.

The first rule that finds something decides, as upstream: where the number that it finds is none (`8.5.`), the text is
unreadable, and no later rule is tried. A number is rounded half to even: `8.5` is 8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from watari.artifact.reading import ReadOptions, read_records
from watari.artifact.records import Fault
from watari.errors import UserError
from watari.evals.folder import JUDGMENTS, is_evaluation
from watari.evals.shaberi.spec import Benchmark, ShaberiSpec

NO_RATING = "no rating"
NOT_A_NUMBER = "not a number"
NO_TEXT = "no text"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read out of one text.

    Args:
        rating: On the judge's own scale; None if there is none.
        reason: Why not; "" if there is one.
    """

    rating: float | None
    reason: str = ""


def read_rating(spec: ShaberiSpec, text: str | None, dataset: Benchmark | None = None) -> Reading:
    """Return the rating that a judge's text gives.

    Args:
        spec: Whose rules.
        text: All that the judge said.
        dataset: Which benchmark it rates an answer of; None: only rules that hold for all are tried.
    """
    if text is None or not text.strip():
        return Reading(None, NO_TEXT)
    for rule in spec.rating:
        if rule.datasets and (dataset is None or dataset.short not in rule.datasets):
            continue
        if rule.pattern is None:
            return _number([text.strip()], "first", NO_RATING)
        found = _compiled(rule.pattern).findall(text)
        if found:
            return _number(found, rule.take, NOT_A_NUMBER)
    return Reading(None, NO_RATING)


def second_reading(spec: ShaberiSpec, text: str) -> Reading:
    """Return the rating in the answer to the second request, which asks for the number alone: by the first rule, or bare."""
    first = spec.rating[0]
    found = _compiled(first.pattern).findall(text) if first.pattern else []
    return _number(found or [text.strip()], first.take, NO_RATING)


def rate_rows(spec: ShaberiSpec, rows: Iterable[Mapping[str, Any]]) -> list[Reading]:
    """Return what each row's text (`judge_output`, `judgment` or `text`) says; `dataset` in a row says what it rates."""
    return [read_rating(spec, judge_text(row), dataset_of(spec, row)) for row in rows]


def rate_file(spec: ShaberiSpec, path: Path) -> list[dict[str, Any]]:
    """Return every row of a file (or of an evaluation folder) with what its text says, held against what is stored.

    [{"row", "question_id", "model", "turn", "rating", "stored", "same", "reason"}]: `same` is null where the row has no text
    or no `score` to hold it against.

    Raises:
        UserError: for a file that cannot be read, or in which no row has a judge's text.
    """
    rows: list[Mapping[str, Any]] = []
    if is_evaluation(path):
        path = path / JUDGMENTS
    for record in read_records(str(path), ReadOptions()):
        if isinstance(record, Fault):
            raise UserError(str(record), "mend the file, or take the row out")
        rows.append(record.row)
    if all(judge_text(row) is None for row in rows):
        raise UserError(
            f"{path}: no judge's text in it", "rows with judge_output, judgment or text are wanted"
        )
    return [
        _held(row, read, number)
        for number, (row, read) in enumerate(zip(rows, rate_rows(spec, rows), strict=True), 1)
    ]


def _held(row: Mapping[str, Any], read: Reading, number: int) -> dict[str, Any]:
    score = row.get("score", row.get("rating"))
    stored = score.get("score") if isinstance(score, dict) else score
    if isinstance(stored, bool) or not isinstance(stored, int | float) or stored == -1:
        stored = None
    compared = ("score" in row or "rating" in row) and judge_text(row) is not None
    return {
        "row": number,
        "question_id": next((row[name] for name in ("question_id", "n", "id") if name in row), None),
        "model": row.get("model"),
        "turn": row.get("turn", 1),
        "rating": read.rating,
        "stored": stored,
        "same": (read.rating == stored) if compared else None,
        "reason": read.reason,
    }


def judge_text(row: Mapping[str, Any]) -> str | None:
    """Return the judge's text of a row, whatever its field is called; None if it has none."""
    for field in ("judge_output", "judgment", "text"):
        if isinstance(value := row.get(field), str):
            return value
    # Upstream once stored the whole record where the number should stand: {"score": {"score": null, "judge_output": ...}}.
    return judge_text(raw) if isinstance(raw := row.get("score"), dict) else None


def dataset_of(spec: ShaberiSpec, row: Mapping[str, Any]) -> Benchmark | None:
    """Return which benchmark a row belongs to, where it says so in a field that is known."""
    for field in ("dataset", "eval_dataset", "category"):
        if isinstance(name := row.get(field), str) and (found := spec.dataset(name)) is not None:
            return found
    return None


def _number(found: list[str], take: str, reason: str) -> Reading:
    picked = found if take == "mean" else [found[0] if take == "first" else found[-1]]
    try:
        values = [_float(text) for text in picked]
    except ValueError:
        return Reading(None, reason)
    return Reading(float(round(sum(values) / len(values))))


def _float(text: str) -> float:
    value = float(text)
    if not -1e6 < value < 1e6:  # also not NaN: nobody rates so, and round() would refuse
        raise ValueError(text)
    return value


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


__all__ = ["Reading", "dataset_of", "judge_text", "rate_file", "rate_rows", "read_rating", "second_reading"]
