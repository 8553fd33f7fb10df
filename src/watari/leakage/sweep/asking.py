"""Every prompt under every setting: the same seed for (seed, prompt, repeat) in all cells, whatever their order.

An answer is found in the ledger by prompt, repeat and settings. So a cell that is done is not asked again when the grid
grows, shrinks or is written in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watari.artifact import draws
from watari.artifact.hashing import hash_json
from watari.endpoint.request import AskFailed
from watari.errors import StageFailed
from watari.generate.answerer import Answerer, Question, Said, seed_of, work_rows
from watari.judge.single import GAVE_UP
from watari.leakage.sweep.engine import Engine
from watari.leakage.sweep.grid import Cell
from watari.leakage.sweep.prompts import Prompt

if TYPE_CHECKING:
    from watari.artifact.stage import Progress
    from watari.endpoint.asking import Asking
    from watari.generate.local_answerer import Rounds

KIND = "sweep.run"
PURPOSE = "sweep"


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer of a sweep.

    Args:
        cell: Under which setting.
        prompt: To what.
        repeat: From 0.
        seed: Of its draws.
        said: The answer; None if there is none.
        problem: Why there is none.
    """

    cell: Cell
    prompt: Prompt
    repeat: int
    seed: int
    said: Said | None
    problem: str = ""


def seed_for(seed: int, prompt: str, repeat: int) -> int:
    """Return the seed of an answer, the same in every cell."""
    return seed_of(draws.draw_uint64(seed, KIND, f"{prompt}/{repeat}"))


def jobs_of(cells: Sequence[Cell], prompts: Sequence[Prompt], repeats: int) -> list[tuple[Cell, Prompt, int]]:
    """Return everything that is asked; a greedy cell would say the same again, and is asked once."""
    return [
        (cell, prompt, repeat)
        for cell in cells
        for prompt in prompts
        for repeat in range(1 if cell.greedy else repeats)
    ]


def question_of(engine: Engine, cell: Cell, prompt: Prompt, repeat: int, seed: int) -> Question:
    """Return what is asked; the cell is in its settings alone."""
    messages = prompt.asked()
    return Question(
        messages=messages,
        unit=hash_json([KIND, seed, prompt.id, repeat, messages]),
        row=f"{prompt.id}/{repeat}",
        purpose=PURPOSE,
        seed=seed_for(seed, prompt.id, repeat),
        settings=engine.settings(cell.sampler, cell.extra),
        shared_draws=True,
    )


async def ask_all(
    jobs: Sequence[tuple[Cell, Prompt, int]],
    answerer: Answerer,
    engine: Engine,
    asking: Asking,
    progress: Progress,
    *,
    rounds: Rounds | None,
    chunk: int,
    seed: int,
) -> list[Asked]:
    """Return every answer, in the order of the jobs.

    Args:
        jobs: Of `jobs_of`.
        answerer: Who is asked.
        engine: How settings are said to it.
        asking: Keeps the ledger.
        progress: Told how many are done.
        rounds: Where the model runs in this process.
        chunk: Answers side by side then.
        seed: Of the sweep.

    Raises:
        StageFailed: if answers are missing for an outage; those that came are on record.
        UserError, Interrupted: if nothing can be asked.
    """

    async def work(job: tuple[Cell, Prompt, int]) -> Asked:
        cell, prompt, repeat = job
        question = question_of(engine, cell, prompt, repeat, seed)
        (said,) = await answerer.answers([question])
        if isinstance(said, AskFailed):
            problem = str(said) if said.code == GAVE_UP else said.code
            return Asked(cell, prompt, repeat, question.seed, None, problem)
        return Asked(cell, prompt, repeat, question.seed, said)

    found = [
        one
        async for one in work_rows(jobs, work, asking, progress, rounds=rounds, chunk=chunk, total=len(jobs))
    ]
    failed = [one for one in found if one.problem.startswith(GAVE_UP)]
    if failed:
        raise StageFailed(
            f"{len(failed):,} of {len(found):,} answers could not be had from {answerer.label}: {failed[0].problem}",
            "see `watari ledger tail`, then run the same command: what is on record is not asked again",
        )
    return found
