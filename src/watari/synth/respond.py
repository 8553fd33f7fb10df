"""`synth.respond`: keep what people said, and have every answer written anew by a given model.

So Swallow made its Japanese chat data: the human turns of oasst1, translated, with answers by Mixtral ("imitation"). Each
answer follows on the new ones before it, passes the checks that need no source, and is tried again with another seed
where it fails; a conversation of which one answer fails is dropped with the reason, or stays as it was.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from watari.artifact.dataset_facts import meta_fields
from watari.artifact.draws import draw_uint64
from watari.artifact.hashing import hash_json
from watari.artifact.kinds import Kind
from watari.artifact.params import RUNTIME, Conversations, Count, OneOrMore
from watari.artifact.rows import Row, select_rows
from watari.artifact.stage import InputArtifact, Inputs, Progress, Stage, StageResult
from watari.endpoint.params import AskingParams, EndpointRef, ModelOrEndpoint
from watari.endpoint.settings import Endpoint, EndpointSampler
from watari.synth.ladder import Messages

if TYPE_CHECKING:
    from watari.synth.answering import Answerer
    from watari.synth.trials import Trial

KIND = "synth.respond"
PURPOSE = "respond"


class Params(AskingParams):
    """Parameters of `synth.respond`."""

    data: Annotated[list[Conversations], OneOrMore] = Field(
        min_length=1, description="conversations whose human turns are kept"
    )
    model: ModelOrEndpoint = Field(
        description="who answers: an endpoint, or a stage that makes a chat model (it then runs in this process)"
    )
    turns: Literal["all", "last"] = Field(
        default="all",
        description="which answers are written anew: all, each after the new ones before it, or only the last (Swallow's"
        " v0.1 trains on the last alone; facts/seed-systems.md §3)",
    )
    language: str | None = Field(
        default=None,
        pattern=r"^[a-z]{2,3}$",
        description="the language that answers must be in, or `any`; default: that of the row",
    )
    system: str | None = Field(
        default=None,
        description="the system message that every conversation gets in place of its own; '' takes it away. Default: its own"
        " stays",
    )
    instruct: str = Field(
        default="",
        description="a system message that is sent but does not stand in the row: how to answer (`Answer in Japanese.`)",
    )
    attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        description="times that an answer is asked for, each with another seed, until one passes",
    )
    best_of: int = Field(
        default=1,
        ge=1,
        le=16,
        description="answers asked for in each attempt, of which the best that passes is taken",
    )
    select: Literal["rules", "judge"] = Field(
        default="rules",
        description="how the best is told: by rules (fewest findings, then the middle length), or by `judge`, pair by pair",
    )
    judge: EndpointRef | None = Field(default=None, description="who compares, for `select: judge`")
    on_failure: Literal["drop", "keep"] = Field(
        default="drop",
        description="what becomes of a row of which an answer fails every attempt: dropped, or kept with its own answers",
    )
    sampler: EndpointSampler = Field(
        default=EndpointSampler(),
        description="sampling settings, laid over the endpoint's own or the model's generation_config.json",
    )
    longest_answer: Count = Field(
        default=4096,
        ge=16,
        description="tokens to which the limit of an answer that was cut off may be raised (doubled)",
    )
    send_seed: bool = Field(
        default=True, description="send a seed with every request; off for servers that refuse the field"
    )
    batch: Annotated[int, RUNTIME] = Field(
        default=64, ge=1, description="conversations that a model in this process answers at a time"
    )
    device: Annotated[str, RUNTIME] = Field(
        default="auto",
        description="torch device of such a model: cpu, cuda; auto: an accelerator if there is one",
    )
    check_workers: Annotated[int, RUNTIME] = Field(
        default=0, ge=0, description="processes for the checks; 0: in this process"
    )

    @model_validator(mode="after")
    def _judge_and_choice_agree(self) -> Params:
        if self.select == "judge" and self.judge is None:
            raise ValueError("judge: `select: judge` wants one")
        if self.judge is not None and self.select != "judge":
            raise ValueError("judge: it is only asked with `select: judge`")
        if self.select == "judge" and self.best_of < 2:
            raise ValueError("best_of: a judge needs at least 2 answers to compare")
        return self


@dataclass(slots=True)
class Answered:
    """What became of one row.

    Args:
        row: As it came in.
        source: Its turns.
        messages: With new answers, as far as it came.
        trials: All answers, in order, of all turns.
        failed: The reason of the turn that failed; "" if none did.
        detail: What the checks said of it.
        turn: The answer's number that failed, from 1; 0 if none did.
        attempts: Attempts of the answer that took most.
        judged: (requests to the judge, of which unreadable, of which inconsistent).
        cost, tokens: Of the judge.
    """

    row: Row
    source: Messages
    messages: Messages = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    failed: str = ""
    detail: str = ""
    turn: int = 0
    attempts: int = 0
    judged: list[int] = field(default_factory=lambda: [0, 0, 0])
    judge_tokens: list[int] = field(default_factory=lambda: [0, 0])
    judge_cost: float = 0.0


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Answer anew: `rows.parquet` in the order of the input, `dropped.parquet`, `samples.parquet`, `dataset.json`.

    Metrics: rows_in, kept, dropped, dropped_by_reason, originals (rows kept as they were), answers, rungs [{name, model,
    purpose, asked, accepted, faults}] by attempt, repaired (rows that took more than one attempt), findings {code: {hard,
    warn}} by answers, judge {comparisons, unreadable, inconsistent}, tokens, cost.

    Raises:
        UserError: for a model that does not chat, an endpoint that refuses the key, a budget without `max_tokens`.
        StageFailed: if the budget is spent, or a server cannot be asked.
    """
    return asyncio.run(_run(params, inputs, out, progress))


async def _run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    from watari.endpoint.asking import open_asking
    from watari.synth.answering import work_rows
    from watari.synth.checking import open_checks
    from watari.synth.local_answering import Rounds
    from watari.synth.respond_account import Account

    started = time.monotonic()
    rounds = None if isinstance(params.model, Endpoint) else Rounds()
    async with AsyncExitStack() as stack:
        asking = await stack.enter_async_context(open_asking(params, progress))
        checks = await stack.enter_async_context(open_checks(params.check_workers))
        answerer = answerer_of(params.model, asking, params, inputs.optional("model"), rounds)
        work = _Work(params, asking, checks, answerer)
        account = Account(params, out, answerer, checks.version, work.prompts())
        rows = (
            row
            for artifact in inputs.many("data")
            for row in select_rows(artifact, seed=params.seed, stage=KIND)
        )
        with account:
            done = work_rows(
                rows, work.row, asking, progress, rounds=rounds, chunk=4 * params.batch, total=_total(inputs)
            )
            async for answered in done:
                account.add(answered)
        metrics = account.close()
        spending = asking.spending()
    seconds = time.monotonic() - started
    performance = {
        "requests_sent": sum(one.get("requests", 0) for one in spending.values()),
        "recorded": sum(one.get("recorded", 0) for one in spending.values()),
        "seconds": round(seconds, 3),
        "rows_per_second": round(metrics["rows_in"] / seconds, 3) if seconds else 0.0,
        "endpoints": spending,
    }
    return StageResult(metrics=metrics, performance=performance)


def answerer_of(
    model: Any, asking: Any, params: Any, artifact: InputArtifact | None, rounds: Any
) -> Answerer:
    """Return who answers: the endpoint, or the artifact, asked with the parameters' sampler, batch and device.

    Raises:
        UserError: if it does not chat.
    """
    from watari.synth.answering import EndpointAnswerer

    if isinstance(model, Endpoint):
        return EndpointAnswerer(
            asking, model, params.sampler, longest=params.longest_answer, send_seed=params.send_seed
        )
    from watari.synth.local_answering import LocalAnswerer

    assert artifact is not None  # the graph check has made sure that there is one
    assert rounds is not None
    return LocalAnswerer(
        asking,
        artifact,
        params.sampler,
        rounds,
        longest=params.longest_answer,
        batch=params.batch,
        device=params.device,
    )


class _Work:
    """What is done with a row."""

    def __init__(self, params: Params, asking: Any, checks: Any, answerer: Answerer) -> None:
        self._params = params
        self._asking = asking
        self._checks = checks
        self._answerer = answerer

    def prompts(self) -> dict[str, str]:
        """Return the versions of what is sent beside the rows' own words."""
        from watari.synth.judging import judge_texts

        found = {}
        if self._params.instruct:
            found["instruct"] = hash_json(self._params.instruct)[:12]
        if self._params.system is not None:
            found["system"] = hash_json(self._params.system)[:12]
        if self._params.judge is not None:
            found["judge"] = judge_texts(self._params.language or "en").version
        return found

    async def row(self, row: Row) -> Answered:
        """Return a row with new answers."""
        params = self._params
        source = [{"role": one["role"], "content": one["content"]} for one in row["messages"] or ()]
        done = Answered(row, source)
        fault = _fault(source)
        if fault:
            done.failed, done.detail = "not a conversation", fault
            return done
        humans = [place for place, one in enumerate(source) if one["role"] == "user"]
        first = 0 if params.turns == "all" else len(humans) - 1
        language = params.language or row.get("language") or _language_of(source)
        messages = self._opening(source, humans[0])
        for number, place in enumerate(humans):
            messages.append(source[place])
            if number < first:
                # A conversation alternates, so the answer of an earlier turn is there.
                messages.append(source[place + 1])
                continue
            trial = await self._answer(row, done, messages, number, language)
            if trial.hard:
                done.failed, done.detail, done.turn = trial.hard[0], trial.detail, number + 1
                break
            messages.append({"role": "assistant", "content": trial.text})
        done.messages = messages
        return done

    def _opening(self, source: Messages, first_user: int) -> Messages:
        if self._params.system is None:
            return list(source[:first_user])
        return [{"role": "system", "content": self._params.system}] if self._params.system.strip() else []

    async def _answer(
        self, row: Row, done: Answered, messages: Messages, number: int, language: str
    ) -> Trial:
        """Return the answer to `messages` that passed; if none did, the last one."""
        from watari.synth.answering import Question, seed_of
        from watari.synth.trials import best_by_rule, on_record, tried

        params, answerer = self._params, self._answerer
        asked = self._asked(messages)
        unit = hash_json([KIND, asked])
        name = str(row["id"])
        for attempt in range(params.attempts):
            questions = []
            for candidate in range(params.best_of):
                draw = draw_uint64(params.seed, KIND, f"{name} {number} {attempt} {candidate}")
                questions.append(Question(asked, unit, name, PURPOSE, seed_of(draw), attempt))
            trials = [
                await tried(
                    said,
                    asked,
                    self._checks,
                    language,
                    rung=attempt,
                    endpoint=answerer.label,
                    purpose=PURPOSE,
                )
                for said in await answerer.answers(questions)
            ]
            on_record(self._asking, trials, self._checks.version)
            done.trials += trials
            done.attempts = max(done.attempts, attempt + 1)
            passed = [trial for trial in trials if not trial.hard]
            if len(passed) > 1 and params.judge is not None:
                return await self._judged(passed, asked, done, language, name)
            if passed:
                return best_by_rule(passed)
        return trials[-1]

    def _asked(self, messages: Messages) -> Messages:
        """Return what is sent: the conversation, with the instruction before its own system message."""
        instruct = self._params.instruct
        if not instruct:
            return list(messages)
        if messages[0]["role"] == "system":
            return [{"role": "system", "content": f"{instruct}\n\n{messages[0]['content']}"}, *messages[1:]]
        return [{"role": "system", "content": instruct}, *messages]

    async def _judged(
        self, passed: Sequence[Trial], asked: Messages, done: Answered, language: str, name: str
    ) -> Trial:
        """Return the answer with the most points of a round robin; of equal ones the best by rule."""
        from watari.synth.judging import PairwiseJudge, round_robin
        from watari.synth.trials import best_by_rule

        assert self._params.judge is not None
        judge = PairwiseJudge(self._asking, self._params.judge, language)
        texts = list(dict.fromkeys(trial.text for trial in passed))
        if len(texts) == 1:
            return passed[0]
        standing = await round_robin(judge, asked, texts, row=name, halve=True)
        for _, comparison in standing.comparisons:
            done.judged[0] += 1
            done.judged[1] += comparison.outcome == "unreadable"
            done.judged[2] += comparison.outcome == "inconsistent"
            for reading in comparison.readings:
                done.judge_tokens[0] += reading.prompt_tokens
                done.judge_tokens[1] += reading.completion_tokens
                done.judge_cost += reading.cost
        most = max(standing.points)
        leading = {text for text, points in zip(texts, standing.points, strict=True) if points == most}
        return best_by_rule([trial for trial in passed if trial.text in leading])


def _language_of(source: Messages) -> str:
    from watari.text.scripts import guess_language

    return guess_language(source[-1]["content"])


def _fault(source: Messages) -> str:
    if not source or not any(one["role"] == "user" for one in source):
        return "no user turn"
    turns = source[1:] if source[0]["role"] == "system" else source
    for place, one in enumerate(turns):
        wanted = ("user", "assistant")[place % 2]
        if one["role"] != wanted:
            return f"turn {place + 1} is {one['role']}, not {wanted}"
        if not isinstance(one["content"], str) or (wanted == "user" and not one["content"].strip()):
            return f"turn {place + 1} is empty"
    return ""


def _total(inputs: Inputs) -> int | None:
    from watari.artifact.rows import count_rows

    artifacts = inputs.many("data")
    if any(one.selection.where or one.selection.ratio is not None for one in artifacts):
        return None
    counts = [(count_rows(one.path), one.selection.limit) for one in artifacts]
    return sum(count if limit is None else min(count, limit) for count, limit in counts)


def kept_row(answered: Answered, answerer: Answerer, checks: str, *, language: str | None) -> Row:
    """Return the row that is written of an answered one."""
    row = answered.row
    accepted = [trial for trial in answered.trials if not trial.hard]
    warn = sorted({code for trial in accepted for code in trial.warn})
    meta = {
        **meta_fields(row),
        "respond": {
            "model": answerer.model,
            "attempts": answered.attempts,
            "warn": warn,
            "checks": checks,
        },
    }
    return {
        "id": hash_json([KIND, answered.messages, [row["id"]]]),
        "messages": answered.messages,
        "language": (language if language != "any" else None)
        or row.get("language")
        or _language_of(answered.messages),
        "source": row.get("source"),
        "license": row.get("license"),
        "parents": [str(row["id"])],
        "meta": json.dumps(meta, ensure_ascii=False, sort_keys=True),
    }


STAGE = Stage(kind=KIND, version=1, output=Kind.CONVERSATIONS, params=Params, run=run)
