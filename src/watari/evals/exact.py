"""`eval.exact`: does the model give the right answer? Questions with accepted answers, by language and by group."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from watari.artifact import draws
from watari.artifact.hashing import hash_json
from watari.artifact.kinds import Kind
from watari.artifact.params import RUNTIME, Conversations, Count, Model, OneOrMore, StageParams
from watari.artifact.stage import Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.errors import UserError
from watari.evals.answers import is_right
from watari.evals.questions import Question, Shots, chat_prompt, completion_prompt, read_questions
from watari.evals.scores import figures, score_row, write_scores
from watari.stats import wilson

if TYPE_CHECKING:
    from watari.generate.local import Response
    from watari.generate.sampler import Sampler

KIND = "eval.exact"
SPEC = "exact-answer/1"
METRIC = "exact_match"
_SAMPLES = 20


class Params(StageParams):
    """Parameters of `eval.exact`."""

    model: Model = Field(description="the model to examine")
    questions: Annotated[list[Conversations], OneOrMore] = Field(
        min_length=1,
        description="questions: conversations with a column `answers` (accepted texts) and, for groups, `group`",
    )
    style: Literal["chat", "completion"] = Field(
        default="chat",
        description="chat: the conversation through the model's template. completion: the text in `completion_prompt`,"
        " whose answer is the rest of its line; for base models",
    )
    few_shot: int = Field(default=0, ge=0, description="examples before each question, in its language")
    examples: Conversations | None = Field(
        default=None, description="where the examples come from: not the questions themselves"
    )
    max_new_tokens: Count = Field(
        default=64, ge=1, description="tokens of an answer at most; one that is cut off counts as invalid"
    )
    batch: Annotated[int, RUNTIME] = Field(default=64, ge=1, description="questions answered at a time")
    device: Annotated[str, RUNTIME] = Field(
        default="auto", description="torch device: cpu, cuda; auto: an accelerator if there is one"
    )

    @model_validator(mode="after")
    def _examples_are_given(self) -> Params:
        if self.few_shot and self.examples is None:
            raise ValueError("examples: few_shot needs examples to show")
        return self


@dataclass(frozen=True)
class Item:
    """One answered question."""

    question: Question
    response: Response
    right: bool

    @property
    def invalid(self) -> bool:
        """True if the answer is empty or was cut off."""
        return not self.response.text.strip() or self.response.finish_reason == "length"


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Ask every question once, greedily: `rows.parquet` (scores), `generations.parquet`, `samples.jsonl`.

    An invalid answer (empty, cut off) stays in n and counts as wrong. Intervals are Wilson's.

    Metrics: {language: {"all" | group: {value, n, ci_low, ci_high, invalid}}}.

    Raises:
        UserError: for a question without answers, a style that the model or the rows have not, too few examples.
    """
    from watari.generate.local import LocalModel
    from watari.generate.sampler import GREEDY

    questions: list[Question] = []
    for source in inputs.many("questions"):
        found = read_questions(source, seed=params.seed, stage=KIND)
        if not found:
            raise UserError(f"{source.name}: holds no questions")
        questions += found
    examples = inputs.optional("examples")
    shown = read_questions(examples, seed=params.seed, stage=KIND) if examples and params.few_shot else []
    shots = Shots(shown, params.few_shot, seed=params.seed)
    chat = params.style == "chat"
    prompts = [
        chat_prompt(question, shots.before(question))
        if chat
        else completion_prompt(question, shots.before(question))
        for question in questions
    ]
    artifact = inputs.one("model")
    model = LocalModel(artifact.path, device=params.device)
    if chat and not model.chats:
        raise UserError(
            f"{artifact.name}: no chat template: a base model does not chat", "set `style: completion`"
        )
    sampler = GREEDY.with_settings(max_new_tokens=params.max_new_tokens, stop=() if chat else ("\n",))
    started = time.monotonic()

    def tell(done: int) -> None:
        stop_if_asked(progress)
        progress.update(done, len(questions), unit="questions")

    responses = model.generate(
        prompts,
        sampler,
        seed=params.seed,
        ids=[question.id for question in questions],
        batch_size=params.batch,
        on_batch=tell,
    )
    seconds = time.monotonic() - started
    items = [_judged(question, response) for question, response in zip(questions, responses, strict=True)]
    digest = artifact.manifest.digest
    _write_generations(out, items, sampler, digest, params.seed)
    _write_samples(out, items, params.seed)
    rows, metrics = score(items)
    write_scores(out, rows)
    tokens = sum(response.completion_tokens for response in responses)
    return StageResult(metrics=metrics, performance={"tokens_per_second": round(tokens / max(seconds, 1e-9))})


def _judged(question: Question, response: Response) -> Item:
    cut_off = response.finish_reason == "length"
    right = not cut_off and is_right(response.text, question.answers, question.language)
    return Item(question, response, right)


def score(items: Iterable[Item]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows of scores and the metrics of answered questions: each language, then each of its groups."""
    by_language: dict[str, dict[str, list[Item]]] = {}
    for item in items:
        groups = by_language.setdefault(item.question.language, {})
        groups.setdefault("", []).append(item)
        if item.question.group:
            groups.setdefault(item.question.group, []).append(item)
    rows = []
    metrics: dict[str, Any] = {}
    for language, groups in sorted(by_language.items()):
        metrics[language] = {}
        for group, members in sorted(groups.items()):
            invalid = sum(item.invalid for item in members)
            estimate = wilson(sum(item.right for item in members), len(members))
            name = f"{language}/{group}" if group else language
            rows.append(score_row(METRIC, name, estimate, spec=SPEC, invalid=invalid))
            metrics[language][group or "all"] = figures(rows[-1]) | {"invalid": invalid}
    return rows, metrics


def _write_generations(out: Path, items: Sequence[Item], sampler: Sampler, digest: str, seed: int) -> None:
    from watari.artifact.rows import write_rows

    settings = json.dumps(sampler.model_dump(mode="json"), sort_keys=True)
    write_rows(
        out / "generations.parquet",
        Kind.GENERATIONS,
        (
            {
                "id": hash_json([digest, settings, item.question.id, position]),
                "item_id": item.question.id,
                "model": digest,
                "run": 0,
                "turn": 1,
                "sampler": settings,
                "seed": seed,
                "rendered_prompt": item.response.rendered_prompt,
                "response": item.response.text,
                "finish_reason": item.response.finish_reason,
                "prompt_tokens": item.response.prompt_tokens,
                "completion_tokens": item.response.completion_tokens,
                "right": item.right,
                "invalid": item.invalid,
            }
            for position, item in enumerate(items)
        ),
    )


def _write_samples(out: Path, items: Sequence[Item], seed: int) -> None:
    """Write some answered questions for people to look at, as many of each language."""
    from watari.artifact import atomic

    languages = sorted({item.question.language for item in items})
    order = draws.shuffled([item.question.id for item in items], seed, f"{KIND}/samples")
    lines = []
    for place, language in enumerate(languages):
        share = (place + 1) * _SAMPLES // len(languages) - place * _SAMPLES // len(languages)
        chosen = [items[index] for index in order if items[index].question.language == language][:share]
        for item in chosen:
            sample = {
                "id": item.question.id,
                "language": language,
                "group": item.question.group,
                "messages": item.question.messages,
                "response": item.response.text,
                "answers": item.question.answers,
                "right": item.right,
                "finish_reason": item.response.finish_reason,
            }
            lines.append(json.dumps(sample, ensure_ascii=False))
    atomic.write_text(out / "samples.jsonl", "".join(f"{line}\n" for line in lines))


STAGE = Stage(kind=KIND, version=1, output=Kind.SCORES, params=Params, run=run)
