"""Replies that leak: words in a script that is not their language's, found by script alone.

This is a lower bound, made to be watched while a model is trained, and no detector: it costs microseconds, needs no
model, and leaves out what is usual in good text. Words that stand in the prompt, code, addresses, and names and
abbreviations (Latin or Cyrillic words that begin with a capital) do not count. It cannot see leakage between languages
of one script, such as Chinese in Japanese without kana.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import groupby

from watari.text.scripts import script_shares

_OWN = {
    "ja": {"kana", "han"},
    "zh": {"han"},
    "ko": {"hangul"},
    "ru": {"cyrillic"},
    "th": {"thai"},
    **{code: {"latin"} for code in ("en", "de", "es", "fr", "id", "it", "nl", "pl", "pt", "tr", "vi")},
}
_CASED = {"latin", "cyrillic"}
_CODE = re.compile(r"```.*?(?:```|$)|`[^`\n]*`|\S*(?:://|www\.|@|\.[a-z]{2,4}/)\S*", re.DOTALL)
_LETTERS = re.compile(r"[^\W\d_]+")


def foreign_words(reply: str, prompt: str, language: str) -> list[str] | None:
    """Return the words of `reply` that are foreign to `language` by their script, or None if its scripts are not known.

    Args:
        reply: The text.
        prompt: What it answers; words of it may be repeated.
        language: The code of the language that the reply should be in.
    """
    own = _OWN.get(language)
    if own is None:
        return None
    known = prompt.casefold()
    return [
        word
        for run in _LETTERS.findall(_CODE.sub(" ", reply))
        for word, script in _words(run)
        if script not in own and script != "other" and _counts(word, script) and word.casefold() not in known
    ]


def _words(run: str) -> list[tuple[str, str]]:
    """Return the stretches of one script in a run of letters."""
    if run.isascii():
        return [(run, "latin")]
    return [("".join(letters), script) for script, letters in groupby(run, key=_script)]


def _counts(word: str, script: str) -> bool:
    return script not in _CASED or (len(word) > 1 and word[0].islower())


@lru_cache(maxsize=65536)
def _script(letter: str) -> str:
    shares = script_shares(letter)
    return max(shares, key=lambda name: shares[name])
