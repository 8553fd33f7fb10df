"""Read llama2.c checkpoints (legacy version 0) with their tokenizer and write them as a Hugging Face folder.

A checkpoint is 7 int32 (dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len; a negative vocab_size means
that the classifier is a matrix of its own), then float32: token_embedding, rms_att, wq, wk, wv, wo, rms_ffn, w1 (gate), w2
(down), w3 (up), rms_final, rope_cos, rope_sin, and the classifier if it is not tied. Little endian, nothing left over.
A tokenizer is int32 max_token_length, then for each piece float32 score, int32 length, UTF-8 bytes.
Source: karpathy/llama2.c `export.py` (legacy_export) and `tokenizer.py`; checked against the documented greedy text.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from watari.errors import UserError
from watari.pretrained.fast import write_fast_tokenizer
from watari.pretrained.sentencepiece import SPACE, Piece, PieceKind, SpmModel, parse_spm

if TYPE_CHECKING:
    import torch

_MAGIC = 0x616B3432
_UNK, _BOS, _EOS = 0, 1, 2
_SPECIAL = {_UNK: "<unk>", _BOS: "<s>", _EOS: "</s>"}
_BYTES = range(3, 259)

# A SentencePiece file whose only piece is <unk>, for the others to be added to: trainer_spec {model_type BPE,
# byte_fallback, unk 0, bos 1, eos 2, pad -1} and normalizer_spec {identity, add_dummy_prefix, keep blanks, escape them};
# fields of sentencepiece_model.proto.
_FIRST = b"\x0a\x05<unk>\x15\x00\x00\x00\x00\x18\x02"
_TRAINER = bytes([0x18, 2, 0x20, 0, 0x98, 0x02, 1, 0xC0, 0x02, 0, 0xC8, 0x02, 1, 0xD0, 0x02, 2])
_NO_PAD = bytes([0xD8, 0x02, *([0xFF] * 9), 0x01])
_NORMALIZER = bytes([0x0A, 8, *b"identity", 0x18, 1, 0x20, 0, 0x28, 1])


@dataclass(frozen=True)
class Shape:
    """The head of a checkpoint."""

    dim: int
    hidden_dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    seq_len: int
    tied: bool

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.dim // self.n_heads

    def blocks(self) -> list[tuple[str, tuple[int, ...]]]:
        """Return name and shape of every block of the file, in its order."""
        layers, dim, hidden, kv = self.n_layers, self.dim, self.hidden_dim, self.n_kv_heads * self.head_size
        rope = (self.seq_len, self.head_size // 2)
        blocks: list[tuple[str, tuple[int, ...]]] = [
            ("token_embedding", (self.vocab_size, dim)),
            ("rms_att", (layers, dim)),
            ("wq", (layers, dim, dim)),
            ("wk", (layers, kv, dim)),
            ("wv", (layers, kv, dim)),
            ("wo", (layers, dim, dim)),
            ("rms_ffn", (layers, dim)),
            ("w1", (layers, hidden, dim)),
            ("w2", (layers, dim, hidden)),
            ("w3", (layers, hidden, dim)),
            ("rms_final", (dim,)),
            ("rope_cos", rope),
            ("rope_sin", rope),
        ]
        return blocks if self.tied else [*blocks, ("wcls", (self.vocab_size, dim))]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read: its head and its blocks by name, float32."""

    shape: Shape
    blocks: dict[str, np.ndarray[Any, np.dtype[np.float32]]]


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint in `path`.

    Raises:
        UserError: if it is no legacy checkpoint, or its size does not fit its head.
    """
    data = _read(path)
    if len(data) >= 4 and struct.unpack_from("<I", data)[0] == _MAGIC:
        raise UserError(
            f"{path}: a llama2.c checkpoint of version 1 or 2",
            "export it as version 0 (legacy): `export.py --version 0`",
        )
    if len(data) < 28:
        raise UserError(f"{path}: {len(data)} bytes are too few for a llama2.c checkpoint")
    dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len = struct.unpack_from("<7i", data)
    numbers = (dim, hidden_dim, n_layers, n_heads, n_kv_heads, abs(vocab_size), seq_len)
    shape = Shape(*numbers, tied=vocab_size > 0)
    if min(numbers) <= 0 or dim % n_heads or n_heads % n_kv_heads or shape.head_size % 2:
        raise UserError(f"{path}: not a llama2.c checkpoint: impossible sizes {numbers}")
    wanted = 28 + 4 * sum(int(np.prod(size, dtype=np.int64)) for _, size in shape.blocks())
    if len(data) != wanted:
        raise UserError(
            f"{path}: not a whole llama2.c checkpoint: its head asks for {wanted:,} bytes, it has {len(data):,}"
        )
    blocks, at = {}, 28
    for name, size in shape.blocks():
        count = int(np.prod(size, dtype=np.int64))
        blocks[name] = np.frombuffer(data, "<f4", count, at).reshape(size)
        at += 4 * count
    return Checkpoint(shape, blocks)


def read_tokenizer(path: Path, vocab_size: int) -> SpmModel:
    """Return the tokenizer in `path` as the SentencePiece model that it was exported from.

    Args:
        path: A llama2.c `tokenizer.bin`.
        vocab_size: Its number of pieces, which the file itself does not tell.

    Raises:
        UserError: if it is no such file or has another number of pieces.
    """
    data = _read(path)
    pieces, at = [], 4
    try:
        for number in range(vocab_size):
            score, length = struct.unpack_from("<fi", data, at)
            at += 8
            if length < 0 or at + length > len(data):
                raise struct.error
            pieces.append(_piece(number, data[at : at + length].decode("utf-8"), score))
            at += length
    except (struct.error, UnicodeDecodeError):
        raise UserError(
            f"{path}: not a llama2.c tokenizer of {vocab_size} pieces: it breaks off or is broken at piece {len(pieces)}",
            "give the tokenizer.bin that belongs to the checkpoint",
        ) from None
    if at != len(data):
        raise UserError(
            f"{path}: {len(data) - at:,} bytes are left after the checkpoint's {vocab_size} pieces",
            "give the tokenizer.bin that belongs to the checkpoint",
        )
    parts = ((0x0A, _FIRST), (0x12, _TRAINER + _NO_PAD), (0x1A, _NORMALIZER))
    head = b"".join(bytes([tag, len(payload)]) + payload for tag, payload in parts)
    return parse_spm(head).extended(pieces[1:])


def _piece(number: int, text: str, score: float) -> Piece:
    if number in _SPECIAL:
        kind = PieceKind.UNKNOWN if number == _UNK else PieceKind.CONTROL
        return Piece(_SPECIAL[number], 0.0, kind)
    if number in _BYTES:
        return Piece(f"<0x{number - 3:02X}>", 0.0, PieceKind.BYTE)
    return Piece(text.replace(" ", SPACE), score)


def state_dict(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Return the weights under transformers' names for a Llama."""
    import torch

    shape, blocks = checkpoint.shape, checkpoint.blocks

    def weight(array: np.ndarray[Any, np.dtype[np.float32]]) -> torch.Tensor:
        return torch.from_numpy(np.array(array, dtype=np.float32))

    state = {
        "model.embed_tokens.weight": weight(blocks["token_embedding"]),
        "model.norm.weight": weight(blocks["rms_final"]),
    }
    names = {
        "rms_att": "input_layernorm",
        "wv": "self_attn.v_proj",
        "wo": "self_attn.o_proj",
        "rms_ffn": "post_attention_layernorm",
        "w1": "mlp.gate_proj",
        "w2": "mlp.down_proj",
        "w3": "mlp.up_proj",
    }
    for layer in range(shape.n_layers):
        prefix = f"model.layers.{layer}."
        for block, name in names.items():
            state[f"{prefix}{name}.weight"] = weight(blocks[block][layer])
        for block, name, heads in (("wq", "q_proj", shape.n_heads), ("wk", "k_proj", shape.n_kv_heads)):
            halves = _rotary_halves(blocks[block][layer], heads)
            state[f"{prefix}self_attn.{name}.weight"] = weight(halves)
    state["lm_head.weight"] = state["model.embed_tokens.weight"] if shape.tied else weight(blocks["wcls"])
    return state


def _rotary_halves(
    matrix: np.ndarray[Any, np.dtype[np.float32]], heads: int
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Reorder each head's rows: llama2.c rotates neighbours (0,1), (2,3), ...; transformers rotates i with i + size/2."""
    rows, columns = matrix.shape
    return matrix.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def convert(checkpoint: Path, tokenizer: Path, out: Path) -> None:
    """Write a Hugging Face folder: config.json, model.safetensors, generation_config.json and an exact tokenizer.

    Answers end at </s> or at <s>: llama2.c's training texts follow each other with <s> between them, and its own program
    stops there.

    Args:
        checkpoint: A legacy checkpoint.
        tokenizer: Its tokenizer.bin.
        out: The folder; it must not hold anything yet.

    Raises:
        UserError: if a file is not what it should be, or `out` is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is there already", "give a folder that does not exist yet")
    read = read_checkpoint(checkpoint)
    spm = read_tokenizer(tokenizer, read.shape.vocab_size)

    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    shape = read.shape
    config = LlamaConfig(
        vocab_size=shape.vocab_size,
        hidden_size=shape.dim,
        intermediate_size=shape.hidden_dim,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_kv_heads,
        max_position_embeddings=shape.seq_len,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=shape.tied,
        bos_token_id=_BOS,
        eos_token_id=_EOS,
        dtype="float32",
    )
    model = LlamaForCausalLM(config)
    model.load_state_dict(state_dict(read), strict=True)
    settings = {"bos_token_id": _BOS, "eos_token_id": [_EOS, _BOS]}
    model.generation_config = GenerationConfig(**settings)  # type: ignore[no-untyped-call]
    model.save_pretrained(str(out))
    write_fast_tokenizer(spm, out, settings={"model_max_length": shape.seq_len})


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
