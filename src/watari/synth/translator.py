"""One conversation up the ladder: cut into parts, asked part by part, read, checked, mended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

from watari.artifact.draws import draw_uint64
from watari.artifact.hashing import hash_json
from watari.endpoint.request import Answer, Request
from watari.synth import masking
from watari.synth.checks.finding import Finding, Meta, Severity, Span
from watari.synth.glossary import Glossary
from watari.synth.ladder import (
    REPAIR,
    STRONG,
    TRUNCATED,
    Asks,
    Draft,
    Message,
    Messages,
    Outcome,
    Previous,
    Rung,
    Unreadable,
    climb,
    climb_drafts,
    filled,
    rungs_of,
    with_more_tokens,
)
from watari.synth.prompts import Prompts
from watari.synth.routing import Routed
from watari.synth.segments import Exchange, Segment, Segmented, parts, read_answer, segmented, written
from watari.synth.translate_params import KIND, Params

CARRIED = 1500
"""Characters of the part before that a request shows, so that names and tone go on."""
TEMPERATURE = 0.1
_FIXED, _PER_CHARACTER, _STEP = 256, 1.5, 64
"""Tokens allowed for an answer: real translations have 0.2-1.15 characters of Japanese for one of English (facts/synthetic.md
§2), the worst tokenizers about one token a character; what is left over is for marks and for a second line of thought."""
_SEED_BITS = 31

_REFUSAL = "refusal"
_FOLLOWING = frozenset(
    {
        "anchor-changed", "blocks-changed", "code-block-count", "code-changed", "inline-code-changed", "inline-code-lost",
        "links-changed", "markup-changed", "number-changed", "omission", "placeholder-changed", "table-changed",
        "url-broken", "url-changed",
    }
)  # fmt: skip
"""What the checks say where a token is missing. The model has never seen the code or address: it is told of the token."""

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
        work = _Work(self, unit, row, taken, glossary)

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


@dataclass
class _Work:
    """A climb with one conversation: what the last attempt brought, part by part."""

    translator: Translator
    unit: str
    row: str
    taken: Segmented
    glossary: Mapping[str, str]
    read: dict[int, str] = field(default_factory=dict)
    """Translations of the last attempt, by segment."""
    told: dict[int, str] = field(default_factory=dict)
    """Answers of the last attempt as they came, by the first segment of their part."""
    troubles: list[tuple[int, str]] = field(default_factory=list)
    """What was wrong in reading the last attempt: (segment, line)."""

    async def attempt(self, number: int, previous: Previous | None) -> Draft:
        """Ask what this rung has to ask, part after part."""
        rung = self.translator.rungs[number]
        segments = self.taken.segments
        mending = rung.purpose == REPAIR and previous is not None
        problems = self._problems(previous) if mending and previous is not None else {}
        if not mending:
            self.read, self.told = {}, {}
        self.troubles = []
        draft = Draft(None)
        before = Exchange()
        for part in parts(segments, self.translator.params.max_characters):
            asked = not mending or any(one.number in problems or one.number not in self.read for one in part)
            if asked:
                found = await self._part(number, rung, part, before, problems, draft, depth=0)
                if isinstance(found, Unreadable):
                    for one in part:
                        self.read.pop(one.number, None)
                    self.troubles.append((part[0].number, found.message))
                    draft.findings.append(Finding(found.code, Severity.HARD, found.message))
                    return draft
                self.read |= found
            before = Exchange(part, {one.number: self.read[one.number] for one in part}).tail(CARRIED)
        for segment, line in self.taken.mask_faults(self.read):
            line = f"[[{segment.number}]] {line}"
            self.troubles.append((segment.number, line))
            draft.findings.append(Finding(masking.CODE, Severity.HARD, line, Span(segment.turn, 0, 0)))
        draft.messages = self.taken.joined(self.read)
        return draft

    async def _part(
        self,
        number: int,
        rung: Rung,
        part: Sequence[Segment],
        before: Exchange,
        problems: Mapping[int, list[str]],
        draft: Draft,
        *,
        depth: int,
    ) -> dict[int, str] | Unreadable:
        """Return the translations of one part. An answer that was cut off is allowed more tokens, then asked in halves."""
        answer = await self._ask(number, rung, part, before, problems, draft)
        if answer.finish_reason == TRUNCATED and len(part) > 1:
            half = _middle(part)
            first = await self._part(number, rung, part[:half], before, problems, draft, depth=depth + 1)
            if isinstance(first, Unreadable):
                return first
            before = Exchange(part[:half], first).tail(CARRIED)
            second = await self._part(number, rung, part[half:], before, problems, draft, depth=depth + 1)
            return second if isinstance(second, Unreadable) else first | second
        self.told[part[0].number] = answer.text
        draft.finish_reason = (
            TRUNCATED if TRUNCATED in (draft.finish_reason, answer.finish_reason) else answer.finish_reason
        )
        if answer.finish_reason == TRUNCATED:
            return Unreadable(self.translator.prompts.cut_off, "truncated")
        found = read_answer(answer.text, part)
        return await self._why(answer.text, found) if isinstance(found, Unreadable) else found

    async def _why(self, answer: str, found: Unreadable) -> Unreadable:
        """Return why an answer cannot be read: one that declines is counted as that, whatever its form."""
        meta = self.translator.meta({})
        said = await self.translator.checks.alone([{"role": "assistant", "content": answer}], meta)
        refusal = next((finding for finding in said if finding.code == _REFUSAL), None)
        return found if refusal is None else Unreadable(refusal.message, refusal.code)

    async def _ask(
        self,
        number: int,
        rung: Rung,
        part: Sequence[Segment],
        before: Exchange,
        problems: Mapping[int, list[str]],
        draft: Draft,
    ) -> Answer:
        translator = self.translator
        prompts = translator.prompts
        lines = [line for one in part for line in problems.get(one.number, ())]
        # Of an answer that could not be read all that came is shown, else what was read, in the right form.
        readable = all(one.number in self.read for one in part)
        answer = written(part, self.read) if readable else self.told.get(part[0].number, "")
        if rung.purpose == REPAIR and lines and answer:
            messages = prompts.repair(part, before, self.glossary, answer, lines)
        else:
            messages = prompts.translate(part, before, self.glossary)
        room = translator.room(sum(len(one.text) for one in part))
        composed = translator.request(self.unit, rung, messages, room, f"{number} {part[0].number}")
        request = filled(composed, self.unit, self.row, number, rung)
        given = await translator.asking.ask(rung.endpoint, request)
        draft.answers.append(given)
        raised = with_more_tokens(request, rung.endpoint, translator.params.longest_answer)
        if given.finish_reason == TRUNCATED and raised is not None:
            given = await translator.asking.ask(rung.endpoint, raised)
            draft.answers.append(given)
        return given

    def _problems(self, previous: Previous) -> dict[int, list[str]]:
        """Return what is wrong with the last attempt by segment; what is at no place is wrong with all of them."""
        found: dict[int, list[str]] = {}
        own = {line for _, line in self.troubles}
        for number, line in self.troubles:
            found.setdefault(number, []).append(line)
        lost = {one.turn for one in self.taken.segments if one.number in found}
        for finding in previous.hard:
            if finding.code == masking.CODE or finding.message in own:
                continue
            turn = finding.span.turn if finding.span is not None else None
            if finding.code in _FOLLOWING and (turn in lost if turn is not None else bool(lost)):
                continue
            there = [one.number for one in self.taken.segments if turn is None or one.turn == turn]
            where = "" if turn is None or not there else _place(there)
            for number in there or [one.number for one in self.taken.segments]:
                found.setdefault(number, []).append(f"{where}{finding.message}")
        return found


def _middle(part: Sequence[Segment]) -> int:
    """Return where a part is cut in two, as evenly as its segments allow."""
    total = sum(len(one.text) for one in part)
    size = 0
    for place, one in enumerate(part[:-1], 1):
        size += len(one.text)
        if 2 * size >= total:
            return place
    return len(part) - 1


def _place(numbers: Sequence[int]) -> str:
    return f"[[{numbers[0]}]] " if len(numbers) == 1 else f"[[{numbers[0]}]] to [[{numbers[-1]}]]: "


__all__ = ["CARRIED", "STRONG", "Checks", "Message", "Translator"]
