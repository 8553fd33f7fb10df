"""One conversation up the ladder: cut into parts, asked part by part, read, checked, mended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from watari.artifact.draws import draw_uint64
from watari.artifact.hashing import hash_json
from watari.endpoint.request import Answer, Request
from watari.synth.checks.finding import Finding, Meta
from watari.synth.glossary import Glossary
from watari.synth.ladder import (
    REPAIR,
    Asks,
    Messages,
    Outcome,
    Previous,
    Rung,
    Unreadable,
    climb,
    climb_drafts,
    rungs_of,
)
from watari.synth.prompts import Prompts
from watari.synth.routing import Routed
from watari.synth.segments import Segment, Segmented, read_answer, segmented
from watari.synth.translate_params import KIND, Params
from watari.synth.translation import Translation

TEMPERATURE = 0.1
_FIXED, _PER_CHARACTER, _STEP = 256, 1.5, 64
"""Tokens allowed for an answer: real translations have 0.2-1.15 characters of Japanese for one of English (facts/synthetic.md
§2), the worst tokenizers about one token a character; what is left over is for marks and for a second line of thought."""
_SEED_BITS = 31

CheckPair = Callable[[Messages, Messages, Meta], Awaitable[list[Finding]]]
CheckAlone = Callable[[Messages, Meta], Awaitable[list[Finding]]]


@dataclass(frozen=True)
class Checks:
    """What judges the answers.

    Args:
        pair: (source, target, meta) → findings.
        alone: (target, meta) → findings of the checks that need no source.
        version: Of all of them.
    """

    pair: CheckPair
    alone: CheckAlone
    version: str


class Translator:
    """What is the same for all rows of a run."""

    def __init__(self, params: Params, glossary: Glossary, checks: Checks, asking: Asks) -> None:
        self._prepare(params, glossary)
        self.checks = checks
        self.asking = asking

    @classmethod
    def without_asking(cls, params: Params, glossary: Glossary) -> Translator:
        """Return one that can cut and compose, for an estimate; it cannot ask."""
        found = cls.__new__(cls)
        found._prepare(params, glossary)
        return found

    def _prepare(self, params: Params, glossary: Glossary) -> None:
        self.params = params
        self.prompts = Prompts(params.source_language, params.language, params.register, params.style)
        self.rungs = rungs_of(params.teachers, params.repairs)
        last = [number for number, rung in enumerate(self.rungs) if rung.purpose != REPAIR][-1]
        self.native_rungs = self.rungs[last:]
        self.native_first = last
        self._glossary = glossary

    def segmented(self, messages: Messages) -> Segmented:
        """Take a conversation apart as the parameters say."""
        kept = self.params.system == "keep"
        return segmented(
            messages,
            translate=lambda message: not (kept and message["role"] == "system"),
            code=self.params.code,
        )

    def unit(self, messages: Messages, what: str, glossary: Mapping[str, str]) -> str:
        """Return the identity of the work at one conversation: everything that it depends on but the model."""
        params = self.params
        return hash_json(
            {
                "kind": KIND,
                "what": what,
                "prompt": self.prompts.version,
                "messages": messages,
                "languages": [params.source_language, params.language],
                "register": params.register,
                "style": params.style,
                "glossary": dict(glossary),
                "system": params.system,
                "code": params.code,
            }
        )

    def glossary(self, messages: Messages) -> dict[str, str]:
        """Return the terms that stand in a conversation."""
        return self._glossary.of("\n".join(message["content"] for message in messages))

    def meta(self, glossary: Mapping[str, str]) -> Meta:
        """Return what the checks are told of a row."""
        return Meta(
            source=self.params.source_language,
            target=self.params.language,
            kind="chat",
            glossary=dict(glossary),
        )

    async def translate(self, row: str, messages: Messages, taken: Segmented) -> Outcome:
        """Return the translation of a conversation, or how it failed."""
        glossary = self.glossary(messages)
        unit = self.unit(messages, "translate", glossary)
        work = Translation(self, unit, row, taken, glossary)

        async def check(found: Messages, meta: Meta) -> list[Finding]:
            return await self.checks.pair(messages, found, meta)

        return await climb_drafts(
            self.asking,
            self.rungs,
            work.attempt,
            check,
            meta=self.meta(glossary),
            version=self.checks.version,
        )

    async def native(self, row: str, messages: Messages, routed: Routed) -> Outcome:
        """Return a task of the same kind in the target language, by the strongest teacher."""
        shown = messages[: 3 if messages[0]["role"] == "system" else 2]
        roles = ["user", "assistant"]
        wanted = [Segment(number, number - 1, role, "") for number, role in enumerate(roles, 1)]
        category = routed.reason or routed.category
        unit = self.unit(messages, f"native {routed.category}", {})
        room = self.room(2 * sum(len(message["content"]) for message in shown))

        def compose(number: int, previous: Previous | None) -> Request:
            prompts = self.prompts
            if previous is not None and self.native_rungs[number].purpose == REPAIR:
                asked = prompts.native_repair(shown, category, roles, previous.text, self._problems(previous))
            else:
                asked = prompts.native(shown, category, roles)
            return self.request(unit, self.native_rungs[number], asked, room, f"native {number}")

        def read(answer: Answer) -> Messages | Unreadable:
            found = read_answer(answer.text, wanted)
            if isinstance(found, Unreadable):
                return found
            return [{"role": role, "content": found[number]} for number, role in enumerate(roles, 1)]

        outcome = await climb(
            self.asking, unit, row, self.native_rungs, compose, read, self.checks.alone,
            meta=self.meta({}), version=self.checks.version, longest=self.params.longest_answer,
        )  # fmt: skip
        # Rungs are counted from the foot of the whole ladder.
        outcome.attempts = [replace(note, rung=note.rung + self.native_first) for note in outcome.attempts]
        outcome.rung += self.native_first if outcome.rung >= 0 else 0
        return outcome

    def room(self, characters: int) -> int:
        """Return the tokens that an answer to so many characters is allowed."""
        return min(_STEP * ceil((_FIXED + _PER_CHARACTER * characters) / _STEP), self.params.longest_answer)

    def request(self, unit: str, rung: Rung, messages: Messages, room: int, draw: str) -> Request:
        """Return the request that asks `messages` with this stage's settings."""
        params, sampler = self.params, rung.endpoint.sampler
        settings: dict[str, Any] = {}
        if params.temperature is not None or sampler.temperature is None:
            settings["temperature"] = TEMPERATURE if params.temperature is None else params.temperature
        if params.max_tokens is not None or sampler.max_tokens is None:
            settings["max_tokens"] = room if params.max_tokens is None else params.max_tokens
        seed = (
            draw_uint64(params.seed, KIND, f"{unit} {draw}") >> (64 - _SEED_BITS)
            if params.send_seed
            else None
        )
        return Request(unit=unit, messages=messages, settings=settings, seed=seed)

    def _problems(self, previous: Previous) -> list[str]:
        return [finding.message for finding in previous.hard]
