"""The state of a chat: what was said, how tokens are chosen, and the seed. No terminal and no model in here."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watari.artifact import atomic
from watari.errors import UserError
from watari.generate.local import Prompt
from watari.generate.sampler import Sampler

FORMAT = 1


@dataclass
class Conversation:
    """A conversation with a chat model, or a text that a base model goes on with.

    In a text (`chats` False) a user's turn begins a new text and the assistant's turn is what the model added to it.

    Args:
        sampler: How tokens are chosen.
        chats: False for a base model without a chat template.
        system: The system prompt, or None for none.
        seed: Of all draws.
        messages: Turns so far, without the system prompt, in the OpenAI form.
        attempt: How many times the last question was answered before (`/retry`): another answer needs other draws.
    """

    sampler: Sampler
    chats: bool = True
    system: str | None = None
    seed: int = 0
    messages: list[dict[str, str]] = field(default_factory=list)
    attempt: int = 0

    def say(self, text: str) -> None:
        """Add the user's turn."""
        self.messages.append({"role": "user", "content": text})
        self.attempt = 0

    def prompt(self) -> Prompt:
        """Return what the model is to answer: every turn, or the text as far as it goes."""
        if self.chats:
            head = [{"role": "system", "content": self.system}] if self.system else []
            return [*head, *self.messages]
        start = max(i for i, message in enumerate(self.messages) if message["role"] == "user")
        return "".join(message["content"] for message in self.messages[start:])

    def answer(self, text: str) -> None:
        """Add the model's turn, or what it added to the text."""
        if self.messages and self.messages[-1]["role"] == "assistant":
            self.messages[-1]["content"] += text
        else:
            self.messages.append({"role": "assistant", "content": text})

    def undo(self) -> str | None:
        """Take back the last question and its answer; return the question, or None if there is nothing."""
        while self.messages:
            message = self.messages.pop()
            if message["role"] == "user":
                self.attempt = 0
                return message["content"]
        return None

    def retry(self) -> bool:
        """Take back the last answer, so that another one can be asked for; False if nothing was asked yet."""
        if not self.messages:
            return False
        if self.messages[-1]["role"] == "assistant":
            self.messages.pop()
        self.attempt += 1
        return bool(self.messages)

    def reset(self) -> None:
        """Forget every turn; system prompt, sampler and seed stay."""
        self.messages.clear()
        self.attempt = 0

    def save(self, path: Path) -> None:
        """Write the conversation as JSON: {format, chats, messages (system prompt first), sampler, seed}."""
        head = [{"role": "system", "content": self.system}] if self.system else []
        body = {
            "format": FORMAT,
            "chats": self.chats,
            "messages": [*head, *self.messages],
            "sampler": self.sampler.model_dump(mode="json"),
            "seed": self.seed,
        }
        try:
            atomic.write_json(path, body)
        except OSError as error:
            raise UserError(f"{path}: cannot write: {error.strerror or error}") from None

    def load(self, path: Path) -> None:
        """Take over a conversation that `save` wrote; a file with `messages` alone will do.

        Raises:
            UserError: if it is not one; this conversation is then as it was.
        """
        try:
            body = json.loads(path.read_text("utf-8"))
        except OSError as error:
            raise UserError(f"{path}: cannot read: {error.strerror or error}") from None
        except ValueError as error:
            raise UserError(f"{path}: not readable as JSON: {error}") from None
        messages = _messages(body, path)
        given = body.get("sampler") or {}
        if not isinstance(given, dict):
            raise UserError(f"{path}: sampler: not a mapping")
        sampler = self.sampler.with_settings(**given)
        seed = body.get("seed", self.seed)
        if not isinstance(seed, int):
            raise UserError(f"{path}: seed: not a whole number: {seed!r}")
        system = messages.pop(0)["content"] if messages and messages[0]["role"] == "system" else None
        if system and not self.chats:
            raise UserError(f"{path}: has a system prompt, and this model has no chat template")
        self.system, self.messages, self.sampler, self.seed = system, messages, sampler, seed
        self.attempt = 0


def _messages(body: Any, path: Path) -> list[dict[str, str]]:
    found = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(found, list):
        raise UserError(f"{path}: no list of messages", "a file that /save wrote is wanted")
    messages = []
    for number, message in enumerate(found, 1):
        role = message.get("role") if isinstance(message, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        allowed = ("system", "user", "assistant") if number == 1 else ("user", "assistant")
        if role not in allowed or not isinstance(content, str):
            raise UserError(
                f"{path}: message {number}: wants a role of {', '.join(allowed)} and a text as content"
            )
        messages.append({"role": str(role), "content": content})
    return messages
