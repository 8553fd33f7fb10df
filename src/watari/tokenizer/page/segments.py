"""A text cut as a tokenizer cuts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from watari.tokenizer.encoder import Encoder


@dataclass(frozen=True)
class Segment:
    """One token, or the tokens that together spell a character.

    Args:
        text: What it stands for.
        ids: The token's id, or several.
        new: True if one of them is a new piece.
    """

    text: str
    ids: tuple[int, ...]
    new: bool


def segments(
    encoder: Encoder, surfaces: Sequence[bytes | None], text: str, base_vocabulary: int
) -> list[Segment]:
    """Return `text` as the tokens of `encoder`, those joined that each hold only a part of a character.

    Args:
        encoder: The tokenizer.
        surfaces: Its `surfaces()`.
        text: What to cut.
        base_vocabulary: Ids from here on are new pieces.
    """
    ids = encoder.encode([text])[0].tolist()
    spelled = [surfaces[index] or b"" for index in ids]
    # SentencePiece puts a blank before a text, which is not the text's.
    if b"".join(spelled) == b" " + text.encode("utf-8"):
        spelled[0] = spelled[0][1:]
    found: list[Segment] = []
    held: list[int] = []
    raw = b""
    for index, part in zip(ids, spelled, strict=True):
        held.append(index)
        raw += part
        try:
            whole = raw.decode("utf-8")
        except UnicodeDecodeError:
            continue
        found.append(Segment(whole, tuple(held), any(index >= base_vocabulary for index in held)))
        held, raw = [], b""
    if held:
        new = any(index >= base_vocabulary for index in held)
        found.append(Segment(raw.decode("utf-8", errors="replace"), tuple(held), new))
    return found
