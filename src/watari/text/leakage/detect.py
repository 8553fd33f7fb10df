"""Leakage events of a response.

Rules over characters and words, one table of a language's own (`languages/leakage/`), no model: an event is a stretch that
a reader of the expected language did not ask for. Han characters are never judged by how many stand in a row: Japanese
and Chinese share most of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from watari.languages.leakage import leakage_profile
from watari.text.language_codes import language_code
from watari.text.leakage.broken import broken
from watari.text.leakage.event import UNDETERMINED, Event, Licensed
from watari.text.leakage.expected import expected_language
from watari.text.leakage.foreign import Run, foreign_runs
from watari.text.leakage.han import Variant, han_runs, variant_runs
from watari.text.leakage.latin import latin_words
from watari.text.leakage.letters import written_with
from watari.text.leakage.masks import Masks
from watari.text.leakage.sentences import accented_words, latin_sentences, latin_switches

__all__ = ["expected_language", "find_events"]

_VARIANTS: dict[str, Variant] = {
    "hans": "hans",
    "cn": "hans",
    "sg": "hans",
    "hant": "hant",
    "tw": "hant",
    "hk": "hant",
}
_BETWEEN = re.compile(r"[\W\d_]*")
_NEAR = 12
_NAME = 30
"""A name has no more characters than this."""


def find_events(
    response: str,
    expected: str,
    *,
    prompt: str = "",
    licensed: Licensed = "none",
    original: str | None = None,
) -> list[Event]:
    """Return where a response is not in the language that it should be in, sorted, not overlapping.

    Args:
        response: Any text; places are characters of it.
        expected: ISO 639 code of its language, of two letters or three; `zh-Hans` and `zh-Hant` (or `zh-CN`, `zh-TW`, `zh-HK`) tell the two forms of
            Chinese apart, `zh` takes both.
        prompt: All that the model was given; what stands in it may stand in the response.
        licensed: What the prompt lets a response hold besides: `names` lets short runs pass that can be a name or a title
            (no grammar in them), `any` all but broken characters.
        original: Of a translation, what it translates: it decides for words that both Han languages have in different
            senses, and code and quotations of it hold no other East Asian language than the prompt does. It licenses
            nothing: what may be kept of it is to stand in `prompt`.
    """
    head, *subtags = re.split("[-_]", expected.lower())
    code = language_code(head)
    variant = next((_VARIANTS[tag] for tag in subtags if tag in _VARIANTS), None) if code == "zh" else None
    events = list(broken(response))
    if licensed != "any":
        masks = Masks(response, prompt, code)
        for run in _runs(response, code, prompt, variant, original):
            if not _passes(run, masks, licensed, original):
                text = response[run.start : run.end]
                events.append(Event(run.cls, run.language, run.start, run.end, text, run.severity, run.why))
    if len(events) < 2:
        return events
    return _merged(_apart(events), response)


def _runs(text: str, code: str, prompt: str, variant: Variant | None, original: str | None) -> Iterator[Run]:
    latin = not written_with(code)
    if not text.isascii():
        yield from foreign_runs(text, code)
        yield from accented_words(text, code)
        if code in ("ja", "zh"):
            yield from han_runs(text, code, original)
        if variant is not None:
            yield from variant_runs(text, variant)
    if latin:
        yield from latin_switches(text, code)
    else:
        yield from latin_sentences(text, code)
        yield from latin_words(text, code, prompt)


def _passes(run: Run, masks: Masks, licensed: Licensed, original: str | None) -> bool:
    """Return whether a run is no leak where it stands."""
    stretch = masks.text[run.start : run.end]
    if masks.given(stretch):
        return True
    if original is not None and run.language in ("ja", "zh", "ko"):
        # Translating adds no comment to code and cites nothing that the original does not.
        return False
    if masks.covers(run.start, run.end) and not _torn(masks.text, run):
        return True
    if run.cls == "switch" and run.end - run.start > 2 * _NAME:
        # A citation is in its marks; brackets and cues license words only.
        return masks.quotes(run.start, run.end)
    if masks.mentions(run.start, run.end, run.letters):
        return True
    return licensed == "names" and _can_be_name(masks.text, run)


def _torn(text: str, run: Run) -> bool:
    """Return whether a run is no part of code though it stands in it: of a third script, or in the middle of a word."""
    if run.cls == "glyph":
        return run.language != "el"
    before, after = text[run.start - 1 : run.start], text[run.end : run.end + 1]
    return run.language != "en" and all(
        char.isascii() and char.isalpha() for char in (before or "-", after or "-")
    )


def _can_be_name(text: str, run: Run) -> bool:
    """Return whether a run can be a name: short, without grammar, not glued to another script's word on both sides."""
    stretch = text[run.start : run.end]
    if not 2 <= len(stretch) <= _NAME or any(pattern.search(stretch) for pattern in _particles(run.language)):
        return False
    # 豪h: a piece of a word; auスマートパス: a name.
    after = text[run.end : run.end + 1]
    return not (after.isascii() and after.isalpha())


@cache
def _particles(code: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in leakage_profile(code).particles)


def _apart(events: list[Event]) -> list[Event]:
    """Return events in order, of those that overlap the first and longest."""
    events.sort(key=lambda event: (event.start, -event.end))
    kept: list[Event] = []
    for event in events:
        if not kept or event.start >= kept[-1].end:
            kept.append(event)
    return kept


def _merged(events: list[Event], text: str) -> list[Event]:
    """Return events with those joined that are near each other and of one class and language.

    What stands between them may be anything where one is a switch, or where both are glyphs: names in the middle of a
    foreign sentence and the debris of several scripts are one event each.
    """
    kept: list[Event] = []
    for event in events:
        last = kept[-1] if kept else None
        if last is None or not _belongs(last, event, text[last.end : event.start]):
            kept.append(event)
            continue
        # The switch names the whole, else the first.
        name = event if event.cls == "switch" and last.cls != "switch" else last
        language = last.language if last.language == event.language else UNDETERMINED
        kept[-1] = Event(name.cls, language, last.start, event.end, "", name.severity, name.why)
    # Cut out once, or a text of one long leak would be copied for every piece of it.
    return [event if event.text else replace(event, text=text[event.start : event.end]) for event in kept]


def _belongs(last: Event, event: Event, gap: str) -> bool:
    classes = {last.cls, event.cls}
    if classes == {"glyph"}:
        return len(gap) <= _NEAR and "\n" not in gap
    if last.language != event.language:
        return False
    if classes == {"switch"} and _BETWEEN.fullmatch(gap):
        return True
    if len(gap) > _NEAR or "\n" in gap:
        return False
    return "switch" in classes or (len(classes) == 1 and _BETWEEN.fullmatch(gap) is not None)
