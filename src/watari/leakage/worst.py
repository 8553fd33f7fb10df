"""The worst spans, quoted where they stand."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Any

from watari.leakage.scan import Scanned
from watari.text.leakage import Event

AROUND = 60
"""Characters quoted on either side of a span."""
_SEVERITY = {"high": 3, "medium": 2, "low": 1}
_LONG = 200


@dataclass(frozen=True)
class Quote:
    """An event where it stands.

    Args:
        scanned: The response.
        event: It.
        before, span, after: The text around it, and its own; "…" where it is cut.
    """

    scanned: Scanned
    event: Event
    before: str
    span: str
    after: str

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "id": self.scanned.row.id,
            "expected_lang": self.scanned.expected,
            **self.event.as_json(),
            "before": self.before,
            "after": self.after,
            "columns": dict(self.scanned.row.columns),
        }


@dataclass
class Worst:
    """Keeps the worst events of many responses: by severity, then by length; one of a response, the same text once of a prompt.

    Args:
        most: How many to keep.
        a_prompt: How many answers to one prompt at most.
    """

    most: int = 10
    a_prompt: int = 2
    _heap: list[tuple[tuple[int, int, int], Scanned, Event]] = field(default_factory=list, repr=False)
    _seen: int = 0

    def add(self, scanned: Scanned) -> None:
        """Look at a response."""
        if not scanned.events:
            return
        self._seen += 1
        event = max(scanned.events, key=_badness)
        # The later of two that are equally bad stands behind; numbers keep responses from being compared.
        entry = ((*_badness(event), -self._seen), scanned, event)
        room = self.most * 8
        if len(self._heap) < room:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def quotes(self, around: int = AROUND) -> list[Quote]:
        """Return the worst events, worst first."""
        taken: dict[str, int] = {}
        found: list[Quote] = []
        shown: set[tuple[str, str]] = set()
        for _, scanned, event in sorted(self._heap, key=lambda entry: entry[0], reverse=True):
            prompt = scanned.row.prompt_id
            again = (prompt, event.text) in shown
            if taken.get(prompt, 0) < self.a_prompt and len(found) < self.most and not again:
                shown.add((prompt, event.text))
                taken[prompt] = taken.get(prompt, 0) + 1
                found.append(quoted(scanned, event, around))
        return found


def quoted(scanned: Scanned, event: Event, around: int = AROUND) -> Quote:
    """Return an event with so many characters on either side of it."""
    text = scanned.row.response
    start, end = max(0, event.start - around), min(len(text), event.end + around)
    span = event.text if len(event.text) <= _LONG else f"{event.text[:_LONG]}…"
    return Quote(
        scanned,
        event,
        ("…" if start else "") + text[start : event.start],
        span,
        text[event.end : end] + ("…" if end < len(text) else ""),
    )


def _badness(event: Event) -> tuple[int, int]:
    return _SEVERITY.get(event.severity, 0), event.end - event.start
