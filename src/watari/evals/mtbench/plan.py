"""What an evaluation will do, settled and checked before anything is asked: spec, questions, prompts, settings, label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from watari.endpoint.settings import EndpointSampler
from watari.errors import UserError
from watari.evals.mtbench.params import Params
from watari.evals.mtbench.prompts import JudgePrompt, JudgePrompts, own_prompts, read_prompts
from watari.evals.mtbench.questions import Question, QuestionSet, check_references, read_questions
from watari.evals.mtbench.spec import MTBenchSpec
from watari.evals.params import BUNDLED
from watari.evals.recording import named
from watari.evals.spec import load_spec
from watari.generate.answerer import Messages


@dataclass(frozen=True)
class Plan:
    """What an evaluation will do.

    Args:
        spec: Whose rules hold.
        language: Of the questions.
        questions: What is asked.
        prompts: What the judge is asked with.
        runs: Answers to each question.
        system: The system message before each question; "" for none.
        max_tokens: Tokens of an answer at most.
        label: What the scores are marked with.
        notes: What a reader must be told.
    """

    spec: MTBenchSpec
    language: str
    questions: QuestionSet
    prompts: JudgePrompts
    runs: int
    system: str
    max_tokens: int
    label: str
    notes: tuple[str, ...]

    @property
    def turns(self) -> int:
        """Turns that are asked: up to the last that counts."""
        return max(self.spec.turns)

    def conversations(self) -> Iterator[tuple[Question, int]]:
        """Yield every question with every run, runs of a question together."""
        for question in self.questions.questions:
            for run in range(self.runs):
                yield question, run

    def messages(self, question: Question, answers: Sequence[str]) -> Messages:
        """Return what the model is sent for the turn after `answers`: turn 2 sees its own turn 1."""
        found: Messages = [{"role": "system", "content": self.system}] if self.system else []
        for place, said in enumerate(answers):
            found += [
                {"role": "user", "content": question.turns[place]},
                {"role": "assistant", "content": said},
            ]
        return [*found, {"role": "user", "content": question.turns[len(answers)]}]

    def prompt(self, question: Question, turn: int) -> JudgePrompt:
        """Return what the judge is asked with for a turn of a question."""
        return self.prompts.of(self.spec.kind_of(question.category), turn)

    def sampler(self, category: str, laid: EndpointSampler) -> EndpointSampler:
        """Return the settings of a category's answers: the spec's, under those that the stage was given."""
        pinned = {"temperature": self.spec.answers.temperature_of(category), "max_tokens": self.max_tokens}
        return EndpointSampler(**{**pinned, **laid.body()})


def plan_of(params: Params) -> Plan:
    """Return what will be done.

    Raises:
        UserError: for a spec that is no MT-Bench, questions, references or prompts that cannot be used.
    """
    spec = load_spec(params.spec_name)
    if not isinstance(spec, MTBenchSpec):
        raise UserError(
            f"spec: {spec.name} is no MT-Bench", f"{spec.family} is run by the stage eval.{spec.family}"
        )
    language = params.language or next(iter(spec.sets.values())).language
    questions = read_questions(
        params.questions or BUNDLED,
        language,
        references=params.references,
        categories=params.categories,
        limit=params.limit,
        turns=max(spec.turns),
    )
    notes = check_references(questions, spec.references, spec.turns)
    prompts = read_prompts(params.prompts, spec) if params.prompts else own_prompts(language)
    for kind in {spec.kind_of(one.category) for one in questions.questions}:
        for turn in spec.turns:
            if (kind, turn) not in prompts.prompts:
                raise UserError(f"{prompts.name}: no judge prompt for turn {turn} of {kind} questions")
    known = spec.vintage("questions", questions.sha256) is not None
    label = prompts.name if prompts.own else spec.label
    if prompts.own:
        # Two specs may read and count our prompts' ratings on different scales: their figures must not meet.
        label = f"{label} ({spec.label})"
        notes.append(f"rated with Watari's own judge prompts ({prompts.name}), not with upstream's")
    elif not prompts.known:
        label = f"{spec.label} with other prompts"
        notes.append(f"the judge prompts of {named(prompts.name)} are no file that {spec.name} knows")
    if not known:
        notes.append(f"the questions of {named(questions.name)} are no file that {spec.name} knows")
        label = label if prompts.own else f"{label}, other questions"
    return Plan(
        spec=spec,
        language=language,
        questions=questions,
        prompts=prompts,
        runs=params.runs or spec.runs,
        system=spec.answers.system.get(language, "") if params.system is None else params.system,
        max_tokens=params.max_tokens or spec.answers.max_tokens,
        label=label,
        notes=tuple(notes),
    )
