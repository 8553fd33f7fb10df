"""Conversations as token ids with the assistant's part marked: what training sees is what inference will see.

For every supervised reply, the ids before it are exactly those that a server gets by rendering the messages up to there
with a generation prompt. Tokenising the whole text and looking characters up does not promise that: BPE may merge across
the boundary (`... ASSISTANT: ` + `Hello`), and some templates rewrite earlier turns. Here the tokens of every prefix are
compared; where they do not agree, the reply is tokenised on its own behind its prompt and the conversation becomes one
sequence a reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watari.errors import UserError
from watari.generate.templates import Message, encode_text, render

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ANCHORS = ("\n", "]", ":", "a", "。", "\t")
_PROBE = (
    {"role": "user", "content": "Where is the station?"},
    {"role": "assistant", "content": "It is behind the park."},
)


@dataclass(frozen=True)
class Encoded:
    """One training sequence.

    Args:
        ids: Token ids.
        assistant_mask: True where the token is one that the assistant is to produce: its reply and the token that
            ends its turn, nothing else.
    """

    ids: list[int]
    assistant_mask: list[bool]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.assistant_mask):
            raise ValueError(f"{len(self.ids)} ids, {len(self.assistant_mask)} mask entries")

    @property
    def supervised(self) -> int:
        """How many tokens are trained."""
        return sum(self.assistant_mask)


def check_template(tokenizer: PreTrainedTokenizerBase, template: str) -> int:
    """Return the id of the token that ends the assistant's turn, after checking the template on a short conversation.

    Raises:
        UserError: if BOS is missing or doubled where the tokenizer has one that texts start with, if a reply does
            not end in a special token (the model would never learn to stop), or if the prompt that the template
            writes does not begin what it writes with the reply.
    """
    prompt = render(tokenizer, _PROBE[:1], template, generation_prompt=True)
    ids = encode_text(tokenizer, prompt)
    bos = tokenizer.bos_token_id
    if bos is not None:
        leading = next((count for count, token in enumerate(ids) if token != bos), len(ids))
        starts = list(tokenizer("a")["input_ids"])[:1] == [bos]
        if leading == 0 and starts:
            raise UserError(
                f"the chat template writes no {tokenizer.bos_token} where the tokenizer starts every text with one",
                "begin the template with {{- bos_token -}}",
            )
        if leading > 1:
            raise UserError(f"the chat template writes {tokenizer.bos_token} {leading} times at the start")
    encoded = encode_reply(tokenizer, _PROBE, template)
    last = max(position for position, trained in enumerate(encoded.assistant_mask) if trained)
    return encoded.ids[last]


def encode_conversation(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], template: str
) -> list[Encoded]:
    """Return a conversation as training sequences in which every reply is supervised.

    One sequence, whose ids are those of `tokenizer.apply_chat_template(messages)`, where each prompt's tokens are a
    prefix of it; one a reply otherwise (see the module's header).

    Raises:
        UserError: if there is no reply at the end, or the template cannot say the conversation.
    """
    ends = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    if not ends or ends[-1] != len(messages) - 1:
        raise UserError("the conversation does not end with the assistant's reply")
    whole = encode_text(tokenizer, render(tokenizer, messages, template))
    mask = [False] * len(whole)
    for end in ends:
        before = encode_text(tokenizer, render(tokenizer, messages[:end], template, generation_prompt=True))
        through = encode_text(tokenizer, render(tokenizer, messages[: end + 1], template))
        if whole[: len(before)] != before or whole[: len(through)] != through or len(through) <= len(before):
            return [encode_reply(tokenizer, messages[: last + 1], template) for last in ends]
        for position in range(len(before), _after_stop(tokenizer, whole, len(before), len(through))):
            mask[position] = True
    return [Encoded(whole, mask)]


def encode_reply(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], template: str) -> Encoded:
    """Return a conversation as one sequence in which only its last message, a reply, is supervised.

    The ids before the reply are those of the rendered prompt, whatever BPE would do across the boundary.

    Raises:
        UserError: if the last message is not the assistant's, or the template cannot say the conversation.
    """
    if not messages or messages[-1]["role"] != "assistant":
        raise UserError("the conversation does not end with the assistant's reply")
    prompt = render(tokenizer, messages[:-1], template, generation_prompt=True)
    text = render(tokenizer, messages, template)
    if not text.startswith(prompt):
        raise UserError(
            "the chat template's generation prompt does not begin what it writes once the reply is there",
            "training and inference would see different prompts; use another template",
        )
    before = encode_text(tokenizer, prompt)
    ids = encode_text(tokenizer, text)
    if ids[: len(before)] != before:
        ids = before + _continuation(tokenizer, prompt[-1:], text[len(prompt) :])
    end = _after_stop(tokenizer, ids, len(before), len(ids))
    return Encoded(ids, [len(before) <= position < end for position in range(len(ids))])


def special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Return the ids of all control tokens: the tokenizer's named ones and its added special ones."""
    added = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset(added | set(tokenizer.all_special_ids))


def _after_stop(tokenizer: PreTrainedTokenizerBase, ids: list[int], start: int, end: int) -> int:
    """Return the position after the last control token of a reply; a newline that follows it is the template's."""
    special = special_ids(tokenizer)
    for position in range(end - 1, start - 1, -1):
        if ids[position] in special:
            return position + 1
    raise UserError(
        "the chat template ends a reply with no special token, so that the model could not learn to stop",
        "end the assistant's turn with {{ eos_token }}",
    )


def _continuation(tokenizer: PreTrainedTokenizerBase, last: str, text: str) -> list[int]:
    """Return the ids of `text` as it continues other text, with a token boundary forced at its start.

    Tokenised alone it could get the blank that some tokenizers put before a text, so it is tokenised behind a
    character that it does not merge with.
    """
    for anchor in (last, *_ANCHORS):
        alone = encode_text(tokenizer, anchor)
        joined = encode_text(tokenizer, anchor + text)
        if alone and joined[: len(alone)] == alone:
            return joined[len(alone) :]
    raise UserError("the reply cannot be tokenised apart from its prompt")
