"""One answer as it is written, token by token: its text, its end, its counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from watari.generate.incremental import Detokenizer, StopText
from watari.generate.sampler import Sampler

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Response:
    """One answer. `text` has neither special tokens nor the stop text, nor blanks at the end of a chat's answer; token
    counts include the end token."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    rendered_prompt: str


@dataclass(frozen=True)
class Encoded:
    """A prompt as it goes into the model."""

    rendered: str
    ids: list[int]
    strip: bool  # one space at the start of the answer belongs to the template
    chat: bool = False


class Writer:
    """Collects one row's answer and knows when it is done.

    Args:
        tokenizer: The model's.
        item: The prompt.
        sampler: Gives the stop texts and the limit.
        ends: Token ids that end an answer.
        context: Tokens of prompt and answer together at most.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        item: Encoded,
        sampler: Sampler,
        *,
        ends: frozenset[int],
        context: int,
    ) -> None:
        self._item = item
        self._ends = ends
        self._text = Detokenizer(tokenizer, strip_first_space=item.strip)
        self._stop = StopText(sampler.stop)
        self._limit = min(sampler.max_new_tokens, context - len(item.ids))
        self._pieces: list[str] = []
        self._blank = ""
        self._finish: Literal["stop", "length"] = "length"
        self._count = 0
        self.done = False

    def take(self, token: int) -> str:
        """Take a token and return the text that became certain."""
        self._count += 1
        if token in self._ends:
            self.done, self._finish = True, "stop"
            return ""
        piece = self._stop.push(self._text.push(token))
        if self._stop.found:
            self._finish = "stop"
        self.done = self._stop.found or self._count >= self._limit
        return self._keep(piece)

    def finish(self) -> str:
        """Return the text that was held back until the end."""
        piece = self._stop.push(self._text.flush())
        if self._stop.found:
            self._finish = "stop"
        return self._keep(piece + self._stop.flush())

    def _keep(self, piece: str) -> str:
        """Record a piece. Blanks wait for what follows them in a chat's answer: at its end they belong to the
        template (Shisa's writes one before EOS), which would write them a second time in the next prompt."""
        if self._item.chat:
            whole = self._blank + piece
            piece = whole.rstrip()
            self._blank = whole[len(piece) :]
        self._pieces.append(piece)
        return piece

    def response(self) -> Response:
        """Return the whole answer."""
        self.finish()
        return Response(
            text="".join(self._pieces),
            finish_reason=self._finish,
            prompt_tokens=len(self._item.ids),
            completion_tokens=self._count,
            rendered_prompt=self._item.rendered,
        )
