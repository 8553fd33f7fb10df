"""The fields of a row of judgments: each read as what it is, or told by its place and name if it is something else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from watari.errors import UserError

Row = Mapping[str, Any]

TEXTS = ("judgment", "judge_output", "text")
"""Columns that may hold a judge's text, in the order in which they are looked for."""

SCORES = ("score", "rating")
"""Columns that may hold a stored rating."""

_LARGEST = 1e6  # far beyond any scale of ratings; a larger number is garbage, and its mean may be none

MEND = "see docs/evaluation.md for the forms of judgments"


def question_of(row: Row, place: str) -> str:
    """Return the id of a row's question as text: 81, "81" and 81.0 are one question.

    Raises:
        UserError: naming the place, if there is none.
    """
    value = row.get("question_id")
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if "question_id" not in row:
        raise UserError(f"{place}: no question_id{looks_like(row)}", MEND)
    raise UserError(f"{place}: question_id: a number or a text is wanted, not {shown(value)}", MEND)


def texts_of(row: Row, place: str) -> list[str | None] | None:
    """Return the judge's texts that a row holds: one, or one a run; None where it holds none.

    Raises:
        UserError: naming the place, if something else stands there.
    """
    name = next((name for name in TEXTS if name in row), None)
    if name is None:
        return None
    value = row[name]
    texts = value if isinstance(value, list) else [value]
    for text in texts:
        if text is not None and not isinstance(text, str):
            raise UserError(f"{place}: {name}: a text is wanted, not {shown(text)}", MEND)
    return cast(list[str | None], texts)


def score_of(value: Any, name: str) -> float | None:
    """Return a stored score as a number; None for null.

    Raises:
        UserError: naming it, if it is neither.
    """
    if isinstance(value, str):
        # A table that went through a spreadsheet has its numbers as texts; any other text is no score.
        try:
            value = float(value.strip())
        except ValueError:
            raise UserError(f"{name}: a number is wanted, not {shown(value)}", MEND) from None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{name}: a number is wanted, not {shown(value)}", MEND)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not abs(number) <= _LARGEST:
        raise UserError(f"{name}: {shown(value)} is no rating", MEND)
    return value


def scores_of(value: Any, name: str) -> list[float | None]:
    """Return a stored score, or one a run, as numbers; None for null.

    Raises:
        UserError: naming it, if it is something else, or an empty list.
    """
    values = value if isinstance(value, list) else [value]
    if not values:
        raise UserError(f"{name}: an empty list", "one score a run is wanted")
    return [score_of(one, name) for one in values]


def is_score(value: Any) -> bool:
    """Return whether a value can be a score: a number, null, or a list of such."""
    if isinstance(value, list):
        return bool(value) and all(is_score(one) and not isinstance(one, list) for one in value)
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def judge_of(row: Row, place: str) -> tuple[str, str]:
    """Return (judge, name of its prompt); "" for what the row does not say.

    Raises:
        UserError: naming the place, for a judge that is neither a name nor [name, prompt].
    """
    value = row.get("judge", row.get("judge_model"))
    prompt = row.get("judge_prompt_template") or ""
    if isinstance(value, list):
        if not value or not all(isinstance(part, str) for part in value):
            raise UserError(f"{place}: judge: [name, prompt] is wanted, not {shown(value)}", MEND)
        value, prompt = value[0], value[1] if len(value) > 1 else prompt
    if value is not None and not isinstance(value, str):
        raise UserError(f"{place}: judge: a name is wanted, not {shown(value)}", MEND)
    return (value or "").strip(), str(prompt)


def turn_of(row: Row, prompt: str, place: str) -> int:
    """Return the turn, from 1: as the row says it, or the name of its prompt; 0 where neither does.

    Raises:
        UserError: naming the place, for a turn that is no count.
    """
    value = row.get("turn")
    if value is not None:
        return whole_of(value, f"{place}: turn", 1)
    if not prompt:
        return 0
    return 2 if prompt.endswith("-multi-turn") else 1


def whole_of(value: Any, name: str, least: int) -> int:
    """Return a count.

    Raises:
        UserError: naming it, if it is none from `least` to 10,000.
    """
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value[:20])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 10_000:
        raise UserError(f"{name}: a count from {least} is wanted, not {shown(value)}", MEND)
    return value


def name_of(row: Row, name: str, place: str) -> str:
    """Return a model's name.

    Raises:
        UserError: naming the place and field, if there is none.
    """
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        what = f"not {shown(value)}" if name in row else "there is none"
        raise UserError(f"{place}: {name}: a model's name is wanted, {what}", MEND)
    return value.strip()


def category_stated(row: Row) -> str:
    """Return the category that the row itself says; "" if it says none."""
    value = row.get("category")
    return value.strip() if isinstance(value, str) else ""


def looks_like(row: Row) -> str:
    """Return what a row without judgments may be instead, as the end of a message; "" if nobody can tell."""
    if "choices" in row:
        return "; it looks like an answer, not a judgment"
    if "turns" in row:
        return "; it looks like a question, not a judgment"
    if "gold" in row or "pred" in row:
        return "; it looks like llm-jp-eval's"
    if "scores" in row:
        return "; it looks like Shaberi's"
    return ""


def shown(value: Any) -> str:
    """Return a value as it is shown in a message: in 40 characters."""
    shown = (
        repr(value)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) < 10**20
        else "a huge number"
    )
    return shown if len(shown) <= 40 else f"{shown[:37]}..."
