"""transformers' `add_tokens`: strings found in the text before the model sees it.

The strings are our own pieces. `normalized=False` is the other way to add them, by which a text's blanks are kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from tokenizers import AddedToken, Tokenizer

from tokenizer_peers import FastMade
from watari.pretrained.fast import tokenizer_json
from watari.pretrained.sentencepiece import SpmModel


def extend(base: SpmModel, pieces: Sequence[str], *, normalized: bool = True) -> FastMade:
    """Return the base's fast tokenizer with `pieces` added."""
    from transformers import PreTrainedTokenizerFast

    loaded = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(tokenizer_json(base))))
    given = list(pieces) if normalized else [AddedToken(text, normalized=False) for text in pieces]
    loaded.add_tokens(given)
    return FastMade(loaded.backend_tokenizer)
