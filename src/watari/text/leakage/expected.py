"""Which language the answer to a conversation should be in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from watari.languages.leakage import leakage_languages, leakage_profile
from watari.text.leakage.event import UNDETERMINED
from watari.text.leakage.letters import LATIN_LETTER, LETTERS

# What stands in code or quotation marks is the matter of a request, not the request.
_MATTER = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|「[^「」]*」|『[^『』]*』|“[^“”]*”|\"[^\"\n]*\"|https?://\S+", re.DOTALL
)
# "in either Japanese or English" asks for neither.
_EITHER = re.compile(
    r"\b(?:or|either|and)\s*\Z|(?:または|又は|もしくは|あるいは|、|か|と|或|或者|また)\Z", re.IGNORECASE
)
_OR = re.compile(r"\A\s*(?:or|and|/)\b|\A(?:または|又は|もしくは|あるいは|か)", re.IGNORECASE)
_NO = re.compile(r"\b(?:not|never|n't|don’t|without|instead of|avoid)\b[^.\n]{0,30}\Z", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")


def expected_language(messages: Sequence[Mapping[str, str]], default: str | None = None) -> str:
    """Return the ISO 639 code of the language that the answer to a conversation should be in.

    An instruction in the last message of the user decides ("in English, please", 「日本語に訳して」), then one in the
    system message, then the language of the user's last message without what it quotes.

    Args:
        messages: In OpenAI's form; `content` may be missing.
        default: What comes back where nothing tells; None: `und`.
    """
    users = [item.get("content") or "" for item in messages if item.get("role") == "user"]
    systems = [item.get("content") or "" for item in messages if item.get("role") in ("system", "developer")]
    for text in (*users[-1:], *systems):
        if found := _asked(text):
            return found
    for text in (*reversed(users), *systems):
        for part in (_MATTER.sub(" ", text), text):
            if (found := _written(part)) != UNDETERMINED:
                return found
    return default or UNDETERMINED


def _asked(text: str) -> str | None:
    """Return the language that an instruction asks for; the last one where several do."""
    plain = _MATTER.sub(" ", text)
    found: list[tuple[int, str]] = []
    for pattern, names, direct in _asks():
        if pattern is not None:
            for match in pattern.finditer(plain):
                name = next(group for group in match.groups() if group)
                start = plain.find(name, match.start())
                before, after = plain[:start], plain[start + len(name) :]
                if not (
                    _EITHER.search(before) or _OR.search(after) or _NO.search(plain[: match.start() + 1])
                ):
                    found.append((start, names[name.casefold()]))
        for code, phrase in direct:
            found += [(match.start(), code) for match in phrase.finditer(plain)]
    return max(found)[1] if found else None


_Asks = tuple[re.Pattern[str] | None, dict[str, str], tuple[tuple[str, re.Pattern[str]], ...]]


@cache
def _asks() -> tuple[_Asks, ...]:
    profiles = [leakage_profile(code) for code in leakage_languages()]
    names = {name.casefold(): profile.code for profile in profiles for name in profile.names}
    longest = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    made = []
    for profile in profiles:
        asks = "|".join(ask.replace("{name}", f"({longest})") for ask in profile.asks)
        pattern = re.compile(asks, re.IGNORECASE | re.MULTILINE) if asks else None
        direct = tuple((code, re.compile(phrase)) for code, phrase in profile.direct.items())
        if pattern is not None or direct:
            made.append((pattern, names, direct))
    return tuple(made)


def _written(text: str) -> str:
    """Return the language that a text is written in: by its script, for Latin letters by words of grammar."""
    counts = {name: len(pattern.findall(text)) for name, pattern in _scripts()}
    latin = len(LATIN_LETTER.findall(text))
    # A letter of these scripts says as much as several Latin ones.
    east = {"ja": counts["ja"] + counts["zh"] if counts["ja"] else 0, "zh": counts["zh"], "ko": counts["ko"]}
    best = max(east, key=lambda name: (east[name], name == "ja"))
    if east[best] and 3 * east[best] >= latin:
        return best
    others = {name: count for name, count in counts.items() if name not in east}
    other = max(others, key=lambda name: others[name])
    if others[other] > latin:
        return other
    if not latin:
        return UNDETERMINED
    words = _WORD.findall(text.lower())
    stops = {
        code: sum(word in listed for word in words)
        for code in leakage_languages()
        if code not in counts and (listed := frozenset(leakage_profile(code).stop.split()))
    }
    top = max(stops, key=lambda code: (stops[code], code == "en"))
    return top if stops[top] > 1 else "en"


@cache
def _scripts() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((name, re.compile(f"[{letters}]")) for name, letters in LETTERS)
