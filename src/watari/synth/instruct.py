"""`synth.instruct`: instructions and answers made in the target language, until so many rows are accepted.

Request by request a teacher writes a handful of instructions of one category, each about a subject of its own (airoboros'
way; the taxonomy and the wording are files). What it wrote is read item by item, judged by the checks that need no source,
compared with everything taken before it, and then answered, turn by turn up a ladder of repairs. The stage works in
waves: as many requests as are likely to do, then as many answers, until the rows are there or the requests are used up.

What request 17 asks is drawn from (seed, stage, 17), and what becomes of its instructions is decided in the order of the
requests, not of their answers. So the same ledger gives the same rows, and a run that was killed goes on by being run again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from math import ceil
from pathlib import Path
from typing import Any

from watari.artifact.kinds import Kind
from watari.artifact.stage import Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.errors import StageFailed
from watari.synth.checks.finding import Finding
from watari.synth.diversity import Contamination, Diversity
from watari.synth.instruct_account import NOT_NEEDED, Account
from watari.synth.instruct_asking import Author
from watari.synth.instruct_inputs import evaluation_texts, known_texts, read_seeds
from watari.synth.instruct_params import KIND, Params
from watari.synth.instruct_rows import Answered, Instruction, Written
from watari.synth.taxonomy import instruct_texts, load_taxonomy

__all__ = ["KIND", "STAGE", "Params", "run"]

WAVE = 4096
"""Requests in a wave at most, so that the rates that the next wave is planned by are known soon."""
_MARGIN = 1.05
_LEAST = 0.02

NEAR = {"row": "near duplicate", "seed": "near a seed", "against": "near a row of another dataset"}
CONTAMINATED = "holds an evaluation text"


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Generate: `rows.parquet` in the order of the requests, `dropped.parquet`, `samples.parquet`, `dataset.json`.

    Metrics: rows_in (instructions that were asked for, written or not), kept, dropped, dropped_by_reason, wanted, short_by,
    requests, admitted (instructions that were taken for answering), answered, accepted, accept_rate (accepted of
    rows_in), categories {name: {written, kept}}, rungs (counted by turns), repaired, escalated, findings, tokens, cost.

    Raises:
        UserError: for a taxonomy, seeds or evaluation set that cannot be used, and as `Asking.ask` does.
        StageFailed: if the budget is spent, or not one row was accepted.
    """
    texts = instruct_texts(params.language)
    taxonomy = load_taxonomy(params.language, params.taxonomy, params.categories)
    seeds = read_seeds(params.seeds) if params.seeds is not None else []
    diversity = known_texts(params, inputs, seeds)
    contamination = evaluation_texts(params)

    async def work() -> StageResult:
        from watari.endpoint.asking import open_asking
        from watari.synth.checking import open_checks
        from watari.synth.report import report
        from watari.synth.spending import performance_of

        started = time.monotonic()
        async with open_asking(params, progress) as asking, open_checks(params.check_workers) as checks:
            author = Author(params, asking, checks, taxonomy, texts, seeds)
            versions = {"prompts": texts.version, "checks": checks.version}
            with Account(params, out, author.rungs, versions) as account:
                waves = _Waves(params, author, account, diversity, contamination, progress)
                await waves.until_enough(asking.window)
                metrics = account.close()
                report(out, metrics, stage=KIND)
            spending = asking.spending()
        return StageResult(metrics, performance_of(spending, metrics["kept"], time.monotonic() - started))

    result = asyncio.run(work())
    _tell(result.metrics, params, progress)
    return result


class _Waves:
    """The work of a run: instructions, then answers, as often as it takes."""

    def __init__(
        self,
        params: Params,
        author: Author,
        account: Account,
        diversity: Diversity,
        contamination: Contamination,
        progress: Progress,
    ) -> None:
        self._params = params
        self._author = author
        self._account = account
        self._diversity = diversity
        self._contamination = contamination
        self._progress = progress
        self._waiting: deque[Instruction] = deque()
        self._next = 0

    async def until_enough(self, window: int) -> None:
        """Work until the rows are accepted or no request is left; what was written and not needed is dropped."""
        account, wanted = self._account, self._params.rows
        while account.kept < wanted and (self._waiting or self._next < self._params.ceiling):
            stop_if_asked(self._progress)
            if not self._waiting:
                await self._write(self._requests(), window)
            await self._answer(self._answers(), window)
        for instruction in self._waiting:
            account.refuse(instruction, NOT_NEEDED, "not answered")

    def _requests(self) -> int:
        account = self._account
        admitted = max(_LEAST, (account.admitted + 1) / (account.written + 1))
        missing = (self._params.rows - account.kept) / self._accepting
        likely = ceil(missing * _MARGIN / (self._params.per_request * admitted))
        return min(likely, WAVE, self._params.ceiling - self._next)

    def _answers(self) -> int:
        missing = self._params.rows - self._account.kept
        return min(len(self._waiting), ceil(missing / self._accepting))

    @property
    def _accepting(self) -> float:
        return max(_LEAST, (self._account.accepted + 1) / (self._account.answered + 1))

    async def _write(self, count: int, window: int) -> None:
        from watari.endpoint.asking import work_through

        numbers = range(self._next, self._next + count)
        self._next += count

        async def one(number: int) -> tuple[Written, list[list[Finding]]]:
            written = await self._author.write(number)
            judged = [
                await self._author.judge(instruction) if instruction.item.messages else []
                for instruction in written.instructions
            ]
            return written, judged

        told = _Told(self._progress, self._account, self._params.rows)
        async for written, judged in work_through(numbers, one, window=window, progress=told):
            self._admit(written, judged)

    def _admit(self, written: Written, judged: list[list[Finding]]) -> None:
        account = self._account
        account.request(written)
        for instruction, findings in zip(written.instructions, judged, strict=True):
            item = instruction.item
            if not item.messages:
                account.refuse(instruction, item.reason, item.detail)
            elif findings:
                account.refuse(instruction, f"instruction: {findings[0].code}", findings[0].message, findings)
            elif place := self._contamination.found(instruction.text):
                account.refuse(instruction, CONTAMINATED, place)
            elif near := self._diversity.take([(instruction.id, instruction.text)])[0]:
                account.refuse(instruction, NEAR[near.group], f"{near.similarity:.2f} like {near.name}")
            else:
                account.admitted += 1
                self._waiting.append(instruction)

    async def _answer(self, count: int, window: int) -> None:
        from watari.endpoint.asking import work_through

        chosen = [self._waiting.popleft() for _ in range(count)]
        told = _Told(self._progress, self._account, self._params.rows)
        async for done in work_through(chosen, self._author.answer, window=window, progress=told):
            self._account.add(self._looked_through(done))

    def _looked_through(self, done: Answered) -> Answered:
        if not done.reason:
            said = "\n".join(message["content"] for message in done.messages)
            if place := self._contamination.found(said):
                done.reason, done.detail = CONTAMINATED, place
        return done


class _Told:
    """A `Progress` for the work of a wave that tells how many rows of the whole are kept."""

    def __init__(self, progress: Progress, account: Account, wanted: int) -> None:
        self._progress = progress
        self._account = account
        self._wanted = wanted

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        """Tell how far the stage is."""
        account = self._account
        share = (
            f"{account.accepted / account.written:.0%} of {account.written} accepted"
            if account.written
            else ""
        )
        spent = f"{account.cost:.4f} spent" if account.cost else ""
        notes = ", ".join(part for part in (share, spent) if part)
        self._progress.update(account.kept, self._wanted, unit="rows", note=notes)

    def log(self, message: str, **fields: Any) -> None:
        """Write one line."""
        self._progress.log(message, **fields)

    def stop_requested(self) -> bool:
        """As the stage is told."""
        return self._progress.stop_requested()


def _tell(metrics: dict[str, Any], params: Params, progress: Progress) -> None:
    reasons = sorted(metrics["dropped_by_reason"].items(), key=lambda item: (-item[1], item[0]))
    told = ", ".join(f"{count} {reason}" for reason, count in reasons[:6])
    line = (
        f"{metrics['kept']} of {params.rows} rows: {metrics['accept_rate']:.1%} of {metrics['rows_in']} instructions"
        f" accepted" + (f"; not used: {told}" if told else "")
    )
    progress.update(metrics["kept"], params.rows, unit="rows")
    progress.log(line)
    if not metrics["kept"]:
        raise StageFailed(
            f"not one row was accepted in {metrics['requests']} requests ({told})",
            "look into samples.parquet and `watari ledger tail`; the teacher may not keep to the form",
        )
    if metrics["short_by"]:
        progress.log(
            f"{metrics['short_by']} rows are missing: all {params.ceiling} requests are used up (`most_requests`)"
        )


STAGE = Stage(kind=KIND, version=1, output=Kind.CONVERSATIONS, params=Params, run=run)
