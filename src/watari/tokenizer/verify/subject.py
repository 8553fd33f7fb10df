"""The pair of tokenizers that a verification is about, and what its checks need to know of every id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from watari.artifact.hashing import hash_json
from watari.tokenizer.encoder import BpeTokenizer, Encoder, Ids
from watari.tokenizer.reference.fast import normaliser
from watari.tokenizer.script import Script
from watari.tokenizer.verify.structure import Structure


class Half:
    """One tokenizer: its encoder, and its ids as bytes.

    Args:
        encoder: Encodes and decodes.
        files: What its files say.
    """

    def __init__(self, encoder: Encoder, files: Structure) -> None:
        self.encoder = encoder
        self.files = files
        self.surfaces = encoder.surfaces()

    def __len__(self) -> int:
        """Size of the table of ids."""
        return len(self.surfaces)

    @cached_property
    def digest(self) -> str:
        """Hash of what the ids mean: of the pieces, or of the bytes where the encoder does not tell its pieces."""
        digest = getattr(self.encoder, "digest", None)
        if digest is not None:
            tokenizer: BpeTokenizer = self.encoder  # type: ignore[assignment]
            return tokenizer.digest()
        return hash_json([None if surface is None else surface.hex() for surface in self.surfaces])

    def spelled(self, index: int) -> bytes:
        """Return the bytes that an id puts into a text, an added token's too."""
        if index >= len(self.surfaces):
            return f"<id {index}>".encode()
        surface = self.surfaces[index]
        if surface is None:
            added = self.files.added.get(index)
            text = added.content if added is not None else self.encoder.decode([index])
            return text.encode("utf-8", "surrogatepass")
        return surface

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Bytes of each id."""
        return np.array([len(self.spelled(index)) for index in range(len(self))], dtype=np.int64)

    def shown(self, ids: Sequence[int] | Ids) -> tuple[str, ...]:
        """Return each token as text; bytes that are no text as `<0xE3>`."""
        return tuple(shown(self.spelled(int(index))) for index in ids)


@dataclass(frozen=True)
class Subject:
    """Base and extended tokenizer, and the script that the extension was made for."""

    base: Half
    extended: Half
    script: Script | None

    @property
    def new(self) -> range:
        """The ids that the base does not have."""
        return range(len(self.base), len(self.extended))

    @cached_property
    def _normalise(self) -> Callable[[str], str]:
        """The base's Unicode normal form: with NFC, U+2329 is the strict U+3008 by the time it is encoded."""
        given = (self.base.files.fast or {}).get("normalizer")
        return normaliser(given) if "NF" in str(given) else lambda text: text

    def has_strict(self, text: str) -> bool:
        """True if the text is outside the promise that ids do not change."""
        if self.script is None:
            return False
        return self.script.has_strict(text) or self.script.has_strict(self._normalise(text))

    def without_strict(self, text: str) -> str:
        """Return the text with its strict characters taken out."""
        if self.script is None:
            return text
        taken_out = self.script.strict_character.sub("", text)
        while self.has_strict(taken_out):
            taken_out = self.script.strict_character.sub("", self._normalise(taken_out))
        return taken_out

    def always_strict(self, data: bytes) -> bool:
        """True if every text that holds these bytes, cut anywhere inside a character, holds a strict character."""
        text = data.decode("utf-8", "ignore")
        if self.script is None or self.script.has_strict(text):
            return self.script is not None
        return any(_all_inside(data[at:], self.script) for at in range(max(0, len(data) - 3), len(data)))


@dataclass(frozen=True)
class Batch:
    """Some texts as both tokenizers encode them.

    Args:
        texts: The texts.
        names: Where each is from.
        base: Ids by the base.
        extended: Ids by the extended tokenizer.
        fuzz: Whether they are fuzz strings, not documents.
    """

    texts: list[str]
    names: list[str]
    base: list[Ids]
    extended: list[Ids]
    fuzz: bool


def _all_inside(head: bytes, script: Script) -> bool:
    """True if `head` begins a character and every character that it begins is strict."""
    size = next(
        (
            n
            for n, first, last in ((2, 0xC2, 0xDF), (3, 0xE0, 0xEF), (4, 0xF0, 0xF4))
            if first <= head[0] <= last
        ),
        0,
    )
    if not size or len(head) >= size or any(not 0x80 <= byte <= 0xBF for byte in head[1:]):
        return False
    code = head[0] & (0xFF >> (size + 1))
    for byte in head[1:]:
        code = code << 6 | byte & 0x3F
    shift = 6 * (size - len(head))
    first, last = max(code << shift, (0, 0, 0x80, 0x800, 0x10000)[size]), (code + 1 << shift) - 1
    at = first
    for start, end in sorted(script.strict):
        if start <= at <= end:
            at = end + 1
    return at > last


def shown(data: bytes) -> str:
    """Return bytes as text where they are text, else as `<0xE3><0x81>`."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in data)
