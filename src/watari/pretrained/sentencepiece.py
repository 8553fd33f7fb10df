"""SentencePiece model files, read and extended without the protobuf package.

Only what a tokenizer's life needs is understood; every other field is kept byte for byte, so that the pieces of a
base stand in an extended file exactly as they stood in the base's. Field numbers as in sentencepiece's
`sentencepiece_model.proto` (0.2): ModelProto {pieces 1, trainer_spec 2, normalizer_spec 3, self_test_data 4}.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from watari.artifact.hashing import hash_json
from watari.errors import UserError

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

SPACE = "▁"
"""U+2581, which stands for a space inside a piece."""

_PIECES, _TRAINER, _NORMALIZER, _SELF_TEST = 1, 2, 3, 4
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SPECIAL_IDS = {40: 0, 41: 1, 42: 2, 43: -1}
"""The trainer's fields for unk, bos, eos and pad, and what they mean where they are not written."""


class PieceKind(IntEnum):
    """What a piece is; the numbers are those of the file format."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class ModelType(IntEnum):
    """How a model segments; the numbers are those of the file format."""

    UNIGRAM = 1
    BPE = 2
    WORD = 3
    CHAR = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """One entry of the vocabulary; its id is its place in the list."""

    text: str
    score: float
    kind: PieceKind = PieceKind.NORMAL


@dataclass(frozen=True)
class SpmModel:
    """A SentencePiece model file.

    Args:
        data: The file's bytes.
        pieces: The vocabulary, in the order of the ids.
        model_type: How it segments.
        byte_fallback: True if unknown characters become their UTF-8 bytes.
        unk, bos, eos: Ids; bos and eos are None where the model has none.
        add_dummy_prefix: True if a text is given a leading space.
        plain: True if the normaliser changes nothing else: no character map, no blanks removed, spaces escaped.
    """

    data: bytes
    pieces: tuple[Piece, ...]
    model_type: ModelType
    byte_fallback: bool
    unk: int
    bos: int | None
    eos: int | None
    add_dummy_prefix: bool
    plain: bool

    def __len__(self) -> int:
        """Number of pieces."""
        return len(self.pieces)

    def ids(self) -> dict[str, int]:
        """Return the id of every piece."""
        return {piece.text: index for index, piece in enumerate(self.pieces)}

    def digest(self) -> str:
        """Return the hash of the pieces in the order of their ids: what a token id means."""
        return vocabulary_digest([piece.text for piece in self.pieces])

    def processor(self) -> SentencePieceProcessor:
        """Return sentencepiece's own processor over this model: the reference for every segmentation.

        Raises:
            UserError: if sentencepiece refuses the model (a piece that is there twice).
        """
        from sentencepiece import SentencePieceProcessor

        try:
            return SentencePieceProcessor(model_proto=self.data)
        except RuntimeError as error:
            raise UserError(f"a SentencePiece model that sentencepiece does not load: {error}") from None

    def extended(self, pieces: Sequence[Piece]) -> SpmModel:
        """Return this model with `pieces` appended; the bytes of the base's pieces are not touched.

        The self-test samples are left out: they record how the base segments, and sentencepiece refuses a file
        whose samples come out otherwise.
        """
        added = b"".join(_field(_PIECES, _encode_piece(piece)) for piece in pieces)
        size = len(self.pieces) + len(pieces)
        parts: list[bytes] = []
        done = False
        for number, raw, payload in _top_level(self.data):
            if number != _PIECES and not done:
                parts.append(added)
                done = True
            if number == _TRAINER:
                parts.append(_field(_TRAINER, _with_vocabulary_size(payload, size)))
            elif number != _SELF_TEST:
                parts.append(raw)
        # Not parsed again: what was appended is known, and 100,000 pieces take a second to read.
        read_back = [Piece(piece.text, _as_stored(piece.score), piece.kind) for piece in pieces]
        return replace(
            self, data=b"".join(parts if done else [*parts, added]), pieces=(*self.pieces, *read_back)
        )

    def trimmed(self, kept: Sequence[int]) -> SpmModel:
        """Return this model with the pieces `kept` alone (rising ids), each byte for byte as it stood.

        What the trainer's record says of ids (unk, bos, eos, pad) follows them. The self-test samples are left out, as
        in `extended`.

        Raises:
            ValueError: if one of these ids is not kept.
        """
        places = {old: new for new, old in enumerate(kept)}
        parts: list[bytes] = []
        at = 0
        for number, raw, payload in _top_level(self.data):
            if number == _PIECES:
                parts += [raw] if at in places else []
                at += 1
            elif number == _TRAINER:
                sized = _with_vocabulary_size(payload, len(places))
                parts.append(_field(_TRAINER, _with_special_ids(sized, places)))
            elif number != _SELF_TEST:
                parts.append(raw)
        return parse_spm(b"".join(parts))


def vocabulary_digest(pieces: Sequence[str]) -> str:
    """Return the hash of a vocabulary, given as its pieces in the order of their ids."""
    return hash_json(list(pieces))


def read_spm(path: Path) -> SpmModel:
    """Return the SentencePiece model in `path`.

    Raises:
        UserError: if it is no such file.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file", "a SentencePiece `tokenizer.model` is wanted") from None
    try:
        return parse_spm(data)
    except (ValueError, IndexError, struct.error) as error:
        raise UserError(f"{path}: not a SentencePiece model: {error}") from None


@lru_cache(maxsize=4)
def parse_spm(data: bytes) -> SpmModel:
    """Return the SentencePiece model in `data`; the last few are remembered.

    Raises:
        ValueError: if it is none.
    """
    pieces: list[Piece] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for number, _, payload in _top_level(data):
        if number == _PIECES:
            pieces.append(_decode_piece(payload))
        elif number == _TRAINER:
            trainer = _fields(payload)
        elif number == _NORMALIZER:
            normalizer = _fields(payload)
    if not pieces:
        raise ValueError("it holds no pieces")
    return SpmModel(
        data=data,
        pieces=tuple(pieces),
        model_type=ModelType(_integer(trainer, 3, 1)),
        byte_fallback=bool(_integer(trainer, 35, 0)),
        unk=_integer(trainer, 40, 0),
        bos=_id(_integer(trainer, 41, 1)),
        eos=_id(_integer(trainer, 42, 2)),
        add_dummy_prefix=bool(_integer(normalizer, 3, 1)),
        plain=not normalizer.get(2)
        and not _integer(normalizer, 4, 1)
        and bool(_integer(normalizer, 5, 1))
        and not _integer(trainer, 24, 0)
        and not trainer.get(53),
    )


def _as_stored(score: float) -> float:
    stored: float = struct.unpack("<f", struct.pack("<f", score))[0]
    return stored


def _id(value: int) -> int | None:
    return value if value >= 0 else None


def _integer(fields: dict[int, int | bytes], number: int, default: int) -> int:
    value = fields.get(number, default)
    if not isinstance(value, int):
        raise ValueError(f"field {number} is not a number")
    # int32 is written as a 64-bit varint in two's complement: pad_id is -1 in most models.
    return value - (1 << 64) if value >= 1 << 63 else value


def _top_level(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (field number, whole field, its payload) for every field of a message; all of ours are length-delimited."""
    for number, wire, start, body, end in _walk(data):
        yield number, data[start:end], data[body:end] if wire == _BYTES else b""


def _fields(data: bytes) -> dict[int, int | bytes]:
    """Return the last value of every field of a message: an integer, or raw bytes."""
    found: dict[int, int | bytes] = {}
    for number, wire, _, body, end in _walk(data):
        found[number] = _varint(data, body)[0] if wire == _VARINT else data[body:end]
    return found


def _walk(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield (field number, wire type, start of the field, start of its value, end) for every field."""
    at = 0
    while at < len(data):
        start = at
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            body, (_, at) = at, _varint(data, at)
        elif wire == _BYTES:
            length, body = _varint(data, at)
            at = body + length
        elif wire in (_FIXED32, _FIXED64):
            body, at = at, at + (4 if wire == _FIXED32 else 8)
        else:
            raise ValueError(f"unknown wire type {wire} at byte {start}")
        if at > len(data) or number == 0:
            raise ValueError(f"cut off or damaged at byte {start}")
        yield number, wire, start, body, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError(f"a number without an end at byte {at}")


def _to_varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append((value & 0x7F) | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _field(number: int, payload: bytes) -> bytes:
    return _to_varint(number << 3 | _BYTES) + _to_varint(len(payload)) + payload


def _decode_piece(payload: bytes) -> Piece:
    fields = _fields(payload)
    text, score = fields.get(1, b""), fields.get(2, b"\0\0\0\0")
    if not isinstance(text, bytes) or not isinstance(score, bytes):
        raise ValueError("a piece without text or score")
    return Piece(text.decode("utf-8"), struct.unpack("<f", score)[0], PieceKind(_integer(fields, 3, 1)))


def _encode_piece(piece: Piece) -> bytes:
    text = piece.text.encode("utf-8")
    kind = b"" if piece.kind is PieceKind.NORMAL else b"\x18" + _to_varint(piece.kind)
    return _field(1, text) + b"\x15" + struct.pack("<f", piece.score) + kind


def _with_vocabulary_size(trainer: bytes, size: int) -> bytes:
    """Return a trainer spec whose vocab_size (field 4) is `size`; every other field keeps its bytes and its place."""
    parts = [
        b"\x20" + _to_varint(size) if number == 4 else trainer[start:end]
        for number, _, start, _, end in _walk(trainer)
    ]
    return b"".join(parts)


def _with_special_ids(trainer: bytes, places: dict[int, int]) -> bytes:
    """Return a trainer spec whose unk, bos, eos and pad ids are where `places` says that the old ones went."""
    given = _fields(trainer)
    kept = [trainer[start:end] for number, _, start, _, end in _walk(trainer) if number not in _SPECIAL_IDS]
    for number, default in _SPECIAL_IDS.items():
        old = _integer(given, number, default)
        if old >= 0 and old not in places:
            raise ValueError(f"id {old} is left out, which the model names as a special one")
        new = places[old] if old >= 0 else old
        if number in given or new != default:
            kept.append(_to_varint(number << 3 | _VARINT) + _to_varint(new if new >= 0 else new + (1 << 64)))
    return b"".join(kept)
