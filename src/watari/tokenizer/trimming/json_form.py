"""A tokenizer.json with a BPE model, as it is trimmed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from watari.artifact import atomic
from watari.errors import UserError
from watari.pretrained.bytelevel import SUPPORTED, ByteModel
from watari.pretrained.sentencepiece import SPACE
from watari.pretrained.trimmed import json_pieces
from watari.tokenizer.bytes import ByteBpe
from watari.tokenizer.encoder import Ids
from watari.tokenizer.trimming.joining import joined, merge_list
from watari.tokenizer.trimming.moving import moved_processor, moved_settings

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class JsonForm:
    """A tokenizer.json with a BPE model: byte-level, or of characters with byte fallback. Pairs are joined by rank.

    Args:
        name: How messages call it.
        content: The content of tokenizer.json.
        settings: That of tokenizer_config.json.
        bytewise: The model as byte-level BPE; None for one of characters.
    """

    name: str
    content: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    bytewise: ByteModel | None = None

    @cached_property
    def _vocabulary(self) -> dict[str, int]:
        found: dict[str, int] = self.content["model"]["vocab"]
        return found

    @cached_property
    def _ranks(self) -> dict[tuple[str, str], int]:
        # Of a pair given twice the later rank counts, as in the library.
        return {pair: rank for rank, pair in enumerate(self.joins())}

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(json.dumps(self.content))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
        return tokenizer

    def __len__(self) -> int:
        """One above the highest id."""
        return len(self.pieces())

    def pieces(self) -> list[str]:
        """Return the piece of each id, "" for a gap."""
        return json_pieces(self.content)

    def surfaces(self) -> list[bytes | None]:
        """Return the bytes that each id puts into a text."""
        if self.bytewise is not None:
            return self.bytewise.surfaces()
        found: list[bytes | None] = [None] * len(self)
        added = set(self.specials().values())
        for piece, index in self._vocabulary.items():
            if index in added:
                continue
            is_byte = _is_byte(piece)
            found[index] = (
                bytes([int(piece[3:5], 16)]) if is_byte else piece.replace(SPACE, " ").encode("utf-8")
            )
        return found

    def fixed(self) -> dict[int, str]:
        """Return the ids that are never left out: added tokens, bytes, single ASCII characters, runs of blanks."""
        found = dict.fromkeys(self.specials().values(), "special")
        for piece, index in self._vocabulary.items():
            if index in found:
                continue
            if len(piece) == 1 if self.bytewise else _is_byte(piece):
                found[index] = "byte"
            elif not self.bytewise and not piece.strip(SPACE):
                found[index] = "blank"
            elif len(piece) == 1 and piece.isascii():
                found[index] = "ascii"
        unknown = self.content["model"].get("unk_token")
        if unknown in self._vocabulary:
            found[self._vocabulary[unknown]] = "special"
        return found

    def specials(self) -> dict[str, int]:
        """Return the ids of the added tokens."""
        return {str(t["content"]): int(t["id"]) for t in self.content.get("added_tokens") or []}

    def needs(self, index: int) -> set[int]:
        """Return the ids that a piece is made from, itself included."""
        piece = self._pieces[index]
        if self._vocabulary.get(piece) != index:
            return {index}
        made, last = joined(list(piece), lambda left, right: self._ranks.get((left, right)))
        # One that no joins lead to comes about as a whole word only (`ignore_merges`), or never.
        parts = [*piece, *(made if last == [piece] else [])]
        return {index, *(self._vocabulary[part] for part in parts if part in self._vocabulary)}

    @cached_property
    def _pieces(self) -> list[str]:
        return self.pieces()

    def joins(self) -> list[tuple[str, str]]:
        """Return the merge list."""
        return merge_list(self.content)

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text."""
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.asarray(item.ids, dtype=np.int32) for item in found]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some ids."""
        return str(self._tokenizer.decode([int(index) for index in ids], skip_special_tokens=False))

    def kept(self, ids: Sequence[int]) -> JsonForm:
        """Return this tokenizer with the ids `ids` alone; what names an id elsewhere in the file follows it."""
        places = {old: new for new, old in enumerate(ids)}
        content = dict(self.content)
        model = dict(content["model"])
        vocabulary = {
            piece: places[index]
            for piece, index in sorted(self._vocabulary.items(), key=lambda item: item[1])
            if index in places
        }
        model["vocab"] = vocabulary
        model["merges"] = [
            given
            for given, (left, right) in zip(model["merges"], self.joins(), strict=True)
            if left in vocabulary and right in vocabulary and left + right in vocabulary
        ]
        content["model"] = model
        content["added_tokens"] = [
            {**token, "id": places[token["id"]]} for token in content.get("added_tokens") or []
        ]
        if content.get("post_processor"):
            content["post_processor"] = moved_processor(content["post_processor"], places)
        if content.get("padding"):
            content["padding"] = {
                **content["padding"],
                "pad_id": places.get(content["padding"]["pad_id"], content["padding"]["pad_id"]),
            }
        bytewise = None
        if self.bytewise is not None:
            old = self.bytewise
            bytewise = replace(
                old,
                content=content,
                tokens=tuple(old.tokens[index] for index in ids),
                added=frozenset(places[index] for index in old.added),
                levels=tuple(sum(index < level for index in ids) for level in old.levels),
                first_rank=sum(index < old.first_rank for index in ids),
            )
        return JsonForm(self.name, content, moved_settings(self.settings, ids), bytewise)

    def write(self, out: Path) -> None:
        """Write tokenizer.json and tokenizer_config.json, and the rank form where a byte-level one has it.

        The class is PreTrainedTokenizerFast, which takes tokenizer.json as it is; others rebuild parts of it.
        """
        if self.bytewise is not None:
            ByteBpe(self.name, self.bytewise, self.settings).write(out, base=len(self))
            return
        out.mkdir(parents=True, exist_ok=True)
        atomic.write_text(
            out / "tokenizer.json", json.dumps(self.content, ensure_ascii=False, indent=1) + "\n"
        )
        atomic.write_json(
            out / "tokenizer_config.json", {**self.settings, "tokenizer_class": "PreTrainedTokenizerFast"}
        )


def falls_back(content: Any, name: str) -> bool:
    """True if a tokenizer.json is BPE over characters with byte fallback, as conversion from SentencePiece gives it.

    Raises:
        UserError: if it is, in a form that is not understood.
    """
    model = content.get("model") if isinstance(content, dict) else None
    if (
        not isinstance(model, dict)
        or model.get("type") not in (None, "BPE")
        or not model.get("byte_fallback")
    ):
        return False
    problem = ""
    if any(f"<0x{byte:02X}>" not in model.get("vocab", {}) for byte in range(256)):
        problem = "BPE with byte fallback that lacks pieces for bytes"
    elif model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        problem = "BPE with prefixes or suffixes of subwords"
    elif model.get("dropout"):
        problem = "BPE with dropout"
    if problem:
        raise UserError(f"base: {name}: {problem} is not supported yet in this version", SUPPORTED)
    return True


def _is_byte(piece: str) -> bool:
    return len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")
