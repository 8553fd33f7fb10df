"""What the tokens of a vocabulary stand for, as bytes: byte-level BPE and SentencePiece's form alike.

Bytes, not characters, since a token may be a part of a character (byte fallback, byte-level BPE). The bytes of a text's
tokens, one behind the other, are the text's, unless the tokenizer's normaliser has changed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from watari.pretrained.alphabet import from_alphabet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def speller(tokenizer: PreTrainedTokenizerBase) -> Callable[[str], bytes]:
    """Return the function from a piece of the vocabulary to its bytes."""
    byte_level = is_byte_level(tokenizer)

    def spell(piece: str) -> bytes:
        if byte_level:
            try:
                return from_alphabet(piece)
            except ValueError:
                return piece.encode()
        if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
            return bytes.fromhex(piece[3:5])
        return piece.replace("▁", " ").encode()

    return spell


def is_byte_level(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether the vocabulary is written in the byte-level alphabet."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    decoder: Any = getattr(backend, "decoder", None)
    return decoder is not None and b'"ByteLevel"' in decoder.__getstate__()


def token_bytes(tokenizer: PreTrainedTokenizerBase, ids: Iterable[int]) -> list[bytes]:
    """Return what each token adds to a text: nothing for a control token or an id without a token.

    A token that was added by hand stands for its text as it is, in either kind of vocabulary.
    """
    added = dict(tokenizer.added_tokens_decoder.items())
    control = set(tokenizer.all_special_ids) | {index for index, token in added.items() if token.special}
    byte_level = is_byte_level(tokenizer)
    spell = speller(tokenizer)
    asked = [int(index) for index in ids]
    pieces = tokenizer.convert_ids_to_tokens(asked)
    found = []
    for index, piece in zip(asked, pieces, strict=True):
        if index in control or piece is None:
            found.append(b"")
        elif index in added and byte_level:
            found.append(str(added[index].content).encode())
        else:
            found.append(spell(str(piece)))
    return found
