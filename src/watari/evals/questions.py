"""Questions with accepted answers, and the prompts that put them to a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from watari.artifact import draws
from watari.artifact.rows import select_rows
from watari.artifact.stage import InputArtifact
from watari.errors import UserError

Message = dict[str, str]


@dataclass(frozen=True)
class Question:
    """One question.

    Args:
        id: Its row's id.
        language: Language of the answer.
        group: What kind of question it is, or "" if the row does not say.
        messages: The conversation up to the question; the last turn is the user's.
        completion_prompt: The same question as a text that is to be gone on with, or "" if there is none.
        answers: What counts as right; the first is the usual form.
    """

    id: str
    language: str
    group: str
    messages: list[Message]
    completion_prompt: str
    answers: list[str]


def read_questions(artifact: InputArtifact, *, seed: int, stage: str) -> list[Question]:
    """Return the questions of an artifact of conversations, in order.

    A final assistant turn is taken off: it is the answer. Without a column `answers`, it is the only accepted one.

    Raises:
        UserError: naming the row that has no question or no accepted answer.
    """
    return [
        _question(row, f"{artifact.name}: row {number} ({row.get('id')})")
        for number, row in enumerate(select_rows(artifact, seed=seed, stage=stage), 1)
    ]


def _question(row: dict[str, object], name: str) -> Question:
    turns = row.get("messages")
    messages = [dict(turn) for turn in turns] if isinstance(turns, list) else []
    given = messages.pop()["content"] if messages and messages[-1]["role"] == "assistant" else None
    if not messages or messages[-1]["role"] != "user":
        raise UserError(f"{name}: no question: its last turn is not the user's")
    answers = row.get("answers")
    if answers is None and given is not None:
        answers = [given]
    if (
        not isinstance(answers, list)
        or not answers
        or not all(isinstance(a, str) and a.strip() for a in answers)
    ):
        raise UserError(f"{name}: no accepted answers", "a column `answers` with a list of texts is wanted")
    return Question(
        id=str(row["id"]),
        language=str(row.get("language") or "und"),
        group=str(row.get("group") or ""),
        messages=messages,
        completion_prompt=str(row.get("completion_prompt") or ""),
        answers=answers,
    )


class Shots:
    """Examples put before each question: the first of a seeded order, of the question's language, the same for all.

    Args:
        examples: Questions with answers to take them from.
        count: How many go before each question.
        seed: Of the order.
    """

    def __init__(self, examples: Sequence[Question], count: int, *, seed: int) -> None:
        self._count = count
        self._by_language: dict[str, list[Question]] = {}
        order = draws.shuffled([example.id for example in examples], seed, "eval.exact/shots")
        for position in order:
            self._by_language.setdefault(examples[position].language, []).append(examples[position])

    def before(self, question: Question) -> list[Question]:
        """Return the examples for one question; it is never its own example.

        Raises:
            UserError: if there are too few of its language.
        """
        if not self._count:
            return []
        found = [other for other in self._by_language.get(question.language, []) if other.id != question.id]
        if len(found) < self._count:
            raise UserError(
                f"few_shot: {self._count} examples in {question.language} are wanted, there are {len(found)}",
                "lower `few_shot` or give more `examples`",
            )
        return found[: self._count]


def chat_prompt(question: Question, shots: Sequence[Question]) -> list[Message]:
    """Return the conversation to be answered: examples as earlier turns, behind the system message if there is one."""
    head = [turn for turn in question.messages if turn["role"] == "system"]
    body = [turn for turn in question.messages if turn["role"] != "system"]
    turns = []
    for shot in shots:
        turns += [turn for turn in shot.messages if turn["role"] != "system"]
        turns.append({"role": "assistant", "content": shot.answers[0]})
    return [*head, *turns, *body]


def completion_prompt(question: Question, shots: Sequence[Question]) -> str:
    """Return the text to be gone on with: each example with its answer and a blank line, then the question.

    Raises:
        UserError: if a row has no text form.
    """
    parts = []
    for item in (*shots, question):
        if not item.completion_prompt:
            raise UserError(
                f"question {item.id} has no `completion_prompt`", "use `style: chat`, or give the column"
            )
        gap = " " if item.completion_prompt[-1].isascii() and not item.completion_prompt[-1].isspace() else ""
        parts.append(
            item.completion_prompt if item is question else f"{item.completion_prompt}{gap}{item.answers[0]}"
        )
    return "\n\n".join(parts)
