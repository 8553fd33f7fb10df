"""Answers of two turns: the second is asked after the model's own first. All runs, each with its own draws.

An answer that its limit cut off stays as it is and is told; nothing is asked again with a larger limit, for no spec of
MT-Bench does so. What has no answer (too long for the context, refused, filtered) is kept with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watari.artifact import draws
from watari.artifact.hashing import hash_json
from watari.artifact.stage import InputArtifact, Progress
from watari.endpoint.request import AskFailed
from watari.endpoint.settings import Endpoint
from watari.errors import StageFailed
from watari.evals.mtbench.params import KIND, Params
from watari.evals.mtbench.plan import Plan
from watari.evals.mtbench.questions import Question
from watari.generate.answerer import Answerer, EndpointAnswerer, Said, seed_of, work_rows
from watari.generate.answerer import Question as Asked
from watari.judge.single import GAVE_UP

if TYPE_CHECKING:
    from watari.endpoint.asking import Asking
    from watari.generate.local_answerer import LocalAnswerer, Rounds

PURPOSE = "answer"


@dataclass
class Conversation:
    """One run of one question.

    Args:
        question: What was asked.
        run: From 0.
        said: What was answered, turn by turn; it ends early where a turn has no answer.
        problem: Why the turn after `said` has no answer; "" if none is missing.
        failed: True if that is an outage and not the model's doing.
    """

    question: Question
    run: int
    said: list[Said] = field(default_factory=list)
    problem: str = ""
    failed: bool = False

    @property
    def answers(self) -> list[str]:
        """The texts."""
        return [one.text for one in self.said]


class Answering:
    """Whoever is examined, with the settings of each category.

    Args:
        plan: What is asked.
        params: Of the stage.
        asking: Keeps the ledger.
        artifact: The model, where it is one.
        rounds: Brings together what is generated in this process; None where an endpoint is asked.

    Raises:
        UserError: for a model that does not chat, or a setting that it has not.
    """

    def __init__(
        self,
        plan: Plan,
        params: Params,
        asking: Asking,
        artifact: InputArtifact | None,
        rounds: Rounds | None,
    ) -> None:
        self._plan = plan
        self._params = params
        self._asking = asking
        self._rounds = rounds
        self.samplers = {
            one.category: plan.sampler(one.category, params.sampler) for one in plan.questions.questions
        }
        self.local: LocalAnswerer | None = None
        self._answerers: dict[str, Answerer] = {}
        if isinstance(params.model, Endpoint):
            for category, sampler in self.samplers.items():
                self._answerers[category] = EndpointAnswerer(
                    asking, params.model, sampler, longest=plan.max_tokens, send_seed=params.send_seed
                )
        else:
            from watari.generate.local_answerer import LocalAnswerer

            assert artifact is not None  # the graph check has made sure that there is one
            assert rounds is not None
            for category, sampler in self.samplers.items():
                if self.local is None:
                    self.local = LocalAnswerer(
                        asking,
                        artifact,
                        sampler,
                        rounds,
                        longest=plan.max_tokens,
                        batch=params.batch,
                        device=params.device,
                    )
                self._answerers[category] = self.local.with_sampler(sampler)
        first = next(iter(self._answerers.values()))
        self.label, self.model = first.label, first.model

    async def all(self, progress: Progress) -> list[Conversation]:
        """Return every conversation, in the order of the plan.

        Raises:
            StageFailed: if some could not be had for an outage; those that were are on record.
        """
        asked = [
            (question, run)
            for question, run in self._plan.conversations()
            if not run or not self._same_every_time(question)
        ]
        found: dict[tuple[str, int], Conversation] = {}
        done = work_rows(
            asked,
            self._converse,
            self._asking,
            progress,
            rounds=self._rounds,
            chunk=4 * self._params.batch,
            total=len(asked),
        )
        async for one in done:
            found[one.question.id, one.run] = one
        failed = [one for one in found.values() if one.failed]
        if failed:
            raise StageFailed(
                f"{len(failed):,} of {len(asked):,} conversations could not be had: {failed[0].problem}",
                "see `watari ledger tail`, then run the same command: what was answered is not asked again",
            )
        return [self._of_run(found, question, run) for question, run in self._plan.conversations()]

    def seed(self, question: Question, run: int, turn: int) -> int:
        """Return the seed of an answer's draws."""
        return seed_of(draws.draw_uint64(self._params.seed, KIND, f"{question.id}/{run}/{turn}"))

    def _same_every_time(self, question: Question) -> bool:
        """True for a model in this process that searches greedily: its runs are copies, and are not computed anew."""
        if self.local is None:
            return False
        return bool(getattr(self._answerers[question.category], "greedy", False))

    def _of_run(
        self, found: dict[tuple[str, int], Conversation], question: Question, run: int
    ) -> Conversation:
        one = found.get((question.id, run)) or found[question.id, 0]
        return one if one.run == run else Conversation(question, run, one.said, one.problem)

    async def _converse(self, asked: tuple[Question, int]) -> Conversation:
        question, run = asked
        talk = Conversation(question, run)
        answerer = self._answerers[question.category]
        for turn in range(1, self._plan.turns + 1):
            messages = self._plan.messages(question, talk.answers)
            (said,) = await answerer.answers([self._asked(question, run, turn, messages)])
            if isinstance(said, AskFailed):
                talk.problem, talk.failed = (
                    str(said) if said.code == GAVE_UP else said.code,
                    said.code == GAVE_UP,
                )
                break
            talk.said.append(said)
        return talk

    def _asked(self, question: Question, run: int, turn: int, messages: Sequence[dict[str, str]]) -> Asked:
        return Asked(
            messages=list(messages),
            unit=hash_json([PURPOSE, KIND, self._params.seed, run, turn, list(messages)]),
            row=f"{question.id}/{run}/{turn}",
            purpose=PURPOSE,
            seed=self.seed(question, run, turn),
        )
