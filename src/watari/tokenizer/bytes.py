"""Byte-level BPE (GPT-2, Llama 3, Qwen, Nemo's tekken) as an `Encoder` that can be extended."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from watari.errors import UserError
from watari.pretrained.bytelevel import ByteModel, read_tokenizer_json
from watari.pretrained.tekken import NATIVE, read_tekken, tekken_settings, write_tiktoken
from watari.tokenizer.encoder import Family, Ids

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from watari.tokenizer.entries import Entries
    from watari.tokenizer.policy import Policy


@dataclass(frozen=True, eq=False)
class ByteBpe:
    """A byte-level BPE tokenizer; `tokenizers` itself encodes and decodes.

    A special token written in a text is its characters. Added tokens that are not special (`<tool_call>` of Qwen) are
    matched in a text, as the base matches them.
    """

    name: str
    model: ByteModel
    settings: dict[str, Any] = field(default_factory=dict)
    family: Family = "byte-level"

    def __len__(self) -> int:
        """One above the highest id, added and special tokens included."""
        return len(self.model)

    @cached_property
    def _library(self) -> Tokenizer:
        found = self.model.tokenizer()
        found.encode_special_tokens = True
        return found

    @cached_property
    def _entries(self) -> Tokenizer:
        """The model alone: takes words in the byte-level alphabet."""
        from tokenizers import Tokenizer

        return Tokenizer(self._library.model)

    @cached_property
    def _words(self) -> Tokenizer:
        """The model behind the byte-level alphabet alone: takes words as text."""
        from tokenizers import Tokenizer
        from tokenizers.pre_tokenizers import ByteLevel

        found = Tokenizer(self._library.model)
        found.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
        return found

    @cached_property
    def _matched(self) -> re.Pattern[str] | None:
        """Pattern of the added tokens that are matched in a text."""
        plain = [
            re.escape(token["content"])
            for token in self.model.content.get("added_tokens") or []
            if not token["special"]
        ]
        return re.compile("|".join(sorted(plain, key=len, reverse=True))) if plain else None

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text."""
        return _ids(self._library, texts)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some ids, special tokens left out; bytes that are no UTF-8 become U+FFFD."""
        return str(self._library.decode([int(index) for index in ids], skip_special_tokens=True))

    def surfaces(self) -> list[bytes | None]:
        """Return the bytes that each id puts into a text."""
        return self.model.surfaces()

    def digest(self) -> str:
        """Return the hash of the entries in the order of their ids."""
        return self.model.digest()

    def pieces(self) -> list[str]:
        """Return every entry in the order of the ids, "" for a gap."""
        return list(self.model.tokens)

    def spelled(self, pieces: Sequence[str]) -> list[list[int]]:
        """Return the ids of each piece as a word, or the part of one; it need not be whole characters."""
        return [ids.tolist() for ids in _ids(self._entries, pieces)]

    def normalized(self, text: str) -> str:
        """Return the text that is cut into words: `text` itself, but for a base with a normaliser."""
        form = self._library.normalizer
        return text if form is None else str(form.normalize_str(text))

    def pretokens(self, text: str) -> list[str]:
        """Return the words into which the base cuts a text, none of which a token runs across.

        Joined, they are `normalized(text)` without the added tokens that are matched in it.
        """
        if self._matched is not None and self._matched.search(text):
            return [word for part in self._matched.split(text) if part for word in self._cut(part)]
        return self._cut(text)

    def _cut(self, text: str) -> list[str]:
        text = self.normalized(text)
        return [text[start:end] for _, (start, end) in self._library.pre_tokenizer.pre_tokenize_str(text)]

    def encode_pretokens(self, pretokens: Sequence[str]) -> list[list[int]]:
        """Return the ids of each word, which is cut no further."""
        return [
            encoding.ids
            for encoding in self._words.encode_batch_fast(list(pretokens), add_special_tokens=False)
        ]

    def with_intermediates(self, texts: Sequence[str], policy: Policy) -> Entries:
        """Return learned texts as vocabulary entries, each reachable standing alone.

        See `watari.tokenizer.entries.entries_of`.
        """
        from watari.tokenizer.entries import entries_of

        return entries_of(self, texts, policy.script)

    def extended(self, pieces: Sequence[str]) -> ByteBpe:
        """Return this tokenizer with `pieces` behind its last id, ranked below every merge that it has.

        Raises:
            UserError: if a piece is an entry already, or the form cannot hold it.
        """
        return ByteBpe(self.name, self.model.extended(pieces), self.settings)

    def write(self, out: Path, *, base: int) -> None:
        """Write tokenizer.json and tokenizer_config.json, and in `native/` the rank form where there is one.

        The base's merges stand at the head of the list for any `base`: `extended` put them there.
        """
        self.model.write(out, self.settings)
        write_tiktoken(self.model, out / NATIVE)


def read_byte_bpe(path: Path, name: str, *, config: Path) -> ByteBpe:
    """Return the tokenizer in the tokenizer.json or tekken.json at `path`.

    Args:
        path: The file.
        name: How messages call it.
        config: A tokenizer_config.json beside it; it may be missing.

    Raises:
        UserError: if it cannot be read, or is of another family.
    """
    settings: dict[str, Any] = {}
    if config.is_file():
        try:
            settings = json.loads(config.read_text("utf-8"))
        except ValueError as error:
            raise UserError(f"{config}: not JSON: {error}") from None
    if "tekken" in path.name:
        model = read_tekken(path, f"base: {name}")
        return ByteBpe(name, model, {**tekken_settings(model), **settings})
    return ByteBpe(name, read_tokenizer_json(path, f"base: {name}"), settings)


def _ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Ids]:
    found = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return [np.asarray(encoding.ids, dtype=np.int32) for encoding in found]
