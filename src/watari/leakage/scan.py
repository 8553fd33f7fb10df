"""Scans responses for leakage: which language each should be in, and every event in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from watari.errors import UserError
from watari.leakage.rows import Row
from watari.text.language_codes import is_language_code, language_code
from watari.text.leakage import UNDETERMINED, Event, Licensed, expected_language, find_events

Told = Literal["row", "option", "prompt", "response", "nothing"]
"""What says which language a response should be in: its row, the caller, its prompt, its own text where there is no
prompt; or nothing: it is then not judged."""
EVENT = ("class", "span", "start", "end", "severity", "why")
"""What a line of `watari leakage scan --json` says of an event; `events.jsonl` has its language as well."""
_MOST = 4096


@dataclass(frozen=True, slots=True)
class Scanned:
    """A response with its events.

    Args:
        row: What was scanned.
        expected: ISO 639 code of the language that it should be in; `und`: it is not judged.
        told: What says so.
        events: Sorted, not overlapping.
    """

    row: Row
    expected: str
    told: Told
    events: tuple[Event, ...]

    @property
    def judged(self) -> bool:
        """Whether it counts: the language is known, and there is an answer."""
        return self.expected != UNDETERMINED and bool(self.row.response)

    def as_json(self) -> dict[str, Any]:
        """Return the line of `watari leakage scan --json`."""
        return {
            "id": self.row.id,
            "expected_lang": self.expected,
            "events": [
                {name: value for name, value in event.as_json().items() if name in EVENT}
                for event in self.events
            ],
        }


def scan(
    rows: Iterable[Row], *, expected: str | None = None, licensed: Licensed = "none"
) -> Iterator[Scanned]:
    """Yield every row with its events, in order; see `scan_row`."""
    for row in rows:
        yield scan_row(row, expected=expected, licensed=licensed)


def scan_row(row: Row, *, expected: str | None = None, licensed: Licensed = "none") -> Scanned:
    """Return a response with its events.

    Args:
        row: It, and what was asked.
        expected: Language of rows that do not say theirs; None: what the prompt asks for.
        licensed: What rows that do not say so may hold in other languages.

    Raises:
        UserError: if `expected` is no code of a language.
    """
    language, told = expected_of(row, expected)
    events: tuple[Event, ...] = ()
    if language != UNDETERMINED and row.response:
        found = find_events(row.response, language, prompt=row.prompt, licensed=row.licensed or licensed)
        events = tuple(found)
    return Scanned(row, language, told, events)


def expected_of(row: Row, given: str | None = None) -> tuple[str, Told]:
    """Return the language that a response should be in, and what says so.

    Raises:
        UserError: if `given` is no code of a language.
    """
    if row.expected is not None:
        return row.expected, "row"
    if given is not None:
        code = language_code(given)
        if not is_language_code(code):
            raise UserError(f"expected: {given!r} is no language code", "write ja, en, ...")
        return code, "option"
    if row.messages:
        asked = tuple((message["role"], message["content"]) for message in row.messages)
        code = _asked_for(asked, row.default)
        return code, "nothing" if code == UNDETERMINED else "prompt"
    if row.default is not None:
        return row.default, "row"
    code = _spoken(row.response)
    return code, "nothing" if code == UNDETERMINED else "response"


@lru_cache(maxsize=_MOST)
def _asked_for(messages: tuple[tuple[str, str], ...], default: str | None) -> str:
    return expected_language([{"role": role, "content": content} for role, content in messages], default)


def _spoken(text: str) -> str:
    """Return the language that most of a text is in."""
    from watari.kernels.texts import Texts
    from watari.text.language import find_languages

    return find_languages(Texts.of([text])).languages[0] if text.strip() else UNDETERMINED
