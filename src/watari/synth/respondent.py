"""One conversation with every answer written anew: asked, checked, tried again, the best of several chosen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watari.artifact.dataset_facts import meta_fields
from watari.artifact.draws import draw_uint64
from watari.artifact.hashing import hash_json
from watari.artifact.rows import Row
from watari.generate.answerer import Answerer, Question, seed_of
from watari.judge.pairwise import PairwiseJudge, round_robin
from watari.synth.ladder import Messages
from watari.synth.respond_params import KIND, Params
from watari.synth.trials import Trial, best_by_rule, on_record, tried
from watari.text.scripts import guess_language

if TYPE_CHECKING:
    from watari.endpoint.asking import Asking
    from watari.synth.translator import Checks

PURPOSE = "respond"


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
        judge_tokens, judge_cost: Of the judge.
        language: That answers had to be in.
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
    language: str = ""

    @property
    def model(self) -> str:
        """Who gave the answers that were taken, as the server names it; "" if none was."""
        names = [trial.said.model for trial in self.trials if trial.said is not None and not trial.hard]
        return names[-1] if names else ""


class Respondent:
    """What is done with a row."""

    def __init__(self, params: Params, asking: Asking, checks: Checks, answerer: Answerer) -> None:
        self._params = params
        self._asking = asking
        self._checks = checks
        self._answerer = answerer

    def prompts(self) -> dict[str, str]:
        """Return the versions of what is sent beside the rows' own words."""
        found = {}
        if self._params.instruct:
            found["instruct"] = hash_json(self._params.instruct)[:12]
        if self._params.system is not None:
            found["system"] = hash_json(self._params.system)[:12]
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
        done.language = language = params.language or row.get("language") or _language_of(source)
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


def kept_row(answered: Answered, answerer: Answerer, checks: str, *, language: str | None) -> Row:
    """Return the row that is written of an answered one."""
    row = answered.row
    accepted = [trial for trial in answered.trials if not trial.hard]
    warn = sorted({code for trial in accepted for code in trial.warn})
    meta = {
        **meta_fields(row),
        "respond": {
            "model": answered.model or answerer.model,
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
