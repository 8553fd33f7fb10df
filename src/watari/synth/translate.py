"""`synth.translate`: whole conversations into another language, every one checked, none paid for twice.

A conversation goes as numbered segments with everything masked that must not change (`segments`, `masking`). What must not
be translated at all (letter counts, rhymes, translation tasks) is routed away, and the strongest teacher writes a task of
the kind in the target language. The rest climbs a ladder (`ladder`): cheap model, repair that names the failed checks,
strong model, its repair, and at last a file for people (`human`). Rows accepted on any rung passed the same checks.

Everything asked is in the run's ledger first. So the stage keeps no state of its own: run again it asks for what is not on
record, and the same ledger gives the same bytes, rows in the order of the input, whatever the concurrency.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from watari.artifact.kinds import Kind
from watari.artifact.rows import Row, select_rows
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.errors import DryRun
from watari.synth.glossary import Glossary, read_glossary
from watari.synth.human import Filled, read_human
from watari.synth.translate_account import Account
from watari.synth.translate_params import KIND, Params
from watari.synth.translate_work import Work
from watari.synth.translator import Translator

__all__ = ["KIND", "STAGE", "Params", "run", "translate_rows"]


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Translate: `rows.parquet` (kept rows in the order of the input), `dropped.parquet`, `samples.parquet`,
    `dataset.json`, and `human.jsonl` where rows failed on every rung.

    Metrics: rows_in, kept, dropped, dropped_by_reason, rungs [{name, model, purpose, asked, accepted, faults}], repaired,
    escalated, human {accepted, forced, refused, to_do}, findings {code: {hard, warn}} by attempts, routed {category: rows},
    tokens, cost, characters {source, masked}.

    Raises:
        UserError: for a row that is no conversation with `on_error: stop`, a glossary or human file that cannot be used, an
            endpoint that refuses the key or the budget's form.
        StageFailed: if the budget is spent, or a server cannot be asked.
        DryRun: with `dry_run`, when everything has been told.
    """
    rows = (
        row for artifact in inputs.many("data") for row in select_rows(artifact, seed=params.seed, stage=KIND)
    )
    return translate_rows(params, rows, out, progress, total=_total(inputs))


def translate_rows(
    params: Params, rows: Iterator[Row], out: Path, progress: Progress, *, total: int | None = None
) -> StageResult:
    """Translate rows of conversations; see `run`.

    Args:
        rows: Read as they are needed; never more of them in memory than are in work.
        total: How many there will be, for progress.
    """
    glossary = Glossary({**read_glossary(params.glossary).terms, **params.terms})
    people = read_human(params.human) if params.human else {}
    if params.dry_run:
        from watari.synth.translate_estimate import estimate

        told = estimate(params, rows, glossary, people)
        for line in told.lines():
            progress.log(line)
        raise DryRun("dry run: nothing was sent, nothing was written")
    return asyncio.run(_run(params, rows, out, progress, glossary, people, total))


async def _run(
    params: Params,
    rows: Iterator[Row],
    out: Path,
    progress: Progress,
    glossary: Glossary,
    people: dict[str, Filled],
    total: int | None,
) -> StageResult:
    from watari.endpoint.asking import open_asking, work_through
    from watari.synth.checking import open_checks, workers_for
    from watari.synth.report import report
    from watari.synth.spending import check_answered, performance_of

    started = time.monotonic()
    workers = workers_for(params.check_workers, total)
    async with open_asking(params, progress) as asking, open_checks(workers) as checks:
        translator = Translator(params, glossary, checks, asking)
        work = Work(translator, people)
        account = Account(params, out, translator.rungs, translator.prompts.version, checks.version)
        with account:
            progress_ = _Told(progress, asking, account, total)
            async for done in work_through(
                rows, work.row, window=asking.window, progress=progress_, total=total
            ):
                account.add(done)
                if done.refused:
                    progress.log(done.refused)
        for line in work.left_over(params.human or ""):
            progress.log(line)
        metrics = account.close()
        report(out, metrics, stage=KIND)
        spending = asking.spending()
        check_answered(spending)
    seconds = time.monotonic() - started
    return StageResult(metrics=metrics, performance=performance_of(spending, metrics["rows_in"], seconds))


class _Told:
    """A `Progress` that says beside the rows how many are kept and what was spent."""

    def __init__(self, progress: Progress, asking: Any, account: Account, total: int | None) -> None:
        self._progress = progress
        self._asking = asking
        self._account = account
        self._total = total

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        """Tell how far the work is."""
        account = self._account
        share = f"{account.kept / account.rows_in:.1%} accepted" if account.rows_in else ""
        spent = f"{account.cost:.4f} spent" if account.cost else ""
        self._progress.update(
            done,
            total or self._total,
            unit=unit,
            note=", ".join(part for part in (note, share, spent) if part),
        )

    def log(self, message: str, **fields: Any) -> None:
        """Write one line."""
        self._progress.log(message, **fields)

    def stop_requested(self) -> bool:
        """As the stage is told."""
        return self._progress.stop_requested()


def _total(inputs: Inputs) -> int | None:
    """Return the number of rows, where no selection makes it unknown."""
    from watari.artifact.rows import count_rows

    artifacts = inputs.many("data")
    if any(one.selection.where or one.selection.ratio is not None for one in artifacts):
        return None
    counts = [(count_rows(one.path), one.selection.limit) for one in artifacts]
    return sum(count if limit is None else min(count, limit) for count, limit in counts)


STAGE = Stage(kind=KIND, version=1, output=Kind.CONVERSATIONS, params=Params, run=run)
