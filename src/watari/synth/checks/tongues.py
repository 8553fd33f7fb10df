"""The language that a target is in: of the whole, of its sentences, of words of it."""

from __future__ import annotations

import re

from watari.languages.checks import pattern
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.text import Turn
from watari.synth.checks.wording import clip, hard, warn
from watari.text.leakage import UNDETERMINED, Event, find_events, foreign_characters, own_letters

WRONG = "wrong-language"
LEAK = "leak"
FOREIGN_LETTERS = "foreign-letters"

_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_GRAMMAR = re.compile("[的了是就也我他你這們在]")
_KANA_SHARE = 0.1
"""Share of kana among kana and Han characters below which a text is not Japanese (real texts have .3 and more)."""
_TOLD = 3
_SAMPLE, _ENOUGH = 160, 50
"""So many kana among so many characters at the head, and nobody need count the rest."""


def languages(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of turns that are in another language, and of stretches that are."""
    found: list[Finding] = []
    # Of an answer that translates nothing: what it was asked, which may speak of other languages.
    asked = [turn for turn in target if turn.role != "assistant"] if not source else []
    for number, turn in enumerate(target):
        if turn.content.isascii():
            continue
        mine = source[number] if number < len(source) else None
        if wrong := _whole(turn, mine, meta):
            found.append(
                hard(
                    WRONG,
                    f"turn {number + 1} is {wrong}: {clip(turn.content)!r}",
                    number,
                    0,
                    len(turn.content),
                )
            )
            continue
        found += _leaks(turn, mine, number, source, asked, meta)
    return found


def _whole(turn: Turn, mine: Turn | None, meta: Meta) -> str:
    """Return what a turn is instead of being in the target's language, or nothing."""
    prose = turn.prose
    if prose.isascii():
        return ""
    if meta.target == "ja":
        if len(_KANA.findall(prose[:_SAMPLE])) > _ENOUGH:
            return ""
        han = len(_HAN.findall(prose))
        if han >= 10:
            kana = len(_KANA.findall(prose))
            kept = mine is not None and prose.strip() in mine.content
            if kana < _KANA_SHARE * (han + kana) and not kept and _is_chinese(prose, han):
                return "Chinese, it has next to no kana"
    return ""


def _is_chinese(prose: str, han: int) -> bool:
    """Return whether a text without kana is Chinese, and no list of names: by characters that only Chinese has, or by
    its grammar."""
    characters = foreign_characters("ja")
    if sum(char in characters for char in prose) >= max(2, 0.02 * han):
        return True
    grammar = _GRAMMAR.findall(prose)
    return len(set(grammar)) >= 2 and len(grammar) >= 0.04 * han


def _leaks(
    turn: Turn, mine: Turn | None, number: int, source: Conversation, asked: Conversation, meta: Meta
) -> list[Finding]:
    kept = "\n".join(one.content for one in source or asked)
    if own_letters(meta.source).search("a") is None and meta.source not in ("ja", "zh", meta.target):
        # Its own language is the check of untranslated text's; Han characters are of both languages.
        kept = ""
    events = find_events(turn.content, meta.target, prompt=kept, original=mine.content if mine else None)
    if meta.source != meta.target and source:
        events = [event for event in events if event.language not in _own(meta)]
    if not events:
        return []
    if share := _other_script(turn, events, meta):
        return [
            hard(WRONG, f"turn {number + 1} is in another script ({share})", number, 0, len(turn.content))
        ]
    # One such word is a name, a café; two are another language.
    lone = sum(len(event.text.split()) for event in events if _has_accents(event)) == 1
    quotes = not source and any(pattern("tongues", meta.target).search(one.content) for one in (*asked, turn))
    return [_told(event, number, quotes or (lone and _has_accents(event))) for event in events[:_TOLD]]


def _own(meta: Meta) -> frozenset[str]:
    """Return the languages of which the checks of untranslated text tell."""
    if meta.target in ("ja", "zh"):
        return frozenset({meta.source} - {"ja", "zh"})
    return frozenset({"ja", "zh"}) if meta.source in ("ja", "zh") else frozenset({meta.source})


def _has_accents(event: Event) -> bool:
    return event.language == UNDETERMINED and event.cls == "token"


def _other_script(turn: Turn, events: list[Event], meta: Meta) -> str:
    """Return the language of a turn most of whose letters are of scripts that the target's language does not use."""
    own = own_letters(meta.target)
    foreign = sum(not own.match(char) for event in events for char in event.text if char.isalpha())
    if foreign >= 4 and foreign > len(own.findall(turn.prose)):
        return max(events, key=lambda event: event.end - event.start).language
    return ""


def _told(event: Event, number: int, mild: bool) -> Finding:
    message = f"turn {number + 1}: {clip(event.text)!r}: {event.why} ({event.language})"
    told = warn(FOREIGN_LETTERS, message, number, event.start, event.end) if mild else None
    return told or hard(LEAK, message, number, event.start, event.end)


CHECKS = (
    Check(
        "languages",
        1,
        {WRONG: Severity.HARD, LEAK: Severity.HARD, FOREIGN_LETTERS: Severity.WARN},
        languages,
        needs_source=False,
    ),
)
