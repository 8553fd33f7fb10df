"""Inline code: what stands between backticks is kept as it is, and stays between backticks.

A translator may leave a repetition out or add one, breaks lines elsewhere, translates words that were set as code only to
mark them (`width`, a message, a placeholder `{{file}}`); a name that was changed, cut or lost its backticks is a fault.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import islice

from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity, Span
from watari.synth.checks.text import Piece, Turn

CHANGED = "inline-code-changed"
LOST = "inline-code-lost"
MISSING = "inline-code-missing"
BROKEN = "inline-code-broken"
TRANSLATED = "inline-code-translated"

_SPACES = re.compile(r"\s+(?:>\s+)*")
_HOLES = re.compile(r"\{\{[^{}]*\}\}")
_INNER = re.compile(r">[^<>]*</")
_MOST = 40
_NEAR = 0.5
"""How like a name is to the one that it was changed from, at least; more than two new names are a newer page."""
_EMPTIED = re.compile(r"(?<!`)``(?!`)")
_IN_ANGLES = re.compile(r"<[^<>]*>")
_EMPTY = re.compile(r"(?<=[{(\[]) +(?=[})\]])")
_CAMEL = re.compile(r"[a-z][A-Z]|_")
_RUN = re.compile(r"(?:[^\W\d_]|[^\x00-\x7f])(?:[^\W\d_]|[^\x00-\x7f]|[ ',!?])*")
_ROLE = re.compile(r":[\w+-]+(?::[\w+-]+)*:$", re.A)
_WORD_ROLE = re.compile(r":(?:term|ref|doc|abbr|guilabel|menuselection|dfn|sub|sup):$")
_AIM = re.compile(r"^.*?<([^<>]+)>$", re.S)
_SPELLING = re.compile(r"[_-]")
_EDGES = " \t.,;:!?。、，；：！？"
_QUOTES = str.maketrans("“”„‘’′", "\"\"\"'''")
_WORDS = re.compile(r"[^\W\d_]+(?:[ '’-][^\W\d_]+)*[.!?]*")
_WORD = re.compile(r"[a-z]+")


def inline(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell which inline code was changed, cut, translated, or lost its backticks."""
    found: list[Finding] = []
    for number, (one, other) in enumerate(zip(source, target, strict=False)):
        if (one.inline or other.inline) and other.content.strip():
            found += _compare(one, other, number)
    return found


def _compare(one: Turn, other: Turn, number: int) -> Iterator[Finding]:
    mine, theirs = _codes(one), _codes(other)
    lost, new = _first(mine - theirs), _first(theirs - mine)
    if other.stray_ticks > one.stray_ticks and one.inline:
        emptied = lost and len(_EMPTIED.findall(other.outside)) > len(_EMPTIED.findall(one.outside))
        severity = Severity.HARD if emptied else Severity.WARN
        yield Finding(BROKEN, severity, "backticks that enclose nothing, or are not closed")
    if not lost:
        return
    foreign = [code for code in new if not code.isascii()]
    if not mine & theirs and not theirs:
        # Every backtick is gone: one finding is enough.
        yield Finding(
            LOST, Severity.HARD, f"no inline code is left; the source has `{next(iter(lost))[:60]}`"
        )
        return
    strange = [code for code in new if code.isascii() and not _stands_in(one, code)]
    names = [code for code in lost if not is_word(code) and not any(_alike(code, one) for one in foreign)]
    for code in strange:
        # Of codes that are new, one that nearly stands in the source was changed.
        near, closeness = _nearest(code, lost)
        # A name spelt another way by an editor: add-one, add_one.
        spelt = _SPELLING.sub("", near) == _SPELLING.sub("", code)
        yield Finding(
            CHANGED,
            Severity.HARD if closeness >= _NEAR and len(strange) <= 2 and not spelt else Severity.WARN,
            f"inline code `{code[:60]}` does not stand in the source; `{near[:60]}` is missing",
            _span(other, number, code),
        )
    for code in lost:
        # `Box<T>` without its <T>.
        if "<" in code and (bare_code := _IN_ANGLES.sub("", code).strip()) and bare_code in new:
            message = f"inline code `{code[:60]}` became `{bare_code[:60]}`"
            yield Finding(CHANGED, Severity.HARD, message, _span(other, number, bare_code))
    if strange:
        return
    # A name that stands as code elsewhere in the target may have been left out here, and a word set as code there.
    if len(foreign) < len(names):
        names = [code for code in names if code not in theirs] or names
    elif lost.total() != new.total():
        names = [code for code in names if code not in theirs]
    if foreign and names:
        yield Finding(
            CHANGED,
            Severity.HARD,
            f"inline code `{names[0][:60]}` became `{foreign[0][:60]}`",
            _span(other, number, foreign[0]),
        )
        return
    missing = [
        code for code in lost if code not in theirs and not is_word(code) and any(map(str.isalpha, code))
    ]
    for code in lost:
        bare, was_bare = _bare(other, code), _bare(one, code)
        if bare > was_bare and (code.count(" ") < 3 or not is_word(code)) and not code.isdigit():
            # Set off by blanks, a word, or a name that is code elsewhere, was written as Latin words are.
            as_word = (
                len(lost) == 1 and (is_word(code) or code in theirs) and f" {code} " in other.without_code
            )
            severity = Severity.WARN if as_word else Severity.HARD
            yield Finding(LOST, severity, f"`{code[:60]}` lost its backticks")
        elif foreign:
            again = code in theirs
            yield Finding(
                TRANSLATED if not again else CHANGED,
                Severity.WARN if not again else Severity.HARD,
                f"inline code `{code[:60]}` became `{foreign[0][:60]}`",
                _span(other, number, foreign[0]),
            )
        elif code in missing:
            # One may have been said in other words; with two, something is left out.
            severity = Severity.HARD if len(missing) > 1 else Severity.WARN
            yield Finding(MISSING, severity, f"inline code `{code[:60]}` is missing")


def _first(codes: Counter[str]) -> Counter[str]:
    # Each is looked for in the text: a row with hundreds of them takes no longer.
    return Counter(dict(islice(codes.items(), _MOST))) if len(codes) > _MOST else codes


def _codes(turn: Turn) -> Counter[str]:
    return Counter(code for piece in turn.inline if (code := _code(turn, piece)))


def _code(turn: Turn, piece: Piece) -> str:
    text = piece.text
    before = turn.outside[max(0, piece.start - 40) : piece.start]
    if _WORD_ROLE.search(before) and not _AIM.match(text):
        return ""
    if _ROLE.search(before) or turn.outside[piece.stop : piece.stop + 1] == "_":
        # reStructuredText: `words <what they point at>`.
        text = _AIM.sub(r"\1", text)
    return plain(text)


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Return code as it is compared: blanks, quotes and edges alike, holes to fill empty."""
    text = _HOLES.sub("{}", _SPACES.sub(" ", text.translate(_QUOTES)))
    if "</" in text:
        text = _INNER.sub("></", text)
    text = _EMPTY.sub("", text)
    return text.strip(_EDGES) or text.strip()


def is_word(code: str) -> bool:
    """Return whether code is plain words that a translator may translate."""
    return bool(_WORDS.fullmatch(code)) and (" " in code or bool(_WORD.fullmatch(code)))


def _bare(turn: Turn, code: str) -> int:
    """Return how often code stands in the text outside code."""
    text = turn.without_code
    if code.split()[0] not in text:
        return 0
    return len(_standing(code).findall(_HOLES.sub("{}", text) if "{}" in code else text))


def _stands_in(turn: Turn, code: str) -> bool:
    """Return whether code stands in the content, whole: a name that was cut does not, nor does half a bracket."""
    if any(code.count(opening) != code.count(closing) for opening, closing in ("()", "[]", "{}", "<>")):
        return code in _codes(turn)
    return _standing(code).search(turn.content) is not None


@lru_cache(maxsize=1024)
def _standing(code: str) -> re.Pattern[str]:
    before = r"(?<![A-Za-z0-9_])" if code[0].isalnum() else ""
    after = r"(?![A-Za-z0-9_])" if code[-1].isalnum() else ""
    return re.compile(before + re.escape(code).replace("\\ ", r"\s+") + after)


def _alike(code: str, other: str) -> bool:
    """Return whether two codes differ in plain words only: `start..end` and `開始..終了`."""
    if "(" in code or "<" in code or not any(char.islower() for char in code) or _CAMEL.search(code):
        return False
    pattern = _RUN.sub("w", code)
    return pattern != "w" and pattern == _RUN.sub("w", other) and len(pattern) > 1


def _nearest(code: str, lost: Counter[str]) -> tuple[str, float]:
    """Return the code of the source that another one is most like, and how like it is, to 1."""
    best = max(lost, key=lambda one: _closeness(code, one))
    return best, _closeness(code, best)


def _closeness(code: str, other: str) -> float:
    if code in other or other in code:
        return 1.0
    if len(code) > 200 or len(other) > 200:
        code, other = code[:200], other[:200]
    return SequenceMatcher(None, code, other, autojunk=False).ratio()


def _span(turn: Turn, number: int, code: str) -> Span | None:
    for piece in turn.inline:
        if _code(turn, piece) == code:
            return Span(number, piece.start, piece.stop)
    return None


CHECKS = (
    Check(
        "inline",
        3,
        {**dict.fromkeys((CHANGED, LOST, MISSING, BROKEN), Severity.HARD), TRANSLATED: Severity.WARN},
        inline,
    ),
)
