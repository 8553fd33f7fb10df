"""Parts of a response that are in no language, and words that are mentioned rather than used.

Code, links, formulae and the like are masked whole. Of what stands in quotation marks or brackets only that is let pass
which fills them: `"学校"` is a word that is spoken of, `(such as 学校 and other places)` is not.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cache

from watari.languages.leakage import leakage_profile

_PARTS = re.compile(
    "|".join(
        (
            r"^[ \t]*(`{3,}|~{3,})[^\n]*(?:\n(?![ \t]*\1)[^\n]*)*(?:\n[ \t]*\1[^\n]*)?",  # fenced code, whole or cut
            r"`[^`\n]{1,300}`",
            r"(?:https?|ftp)://[^\s<>\"'「」（）()、。，！？　]+",
            r"www\.[A-Za-z0-9./?=&_%#~-]+",
            r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z]{2,})*",
            r"(?<![A-Za-z0-9])[@#][A-Za-z0-9_]{2,50}",
            r"\$\$[^$]{1,600}\$\$",
            r"\\\[(?:(?!\\\]).){1,600}\\\]",
            r"\\\((?:(?!\\\)).){1,300}\\\)",
            r"\$(?=[^\s$])[^$\n]{0,80}[\\^_{}=][^$\n]{0,80}(?<=[^\s$])\$",
            r"^[ \t]*(?:[$#%>] |>>> |\.\.\. )(?:sudo |git |cd |ls |cat |pip |npm |python|curl |echo |mkdir |rm |import |from |print)[^\n]*",
            r"</?[A-Za-z][A-Za-z0-9-]{0,20}(?:\s[^<>\n]{0,200})?/?>",
            r"(?<![A-Za-z0-9/])(?:~|\.{1,2})?/(?:[A-Za-z0-9._-]+/)+[A-Za-z0-9._-]*",
            r"(?<![A-Za-z0-9])[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\([^()\n\u3040-\u9fff]{0,80}\)",
        )
    ),
    re.MULTILINE | re.DOTALL,
)
_SIGNS = re.compile(r"[`~@#$\\<>/]|www\.|[A-Za-z0-9_]\(")
_PAIRS = (
    ("「", "」"),
    ("『", "』"),
    ("“", "”"),
    ("„", "“"),
    ("(", ")"),
    ("（", "）"),
    ("[", "]"),
    ("［", "］"),
    ("【", "】"),
    ("《", "》"),
    ("〈", "〉"),
    ("«", "»"),
    ("‘", "’"),
    ('"', '"'),
    ("'", "'"),
    ("＂", "＂"),
)
_OPENERS = re.compile("[" + re.escape("".join(opener for opener, _ in _PAIRS)) + "]")
_ASCII_LETTER = re.compile("[A-Za-z]")
_REACH = 120
"""Characters at each side within which quotation marks and brackets are looked for."""
_LABEL = re.compile(r"\A[^:：]{0,40}[:：]\s*")
_GLOSS = re.compile(r"[*_\"”’'」』】》]{0,3}([ \u3000]?)[(（]([^()（）\n]{1,40})[)）]")
_ROMAN = re.compile(
    r"(?:(?:[kgsztdnhbpmyrwjfc]|[sc]h|ts|[kgnhbpmr]y|kk|ss|tt|pp)?[aiueoāīūēō]n?['’ -]?){2,}", re.IGNORECASE
)


class Masks:
    """What of a response is masked; parts are looked for when the first is asked for.

    Args:
        text: The response.
        prompt: What the model was given.
        expected: ISO 639 code of the language that the response should be in.
    """

    def __init__(self, text: str, prompt: str, expected: str) -> None:
        self.text = text
        self.prompt = prompt
        self._expected = expected
        self._folded: str | None = None
        self._spans: tuple[list[int], list[int]] | None = None

    def covers(self, start: int, end: int) -> bool:
        """Return whether a stretch lies in code, a link, a formula or the like."""
        if self._spans is None:
            found = [match.span() for match in _PARTS.finditer(self.text)] if _SIGNS.search(self.text) else []
            self._spans = [first for first, _ in found], [last for _, last in found]
        starts, ends = self._spans
        at = bisect_right(starts, start) - 1
        return at >= 0 and end <= ends[at]

    def given(self, run: str) -> bool:
        """Return whether a run stands in the prompt, whatever its case."""
        if not self.prompt:
            return False
        if self._folded is None:
            self._folded = self.prompt.casefold()
        return run.strip().casefold() in self._folded

    def mentions(self, start: int, end: int, foreign: re.Pattern[str]) -> bool:
        """Return whether a stretch is mentioned: quoted or bracketed with little else, explained, or announced.

        Args:
            start, end: The stretch.
            foreign: Pattern for one letter of its language.
        """
        text = self.text
        nearest = max(0, start - _REACH)
        first = max(text.rfind("\n", nearest, start) + 1, nearest)
        last = text.find("\n", end, end + _REACH)
        last = min(len(text), end + _REACH) if last < 0 else last
        before, after = text[first:start], text[end:last]
        glued = _ASCII_LETTER.match(before[-1:]) or _ASCII_LETTER.match(after[:1])
        if glued and foreign.match("a") is None:
            return False
        if _OPENERS.search(before) and self._enclosed(before, text[start:end], after, foreign):
            return True
        gloss = _GLOSS.match(after)
        if gloss and end - start <= 40 and _explains(gloss[1], gloss[2], foreign):
            return True
        cues, behind = _cues(self._expected)
        rest = after.lstrip(" \u3000")
        return any(cue.search(before) for cue in cues) or any(cue.match(rest) for cue in behind)

    def quotes(self, start: int, end: int) -> bool:
        """Return whether a stretch is a citation: quotation marks on its line hold it and little else, however long."""
        text = self.text
        nearest = max(0, start - _REACH)
        first = max(text.rfind("\n", nearest, start) + 1, nearest)
        last = text.find("\n", end, end + _REACH)
        before = text[first:start].rstrip()
        after = text[end : min(len(text), end + _REACH) if last < 0 else last].lstrip(" .!?…")
        return any(
            before.endswith(opener) and after.startswith(closer)
            for opener, closer in (("「", "」"), ("『", "』"), ("“", "”"), ('"', '"'), ("«", "»"), ("‘", "’"))
        )

    @staticmethod
    def _enclosed(before: str, run: str, after: str, foreign: re.Pattern[str]) -> bool:
        for opener, closer in _PAIRS:
            left = before.rfind(opener)
            if left < 0:
                continue
            right = after.find(closer)
            if right < 0:
                continue
            if opener == closer:
                if before.count(opener) % 2 == 0 or (
                    opener == "'" and (left != len(before) - 1 or right != 0)
                ):
                    continue
            elif closer in before[left + 1 :] or opener in after[:right]:
                continue
            inner = before[left + 1 :] + run + after[:right]
            if _fills(inner, foreign) or _fills(_LABEL.sub("", inner), foreign):
                return True
        return False


def _fills(inner: str, foreign: re.Pattern[str]) -> bool:
    """Return whether at least half of a stretch is foreign; a letter of an East Asian script counts as three others."""
    strange = other = 0
    for char in inner:
        if char.isalpha():
            weight = 3 if char > "\u2e7f" else 1
            if foreign.match(char):
                strange += weight
            else:
                other += weight
    return strange > 0 and strange >= other


def _explains(space: str, inner: str, foreign: re.Pattern[str]) -> bool:
    """Return whether a bracket says in letters of another kind what stands before it: its sound, or a few words."""
    if _fills(inner, foreign):
        return False
    if space:
        # Any sentence goes on in brackets: only how a word sounds belongs to that word for sure.
        return _ROMAN.fullmatch(inner) is not None
    return any(map(str.isalpha, inner)) and (inner.isascii() or len(inner) <= 12)


@cache
def _cues(code: str) -> tuple[tuple[re.Pattern[str], ...], tuple[re.Pattern[str], ...]]:
    profile = leakage_profile(code)
    cues, behind = profile.cues, profile.behind
    return tuple(re.compile(cue, re.IGNORECASE) for cue in cues), tuple(re.compile(cue) for cue in behind)
