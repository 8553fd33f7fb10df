"""From what a model wrote to the answer that is compared: cut, normalised, stripped, as the release did it."""

from __future__ import annotations

import unicodedata

from watari.evals.jaster.spec import AnswerRule


def prediction(text: str, rule: AnswerRule) -> str:
    """Return the answer in a model's text.

    1.0 cuts at the first line break and leaves blanks as they are (they then fail an exact match); 1.3 cuts at the first
    blank line and strips. What stands first decides: a text that begins with its end is an empty answer.
    """
    ends = [place for end in rule.until if (place := text.find(end)) >= 0]
    answer = text[: min(ends)] if ends else text
    if rule.normal_form:
        answer = unicodedata.normalize(rule.normal_form, answer)
    return answer.strip() if rule.strip else answer


def gold(text: str, rule: AnswerRule) -> str:
    """Return a gold answer in the form in which answers are compared with it."""
    return unicodedata.normalize(rule.normal_form, text) if rule.normal_form else text
