"""Stretches of a reply's characters as positions among its tokens, by bytes.

A token is part of a stretch if any byte of it is: one that straddles the border cannot be said without saying what lies
inside, and each byte of a character that is written by byte fallback belongs to it. So nothing is asked of the
tokenizer's own offsets, which do not tell the bytes of a character apart.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from watari.errors import UserError
from watari.generate.masking import Encoded
from watari.generate.templates import Message, render
from watari.pretrained.pieces import token_bytes
from watari.train.examples import REFUSED, Unusable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

REWRITTEN = "the chat template rewrites the reply"
UNSPELT = "the tokens do not spell the reply"

Span = tuple[int, int]
"""First character, and one behind the last; both the same: the place between two characters."""

_PROBE = "Qx7Zk"
_FORMS = ("NFC", "NFKC", "NFD", "NFKD")


@dataclass(frozen=True)
class Placed:
    """Where a reply's characters lie among the tokens of its sequence.

    Args:
        first: Position of the reply's first token.
        ends: For each token from there on, how many bytes it and those before it spell.
        byte: Returns the byte at which a character of the reply begins.
    """

    first: int
    ends: Sequence[int]
    byte: Callable[[int], int]

    def tokens(self, span: Span) -> list[int]:
        """Return the positions of the tokens of a span, in order.

        An empty span has one: the token that says what comes at its place (at the reply's end, the one that ends it).
        """
        start, stop = self.byte(span[0]), self.byte(span[1])
        if start == stop:
            # Control tokens spell nothing and count here: the end of the turn, which a newline may follow.
            place = bisect_left(self.ends, start)
            if start == 0 or self.ends[min(place, len(self.ends) - 1)] == start:
                place = 0 if start == 0 else place + 1
            return [self.first + min(place, len(self.ends) - 1)]
        begin = bisect_right(self.ends, start)
        found = []
        for place in range(begin, len(self.ends)):
            before = self.ends[place - 1] if place else 0
            if before >= stop:
                break
            found.append(self.first + place)
        return found


def placed(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], template: str, encoded: Encoded
) -> Placed:
    """Return where the characters of the last message lie in its encoded conversation.

    Args:
        tokenizer: The model's.
        messages: The conversation; its last message is the reply.
        template: The chat template.
        encoded: What `generate.masking.encode_reply` makes of them.

    Raises:
        Unusable: if the template does not write the reply as it is (blanks at its ends aside), or the tokenizer's
            normaliser changes it in a way that cannot be followed.
    """
    first = encoded.assistant_mask.index(True)
    spelt = token_bytes(tokenizer, encoded.ids[first:])
    tail, lead, skipped = _written(tokenizer, messages, template)
    reply = messages[-1]["content"]
    kept = len(reply.strip()) if skipped is not None else len(reply)
    end = lead + kept

    def character(place: int) -> int:
        return lead + min(max(place - (skipped or 0), 0), kept)

    to_byte = _bytes_of(tail, end, b"".join(spelt))
    return Placed(first, list(accumulate(map(len, spelt))), lambda place: to_byte(character(place)))


def _written(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], template: str
) -> tuple[str, int, int | None]:
    """Return what the template writes behind the prompt, where the reply begins in it, and how many of the reply's first
    characters it leaves out (None: it writes the reply as it is)."""
    try:
        prompt = render(tokenizer, messages[:-1], template, generation_prompt=True)
        tail = render(tokenizer, messages, template)[len(prompt) :]
        reply = messages[-1]["content"]
        bare = reply.strip()
        blanks = len(tail) - len(tail.lstrip())
        if not tail.startswith(bare, blanks):
            probe = [*messages[:-1], {**messages[-1], "content": _PROBE}]
            blanks = render(tokenizer, probe, template)[len(prompt) :].find(_PROBE)
    except UserError as error:
        raise Unusable(REFUSED, error.message) from None
    before = len(reply) - len(reply.lstrip())
    for at in (blanks, blanks - before):
        if at >= 0 and tail.startswith(reply, at):
            return tail, at, None
    if blanks < 0 or not tail.startswith(bare, blanks):
        raise Unusable(REWRITTEN)
    return tail, blanks, before


def _bytes_of(tail: str, end: int, spelt: bytes) -> Callable[[int], int]:
    """Return the function from a place in `tail`, up to `end`, to the place in the bytes that its tokens spell."""
    plain = tail[:end].encode()
    # A tokenizer may put a blank before a text, or swallow the one that stands there.
    for shift, wanted in ((0, plain), (1, b" " + plain), (-1, plain[1:])):
        if spelt.startswith(wanted) and (shift >= 0 or plain[:1] == b" "):
            return lambda place, shift=shift: max(0, len(tail[:place].encode()) + shift)  # type: ignore[misc]
    for form in _FORMS:
        whole = unicodedata.normalize(form, tail[:end])  # type: ignore[arg-type]
        if spelt.startswith(whole.encode()):
            return lambda place, form=form, whole=whole: _normal(tail[:end], place, form, whole)  # type: ignore[misc]
    raise Unusable(UNSPELT)


def _normal(text: str, place: int, form: str, whole: str) -> int:
    """Return the byte of a place in normal form; a place inside what is composed into one is no place of it."""
    before = unicodedata.normalize(form, text[:place])  # type: ignore[arg-type]
    if before + unicodedata.normalize(form, text[place:]) != whole:  # type: ignore[arg-type]
        raise Unusable(UNSPELT)
    return len(before.encode())
