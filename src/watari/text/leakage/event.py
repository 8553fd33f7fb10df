"""What a leak is called when it is counted: one event, of whatever length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EventClass = Literal["glyph", "switch", "token"]
"""`glyph`: a character that is broken, or of a script that neither side is written with (in Japanese: Hangul, Cyrillic);
`switch`: a line or a long run in another language; `token`: a word or a character of another language."""

Severity = Literal["low", "medium", "high"]
"""`low`: may be meant (an old form of a character, an accent); `medium`: a reader stumbles; `high`: a reader is lost."""

Licensed = Literal["none", "names", "any"]
"""What a prompt lets an answer hold in other languages: nothing, names and titles in their own writing, anything."""

UNDETERMINED = "und"
"""A language that cannot be told (ISO 639-3)."""


@dataclass(frozen=True, slots=True)
class Event:
    """A stretch of another language in a response.

    Args:
        cls: Its class.
        language: ISO 639 code of what leaked, `und` where it cannot be told; of a script that several languages use, the
            largest one.
        start: First character, counted in the response.
        end: One behind the last.
        text: `response[start:end]`.
        severity: How much it hurts.
        why: The rule that found it, for people.
    """

    cls: EventClass
    language: str
    start: int
    end: int
    text: str
    severity: Severity
    why: str

    def as_json(self) -> dict[str, str | int]:
        """Return the event as `watari leakage scan --json` writes it."""
        return {
            "class": self.cls,
            "language": self.language,
            "span": self.text,
            "start": self.start,
            "end": self.end,
            "severity": self.severity,
            "why": self.why,
        }
