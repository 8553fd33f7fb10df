"""What an evaluation will take, told before anything is asked: requests, tokens, money."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from watari.endpoint.settings import Endpoint, Price
from watari.evals.mtbench.params import Params
from watari.evals.mtbench.plan import Plan

CHARACTERS_PER_TOKEN = {"dense": 1.4, "latin": 4.0}
"""Of a modern large vocabulary: English 4.1, Japanese 1.39 to 1.46 (facts/seed-systems.md §1)."""
ANSWER_TOKENS = 400
"""Of an answer, where its limit is larger: an assumption; chat models write 300 to 500 tokens to MT-Bench's questions."""
JUDGMENT_TOKENS = 200
"""Of a judgment: an assumption."""
_DENSE = 0x2E80
_MESSAGE = 8


@dataclass
class Asks:
    """What one of the two is asked.

    Args:
        who: As tables call it.
        requests: Retries not counted.
        prompt_tokens, completion_tokens: As expected, by characters.
        cost, worst: In the price's currency: as expected, and if every answer were as long as it may be. 0 for a model in
            this process, and where no price is given.
    """

    who: str
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    worst: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "who": self.who,
            "requests": self.requests,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost": round(self.cost, 6),
            "worst_cost": round(self.worst, 6),
        }


@dataclass
class Estimate:
    """What is told of both.

    Args:
        questions, runs, turns: How many are asked.
        answers, judgments: Who is asked what.
        notes: What a reader must be told.
    """

    questions: int
    runs: int
    turns: int
    answers: Asks
    judgments: Asks
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        both = (self.answers, self.judgments)
        return {
            "questions": self.questions,
            "runs": self.runs,
            "turns": self.turns,
            "answers": self.answers.as_json(),
            "judgments": self.judgments.as_json(),
            "cost": round(sum(one.cost for one in both), 6),
            "worst_cost": round(sum(one.worst for one in both), 6),
            "notes": self.notes,
        }

    def lines(self) -> list[str]:
        """Return it in words, lines of at most 80 characters but for the notes."""
        told = [f"{self.questions:,} questions, {self.runs:,} runs, {self.turns} turns"]
        told.append(f"{'':<28} {'requests':>9} {'prompt':>11} {'answer':>10} {'cost':>8} {'worst':>8}")
        for name, one in (("answers", self.answers), ("judgments", self.judgments)):
            told.append(
                f"{f'{name}: {one.who}'[:28]:<28} {one.requests:>9,} {one.prompt_tokens:>11,}"
                f" {one.completion_tokens:>10,} {one.cost:>8.2f} {one.worst:>8.2f}"
            )
        told.append(
            f"expected with {ANSWER_TOKENS} tokens an answer and {JUDGMENT_TOKENS} a judgment; at worst, every limit"
        )
        return [*told, *(f"note: {note}" for note in self.notes)]


def estimate(plan: Plan, params: Params, model: str) -> Estimate:
    """Return what a plan takes; nothing is asked.

    Args:
        plan: What will be done.
        params: Of the stage: who is asked, prices.
        model: What the model is called.
    """
    examined = params.model if isinstance(params.model, Endpoint) else None
    answers = Asks(model)
    judgments = Asks(params.judge.label)
    said = min(ANSWER_TOKENS, plan.max_tokens)
    rated = min(JUDGMENT_TOKENS, plan.spec.judge.max_tokens)
    for question in plan.questions.questions:
        for turn in range(1, plan.turns + 1):
            messages = plan.messages(question, [""] * (turn - 1))
            answers.requests += 1
            answers.prompt_tokens += _size(messages) + said * (turn - 1)
            answers.completion_tokens += said
        for turn in plan.spec.turns:
            messages = plan.prompt(question, turn).messages(question, [""] * turn)
            judgments.requests += 1
            judgments.prompt_tokens += _size(messages) + said * turn
            judgments.completion_tokens += rated
    for one in (answers, judgments):
        one.requests *= plan.runs
        one.prompt_tokens *= plan.runs
        one.completion_tokens *= plan.runs
    _price(answers, examined.price if examined else Price(), plan.max_tokens, said, plan.turns)
    _price(
        judgments, params.judge.price, plan.spec.judge.max_tokens, said, plan.turns, answer=plan.max_tokens
    )
    return Estimate(
        len(plan.questions.questions), plan.runs, len(plan.spec.turns), answers, judgments, list(plan.notes)
    )


def _price(asks: Asks, price: Price, limit: int, said: int, turns: int, *, answer: int | None = None) -> None:
    asks.cost = (asks.prompt_tokens * price.input + asks.completion_tokens * price.output) / 1e6
    # Answers as long as they may be also stand in the prompts that follow on them.
    longer = asks.requests * turns * ((answer or limit) - said)
    asks.worst = ((asks.prompt_tokens + longer) * price.input + asks.requests * limit * price.output) / 1e6


def _size(messages: list[dict[str, str]]) -> int:
    """Return about how many tokens some messages are."""
    tokens = 0.0
    for message in messages:
        dense = sum(ord(character) >= _DENSE for character in message["content"])
        tokens += dense / CHARACTERS_PER_TOKEN["dense"]
        tokens += (len(message["content"]) - dense) / CHARACTERS_PER_TOKEN["latin"] + _MESSAGE
    return round(tokens)
