"""When an answer counts as right: equal to an accepted one, after both are brought into one form."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_FINAL = "。.!"


def canonical(answer: str, language: str) -> str:
    """Return an answer as it is compared: NFKC, blanks joined and stripped, final 。 . ! dropped, English in one case.

    NFKC makes full-width digits and letters equal to ASCII ones, which a reader would not tell apart (llm-jp-eval
    compares in NFKC too, facts/evaluation.md §2).
    """
    text = " ".join(unicodedata.normalize("NFKC", answer).split())
    text = text.rstrip(_FINAL).rstrip()
    return text.casefold() if language == "en" else text


def is_right(answer: str, accepted: Sequence[str], language: str) -> bool:
    """Return True if `answer` equals one of the accepted answers. An empty answer is never right."""
    given = canonical(answer, language)
    return bool(given) and any(given == canonical(other, language) for other in accepted)
