"""The chat loop: read, answer piece by piece, stop when asked."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

from watari.chat.commands import Next, run_command
from watari.chat.conversation import Conversation
from watari.chat.editing import read_message
from watari.chat.screen import Screen
from watari.errors import Interrupted, UserError
from watari.generate.local import Prompt, Response
from watari.generate.sampler import Sampler


class Answerer(Protocol):
    """What a chat needs of a model; `watari.generate.local.LocalModel` is one."""

    def stream(
        self, prompt: Prompt, sampler: Sampler, *, seed: int = 0, attempt: int = 0
    ) -> Generator[str, None, Response]:
        """Yield the answer in pieces and return it as a whole."""


class Chat:
    """A chat between a person and a model.

    Args:
        model: Answers.
        conversation: What was said; the chat goes on from it.
        screen: Where to write.
        read: Asks for a line; raises EOFError at the end and KeyboardInterrupt on Ctrl-C, as `input` does.
        prompt: Shown before each message; "" where nobody looks.
    """

    def __init__(
        self,
        model: Answerer,
        conversation: Conversation,
        screen: Screen,
        read: Callable[[str], str] = input,
        prompt: str = "> ",
    ) -> None:
        self.conversation = conversation
        self._model = model
        self._screen = screen
        self._read = read
        self._prompt = prompt
        self._interrupts = 0

    def run(self) -> None:
        """Chat until /exit or the end of input.

        Raises:
            Interrupted: on a second Ctrl-C with nothing typed in between.
        """
        try:
            while self._step():
                pass
        except KeyboardInterrupt:  # while a first one was being told: that makes two
            raise Interrupted("left the chat") from None

    def _step(self) -> bool:
        """Read and handle one message; False to leave."""
        try:
            try:
                text = read_message(self._read, self._prompt)
            except EOFError:
                if self._prompt:
                    self._screen.end()
                return False
            self._interrupts = 0
            return self._turn(text)
        except KeyboardInterrupt:
            self._screen.end()
            self._interrupted("Ctrl-C again leaves")
            return True

    def _turn(self, text: str) -> bool:
        """Handle one message; False to leave."""
        try:
            if text.startswith("/") and not text.startswith("//"):
                after = run_command(text.rstrip(), self.conversation, self._screen)
                if after is not Next.ANSWER:
                    return after is Next.READ
            elif text.strip():
                self.conversation.say(text[1:] if text.startswith("//") else text)
            elif self.conversation.chats or not self.conversation.messages:
                return True
            self._answer()
        except UserError as error:
            messages = self.conversation.messages
            if messages and messages[-1]["role"] == "user":
                self.conversation.undo()  # a question that cannot be answered must not stand in the next prompt
            self._screen.error(str(error))
        return True

    def _answer(self) -> None:
        conversation = self.conversation
        pieces: list[str] = []
        stream = self._model.stream(
            conversation.prompt(), conversation.sampler, seed=conversation.seed, attempt=conversation.attempt
        )
        try:
            while True:
                piece = next(stream)
                pieces.append(piece)
                self._screen.piece(piece)
        except StopIteration as end:
            response: Response = end.value
            conversation.answer("".join(pieces))
            self._screen.end()
            if response.finish_reason == "length":
                self._screen.notice(f"(cut at {response.completion_tokens} tokens; /max sets the limit)")
        except KeyboardInterrupt:
            conversation.answer("".join(pieces))
            self._screen.end()
            self._interrupted("(stopped; Ctrl-C again leaves)")

    def _interrupted(self, notice: str) -> None:
        self._interrupts += 1
        if self._interrupts > 1:
            raise Interrupted("left the chat")
        self._screen.notice(notice)


def answer_once(model: Answerer, conversation: Conversation, text: str, screen: Screen) -> Response:
    """Ask one question, write the answer as it comes, and return it.

    A base model's answer is shown with the text that it goes on from, so that it can be read.

    Raises:
        Interrupted: on Ctrl-C.
    """
    conversation.say(text)
    stream = model.stream(conversation.prompt(), conversation.sampler, seed=conversation.seed)
    if not conversation.chats:
        screen.piece(text)
    try:
        while True:
            screen.piece(next(stream))
    except StopIteration as end:
        screen.end()
        response: Response = end.value
        return response
    except KeyboardInterrupt:
        screen.end()
        raise Interrupted("stopped") from None
