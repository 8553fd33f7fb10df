"""Figures and samples of the harness: what it printed, and what it says of each document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watari.errors import UserError
from watari.evals.harness.values import a_text, an_integer, rows_of, strings


@dataclass(frozen=True, slots=True)
class Printed:
    """A figure as the harness gives it.

    Args:
        metric, filter: What it is of; the filter is "none" where the task has none.
        value: As printed.
        stderr: As printed; None where the harness says N/A.
    """

    metric: str
    filter: str
    value: float
    stderr: float | None

    @property
    def label(self) -> str:
        """`METRIC`, or `METRIC,FILTER` where there is one."""
        return self.metric if self.filter == "none" else f"{self.metric},{self.filter}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One document under one filter.

    Args:
        doc: Which document: its number in the task.
        filter: The filter's name; "" in files that do not say.
        values: What each metric made of it.
        prompt: The text that was sent (of the first request).
        choices: The continuations that were compared; () for a generated answer.
        target: The right answer, as text.
        response: What the model said, or the likeliest continuation.
        filtered: What the filter made of it.
        room: Tokens that were kept free for the answer (`max_gen_toks`); 0 where nothing was generated.
        place: file:line.
    """

    doc: str
    filter: str
    values: Mapping[str, Any]
    prompt: str
    choices: tuple[str, ...]
    target: str
    response: str
    filtered: str
    room: int
    place: str


def samples_in(file: Path, figures: Sequence[Printed]) -> Iterator[Sample]:
    """Yield the samples of a file. Old files do not name the filter: its documents come again for each, in order."""
    filters = list(dict.fromkeys(figure.filter for figure in figures))
    seen: dict[str, int] = {}
    for row, place in rows_of(file):
        if not isinstance(row, dict) or "doc_id" not in row:
            raise UserError(
                f"{place}: not a sample of lm-evaluation-harness: it has no doc_id", "is the file whole?"
            )
        doc = a_text(row["doc_id"])
        name = row.get("filter")
        if name is None:
            turn = seen.get(doc, 0)
            seen[doc] = turn + 1
            name = filters[turn % len(filters)] if filters else "none"
        metrics = {figure.metric for figure in figures} | set(strings(row.get("metrics")))
        requests = _requests(row.get("arguments"))
        choices = _choices(requests)
        yield Sample(
            doc,
            str(name),
            {metric: row[metric] for metric in metrics if metric in row},
            requests[0][0] if requests else "",
            choices,
            a_text(row.get("target")),
            _said(row.get("resps"), choices),
            _said(row.get("filtered_resps"), choices),
            _room(row.get("arguments")),
            place,
        )


def _requests(given: Any) -> list[list[str]]:
    """Return the requests of a sample as lists of texts; both forms: a map of maps, a list of lists."""
    parts = list(given.values()) if isinstance(given, dict) else given if isinstance(given, list) else []
    return [
        [
            value if isinstance(value, str) else ""
            for value in (list(part.values()) if isinstance(part, dict) else part)
        ]
        for part in parts
        if isinstance(part, dict | list) and part
    ]


def _room(given: Any) -> int:
    """Return `max_gen_toks` of the first request; the harness's own 256 where a generated answer has none."""
    part = (
        next(iter(given.values()), None)
        if isinstance(given, dict)
        else given[0]
        if isinstance(given, list) and given
        else None
    )
    values = list(part.values()) if isinstance(part, dict) else part if isinstance(part, list) else []
    settings = values[1] if len(values) > 1 else None
    if not isinstance(settings, dict):
        return 0
    return an_integer(settings.get("max_gen_toks", 256)) or 0


def _choices(requests: Sequence[Sequence[str]]) -> tuple[str, ...]:
    if len(requests) < 2 or not all(len(request) > 1 and request[1] for request in requests):
        return ()
    return tuple(request[1] for request in requests)


def _said(given: Any, choices: Sequence[str]) -> str:
    """Return the text of an answer; of compared continuations, the likeliest."""
    if choices and isinstance(given, list) and len(given) >= len(choices):
        scores = [_first_number(part) for part in given[: len(choices)]]
        known = [(score, place) for place, score in enumerate(scores) if score is not None]
        return choices[max(known, key=lambda pair: (pair[0], -pair[1]))[1]] if known else ""
    while isinstance(given, list) and given:
        given = given[0]
    return given if isinstance(given, str) else "" if given in (None, []) else a_text(given)


def _first_number(given: Any) -> float | None:
    while isinstance(given, list) and given:
        given = given[0]
    try:
        return float(given)
    except (TypeError, ValueError):
        return None
