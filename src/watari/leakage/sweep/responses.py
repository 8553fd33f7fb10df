"""What a sweep looks at in every response: its leaks, its quality, its rating."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from watari.leakage.sweep.asking import Asked
from watari.leakage.sweep.quality import Quality, quality_of
from watari.text.leakage import Event, find_events


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, looked at.

    Args:
        asked: What was asked and said; `said` is not None.
        events: Its leaks.
        quality: What can be told without a reference.
        rating: Of the judge; None without one, or where its text holds none.
    """

    asked: Asked
    events: tuple[Event, ...]
    quality: Quality
    rating: float | None = None

    @property
    def text(self) -> str:
        """What was said."""
        assert self.asked.said is not None
        return self.asked.said.text

    @property
    def tokens(self) -> int:
        """Tokens of it, as its engine counts."""
        assert self.asked.said is not None
        return self.asked.said.completion_tokens

    def rated(self, rating: float | None) -> Response:
        """Return it with a rating."""
        return replace(self, rating=rating)


def look_at(answers: Sequence[Asked]) -> list[Response]:
    """Return every answer that there is, looked at; the same text to the same prompt is looked at once."""
    seen: dict[tuple[str, str], tuple[Event, ...]] = {}
    found = []
    for asked in answers:
        if asked.said is None:
            continue
        text, prompt = asked.said.text, asked.prompt
        key = (prompt.id, text)
        events = seen.get(key)
        if events is None:
            events = seen[key] = tuple(
                find_events(text, prompt.expected, prompt=prompt.text, licensed=prompt.licensed)
            )
        found.append(Response(asked, events, quality_of(text, asked.said.finish_reason)))
    return found
