"""One question, one run: answered, then rated; where the judge's text holds no rating, it is asked for the number alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watari.artifact import draws
from watari.artifact.hashing import hash_json
from watari.endpoint.request import AskFailed
from watari.errors import StageFailed
from watari.evals.shaberi.params import KIND
from watari.evals.shaberi.questions import Question
from watari.evals.shaberi.rating import read_rating, second_reading
from watari.evals.shaberi.spec import Benchmark
from watari.generate.answerer import Answerer, Said, seed_of
from watari.generate.answerer import Question as Asked
from watari.judge.single import GAVE_UP, Opinion, Read, SingleJudge, judgment_id

if TYPE_CHECKING:
    from watari.endpoint.asking import Asking
    from watari.endpoint.settings import Endpoint
    from watari.evals.shaberi.plan import Plan

PURPOSE = "answer"
NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class Rated:
    """What came of one question in one run.

    Args:
        question: What was asked.
        run: From 0.
        said: The answer; None if there is none.
        problem: Why there is none; "" if there is.
        failed: True if that is an outage and not the model's doing.
        opinions: What the judge said, the last counts: one, or two where the first held no rating.
        prompts: What it was sent each time; "" where there was nothing to judge.
    """

    question: Question
    run: int
    said: Said | None
    problem: str
    failed: bool
    opinions: tuple[Opinion, ...]
    prompts: tuple[str, ...]

    @property
    def opinion(self) -> Opinion:
        """The one that counts."""
        return self.opinions[-1]


class Judging:
    """Answers and rates.

    Args:
        plan: What is asked, and how ratings are read.
        answerer: Who is examined.
        asking: Sends, and keeps the ledger.
        judge: Who rates.
        seed: Of the draws.
        second_call: Whether a text without a rating is asked about once more.
    """

    def __init__(
        self,
        plan: Plan,
        answerer: Answerer,
        asking: Asking,
        judge: Endpoint,
        *,
        seed: int,
        second_call: bool,
    ) -> None:
        self._plan = plan
        self._answerer = answerer
        self._seed = seed
        self._second_call = second_call
        spec = plan.spec
        settings = {"temperature": spec.judge_temperature, "max_tokens": spec.judge_max_tokens}
        # Each benchmark has rules of its own in older vintages; the judge is the same.
        self._judges = {
            one.short: SingleJudge(asking, judge, self._reader(one), settings=settings)
            for one in spec.datasets
        }
        self._own = SingleJudge(asking, judge, self._reader(None), settings=settings)
        self._second = SingleJudge(asking, judge, self._number, settings=settings)
        self.judge = self._own

    def seed(self, question: Question, run: int) -> int:
        """Return the seed of an answer's draws."""
        return seed_of(draws.draw_uint64(self._seed, KIND, f"{question.id}/{run}"))

    async def work(self, row: tuple[Question, int]) -> Rated:
        """Answer and rate.

        Raises:
            UserError, StageFailed, Interrupted: if no request can be answered.
        """
        question, run = row
        messages = self._plan.messages(question)
        asked = Asked(
            messages=messages,
            unit=hash_json([PURPOSE, KIND, self._seed, run, messages]),
            row=f"{question.id}/{run}",
            purpose=PURPOSE,
            seed=self.seed(question, run),
        )
        (said,) = await self._answerer.answers([asked])
        if isinstance(said, AskFailed):
            outage = said.code == GAVE_UP
            none = Opinion(self._id(question, ""), None, problem=f"{NO_ANSWER}: {said.code}")
            return Rated(question, run, None, str(said) if outage else said.code, outage, (none,), ("",))
        opinions, prompts = await self._rate(question, said.text, asked.row)
        return Rated(question, run, said, "", False, opinions, prompts)

    async def _rate(
        self, question: Question, answer: str, row: str
    ) -> tuple[tuple[Opinion, ...], tuple[str, ...]]:
        judge = self._judges.get(question.dataset.short, self._own)
        messages = self._plan.prompts.messages(question, answer)
        (first,) = await judge.rate(messages, unit=self._id(question, answer), row=row)
        prompts = (messages[-1]["content"],)
        if first.rating is not None or first.failed or not self._second_call or not first.text.strip():
            return (first,), prompts
        messages = self._plan.prompts.second_messages(question, answer, first.text)
        unit = hash_json([self._id(question, answer), "number alone", first.text])
        (second,) = await self._second.rate(messages, unit=unit, row=row)
        return (first, second), (*prompts, messages[-1]["content"])

    def _id(self, question: Question, answer: str) -> str:
        return judgment_id(
            question=[question.text],
            turn=1,
            answer=[answer],
            judge=self.judge.model,
            prompt=self._plan.prompts.digest,
            reference=[question.reference, question.criteria],
        )

    def _reader(self, dataset: Benchmark | None) -> Callable[[str], Read]:
        def read(text: str) -> Read:
            found = read_rating(self._plan.spec, text, dataset)
            return Read(found.rating, found.reason)

        return read

    def _number(self, text: str) -> Read:
        found = second_reading(self._plan.spec, text)
        return Read(found.rating, found.reason)


def check_outages(rated: Sequence[Rated], labels: Mapping[str, str]) -> None:
    """Make sure that nothing is missing because a server could not be asked.

    Args:
        rated: Everything.
        labels: {"model": ..., "judge": ...}, as the recipe calls them.

    Raises:
        StageFailed: if something is; what was answered and rated is on record.
    """
    mend = "see `watari ledger tail`, then run the same command: what is on record is not asked again"
    if answers := [one for one in rated if one.failed]:
        raise StageFailed(
            f"{len(answers):,} of {len(rated):,} answers could not be had from {labels['model']}: {answers[0].problem}",
            mend,
        )
    if failed := [one for one in rated if one.opinion.failed]:
        raise StageFailed(
            f"{len(failed):,} of {len(rated):,} judgments could not be had from {labels['judge']}:"
            f" {failed[0].opinion.problem}",
            mend,
        )
