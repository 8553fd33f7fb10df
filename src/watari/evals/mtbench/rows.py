"""One row of judgments, in whatever form a tool wrote it: what it says, or what is wrong with it.

Forms that are read:
- FastChat: {question_id, model, judge: [name, prompt], judgment, score, turn}; score -1 means that none was read;
- Swallow's: the same with lists in `score` and `judgment`, one element a run;
- Nejumi's: `judge_model`, `judge_prompt_template` in place of `judge`;
- a text alone (`judgment`, `judge_output` or `text`): its rating is read by the spec's rule;
- wide: {question_id, model, turn, <judge>: score, ...};
- pairs: {question_id, model_1, model_2, g1_winner, g2_winner, judge, turn}.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

from watari.errors import UserError
from watari.evals.mtbench.fields import (
    MEND,
    SCORES,
    TEXTS,
    Row,
    category_stated,
    is_score,
    judge_of,
    looks_like,
    name_of,
    question_of,
    scores_of,
    shown,
    texts_of,
    turn_of,
    whole_of,
)

Verdict = Literal["model_1", "model_2", "tie", "error"]

_RUNS = ("run", "choice", "choice_index")
_VERDICTS = ("model_1", "model_2", "tie", "error")
_KNOWN = frozenset(
    [
        "question_id",
        "model",
        "model_id",
        "judge",
        "judge_model",
        "judge_prompt_template",
        "turn",
        "category",
        "score",
        "rating",
        "tstamp",
        "timestamp",
        "id",
        "answer_id",
        "row",
        "i",
        "n",
        "index",
        "seed",
        "cost",
        "tokens",
        "prompt_tokens",
        "completion_tokens",
        "temperature",
        "latency",
    ]
) | {*TEXTS, *_RUNS}


@dataclass(frozen=True, slots=True)
class Rating:
    """One rating of one turn of one answer.

    Args:
        question: Its id, as text: 81 and "81" are the same.
        model: Whose answer.
        judge: Who rated; "" where the row does not say.
        turn: From 1; 0 where the row does not say.
        run: From 0; of several in one file.
        score: As it is stored: -1 included; None: null, or not stored at all.
        stored: True if the row has a score, be it null.
        text: What the judge said, if it is there.
        prompt: Name of the judge prompt; "" where the row does not say.
        category: Of the question; "" where the row does not say.
        problem: Why there is no rating, where whoever wrote the row says so.
        place: File and line, for messages.
        id: Of the judgment, by its content, where the file has one: the same judgment may stand in several runs.
    """

    question: str
    model: str
    judge: str
    turn: int
    run: int
    score: float | None
    stored: bool
    text: str | None
    prompt: str
    category: str
    problem: str
    place: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models' answers held against each other in both orders.

    Args:
        question, judge, turn, prompt, category, place: As of `Rating`.
        models: The two.
        verdicts: Of both orders, by whose answer was the better.
    """

    question: str
    models: tuple[str, str]
    verdicts: tuple[Verdict, Verdict]
    judge: str
    turn: int
    prompt: str
    category: str
    place: str

    @property
    def winner(self) -> Verdict:
        """FastChat's verdict: a tie or a disagreement is a tie; an error in one order spoils the pair."""
        if "error" in self.verdicts:
            return "error"
        first, second = self.verdicts
        return first if first == second else "tie"


def is_pair(row: Row) -> bool:
    """Return whether a row compares two models."""
    return "g1_winner" in row or "g2_winner" in row


def pair_of(row: Row, place: str) -> Pair:
    """Return what a row of pairs says.

    Raises:
        UserError: naming the place and the field that is missing or wrong.
    """
    judge, prompt = judge_of(row, place)
    return Pair(
        question_of(row, place),
        (name_of(row, "model_1", place), name_of(row, "model_2", place)),
        (_verdict(row, "g1_winner", place), _verdict(row, "g2_winner", place)),
        judge,
        turn_of(row, prompt, place),
        prompt,
        category_stated(row),
        place,
    )


def ratings_of(row: Row, place: str) -> Iterator[Rating]:
    """Yield every rating that a row holds: one, one a run, or one a judge.

    Raises:
        UserError: naming the place and the field that is missing or wrong.
    """
    question = question_of(row, place)
    model = name_of(row, "model" if "model" in row or "model_id" not in row else "model_id", place)
    judge, prompt = judge_of(row, place)
    turn = turn_of(row, prompt, place)
    run = next((whole_of(row[name], f"{place}: {name}", 0) for name in _RUNS if row.get(name) is not None), 0)
    texts = texts_of(row, place)
    stored = next((name for name in SCORES if name in row), None)
    if stored is not None or texts is not None:
        scores = scores_of(row[stored], f"{place}: {stored}") if stored is not None else None
        for position in range(_length(scores, texts, place)):
            yield Rating(
                question,
                model,
                judge,
                turn,
                run + position,
                scores[position] if scores else None,
                scores is not None,
                texts[position] if texts else None,
                prompt,
                category_stated(row),
                str(row.get("problem") or ""),
                place,
            )
        return
    wide = {name: value for name, value in row.items() if name not in _KNOWN and is_score(value)}
    if judge or not wide:
        raise UserError(f"{place}: no score and no judge's text{looks_like(row)}", MEND)
    for name, value in wide.items():
        for position, score in enumerate(scores_of(value, f"{place}: {name}")):
            yield Rating(
                question, model, name, turn, run + position, score, True, None, prompt, category_stated(row), "", place
            )  # fmt: skip


def _length(scores: list[float | None] | None, texts: list[str | None] | None, place: str) -> int:
    if scores is not None and texts is not None and len(scores) != len(texts):
        raise UserError(
            f"{place}: {len(scores)} scores, but {len(texts)} judgments", "each run has one of either"
        )
    return len(scores if scores is not None else texts or [])


def _verdict(row: Row, name: str, place: str) -> Verdict:
    value = row.get(name)
    if value not in _VERDICTS:
        raise UserError(f"{place}: {name}: one of {', '.join(_VERDICTS)} is wanted, not {shown(value)}", MEND)
    return cast(Verdict, value)
