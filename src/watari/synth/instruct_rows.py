"""What `synth.instruct` passes along: an example, an instruction, what came of a request, what came of an answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from watari.synth.checks.finding import Finding
from watari.synth.instruct_reading import Item
from watari.synth.ladder import AttemptNote, Messages, Outcome
from watari.synth.taxonomy import Category


@dataclass(frozen=True, slots=True)
class Seed:
    """An example instruction: its id, text, and category where its row says one."""

    id: str
    text: str
    category: str = ""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction that a teacher has written.

    Args:
        id: xxh128 of its messages.
        request: Number of the request that it came from.
        item: As it was read.
        category: Its kind.
        topic, subject: What it is about.
        model: The teacher, as its server names it.
        seeds: Ids of the examples that the teacher saw.
    """

    id: str
    request: int
    item: Item
    category: Category
    topic: str
    subject: str
    model: str
    seeds: tuple[str, ...]

    @property
    def text(self) -> str:
        """What the user writes: what is compared with other instructions."""
        return self.item.messages[-1]["content"] if self.item.messages else ""


@dataclass(slots=True)
class Written:
    """What came of one request for instructions.

    Args:
        instructions: One for each that was asked for, and those beyond.
        failed: Why the request was not answered; "" if it was.
        prompt_tokens, completion_tokens, cost: Of all its answers.
    """

    instructions: list[Instruction]
    failed: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


@dataclass(slots=True)
class Answered:
    """What came of one instruction.

    Args:
        instruction: The instruction.
        messages: The conversation as far as it came.
        outcomes: Of each assistant turn, in order.
        findings: Hard findings of the instruction itself.
        reason: Why it is dropped; "" if it is accepted.
        detail: What exactly.
        followed: (prompt tokens, completion tokens, cost) of what the teacher was asked for the user.
    """

    instruction: Instruction
    messages: Messages
    outcomes: list[Outcome] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    reason: str = ""
    detail: str = ""
    followed: tuple[int, int, float] = (0, 0, 0.0)


def notes_of(done: Answered) -> list[AttemptNote]:
    """Return the attempts at all turns, in order."""
    return [note for outcome in done.outcomes for note in outcome.attempts]
