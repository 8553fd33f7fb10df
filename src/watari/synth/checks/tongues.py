"""The language that a target is in: of the whole, of its sentences, of words of it."""

from __future__ import annotations

import re

from watari.languages.checks import pattern
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.text import Turn
from watari.synth.checks.wording import clip, hard, warn
from watari.text.leakage import Leak, find_leaks, foreign_characters, own_letters

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
    allowed = "\n".join(one.content for one in source or asked)
    if own_letters(meta.source).search("a") is None and meta.source != meta.target:
        # Its own language is the check of untranslated text's, but not what a source of Han letters shares with others.
        allowed = "" if meta.source not in ("ja", "zh") else allowed
    leaks = find_leaks(turn.content, meta.target, allowed=allowed, context=mine.content if mine else None)
    if meta.source != meta.target and source:
        # Of the source's own letters the check of untranslated text tells; Han characters are of both languages.
        own = {"ja", "zh"} if meta.source in ("ja", "zh") else {meta.source}
        leaks = [leak for leak in leaks if leak.language not in own or leak.kind != "script"]
    if not leaks:
        return []
    if share := _other_script(turn, leaks, meta):
        return [
            hard(WRONG, f"turn {number + 1} is in another script ({share})", number, 0, len(turn.content))
        ]
    # One such word is a name, a café; two are another language.
    lone = sum(leak.kind == "latin" for leak in leaks) == 1
    quotes = not source and any(pattern("tongues", meta.target).search(one.content) for one in (*asked, turn))
    return [_told(leak, number, lone, quotes) for leak in leaks[:_TOLD]]


def _other_script(turn: Turn, leaks: list[Leak], meta: Meta) -> str:
    """Return the language of a turn most of whose letters are of scripts that the target's language does not use."""
    foreign = sum(leak.stop - leak.start for leak in leaks if leak.kind == "script")
    if foreign >= 4 and foreign > len(own_letters(meta.target).findall(turn.prose)):
        return max(leaks, key=lambda leak: leak.stop - leak.start).language
    return ""


def _told(leak: Leak, number: int, lone: bool, quotes: bool) -> Finding:
    what = {
        "script": "letters of another script",
        "han": "written as in another language",
        "latin": "a word with another language's letters",
        "language": "a sentence in another language",
    }[leak.kind]
    message = f"turn {number + 1}: {clip(leak.text)!r} is {what} ({leak.language})"
    if leak.kind == "latin" and leak.language == "und" and lone:
        return warn(FOREIGN_LETTERS, message, number, leak.start, leak.stop)
    if quotes:
        return warn(FOREIGN_LETTERS, message, number, leak.start, leak.stop)
    return hard(LEAK, message, number, leak.start, leak.stop)


CHECKS = (
    Check(
        "languages",
        1,
        {WRONG: Severity.HARD, LEAK: Severity.HARD, FOREIGN_LETTERS: Severity.WARN},
        languages,
        needs_source=False,
    ),
)
