"""Text from tokens as they come: whole characters only, and the same text however it is cut into steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BROKEN = "\ufffd"


class Detokenizer:
    """Turns the tokens of one answer into text, step by step.

    A character may take several tokens (byte fallback: 3 for a kana; byte-level BPE: any split), so text is given
    out only up to the last whole character. Tokens are decoded behind a fixed bit of context: decoders treat the start
    of a text specially (SentencePiece drops its first space), and an answer does not start a text.

    Args:
        tokenizer: The model's tokenizer.
        strip_first_space: Drop one space at the very start: it belongs to the template or is SentencePiece's own.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, strip_first_space: bool) -> None:
        self._tokenizer = tokenizer
        self._special = special_ids(tokenizer)
        self._context = _context(tokenizer)
        self._offset = len(self._decode([]))
        self._pending: list[int] = []
        self._given = 0
        self._strip = strip_first_space

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(
            self._tokenizer.decode(
                [*self._context, *tokens], skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )

    def push(self, token: int) -> str:
        """Take the next token and return the text that is certain now (often nothing, never half a character)."""
        if token in self._special:
            return ""
        self._pending.append(token)
        text = self._decode(self._pending)[self._offset :]
        whole = text.rstrip(_BROKEN)
        fresh = whole[self._given :]
        if whole == text:
            # A clean end: what follows is decoded on its own, so that one broken run of bytes cannot spoil the next.
            self._pending, self._given = [], 0
        else:
            self._given = max(self._given, len(whole))
        return self._first(fresh)

    def flush(self) -> str:
        """Return what is left at the end of the answer; bytes that never became a character are U+FFFD."""
        text = self._decode(self._pending)[self._offset :][self._given :]
        self._pending, self._given = [], 0
        return self._first(text)

    def _first(self, text: str) -> str:
        if self._strip and text:
            self._strip = False
            return text.removeprefix(" ")
        return text


def special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Return the ids of all special tokens: the named ones and those that were added as special."""
    added = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset(added | set(tokenizer.all_special_ids))


def _context(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return tokens of a short text that is in the vocabulary as itself, not as bytes; none if there is no such."""
    for text in ("a", "0", ".", "あ", "の"):
        ids = list(tokenizer.encode(text, add_special_tokens=False))
        pieces = tokenizer.convert_ids_to_tokens(ids)
        if tokenizer.decode(ids) == text and not any(piece.startswith("<0x") for piece in pieces):
            return ids
    return []


class StopText:
    """Holds back text that may be the start of a stop text, and tells when one is complete.

    Args:
        stops: The stop texts; none of them is ever given out.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        """Take text and return what is certain; after a stop text `found` is True and nothing more comes."""
        if not self._stops or self.found:
            return "" if self.found else text
        self._held += text
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.found = True
            certain, self._held = self._held[: min(places)], ""
            return certain
        length = max(_overlap(self._held, stop) for stop in self._stops)
        cut = len(self._held) - length
        certain, self._held = self._held[:cut], self._held[cut:]
        return certain

    def flush(self) -> str:
        """Return what was held back at the end of the answer."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` that begins `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
