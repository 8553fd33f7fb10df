"""Leakage: where a text that should be in one language slips into another.

`find_events` is what counts it in a model's responses (`watari leakage scan`, sampler sweeps, repair); `find_leaks` is the
stricter form for checks of made rows, which has the original beside it.
"""

from __future__ import annotations

from watari.text.leakage.detect import find_events
from watari.text.leakage.event import UNDETERMINED, Event, EventClass, Licensed, Severity
from watari.text.leakage.expected import expected_language
from watari.text.leakage.leaks import Kind, Leak, find_leaks, foreign_characters
from watari.text.leakage.letters import own_letters

__all__ = [
    "UNDETERMINED",
    "Event",
    "EventClass",
    "Kind",
    "Leak",
    "Licensed",
    "Severity",
    "expected_language",
    "find_events",
    "find_leaks",
    "foreign_characters",
    "own_letters",
]
