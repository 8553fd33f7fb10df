"""Prompts with several answers and a score for each: UltraFeedback in its published forms.

Read are: openbmb's {instruction, completions: [{model, response, overall_score, fine-grained_score, annotations}]};
HuggingFaceH4's {prompt, chosen, rejected, score_chosen, score_rejected}; argilla's {instruction, chosen_response,
rejected_response, chosen_avg_rating, …} and {prompt, chosen, rejected, chosen-rating, chosen-model, …}; and distilabel's
{instruction, generations, generation_models, ratings}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from watari.artifact.draws import draw_uint64
from watari.artifact.hashing import hash_json
from watari.data.dialogue import Messages, Misshapen, messages_of
from watari.data.pairs import Pair, pair_of

Measure = Literal["overall", "fine-grained"]
"""Which of openbmb's scores counts: the critic's overall score (1 to 10), or the mean of its four ratings (1 to 5)."""
Against = Literal["worst", "random", "next"]
"""Which answer is rejected: the one with the lowest score, any other (as in Zephyr's set), or the second best."""

_OVERTURNED = 2.0
"""openbmb's `overall_score` of 10 beside a mean rating of at most this was a misread 1 (their note of 2023-12-29)."""


@dataclass(frozen=True)
class ScoredAnswer:
    """One answer. `score` is in the scale of its source; `model` may be empty."""

    text: str
    score: float
    model: str = ""


@dataclass(frozen=True)
class ScoredPrompt:
    """A prompt and its answers, in the order of the row; those without a readable score or text are left out."""

    prompt: Messages
    answers: tuple[ScoredAnswer, ...]

    @property
    def best(self) -> ScoredAnswer:
        """The answer with the highest score; the first of equal ones."""
        return max(self.answers, key=lambda answer: answer.score)

    def against(self, how: Against, seed: int, stage: str) -> ScoredAnswer | None:
        """Return the answer that is rejected: one with a lower score than the best; None if there is none.

        Args:
            how: Which of them.
            seed, stage: Of the draw for `random`, keyed by the prompt's content.
        """
        best = self.best
        lower = [answer for answer in self.answers if answer.score < best.score and answer.text != best.text]
        if not lower:
            return None
        if how == "worst":
            return min(lower, key=lambda answer: answer.score)
        if how == "next":
            return max(lower, key=lambda answer: answer.score)
        return lower[draw_uint64(seed, stage, hash_json(self.prompt)) % len(lower)]


def scored_prompt(row: Mapping[str, Any], measure: Measure) -> ScoredPrompt:
    """Return the prompt and the scored answers of a row in any of the published forms.

    Raises:
        Misshapen: if it is none of them, or no answer has a score.
    """
    if isinstance(row.get("completions"), list):
        found = ScoredPrompt(_asked(row), tuple(_completions(row["completions"], measure)))
    elif isinstance(row.get("generations"), list):
        found = ScoredPrompt(_asked(row), tuple(_generations(row)))
    else:
        pair, scores = _binarized(row)
        sides = ((pair.chosen, "chosen"), (pair.rejected, "rejected"))
        answers = [
            ScoredAnswer(text, score, _model(row, side))
            for (text, side), score in zip(sides, scores, strict=True)
        ]
        found = ScoredPrompt(pair.prompt, tuple(answers))
    if not found.answers:
        raise Misshapen("no answer has a score", "")
    return found


def _asked(row: Mapping[str, Any]) -> Messages:
    value = row.get("instruction") if "instruction" in row else row.get("prompt")
    if isinstance(value, str):
        if not value.strip():
            raise Misshapen("the prompt is empty")
        return [{"role": "user", "content": value}]
    return messages_of(value, "prompt")


def _completions(listed: Sequence[Any], measure: Measure) -> list[ScoredAnswer]:
    found = []
    for number, item in enumerate(listed, 1):
        if not isinstance(item, Mapping):
            raise Misshapen("field 'completions' is not a list of mappings", f"entry {number}")
        text, model = item.get("response"), item.get("model")
        fine = _number(item.get("fine-grained_score"))
        if fine is None:
            fine = _mean_rating(item.get("annotations"))
        score = _number(item.get("overall_score")) if measure == "overall" else fine
        if measure == "overall" and score == 10 and fine is not None and fine <= _OVERTURNED:
            score = 1.0
        if score is not None and isinstance(text, str) and text.strip():
            found.append(ScoredAnswer(text, score, model if isinstance(model, str) else ""))
    return found


def _mean_rating(annotations: Any) -> float | None:
    """Return the mean of the aspects' ratings, as openbmb computes its fine-grained score; N/A is left out."""
    if not isinstance(annotations, Mapping):
        return None
    ratings = [
        rating
        for aspect in annotations.values()
        if isinstance(aspect, Mapping) and (rating := _number(aspect.get("Rating"))) is not None
    ]
    return sum(ratings) / len(ratings) if ratings else None


def _generations(row: Mapping[str, Any]) -> list[ScoredAnswer]:
    texts, ratings = row["generations"], row.get("ratings")
    models = row.get("generation_models") or row.get("model_names") or row.get("models") or []
    if not isinstance(ratings, list) or len(ratings) != len(texts):
        raise Misshapen("field 'ratings' is not a list as long as 'generations'")
    found = []
    for place, (text, rating) in enumerate(zip(texts, ratings, strict=True)):
        score = _number(rating)
        model = models[place] if isinstance(models, list) and place < len(models) else ""
        if score is not None and isinstance(text, str) and text.strip():
            found.append(ScoredAnswer(text, score, model if isinstance(model, str) else ""))
    return found


def _binarized(row: Mapping[str, Any]) -> tuple[Pair, tuple[float, float]]:
    sides = dict(row)
    for side in ("chosen", "rejected"):
        if side not in sides and f"{side}_response" in sides:
            sides[side] = sides[f"{side}_response"]
    if "prompt" not in sides and "instruction" in sides:
        sides["prompt"] = sides["instruction"]
    pair = pair_of(sides)
    scores = []
    for side in ("chosen", "rejected"):
        names = (f"score_{side}", f"{side}-rating", f"{side}_avg_rating", f"{side}_score", f"{side}_rating")
        given = [score for name in names if (score := _number(row.get(name))) is not None]
        if not given:
            raise Misshapen(f"no score of '{side}'", f"wanted one of {', '.join(names)}")
        scores.append(given[0])
    return pair, (scores[0], scores[1])


def _model(row: Mapping[str, Any], side: str) -> str:
    for name in (f"{side}-model", f"{side}_model", f"{side}_by"):
        if isinstance(row.get(name), str):
            return str(row[name])
    return ""


def _number(value: Any) -> float | None:
    """Return a score; ratings are published as texts too, and one that was not given as `N/A`."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, int | float) and value == value and abs(value) != float("inf"):
        return float(value)
    return None


USED = (
    "instruction", "prompt", "completions", "generations", "generation_models", "ratings", "chosen", "rejected",
    "messages", "chosen_response", "rejected_response", "score_chosen", "score_rejected", "chosen-rating",
    "rejected-rating", "chosen_avg_rating", "rejected_avg_rating", "chosen-model", "rejected-model", "chosen_model",
    "rejected_model", "chosen_score", "rejected_score", "chosen_rating", "rejected_rating", "chosen_by", "rejected_by",
)  # fmt: skip
"""Columns that are in the row that is made, or that hold the answers that were not taken."""
