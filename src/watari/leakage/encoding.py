"""Responses as tokens of a local model, each token with the place of its characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from watari.errors import UserError
from watari.generate.masking import encode_reply
from watari.generate.templates import stored_template
from watari.pretrained.pieces import token_bytes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class EncodedResponse:
    """A response behind its prompt.

    Args:
        ids: Of all, up to the token that ends the turn.
        first: Position of the response's first token.
        places: For each token of the response, and once more for its end, the character of the response at which it
            begins; a token that begins inside a character has that character's place.
        whole: For each of them, whether it begins where a character begins.
    """

    ids: Sequence[int]
    first: int
    places: Sequence[int]
    whole: Sequence[bool]

    def position(self, place: int) -> int:
        """Return the position of the last token that begins at or before a character, and with a character."""
        known = [
            number
            for number, (at, whole) in enumerate(zip(self.places[:-1], self.whole, strict=False))
            if at <= place and whole
        ]
        return self.first + (known[-1] if known else 0)


def encode_response(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, str]], response: str
) -> EncodedResponse:
    """Return a response as tokens, just as training and the model itself write it.

    Raises:
        UserError: if the template refuses the conversation or writes something else than the response.
    """
    template = stored_template(tokenizer)
    conversation = [*messages, {"role": "assistant", "content": response}]
    encoded = encode_reply(tokenizer, conversation, template)
    first = encoded.assistant_mask.index(True)
    last = max(place for place, asked in enumerate(encoded.assistant_mask) if asked)
    spelt = token_bytes(tokenizer, encoded.ids[first : last + 1])
    written = b"".join(spelt)
    # Templates and SentencePiece write at most a blank before the response.
    lead = next((blanks for blanks in (0, 1) if written[blanks:].startswith(response.encode())), None)
    if lead is None or written[:lead].strip():
        raise UserError(
            "the tokens do not spell the response",
            "the tokenizer or the chat template rewrites it: mend it by hand",
        )
    bounds = _boundaries(response)
    ends = [min(max(end - lead, 0), len(response.encode())) for end in accumulate(map(len, spelt))]
    starts = [0, *ends]
    places = [_character(bounds, start) for start in starts]
    return EncodedResponse(
        encoded.ids[: last + 1],
        first,
        places,
        [bounds[place] == start for place, start in zip(places, starts, strict=True)],
    )


def _boundaries(text: str) -> list[int]:
    """Return the byte at which each character begins, and where the text ends."""
    return list(accumulate((len(char.encode()) for char in text), initial=0))


def _character(bounds: Sequence[int], byte: int) -> int:
    """Return the character that holds a byte."""
    from bisect import bisect_right

    return min(bisect_right(bounds, byte) - 1, len(bounds) - 1)
