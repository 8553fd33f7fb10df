"""Documents as token ids: the same for everything that packs or measures text.

A document is plain text: `<s>` written in it is five characters, not the token that starts a document.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_documents(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of each text, without BOS, EOS or anything else that the tokenizer would add."""
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        return [list(tokenizer.encode(text, add_special_tokens=False)) for text in texts]
    before = fast.encode_special_tokens
    fast.encode_special_tokens = True
    try:
        encodings = fast.encode_batch_fast(list(texts), add_special_tokens=False)
    finally:
        fast.encode_special_tokens = before
    return [encoding.ids for encoding in encodings]


def adds_bos(tokenizer: PreTrainedTokenizerBase) -> bool:
    """True if the tokenizer puts its BOS before a text by itself."""
    if tokenizer.bos_token_id is None:
        return False
    return list(tokenizer.encode("a"))[:1] == [tokenizer.bos_token_id]
