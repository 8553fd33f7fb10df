"""Sentences in Latin letters in a language of another script, and of one Latin-written language in another."""

from __future__ import annotations

import re
from collections.abc import Iterator

from watari.text.leakage.foreign import Run
from watari.text.leakage.letters import BEYOND, LATIN, LATIN_LETTER, written_with
from watari.text.leakage.lexicon import all_stop_words

_RUN = re.compile(rf"[{LATIN}][{LATIN}'’]*(?:[ ,;:.!?&()\"“”*_–—/-]{{1,4}}[{LATIN}0-9][{LATIN}0-9'’]*)*")
_LETTERS_ONLY = re.compile(rf"[{LATIN}]+")
_LEAST_WORDS = 5
"""Words from which a run can be a sentence."""
_VIETNAMESE = re.compile("[ăđơư\u1ea0-\u1ef9]")
_ACCENTED = re.compile(rf"(?<![{LATIN}])[a-z]*[{BEYOND}][{LATIN}]*")


def latin_sentences(text: str, expected: str) -> Iterator[Run]:
    """Yield sentences in Latin letters, of a language that is written otherwise: five words, some of them of grammar."""
    stop = all_stop_words()
    for match in _RUN.finditer(text):
        run = match[0]
        if len(run) < 20:
            continue
        words = _LETTERS_ONLY.findall(run)
        if len(words) < _LEAST_WORDS or _is_command(text, match.start(), match.end()):
            continue
        small = [word for word in words if word.islower()]
        counts = {code: sum(word in listed for word in small) for code, listed in stop.items()}
        code = max(counts, key=lambda name: (counts[name], name == "en"))
        grammar = counts[code]
        content = sum(len(word) > 3 and word not in stop[code] for word in small)
        # Of languages that share short words with names and addresses, one word of grammar says nothing.
        if (grammar >= 2 and content >= 2) or (code == "en" and grammar >= 1 and content >= 3):
            why = f"a sentence of {len(words)} words, {grammar} of them of the grammar of {code}"
            yield Run(match.start(), match.end(), code, "switch", "high", why, LATIN_LETTER)


_TOOLS = frozenset(
    [
        "git",
        "cd",
        "ls",
        "rm",
        "cp",
        "mv",
        "mkdir",
        "cat",
        "echo",
        "pip",
        "npm",
        "npx",
        "yarn",
        "sudo",
        "apt",
        "brew",
        "docker",
        "python",
        "node",
        "curl",
        "wget",
        "grep",
    ]
)
_OPTIONS = re.compile(r"\s--?[A-Za-z]|&&|\|\||=>|[{};]")


def _is_command(text: str, start: int, end: int) -> bool:
    """Return whether a run of Latin letters is a line for a shell or a program: a tool's name first, options, operators."""
    first = text[start : start + 12].split(maxsplit=1)[0]
    return first in _TOOLS or _OPTIONS.search(text, start, min(len(text), end + 3)) is not None


def accented_words(text: str, expected: str) -> Iterator[Run]:
    """Yield words in small letters with Vietnamese letters, and others with accents where Latin is not the script."""
    if expected == "vi":
        return
    latin = not written_with(expected)
    for match in _ACCENTED.finditer(text):
        word = match[0]
        if not word.islower():
            continue
        if _VIETNAMESE.search(word):
            yield Run(match.start(), match.end(), "vi", "token", "medium", "Vietnamese letters", LATIN_LETTER)
        elif not latin and len(word) >= 3:
            yield Run(match.start(), match.end(), "und", "token", "low", "a word with accents", LATIN_LETTER)


def latin_switches(text: str, expected: str) -> Iterator[Run]:
    """Yield lines of another Latin-written language in a text of one: six words, a quarter of them of its grammar only."""
    stop = all_stop_words()
    own = stop.get(expected)
    if own is None:
        return
    present = set(text.lower().split())
    likely = [code for code, words in stop.items() if code != expected and len((words - own) & present) >= 3]
    if not likely:
        return
    for match in re.finditer(r"[^\n]+", text):
        words = _LETTERS_ONLY.findall(match[0].lower())
        if len(words) < 6:
            continue
        at_home = sum(word in own for word in words)
        counts = {code: sum(word in stop[code] for word in words) for code in likely}
        code = max(counts, key=lambda name: counts[name])
        if counts[code] >= max(3, len(words) / 4) and counts[code] > 2 * at_home:
            start = match.start() + len(match[0]) - len(match[0].lstrip())
            end = match.start() + len(match[0].rstrip())
            why = f"a line with {counts[code]} words of the grammar of {code}"
            yield Run(start, end, code, "switch", "high", why, LATIN_LETTER)
