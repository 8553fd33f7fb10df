"""Leakage: where a text that should be in one language slips into another.

`find_events` is the one detector: of `watari leakage scan`, of sampler sweeps, of repair, of the checks of made rows, and of
preferences that are trained on.
"""

from __future__ import annotations

from watari.text.leakage.detect import find_events
from watari.text.leakage.event import UNDETERMINED, Event, EventClass, Licensed, Severity
from watari.text.leakage.expected import expected_language
from watari.text.leakage.han import foreign_characters
from watari.text.leakage.letters import own_letters

__all__ = [
    "UNDETERMINED",
    "Event",
    "EventClass",
    "Licensed",
    "Severity",
    "expected_language",
    "find_events",
    "foreign_characters",
    "own_letters",
]
