"""What a judge says of a sweep's responses. The same answer under two settings is one judgment, asked and paid for once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watari.artifact.hashing import hash_json
from watari.endpoint.settings import Endpoint
from watari.errors import StageFailed
from watari.generate.answerer import Messages
from watari.judge.rating import fastchat_rating
from watari.judge.single import Opinion, Read, SingleJudge, judgment_id
from watari.leakage.sweep.prompts import Prompt
from watari.leakage.sweep.responses import Response

if TYPE_CHECKING:
    from watari.artifact.stage import Progress
    from watari.endpoint.asking import Asking

NAME = "watari-sweep/1"
PROMPT = """You grade one answer of an assistant. Look at whether it does what was asked, whether it is right, and whether it \
reads as a careful native writer of {language} would write it. Words of another language that have no reason to stand there, \
broken characters, repetition and an unfinished end all count against it; length as such does not count.

<task>
{task}
</task>

<answer>
{answer}
</answer>

Say in two sentences what is good and what is bad, then give a whole number from 1 (useless) to 10 (could not be better) on a \
line of its own, in this form: [[5]]"""
SETTINGS = {"temperature": 0, "max_tokens": 400}


@dataclass(frozen=True)
class Judged:
    """What came of it.

    Args:
        responses: With their ratings, in the order given.
        asked: Judgments that were needed.
        problems: How many gave no rating, by reason.
    """

    responses: list[Response]
    asked: int
    problems: dict[str, int]


def messages_of(prompt: Prompt, answer: str) -> Messages:
    """Return what the judge is sent."""
    task = "\n\n".join(text if role == "user" else f"({role}) {text}" for role, text in prompt.messages)
    # One replacement each, so that braces in a task or an answer are nothing special.
    shown = {"{language}": prompt.expected, "{task}": task, "{answer}": answer}
    return [{"role": "user", "content": _filled(shown)}]


def _filled(shown: dict[str, str]) -> str:
    text, found = PROMPT, []
    for name, value in shown.items():
        before, text = text.split(name, 1)
        found += [before, value]
    return "".join([*found, text])


def read(text: str) -> Read:
    """Return the rating: the first `[[5]]`, from 1 to 10."""
    rating = fastchat_rating(text)
    if rating is None:
        return Read(None, "no rating in the judge's text")
    return Read(rating) if 1 <= rating <= 10 else Read(None, "not from 1 to 10")


async def judge_all(
    responses: Sequence[Response], endpoint: Endpoint, asking: Asking, progress: Progress
) -> Judged:
    """Return the responses with their ratings; an empty one gets 1 without being asked about.

    Raises:
        StageFailed: if judgments are missing for an outage.
    """
    from watari.endpoint.asking import work_through

    judge = SingleJudge(asking, endpoint, read, settings=SETTINGS)
    wanted: dict[str, Response] = {}
    for one in responses:
        if one.text.strip():
            wanted.setdefault(_unit(one, judge.model), one)

    async def work(item: tuple[str, Response]) -> tuple[str, Opinion]:
        unit, one = item
        prompt = one.asked.prompt
        (opinion,) = await judge.rate(messages_of(prompt, one.text), unit=unit, row=prompt.id)
        return unit, opinion

    opinions = {
        unit: opinion
        async for unit, opinion in work_through(
            wanted.items(), work, window=asking.window, progress=progress, total=len(wanted)
        )
    }
    failed = [opinion for opinion in opinions.values() if opinion.failed]
    if failed:
        raise StageFailed(
            f"{len(failed):,} of {len(opinions):,} judgments could not be had from {judge.label}: {failed[0].problem}",
            "see `watari ledger tail`, then run the same command: what is on record is not asked again",
        )
    problems: dict[str, int] = {}
    for opinion in opinions.values():
        if opinion.rating is None:
            problems[opinion.problem] = problems.get(opinion.problem, 0) + 1
    rated = [
        one.rated(opinions[_unit(one, judge.model)].rating if one.text.strip() else 1.0) for one in responses
    ]
    return Judged(rated, len(wanted), problems)


def _unit(one: Response, judge: str) -> str:
    return judgment_id(
        question=[text for _, text in one.asked.prompt.messages],
        turn=1,
        answer=[one.text],
        judge=judge,
        prompt=hash_json([NAME, PROMPT]),
        reference=[],
    )
