"""Reading a rating out of a judge's text: pure functions, one a rule, exactly as the benchmark's own code reads it.

What cannot be read is None, never a number; `why_unreadable` says why. Upstream writes -1 there.
"""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

RatingRule = Literal["fastchat", "stability-ja", "nejumi"]
"""How a rating is read: see `fastchat_rating`, `stability_rating`, `nejumi_rating`."""

FAILED = "$ERROR$"
"""What FastChat writes for a judgment when its judge could not be asked."""

NO_RATING = "no rating in the judge's text"
NO_TEXT = "the judge said nothing"
NOT_ASKED = f"the judge failed ({FAILED})"

_DOUBLE = re.compile(r"\[\[(\d+\.?\d*)\]\]")
_SINGLE = re.compile(r"\[(\d+\.?\d*)\]")
_MOST = 64  # digits: a longer one is garbage, and Python refuses to read it as an integer


def fastchat_rating(text: str) -> float | None:
    """Return FastChat's rating: the first `[[8]]` or `[[8.5]]`; where there is none, the first `[8]`.

    The number is read as a Python literal, so `0` and `8.` are ratings. What upstream's code breaks off at (`[[08]]`,
    digits of other scripts) is None here.

    Source: FastChat 0e6d3e4, fastchat/llm_judge/common.py.
    """
    found = _number(text)
    return None if found is None else _literal(found)


def stability_rating(text: str) -> float | None:
    """Return the rating of Stability AI's Japanese prompts, which ask for `評価：[[5]]`: FastChat's rule.

    Beyond it, full-width digits in the brackets are read: a judge that writes Japanese may write them, and upstream
    breaks off there.

    Source: Stability-AI/FastChat, branch jp-stable, e37eb28.
    """
    found = _number(text)
    return None if found is None else _literal(unicodedata.normalize("NFKC", found))


def nejumi_rating(text: str) -> float | None:
    """Return Nejumi's rating: of a JSON object that its judge is forced to, or FastChat's of any other text.

    The object's `rating` is an integer from 0 to 10, or one in brackets as a text: `{"explanation": …, "rating": "[[7]]"}`.
    What else stands there is no rating; brackets in the explanation are none either.

    Source: wandb/llm-leaderboard 028d41c, scripts/evaluator/mtbench.py; Swallow's setting judges in plain text.
    """
    content = _object(text)
    if content is None:
        return fastchat_rating(text)
    rating = content["rating"]
    if isinstance(rating, str):
        inside = re.fullmatch(r"\s*(?:\[\[)?([0-9]{1,2})(?:\]\])?\s*", rating)
        rating = int(inside.group(1)) if inside else None
    if isinstance(rating, bool) or not isinstance(rating, int) or not 0 <= rating <= 10:
        return None
    return rating


RULES: Mapping[RatingRule, Callable[[str], float | None]] = MappingProxyType(
    {"fastchat": fastchat_rating, "stability-ja": stability_rating, "nejumi": nejumi_rating}
)


def rating_of(rule: RatingRule, text: str) -> float | None:
    """Return the rating that a rule reads in a judge's text; None if there is none."""
    return RULES[rule](text)


def why_unreadable(text: str | None) -> str:
    """Return in words why no rating was read in a judge's text."""
    if text is None or not text.strip():
        return NO_TEXT
    return NOT_ASKED if text.strip() == FAILED else NO_RATING


def _number(text: str) -> str | None:
    match = _DOUBLE.search(text) or _SINGLE.search(text)
    return match.group(1) if match else None


@lru_cache(maxsize=1024)  # judges say few different numbers
def _literal(number: str) -> float | None:
    if len(number) > _MOST:
        return None
    try:
        value = ast.literal_eval(number)
    except (SyntaxError, ValueError):
        return None
    return value if isinstance(value, int | float) else None


def _object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that the whole text is (in a fenced block or bare), if it has a rating."""
    body = text.strip()
    if fenced := re.fullmatch(r"```(?:json)?\s*\n(.*?)\n?```", body, re.S):
        body = fenced.group(1).strip()
    if not body.startswith("{"):
        return None
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and "rating" in content else None
