"""Ratings of all answers of all runs. FastChat judges the first choice alone, whatever `--num-choices` says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watari.artifact.stage import Progress
from watari.endpoint.settings import Endpoint
from watari.errors import StageFailed
from watari.evals.mtbench.answering import Conversation
from watari.evals.mtbench.plan import Plan
from watari.evals.mtbench.prompts import JudgePrompt
from watari.judge.rating import rating_of, why_unreadable
from watari.judge.single import Opinion, Read, SingleJudge, judgment_id

if TYPE_CHECKING:
    from watari.endpoint.asking import Asking

NO_ANSWER = "no answer"
_AHEAD = 8
"""Rows in work for each request that the judge may have in flight: what is begun at once is laid out before the first answer
is looked at, 0.2 s for 1,600 rows."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The rating of one turn of one run.

    Args:
        talk: Whose.
        turn: From 1.
        prompt: What the judge was asked with.
        user_prompt: The user's message as it was sent; "" where there was nothing to judge.
        opinions: What it said, the last counts. Never empty.
    """

    talk: Conversation
    turn: int
    prompt: JudgePrompt
    user_prompt: str
    opinions: tuple[Opinion, ...]

    @property
    def opinion(self) -> Opinion:
        """The one that counts."""
        return self.opinions[-1]


def judge_of(plan: Plan, asking: Asking, endpoint: Endpoint, reask: int) -> SingleJudge:
    """Return the judge, asked with the spec's settings and read by the spec's rule."""
    rule = plan.spec.rating
    low, high = plan.spec.ratings

    def read(text: str) -> Read:
        rating = rating_of(rule, text)
        if rating is None:
            return Read(None, why_unreadable(text))
        if not low <= rating <= high:
            # Kept as it was said: with `--invalid as-is` it is averaged in as upstream would.
            return Read(float(rating), f"outside of {low:g} to {high:g}")
        return Read(float(rating))

    settings = {"temperature": plan.spec.judge.temperature, "max_tokens": plan.spec.judge.max_tokens}
    return SingleJudge(asking, endpoint, read, settings=settings, reask=reask)


async def judge_all(
    plan: Plan, judge: SingleJudge, talks: Sequence[Conversation], asking: Asking, progress: Progress
) -> list[Judged]:
    """Return the rating of every turn that counts, of every conversation, in their order.

    A turn without an answer is not judged: its rating is null, with the reason.

    Raises:
        StageFailed: if the judge could not be asked about some; those that were rated are on record.
    """
    from watari.endpoint.asking import work_through

    async def work(row: tuple[Conversation, int]) -> Judged:
        return await _judged(plan, judge, *row)

    rows = [(talk, turn) for talk in talks for turn in plan.spec.turns]
    done = work_through(
        rows, work, window=_window(judge.endpoint, asking), progress=progress, total=len(rows)
    )
    found = [one async for one in done]
    failed = [one for one in found if one.opinion.failed]
    if failed:
        raise StageFailed(
            f"{len(failed):,} of {len(found):,} judgments could not be had from {judge.label}: {failed[0].opinion.problem}",
            "see `watari ledger tail`, then run the same command: what was rated is not asked again",
        )
    return found


def _window(endpoint: Endpoint, asking: Asking) -> int:
    limit = endpoint.limits.concurrency
    if endpoint.backend != "online" or limit is None:
        return asking.window
    return min(asking.window, _AHEAD * limit)


async def _judged(plan: Plan, judge: SingleJudge, talk: Conversation, turn: int) -> Judged:
    question = talk.question
    prompt = plan.prompt(question, turn)
    answers = talk.answers
    unit = judgment_id(
        question=question.turns[:turn],
        turn=turn,
        answer=answers[:turn],
        judge=judge.model,
        prompt=prompt.digest,
        reference=prompt.references(question),
    )
    if len(answers) < turn:
        problem = f"{NO_ANSWER}: {talk.problem}"
        return Judged(talk, turn, prompt, "", (Opinion(unit, None, problem=problem),))
    messages = prompt.messages(question, answers)
    opinions = await judge.rate(messages, unit=unit, row=f"{question.id}/{talk.run}/{turn}")
    return Judged(talk, turn, prompt, messages[-1]["content"], opinions)
