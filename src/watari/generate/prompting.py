"""From a prompt to the ids that go into a model, and whether BOS stands among them as it must."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from watari.errors import UserError
from watari.generate.templates import Message, encode_text, render
from watari.generate.writer import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Prompt = str | Sequence[Message]
"""A text to be completed, or a conversation to be answered."""


def encode(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> Encoded:
    """Return the rendered prompt and its token ids, exactly as they go into the model.

    A conversation is what the template renders, encoded without special tokens; a text gets what the tokenizer adds.

    Raises:
        UserError: if there is no template, it refuses the messages, or the prompt has no token.
    """
    if isinstance(prompt, str):
        ids = list(tokenizer.encode(prompt, verbose=False))
        end = tokenizer.eos_token_id
        if len(ids) > 1 and ids[-1] == end and not prompt.endswith(str(tokenizer.eos_token)):
            ids.pop()  # a tokenizer that ends every text would end this one before it is completed
        encoded = Encoded(prompt, ids, strip=not prompt)
    else:
        rendered = render(tokenizer, prompt, generation_prompt=True)
        encoded = Encoded(
            rendered, encode_text(tokenizer, rendered), chat=True, strip=not rendered[-1:].isspace()
        )
    if not encoded.ids:
        raise UserError("the prompt is empty, and the tokenizer adds no BOS", "give some text to go on from")
    return encoded


def judge_bos(
    tokenizer: PreTrainedTokenizerBase,
    ids: Sequence[int],
    *,
    ends: frozenset[int] = frozenset(),
    chat: bool = False,
    inside: int = 0,
) -> tuple[str, str]:
    """Return what is to be said of the BOS among a prompt's ids, and the mend; no mend: all is well.

    A prompt begins with BOS where the tokenizer has one (not its EOS under another name, as in the GPT-2 family), and
    has no other, except right after the end of a turn (Shisa's template), or as often as its author writes it.

    Args:
        tokenizer: The model's.
        ids: As they go into the model.
        ends: Ids that end an answer.
        chat: Whether a template rendered it.
        inside: How many more its author means to be inside.
    """
    bos_id, bos = tokenizer.bos_token_id, tokenizer.bos_token
    if bos_id is None:
        return "the tokenizer has no BOS, and none is sent", ""
    begins = list(ids[:1]) == [bos_id]
    again = [
        place for place, token in enumerate(ids) if place and token == bos_id and ids[place - 1] not in ends
    ]
    if ends and bos_id in ends:  # BOS is EOS: two at the start are two ends, and two begins
        again = [1] if list(ids[:2]) == [bos_id, bos_id] else []
    if len(again) > inside:
        found = f"{bos} stands in it {len(again) + begins} times (again as token {again[0] + 1})"
        return found, (
            "write {{ bos_token }} once in the chat template, at the start (or after each {{ eos_token }})"
            if chat
            else "take one BOS out of the prompt, or out of the post-processor of tokenizer.json"
        )
    meant = f", and {len(again)} inside, as the prompt is meant" if again else ""
    if begins:
        return f"{bos} once, at the start{meant}", ""
    if bos_id == tokenizer.eos_token_id:
        return f"no {bos} at the start: BOS is EOS and is not added, as in the GPT-2 family{meant}", ""
    return f"it does not begin with {bos}{meant}", (
        "begin the chat template with {{ bos_token }}"
        if chat
        else "give tokenizer.json a post-processor that adds it"
    )
