"""What `synth.instruct` asks for: instructions, answers, what the user says next. Every unit is made from content."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from watari.artifact.draws import generator
from watari.artifact.hashing import hash_json
from watari.endpoint.request import Answer, AskFailed, Request
from watari.endpoint.settings import Endpoint
from watari.synth.checks.answer_language import OTHER_LANGUAGE
from watari.synth.checks.finding import Finding, Meta, Severity
from watari.synth.instruct_faults import json_fault, language_fault
from watari.synth.instruct_params import KIND, Params
from watari.synth.instruct_reading import Item, read_items
from watari.synth.instruct_rows import Answered, Instruction, Seed, Written
from watari.synth.ladder import (
    REPAIR,
    TRUNCATED,
    Asks,
    Messages,
    Outcome,
    Previous,
    Unreadable,
    climb,
    rungs_of,
    with_more_tokens,
)
from watari.synth.taxonomy import Draw, Taxonomy, Texts
from watari.synth.translator import Checks

RAISED = 4
"""Times `max_tokens` up to which an answer that was cut off is asked again."""


class Author:
    """Asks for everything that a row needs.

    Args:
        params: Of the stage.
        asking: Who sends.
        checks: What judges instructions and answers.
        taxonomy: What is asked for.
        texts: How.
        seeds: Examples; may be empty.
    """

    def __init__(
        self,
        params: Params,
        asking: Asks,
        checks: Checks,
        taxonomy: Taxonomy,
        texts: Texts,
        seeds: Sequence[Seed],
    ) -> None:
        self._params = params
        self._asking = asking
        self._checks = checks
        self._taxonomy = taxonomy
        self._texts = texts
        self._seeds = seeds
        self._responder = params.responder or params.teacher
        strong = [params.strong] if params.strong is not None else []
        self.rungs = rungs_of([self._responder, *strong], params.repairs, first="answer")

    async def write(self, number: int) -> Written:
        """Ask for the instructions of request `number`."""
        params = self._params
        drawn = self._taxonomy.draw(params.seed, number, params.per_request)
        shown = self._examples(number, drawn.category.name)
        messages = self._request(drawn, shown)
        unit = hash_json([KIND, "instructions", params.language, params.seed, number, messages])
        request = Request(
            unit=unit,
            messages=messages,
            row=f"request {number}",
            purpose="instruct",
            settings=self._settings(params.teacher, params.temperature),
        )
        done = Written([])
        try:
            answer = await self._whole(params.teacher, request, done)
        except AskFailed as failed:
            done.failed = failed.code
            lost = Item(0, reason=failed.code, detail=failed.detail)
            done.instructions = [
                self._made(
                    number, drawn, place, Item(place + 1, reason=lost.reason, detail=lost.detail), "", shown
                )
                for place in range(params.per_request)
            ]
            return done
        items = read_items(
            answer.text,
            params.per_request,
            system=drawn.category.task.system,
            finish_reason=answer.finish_reason,
        )
        done.instructions = [
            self._made(number, drawn, item.number - 1, item, answer.model or params.teacher.model, shown)
            for item in items
        ]
        return done

    async def judge(self, instruction: Instruction) -> list[Finding]:
        """Return the hard findings of an instruction by itself."""
        meta = Meta(source=self._params.language, target=self._params.language, kind="chat")
        found = await self._checks.alone(instruction.item.messages, meta)
        hard = [f for f in found if f.severity is Severity.HARD and f.code != OTHER_LANGUAGE]
        if instruction.category.task.expects != "other-language":
            faults = [language_fault(message, self._params.language) for message in instruction.item.messages]
            hard += [Finding("wrong-language", Severity.HARD, fault) for fault in faults if fault]
        return hard

    async def answer(self, instruction: Instruction) -> Answered:
        """Ask for the answer, and for further turns where the category has them."""
        done = Answered(instruction, [dict(message) for message in instruction.item.messages])
        turns = instruction.category.task.turns
        for turn in range(turns):
            outcome = await self._turn(done, turn)
            done.outcomes.append(outcome)
            if not outcome.accepted or outcome.messages is None:
                done.reason, done.detail = outcome.reason, f"turn {turn + 1}: {outcome.detail}"
                done.findings = outcome.findings
                return done
            done.messages = [*done.messages, *outcome.messages]
            if turn + 1 < turns and not await self._follow(done, turn):
                return done
        return done

    async def _turn(self, done: Answered, turn: int) -> Outcome:
        history = done.messages
        hidden = [] if history[0]["role"] == "system" else [{"role": "system", "content": self._texts.answer}]
        asked = [*hidden, *history]
        expects = done.instruction.category.task.expects

        def compose(rung: int, previous: Previous | None) -> Request | None:
            settings = self._settings(self.rungs[rung].endpoint, None)
            if self.rungs[rung].purpose != REPAIR or previous is None:
                return Request(unit="", messages=asked, settings=settings)
            problems = "\n".join(f"- {finding.message}" for finding in previous.hard)
            repair = self._texts.repair.replace("{problems}", problems)
            said = [{"role": "assistant", "content": previous.text}, {"role": "user", "content": repair}]
            return Request(unit="", messages=[*asked, *said], settings=settings)

        def read(answer: Answer) -> Messages | Unreadable:
            text = answer.text.strip()
            return (
                [{"role": "assistant", "content": text}]
                if text
                else Unreadable("the answer is empty", "empty")
            )

        async def check(messages: Messages, meta: Meta) -> list[Finding]:
            found = await self._checks.alone([*history, *messages], meta)
            if expects:
                found = [finding for finding in found if finding.code != OTHER_LANGUAGE]
            if expects == "json" and (fault := json_fault(messages[-1]["content"])):
                found.append(Finding("json-unreadable", Severity.HARD, fault))
            return found

        language = self._params.language
        return await climb(
            self._asking,
            hash_json([KIND, "answer", language, asked]),
            done.instruction.id,
            self.rungs,
            compose,
            read,
            check,
            meta=Meta(source=language, target=language, kind="chat"),
            version=self._checks.version,
            longest=RAISED * self._params.max_tokens,
        )

    async def _follow(self, done: Answered, turn: int) -> bool:
        """Add what the user says next; False if there is nothing usable, which drops the row."""
        params = self._params
        messages = [
            {"role": "system", "content": self._texts.system},
            {"role": "user", "content": f"{_shown(done.messages)}\n\n{self._texts.followup}"},
        ]
        request = Request(
            unit=hash_json([KIND, "follow-up", params.language, params.seed, messages]),
            messages=messages,
            row=done.instruction.id,
            purpose="follow-up",
            settings=self._settings(params.teacher, params.temperature),
        )
        try:
            answer = await self._asking.ask(params.teacher, request)
        except AskFailed as failed:
            done.reason, done.detail = failed.code, f"turn {turn + 2}: {failed.detail}"
            return False
        before = done.followed
        done.followed = (
            before[0] + answer.prompt_tokens, before[1] + answer.completion_tokens, before[2] + answer.cost,
        )  # fmt: skip
        text = answer.text.strip()
        if not text or answer.finish_reason == TRUNCATED:
            done.reason, done.detail = "follow-up unusable", f"turn {turn + 2}: {answer.finish_reason}"
            return False
        said = [*done.messages, {"role": "user", "content": text}]
        meta = Meta(source=params.language, target=params.language, kind="chat")
        hard = [one for one in await self._checks.alone(said, meta) if one.severity is Severity.HARD]
        if not hard and (fault := language_fault(said[-1], params.language)):
            hard = [Finding("wrong-language", Severity.HARD, fault)]
        if hard:
            done.reason, done.findings = f"follow-up: {hard[0].code}", hard
            done.detail = hard[0].message
            return False
        done.messages = said
        return True

    async def _whole(self, endpoint: Endpoint, request: Request, done: Written) -> Answer:
        """Ask; what was cut off is asked again with more tokens, never unchanged."""
        answer = await self._asking.ask(endpoint, request)
        _count(done, answer)
        longest = RAISED * self._params.max_tokens
        while answer.finish_reason == TRUNCATED:
            raised = with_more_tokens(request, endpoint, longest)
            if raised is None:
                break
            request = raised
            answer = await self._asking.ask(endpoint, request)
            _count(done, answer)
        return answer

    def _settings(self, endpoint: Endpoint, temperature: float | None) -> dict[str, Any]:
        settings: dict[str, Any] = {}
        if endpoint.sampler.max_tokens is None:
            settings["max_tokens"] = self._params.max_tokens
        if temperature is not None and endpoint.sampler.temperature is None:
            settings["temperature"] = temperature
        return settings

    def _examples(self, number: int, category: str) -> list[Seed]:
        fitting = [seed for seed in self._seeds if not seed.category or seed.category == category] or list(
            self._seeds
        )
        wanted = min(self._params.examples, len(fitting))
        if not wanted:
            return []
        order = generator(self._params.seed, f"{KIND}/seeds", str(number)).permutation(len(fitting))
        return [fitting[int(place)] for place in order[:wanted]]

    def _request(self, drawn: Draw, shown: Sequence[Seed]) -> Messages:
        texts = self._texts
        examples = ""
        if shown:
            listed = "\n".join(f"---\n{seed.text}" for seed in shown)
            examples = f"\n{texts.example_head}\n{listed}\n---\n"
        topics = "\n".join(f"  {place}. {subject}" for place, (_, subject) in enumerate(drawn.subjects, 1))
        task = drawn.category.task
        filled = {
            "count": str(len(drawn.subjects)),
            "task": task.task,
            "topics": topics,
            "examples": examples,
            "form": texts.form_system if task.system else texts.form_user,
        }
        # One pass, so that a brace in an example stays a brace.
        content = re.sub(
            r"\{(count|task|topics|examples|form)\}", lambda name: filled[name[1]], texts.request
        )
        return [{"role": "system", "content": texts.system}, {"role": "user", "content": content}]

    def _made(
        self, number: int, drawn: Draw, place: int, item: Item, model: str, shown: Sequence[Seed]
    ) -> Instruction:
        topic, subject = drawn.subjects[place] if 0 <= place < len(drawn.subjects) else ("", "")
        identity = hash_json(
            [KIND, item.messages] if item.messages else [KIND, number, item.number, item.reason]
        )
        seeds = tuple(seed.id for seed in shown)
        return Instruction(identity, number, item, drawn.category, topic, subject, model, seeds)


def _count(done: Written, answer: Answer) -> None:
    done.prompt_tokens += answer.prompt_tokens
    done.completion_tokens += answer.completion_tokens
    done.cost += answer.cost


def _shown(messages: Messages) -> str:
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)
