"""What an evaluation will do, settled and checked before anything is asked: questions, prompts, settings, label."""

from __future__ import annotations

from dataclasses import dataclass

from watari.endpoint.settings import EndpointSampler
from watari.evals.shaberi.params import SPEC, Params
from watari.evals.shaberi.prompts import JudgePrompts, own_prompts, read_prompts
from watari.evals.shaberi.questions import Question, QuestionSet, read_questions
from watari.evals.shaberi.spec import ShaberiSpec
from watari.evals.spec import load_spec
from watari.generate.answerer import Messages


@dataclass(frozen=True)
class Plan:
    """What an evaluation will do, settled before anything is asked.

    Args:
        spec: Whose rules hold.
        label: What its scores are marked with.
        questions: What is asked.
        prompts: What the judge is asked with.
        sampler: Of the answers.
        max_tokens: Tokens of an answer at most.
        system: Before each question; "" for none.
        runs: Answers to each question.
        notes: What a reader must be told.
    """

    spec: ShaberiSpec
    label: str
    questions: QuestionSet
    prompts: JudgePrompts
    sampler: EndpointSampler
    max_tokens: int
    system: str
    runs: int
    notes: tuple[str, ...]

    def messages(self, question: Question) -> Messages:
        """Return what the model is sent."""
        user = {"role": "user", "content": question.text}
        return [{"role": "system", "content": self.system}, user] if self.system else [user]


def plan_of(params: Params) -> Plan:
    """Return what will be done.

    Raises:
        UserError: for questions or prompts that cannot be used.
    """
    spec = load_spec(SPEC)
    assert isinstance(spec, ShaberiSpec)
    questions = read_questions(spec, params.questions, dataset=params.dataset, limit=params.limit)
    prompts = read_prompts(params.prompts, spec) if params.prompts else own_prompts()
    for question in questions.questions:
        prompts.messages(question, "")
    notes = []
    if prompts.own:
        label = f"{prompts.name} ({spec.label})"
        notes.append(f"rated with Watari's own judge prompts ({prompts.name}), not with upstream's")
    else:
        label = f"{spec.label} with prompts {prompts.digest[:8]}"
    max_tokens = params.max_tokens or spec.max_tokens
    pinned = {"temperature": spec.temperature, "max_tokens": max_tokens}
    sampler = EndpointSampler(**{**pinned, **params.sampler.body()})
    return Plan(
        spec, label, questions, prompts, sampler, max_tokens, params.system, params.runs, tuple(notes)
    )
