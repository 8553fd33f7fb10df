"""A scan as it is kept: a folder.

    rows.parquet    scores: every figure, `metric` events_per_1000 or responses_with_any
    events.jsonl    every leaking response whole, with what was asked and its events: what repair mines
    summary.json    the summary, as `watari leakage scan --json` prints it last
    index.html      the page

Nothing in it depends on time: the same responses give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from watari.artifact import atomic
from watari.artifact.kinds import Kind
from watari.artifact.rows import ROWS, write_rows
from watari.leakage.scan import Scanned
from watari.leakage.summary import Summary
from watari.leakage.tally import Count, Figure
from watari.leakage.worst import Worst

EVENTS, SUMMARY, PAGE = "events.jsonl", "summary.json", "index.html"
SPEC = "leakage/1"
RATE, SHARE = "events_per_1000", "responses_with_any"
_DIGITS = 6
_SHOWN, _A_PROMPT = 200, 8


class Leaks:
    """Writes leaking responses as they are found, and keeps the worst of them for the page.

    Used in a `with` it leaves no half a file behind where the scan ends early.

    Args:
        out: The folder; it is made.
    """

    def __init__(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.worst = Worst(_SHOWN, _A_PROMPT)
        self.count = 0
        self._final = out / EVENTS
        self._temporary = out / f".{EVENTS}.part"
        self._file: IO[str] = self._temporary.open("w", encoding="utf-8", newline="\n")

    def add(self, scanned: Scanned) -> None:
        """Take a response; one without events is passed over."""
        if not scanned.events:
            return
        self.count += 1
        self.worst.add(scanned)
        self._file.write(json.dumps(leak_row(scanned), ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Give the file its name."""
        self._file.close()
        self._temporary.replace(self._final)

    def __enter__(self) -> Leaks:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(
            OSError
        ):  # on a full disk what is left to write fails again; why the scan ended is known
            self._file.close()
        self._temporary.unlink(missing_ok=True)


def foreign_file(out: Path) -> str | None:
    """Return the name of a file in a folder that a scan would write over though no scan wrote it; None: there is none."""
    if all((out / name).is_file() for name in (EVENTS, SUMMARY)):
        return None
    return next((name for name in (EVENTS, SUMMARY, PAGE, ROWS) if (out / name).exists()), None)


def leak_row(scanned: Scanned) -> dict[str, Any]:
    """Return a leaking response as a row of `events.jsonl`."""
    row = scanned.row
    return {
        **row.columns,
        "id": row.id,
        "prompt_id": row.prompt_id,
        "messages": [dict(message) for message in row.messages],
        "response": row.response,
        "expected_lang": scanned.expected,
        "licensed": row.licensed,
        "events": [event.as_json() for event in scanned.events],
    }


def write_scan(out: Path, summary: Summary, leaks: Leaks, *, title: str = "") -> None:
    """Write everything beside the leaking responses, and close their file."""
    from watari.leakage.page.page import page

    leaks.close()
    write_scores(out, summary)
    atomic.write_json(out / SUMMARY, summary.as_json())
    atomic.write_text(out / PAGE, page(summary, leaks.worst.quotes(), title=title))


def write_scores(out: Path, summary: Summary) -> None:
    """Write `rows.parquet`: the figures as rows of kind scores."""
    write_rows(out / ROWS, Kind.SCORES, score_rows(summary))


def score_rows(summary: Summary) -> Iterator[dict[str, Any]]:
    """Yield a row for each figure. `group` is `all`, a class, `leaked ja`, `expected en`, `expected en/leaked ja`, or a value
    of a column: `temperature=0.7`, `model=m/temperature=0.7`."""
    yield from _two("all", summary.total)
    for cls, count in summary.by_class.items():
        yield from _two(cls, count)
    for language, count in summary.by_language.items():
        yield from _two(f"leaked {language}", count)
    for language, count in summary.by_expected.items():
        yield from _two(f"expected {language}", count)
    for (own, leaked), count in summary.crossed.items():
        yield from _two(f"expected {own}/leaked {leaked}", count)
    for curve in summary.curves:
        series = "".join(f"{column}={value}/" for column, value in curve.series.items())
        for value, count in zip(curve.values, curve.counts, strict=True):
            yield from _two(f"{series}{curve.column}={value}", count)


def _two(group: str, count: Count) -> Iterator[dict[str, Any]]:
    for metric, figure in ((RATE, count.rate), (SHARE, count.share)):
        yield {
            "metric": metric,
            "group": group,
            "value": _rounded(figure.value),
            "n": count.responses,
            "invalid": 0,
            "stderr": _rounded(figure.stderr),
            "ci_low": _rounded(figure.low),
            "ci_high": _rounded(figure.high),
            "spec": SPEC,
            "judge": None,
            "runs": 1,
            "events": count.events,
            "characters": count.characters,
            "prompts": count.prompts,
        }


def figure_json(figure: Figure) -> dict[str, Any]:
    """Return a figure as a manifest's metrics hold it."""
    return {
        "value": _rounded(figure.value),
        "ci_low": _rounded(figure.low),
        "ci_high": _rounded(figure.high),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
