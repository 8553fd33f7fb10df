"""What a spec of MT-Bench's kind pins: questions, answers' and judge's settings, rating rule, invalid rows, aggregation."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from watari.evals.spec import SpecHead
from watari.judge.rating import RatingRule

InvalidPolicy = Literal["drop", "as-is"]
"""What is done with ratings that could not be read: leave them out, or average the -1 in that upstream writes."""

Kind = Literal["general", "math"]
"""Which judge prompt a category takes: `math` ones are shown a reference answer."""

Role = Literal["questions", "prompts", "references"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class QuestionSet(_Frozen):
    """A set of questions whose ids say their category.

    Args:
        language: Of the questions.
        categories: First and last id of each; in this order in tables.
    """

    language: str
    categories: dict[str, tuple[int, int]]

    @model_validator(mode="after")
    def _ids_are_apart(self) -> QuestionSet:
        taken: set[int] = set()
        for category, (first, last) in self.categories.items():
            ids = set(range(first, last + 1))
            if not ids or ids & taken:
                raise ValueError(f"categories: {category}: no ids of its own from {first} to {last}")
            taken |= ids
        return self

    def category_of(self, question: str) -> str | None:
        """Return the category of a question's id; None if it is none of this set."""
        if not question.isascii() or not question.isdigit():
            return None
        number = int(question) if len(question) < 10 else -1
        return next(
            (name for name, (first, last) in self.categories.items() if first <= number <= last), None
        )

    def ids(self) -> list[str]:
        """Return every id, in the order of the set."""
        return [str(id) for first, last in self.categories.values() for id in range(first, last + 1)]


class AnswerSettings(_Frozen):
    """How answers are generated.

    Args:
        temperatures: By category; 0 means greedy.
        temperature: Of any other category.
        max_tokens: Tokens of an answer at most.
        system: Upstream's system prompt by language, where it pins one; "" elsewhere.
    """

    temperatures: dict[str, float]
    temperature: float = Field(default=0.7, ge=0)
    max_tokens: int = Field(default=1024, ge=1)
    system: dict[str, str] = Field(default_factory=dict)

    def temperature_of(self, category: str) -> float:
        """Return the temperature at which a category is answered."""
        return self.temperatures.get(category, self.temperature)


class JudgeSettings(_Frozen):
    """How the judge is asked.

    Args:
        model: Which one the published figures were rated by: for the record; any judge may rate.
        temperature: Sampling temperature.
        max_tokens: Tokens of a judgment at most.
        prompts: Name of the prompt by kind of category and turn (from 1).
    """

    model: str
    temperature: float = Field(default=0.0, ge=0)
    max_tokens: int = Field(default=2048, ge=1)
    prompts: dict[Kind, dict[int, str]]

    def prompt_name(self, kind: Kind, turn: int) -> str | None:
        """Return the name of the prompt for a kind of category and a turn; None where upstream has none."""
        return self.prompts.get(kind, {}).get(turn)


class Vintage(_Frozen):
    """A file of upstream's, known by its hash: what a user's file is held against.

    Args:
        role: What it holds.
        name: Which vintage.
        sha256: Of its bytes.
        source: Where it lies.
    """

    role: Role
    name: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    source: str


class MTBenchSpec(SpecHead):
    """A way to run and score MT-Bench.

    Args:
        family: Always mtbench.
        rating: How a rating is read in a judge's text.
        ratings: Lowest and highest rating that counts; others are invalid. The prompts ask for 1 to 10; upstream's code
            also takes 0.
        divide: What ratings are divided by, to come to `scale`.
        invalid: What is done with ratings that could not be read, unless told.
        duplicates: What is done with several rows of the same model, question, turn, run and judge: all are averaged.
        aggregation: `rows`: the mean over all valid ratings. `runs`: the mean of each run, and then over runs.
        turns: Those that count.
        runs: Answers to each question.
        sets: Question sets by name; the first is what is asked unless told.
        references: Categories whose judge is shown reference answers (kind `math`).
        answers, judge: Settings.
        vintages: Upstream's files by hash.
    """

    family: Literal["mtbench"]
    rating: RatingRule
    ratings: tuple[float, float] = (0, 10)
    divide: float = Field(default=1.0, gt=0)
    invalid: InvalidPolicy = "drop"
    duplicates: Literal["average"] = "average"
    aggregation: Literal["rows", "runs"] = "rows"
    turns: tuple[int, ...] = Field(default=(1, 2), min_length=1)
    runs: int = Field(default=1, ge=1)
    sets: dict[str, QuestionSet] = Field(min_length=1)
    references: tuple[str, ...] = ()
    answers: AnswerSettings
    judge: JudgeSettings
    vintages: tuple[Vintage, ...] = ()

    @property
    def categories(self) -> tuple[str, ...]:
        """Every category, in the order of tables."""
        return tuple(dict.fromkeys(name for one in self.sets.values() for name in one.categories))

    def kind_of(self, category: str) -> Kind:
        """Return which judge prompt a category takes."""
        return "math" if category in self.references else "general"

    def category_of(self, question: str) -> str | None:
        """Return the category that a question's id says; None if no set has it."""
        found = (one.category_of(question) for one in self.sets.values())
        return next((category for category in found if category is not None), None)

    def vintage(self, role: Role, sha256: str) -> Vintage | None:
        """Return the known file of that role with that hash; None for any other file."""
        return next((one for one in self.vintages if (one.role, one.sha256) == (role, sha256)), None)
