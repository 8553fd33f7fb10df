"""What every tokenizer looks like to this room: text in, ids out, and the bytes that each id stands for.

A text is a document: `<s>` written in it is five characters. No BOS or EOS is ever added here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Family = Literal["sentencepiece", "byte-level"]


class Encoder(Protocol):
    """A tokenizer that can be measured and verified, of whatever kind."""

    @property
    def name(self) -> str:
        """How people know it."""

    def __len__(self) -> int:
        """Size of the table of ids: one above the highest id, added and special tokens included."""

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some ids; bytes that are no UTF-8 become U+FFFD."""

    def surfaces(self) -> list[bytes | None]:
        """Return the bytes that each id puts into a text; None for special and added tokens and for gaps.

        A leading blank of a piece is a blank (b" "), not U+2581 or a byte-level letter.
        """


class BpeTokenizer(Encoder, Protocol):
    """A tokenizer that can be extended: byte-pair encoding that spells whatever it does not know in bytes.

    A piece is the text of a vocabulary entry as `tokenizer.json` writes it: with U+2581 for a blank in the
    SentencePiece family, in the byte-level alphabet in the other.
    """

    @property
    def family(self) -> Family:
        """Which of the two kinds of files it has."""

    @property
    def settings(self) -> dict[str, Any]:
        """The content of its `tokenizer_config.json`, empty where there is none."""

    def digest(self) -> str:
        """Return the hash of the pieces in the order of their ids: what a token id means."""

    def pieces(self) -> list[str]:
        """Return every vocabulary entry in the order of the ids ("" for a gap)."""

    def spelled(self, pieces: Sequence[str]) -> list[list[int]]:
        """Return the ids of each piece's text as it is spelled inside a text, without a text's leading blank."""

    def extended(self, pieces: Sequence[str]) -> BpeTokenizer:
        """Return this tokenizer with `pieces` behind its last id, ranked in their order below everything it has.

        Raises:
            UserError: if the form cannot hold them (float32 scores that tie).
        """

    def write(self, out: Path, *, base: int) -> None:
        """Write every file of its form into `out`; the first `base` ids are those of the tokenizer extended."""
