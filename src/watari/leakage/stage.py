"""`leakage.scan`: where responses slip into another language, how often, and every one of them for repair.

It takes generations, evaluations (their `generations.parquet`), and conversations: training data is scanned by the same rule
as what a model says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from watari.artifact.kinds import Kind
from watari.artifact.params import OneOrMore, OutsidePath, Responses, StageParams
from watari.artifact.records import Fault, OnError, Policy
from watari.artifact.rows import Ledger, copies, matches
from watari.artifact.stage import InputArtifact, Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.errors import UserError
from watari.text.leakage import Licensed

KIND = "leakage.scan"
_TELL = 200


class Params(StageParams):
    """Parameters of `leakage.scan`."""

    data: Annotated[list[Responses], OneOrMore] = Field(
        min_length=1,
        description="responses to scan: generations, evaluations, or the assistant's answers in conversations",
    )
    prompts: OutsidePath | None = Field(
        default=None,
        description="prompts of rows that hold none, one a line; joined by the columns that both have",
    )
    expected: str | None = Field(
        default=None,
        description="ISO 639 code of the language of rows that do not say theirs. Default: what the prompt asks for",
    )
    licensed: Licensed = Field(
        default="none",
        description="what rows that do not say so may hold in other languages: nothing, names, anything",
    )
    by: list[str] = Field(
        default=[],
        description="columns to draw curves by. Default: temperature and model, where they have several values",
    )
    on_error: OnError = Field(
        default="stop", description="rows that cannot be read: stop, or drop them into dropped.parquet"
    )

    @field_validator("expected")
    @classmethod
    def _is_code(cls, value: str | None) -> str | None:
        from watari.text.language_codes import is_language_code, language_code

        if value is not None and not is_language_code(language_code(value)):
            raise ValueError(f"{value!r} is no language code: write ja, en, ...")
        return value


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Scan: `rows.parquet` (scores), `events.jsonl` (every leaking response), `summary.json`, `index.html`, `dropped.parquet`.

    Metrics: rows_in, kept (judged), dropped, dropped_by_reason; events, leaking, characters, prompts; events_per_1000 and
    responses_with_any {value, ci_low, ci_high} in all and by_class; expected_from.

    Raises:
        UserError: for a row that cannot be read, under `on_error: stop`, or if no response can be judged.
    """
    from watari.leakage.curves import DEFAULTS
    from watari.leakage.reading import read
    from watari.leakage.scan import Scanned
    from watari.leakage.summary import Collector, collect, summarise
    from watari.leakage.writing import RATE, SHARE, Leaks, figure_json, write_scan

    started = time.monotonic()
    ledger = Ledger()
    policy = Policy(params.on_error, ledger)
    found = Collector(columns=tuple(params.by) or DEFAULTS)
    leaks = Leaks(out)
    for artifact in inputs.many("data"):

        def settle(fault: Fault, name: str = artifact.name) -> None:
            policy.settle(fault, source=name)

        rows = read([str(artifact.path)], prompts=params.prompts, keep=selected(artifact, params.seed))
        scanned: Iterator[Scanned] = iter(
            collect(rows, found, expected=params.expected, licensed=params.licensed, settle=settle)
        )
        for one in scanned:
            leaks.add(one)
            if not one.judged:
                reason = "expected language unknown" if one.row.response else "no answer"
                ledger.drop(reason, id=one.row.id, source=artifact.name)
            if found.responses % _TELL == 0:
                stop_if_asked(progress)
                progress.update(found.responses, unit="responses")
    if not found.tallies:
        names = ", ".join(artifact.name for artifact in inputs.many("data"))
        raise UserError(f"{KIND}: {names}: no response to judge", "say their language: `expected: ja`")
    summary = summarise(found, by=params.by, seed=params.seed)
    write_scan(out, summary, leaks)
    unread = sum(found.unreadable.values())
    metrics: dict[str, Any] = ledger.close(out, rows_in=found.responses + unread, kept=len(found.tallies))
    total = summary.total
    metrics |= {
        "events": total.events,
        "leaking": total.leaking,
        "characters": total.characters,
        "prompts": total.prompts,
        RATE: figure_json(total.rate),
        SHARE: figure_json(total.share),
        "by_class": {
            name: {"events": count.events, RATE: figure_json(count.rate), SHARE: figure_json(count.share)}
            for name, count in summary.by_class.items()
        },
        "expected_from": dict(summary.told),
    }
    seconds = time.monotonic() - started
    return StageResult(
        metrics=metrics,
        performance={
            "seconds": round(seconds, 3),
            "characters_per_second": round(total.characters / max(seconds, 1e-9)),
        },
    )


def selected(artifact: InputArtifact, seed: int) -> Callable[[Mapping[str, Any]], bool] | None:
    """Return what takes the rows that the recipe's selection names; None: all of them."""
    selection = artifact.selection
    if not selection.narrowed:
        return None
    taken = 0

    def keep(row: Mapping[str, Any]) -> bool:
        nonlocal taken
        if selection.limit is not None and taken >= selection.limit:
            return False
        if not matches(dict(row), selection, artifact.name):
            return False
        taken += 1
        return copies(dict(row), selection, seed=seed, stage=KIND) > 0

    return keep


STAGE = Stage(kind=KIND, version=1, output=Kind.SCORES, params=Params, run=run)
