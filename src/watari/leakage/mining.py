"""From leaks to rows that mend them: what `train.repair` and `train.dpo` are trained on.

A row is a preference: `rejected` the response as the model said it, `chosen` the same with every leak mended, nothing else
changed, and `spans` (JSON) where in both. The mended text is looked at by the detector again, so that no row teaches a leak
in place of another; a response of which a leak cannot be mended gives no row, and is told with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from watari.artifact.hashing import hash_json
from watari.leakage.redecoding import Mend, Redecoder
from watari.leakage.scan import Scanned
from watari.text.leakage import Event, Licensed, find_events

if TYPE_CHECKING:
    from watari.generate.answerer import Answerer

__all__ = ["Mend", "Mender", "Mined", "Redecoder", "Teacher", "mend", "mine"]

CLEAN = "does not leak"
NO_PROMPT = "its prompt is not known"
UNMENDED = "no mend was found"
STILL_LEAKS = "every mend leaks"
CHANGED = "the mend changes more than the leak"
_MOST = 24
"""Leaks of one response that are mended; what leaks more is no slip."""
MANY = "leaks too often"
_LONGEST = 4
"""A mend may have this many times the leak's characters, and some more."""


class Mender(Protocol):
    """Whoever mends a leak."""

    @property
    def label(self) -> str:
        """Who it is, for provenance."""

    async def mends(
        self, messages: Sequence[Mapping[str, str]], response: str, event: Event, language: str
    ) -> Sequence[Mend]:
        """Return what may stand in place of a leak, best first."""


@dataclass(frozen=True)
class Mined:
    """What became of a response: a row, or the reason why there is none (and the text of the leak that it is about)."""

    id: str
    row: dict[str, Any] | None
    reason: str = ""
    detail: str = ""


class Teacher:
    """Mends by asking another model for the words that should stand there.

    Args:
        answerer: Who is asked: an endpoint (kept in the ledger, so that nothing is paid twice) or a model in this process.
        seed: Of its draws.
    """

    def __init__(self, answerer: Answerer, *, seed: int = 0) -> None:
        self._answerer = answerer
        self._seed = seed

    @property
    def label(self) -> str:
        """Who it is."""
        return self._answerer.model

    async def mends(
        self, messages: Sequence[Mapping[str, str]], response: str, event: Event, language: str
    ) -> Sequence[Mend]:
        """Return the teacher's words for the leak; none if it does not answer in the form asked for."""
        from watari.generate.answerer import Question, Said

        asked = [{"role": "user", "content": teacher_prompt(messages, response, event, language)}]
        unit = hash_json(["leakage.mine", asked])
        question = Question(asked, unit=unit, row=unit[:8], purpose="mend", seed=self._seed)
        (said,) = await self._answerer.answers([question])
        words = read_words(said.text) if isinstance(said, Said) else None
        return [] if words is None else [_joined(response, event, words)]


_WINDOW = 400
_WORDS = re.compile(r"<words>(.*?)</words>", re.DOTALL)


def teacher_prompt(messages: Sequence[Mapping[str, str]], response: str, event: Event, language: str) -> str:
    """Return what a teacher is asked: the words for one leak, in the midst of what stands around it."""
    before = response[max(0, event.start - _WINDOW) : event.start]
    after = response[event.end : event.end + _WINDOW]
    question = messages[-1]["content"][:_WINDOW] if messages else ""
    return (
        f"The text below should be in one language only (ISO 639 code: {language}), but a stretch of it, between "
        "<leak> and </leak>, slipped into another. Give the words that should stand in its place, so that the sentence "
        "reads on correctly; leave the rest as it is. If nothing should stand there, give nothing. Answer with "
        "<words>…</words> and no other text.\n\n"
        f"What was asked:\n{question}\n\nThe text:\n{before}<leak>{event.text}</leak>{after}"
    )


def read_words(answer: str) -> str | None:
    """Return the words of a teacher's answer, or None where it holds none or several."""
    found = _WORDS.findall(answer)
    if len(found) != 1 or "<leak>" in found[0] or "\n\n" in found[0].strip():
        return None
    return str(found[0]).strip()


def _joined(response: str, event: Event, words: str) -> Mend:
    """Return words as a mend, with no blank doubled where there are none."""
    blank_before = response[: event.start].endswith(" ") or event.start == 0
    if not words and blank_before and response[event.end : event.end + 1] in ("", " ", "\n"):
        start = len(response[: event.start].rstrip(" "))
        return Mend(start, "")
    return Mend(event.start, words)


async def mend(
    scanned: Scanned,
    mender: Mender,
    *,
    licensed: Licensed = "none",
    detector: Callable[..., list[Event]] = find_events,
) -> Mined:
    """Return the row that a leaking response gives.

    Args:
        scanned: A response with its events.
        mender: Who mends.
        licensed: As it was scanned, where its row does not say.
        detector: What looks at mended texts, called as `find_events` is.
    """
    row, language = scanned.row, scanned.expected
    if not scanned.events:
        return Mined(row.id, None, CLEAN)
    if not row.messages:
        return Mined(row.id, None, NO_PROMPT)
    if len(scanned.events) > _MOST:
        return Mined(row.id, None, MANY, f"{len(scanned.events)} times")

    def leaks(text: str) -> list[Event]:
        return detector(text, language, prompt=row.prompt, licensed=row.licensed or licensed)

    text, moved = row.response, 0
    chosen: list[list[int]] = []
    for number, event in enumerate(scanned.events):
        here = Event(
            event.cls,
            event.language,
            event.start + moved,
            event.end + moved,
            event.text,
            event.severity,
            event.why,
        )
        candidates = await mender.mends(row.messages, text, here, language)
        if not candidates:
            return Mined(row.id, None, UNMENDED, event.text)
        left = len(scanned.events) - number - 1
        reason = CHANGED
        for candidate in candidates:
            if not _small(candidate, text, here):
                continue
            made = text[: candidate.start] + candidate.text + text[here.end :]
            stop = candidate.start + len(candidate.text)
            again = leaks(made)
            # A leak where the mend stands, or one more than were left, is the mend's doing.
            if len(again) > left or any(_within(one, candidate.start, stop) for one in again):
                reason = STILL_LEAKS
                continue
            break
        else:
            return Mined(row.id, None, reason, event.text)
        # Blanks that stood there before are no part of what mends.
        same = 0
        old = text[candidate.start : here.start]
        while same < min(len(old), len(candidate.text)) and old[same] == candidate.text[same]:
            same += 1
        chosen.append([candidate.start + same, stop])
        moved += len(made) - len(text)
        text = made
    if text == row.response or not text.strip():
        return Mined(row.id, None, UNMENDED)
    return Mined(row.id, _row(scanned, text, chosen, mender.label))


def _within(event: Event, start: int, stop: int) -> bool:
    """Return whether a leak reaches into a stretch, or over a place where nothing stands."""
    return event.start < stop and event.end > start if stop > start else event.start < start < event.end


def _small(candidate: Mend, text: str, event: Event) -> bool:
    """Return whether a mend replaces the leak and blanks before it, by something of like length."""
    if not 0 <= candidate.start <= event.start or text[candidate.start : event.start].strip():
        return False
    return len(candidate.text) <= _LONGEST * (event.end - event.start) + 40


def _row(scanned: Scanned, text: str, chosen: list[list[int]], label: str) -> dict[str, Any]:
    row = scanned.row
    rejected = [[event.start, event.end] for event in scanned.events]
    prompt = [{"role": message["role"], "content": message["content"]} for message in row.messages]
    return {
        "id": hash_json([prompt, row.response, text]),
        "prompt": prompt,
        "chosen": text,
        "rejected": row.response,
        "chosen_by": label,
        "rejected_by": str(row.columns.get("model", "")),
        "language": scanned.expected,
        "source": "leakage",
        "license": "",
        "parents": [row.id],
        "meta": json.dumps(
            {
                "classes": [event.cls for event in scanned.events],
                "languages": [event.language for event in scanned.events],
            }
        ),
        "spans": json.dumps({"rejected": rejected, "chosen": chosen}),
    }


def mine(rows: Iterable[Scanned], mender: Mender, *, licensed: Licensed = "none") -> Iterator[Mined]:
    """Yield what became of every response that leaks, in order, one at a time: for a mender in this process.

    With a teacher behind an endpoint let `generate.answerer.work_rows` run `mend`, which asks for many at once.
    """
    import asyncio

    for scanned in rows:
        if scanned.events:
            yield asyncio.run(mend(scanned, mender, licensed=licensed))
