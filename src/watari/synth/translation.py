"""One conversation's attempts: asked part by part, read, and mended where a finding stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watari.endpoint.request import TRUNCATED, Answer
from watari.synth import masking
from watari.synth.checks.finding import Finding, Severity, Span
from watari.synth.ladder import filled, with_more_tokens
from watari.synth.rungs import REPAIR, Draft, Previous, Rung, Unreadable
from watari.synth.segments import Exchange, Segment, Segmented, parts, read_answer, written

if TYPE_CHECKING:
    from watari.synth.translator import Translator

CARRIED = 1500
"""Characters of the part before that a request shows, so that names and tone go on."""

_REFUSAL = "refusal"
_FOLLOWING = frozenset(
    {
        "anchor-changed", "blocks-changed", "code-block-count", "code-changed", "inline-code-changed", "inline-code-lost",
        "links-changed", "markup-changed", "number-changed", "omission", "placeholder-changed", "table-changed",
        "url-broken", "url-changed",
    }
)  # fmt: skip
"""What the checks say where a token is missing. The model has never seen the code or address: it is told of the token."""


@dataclass
class Translation:
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
