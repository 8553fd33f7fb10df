"""Byte-level BPE in the form of `tokenizer.json` (GPT-2, Llama 3, Qwen, Nemo), read, extended and written.

Only what a tokenizer's life needs is understood; everything else in the file is kept as it stands. Three things about
the `tokenizers` library (0.23, measured) shape how a file is extended:

- The `id` of an added token is only a comment. Where its text is no entry of the vocabulary, it gets the next number
  behind the *size* of the vocabulary, so that 500 new entries would move `<|begin_of_text|>` by 500. In an extended
  file the added tokens are entries too, as in Mistral's own.
- A merge is looked up by its two sides, so that a new entry can only be joined by merges that name it: the base's
  list, kept at the head, runs to its end as before.
- With `ignore_merges` a word that is an entry is taken whole, so that an entry must be what its merges give too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact import atomic
from watari.errors import UserError
from watari.pretrained.alphabet import from_alphabet, to_alphabet
from watari.pretrained.byteform import SUPPORTED, check_supported_bytes, kinds_of
from watari.pretrained.fast import CONTEXT, splits
from watari.pretrained.sentencepiece import vocabulary_digest

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = [
    "SUPPORTED",
    "ByteModel",
    "byte_model",
    "check_supported_bytes",
    "from_alphabet",
    "read_tokenizer_json",
    "to_alphabet",
]

_OF_OTHER_CLASSES = (
    "auto_map",
    "backend",
    "is_local",
    "tokenizer_file",
    "vocab_file",
    "merges_file",
    "errors",
)
"""Settings that only the class named before reads, or that a saved tokenizer carries from where it was loaded."""


@dataclass(frozen=True, eq=False)
class ByteModel:
    """A byte-level BPE tokenizer.

    Args:
        content: The content of its tokenizer.json; never changed in place.
        tokens: Every entry in the order of the ids, "" for a gap.
        added: Ids of added tokens, special or not; they are text, not bytes.
        levels: The ids at which extensions begin; empty for a base.
        first_rank: Id of the token that has rank 0 in tiktoken's form (tekken: behind the special tokens).
        native: The tekken.json that it was read from, without the vocabulary; None for every other source.
    """

    content: dict[str, Any]
    tokens: tuple[str, ...]
    added: frozenset[int]
    levels: tuple[int, ...] = ()
    first_rank: int = 0
    native: dict[str, Any] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        """One above the highest id."""
        return len(self.tokens)

    @property
    def ignore_merges(self) -> bool:
        """True if a word that is an entry is taken whole."""
        return bool(self.content["model"].get("ignore_merges"))

    @property
    def normalizer(self) -> str | None:
        """Names of the Unicode normal forms that a text is brought to first; None if it stays as it is."""
        return "+".join(kinds_of(self.content.get("normalizer"), "normalizers")) or None

    def surfaces(self) -> list[bytes | None]:
        """Return the bytes of each id; None for added tokens, gaps, and entries that no text can come to."""
        return list(self._surfaces)

    @cached_property
    def _surfaces(self) -> tuple[bytes | None, ...]:
        return tuple(
            _bytes_or_none(token) if token and index not in self.added else None
            for index, token in enumerate(self.tokens)
        )

    def merges(self) -> Iterator[tuple[str, str]]:
        """Yield the merge list, best first; files hold "a b" or [a, b]."""
        for merge in self.content["model"]["merges"]:
            left, right = merge.split(" ") if isinstance(merge, str) else merge
            yield left, right

    def digest(self) -> str:
        """Return the hash of the entries in the order of their ids: what a token id means."""
        return vocabulary_digest(self.tokens)

    def tokenizer(self) -> Tokenizer:
        """Return the library's tokenizer over this file, without truncation and padding."""
        return _library(self.content)

    def extended(self, entries: Sequence[str]) -> ByteModel:
        """Return this model with `entries` behind its last id, ranked in their order below everything it has.

        The base's merges stand at the head of the list, untouched; behind them, for each new entry, every split into
        two entries, longer left parts first (facts: tokenizer §8).

        Args:
            entries: New vocabulary entries in the byte-level alphabet, each once.

        Raises:
            UserError: if one is there already, or an added token would be taken for a word of a text.
        """
        first = len(self.tokens)
        vocabulary = {**self.content["model"]["vocab"], **self._added_entries()}
        known = {entry for entry, index in vocabulary.items() if index not in self.added}
        for place, entry in enumerate(entries):
            if entry in vocabulary:
                raise UserError(f"base: {entry!r} is in the vocabulary already, or given twice")
            from_alphabet(entry)
            vocabulary[entry] = first + place
            known.add(entry)
        added = [
            (left, right)
            for entry in entries
            for left, right in reversed(splits(entry))
            if left in known and right in known
        ]
        before = self.content["model"]["merges"]
        as_text = bool(before) and isinstance(before[0], str)
        merges = [*before, *([f"{a} {b}" for a, b in added] if as_text else [[a, b] for a, b in added])]
        model = {**self.content["model"], "vocab": vocabulary, "merges": merges}
        return replace(
            self,
            content={**self.content, "model": model},
            tokens=(*self.tokens, *entries),
            levels=(*self.levels, first),
        )

    def _added_entries(self) -> dict[str, int]:
        """Return the added tokens that are no entries yet, with their ids.

        Raises:
            UserError: if the library would, for the shortcut of whole words, take one for a word of a text.
        """
        vocabulary = self.content["model"]["vocab"]
        found = {
            self.tokens[index]: index for index in sorted(self.added) if self.tokens[index] not in vocabulary
        }
        if found and self.ignore_merges:
            cut = self.tokenizer().pre_tokenizer
            for text in found:
                if [word for word, _ in cut.pre_tokenize_str(text)] == [text]:
                    raise UserError(
                        f"base: its added token {text!r} would be taken for the word {text!r} of a text once the "
                        "vocabulary grows",
                        "extend the tokenizer of the pre-trained base, and let this token come after",
                    )
        return found

    def write(self, out: Path, settings: dict[str, Any]) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`.

        The class is PreTrainedTokenizerFast, which takes tokenizer.json as it is: Qwen2Tokenizer and others of
        transformers 5 build their own pre-tokenizer and normaliser instead of those in the file. (Beside a config of
        model type `qwen2`, transformers 5.23 takes Qwen2Tokenizer whatever is written here; its parts are Qwen's own.)

        Args:
            out: The folder; made if missing.
            settings: Keys of an existing `tokenizer_config.json` to keep.
        """
        out.mkdir(parents=True, exist_ok=True)
        kept = {key: value for key, value in settings.items() if key not in _OF_OTHER_CLASSES}
        ours = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
        atomic.write_json(out / "tokenizer.json", self.content, indent=None)
        atomic.write_json(out / "tokenizer_config.json", {"model_max_length": CONTEXT, **kept, **ours})


def read_tokenizer_json(path: Path, name: str) -> ByteModel:
    """Return the byte-level BPE tokenizer in the tokenizer.json at `path`.

    Args:
        path: The file.
        name: How messages call it.

    Raises:
        UserError: if it cannot be read, or is of another family.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{name}: cannot be read: {str(error).splitlines()[0]}") from None
    return byte_model(content, name)


def byte_model(content: Any, name: str) -> ByteModel:
    """Return the tokenizer that the content of a tokenizer.json is.

    Raises:
        UserError: if it is of another family, or its parts do not fit together.
    """
    check_supported_bytes(content, name)
    try:
        library = _library(content)
    except Exception as error:
        raise UserError(f"{name}: the `tokenizers` library does not take it: {error}") from None
    ids: dict[int, str] = {index: entry for entry, index in content["model"]["vocab"].items()}
    if len(ids) < len(content["model"]["vocab"]):
        raise UserError(f"{name}: two entries of the vocabulary have one id")
    added = {int(token["id"]): str(token["content"]) for token in content.get("added_tokens") or []}
    for index, text in added.items():
        if ids.setdefault(index, text) != text:
            raise UserError(f"{name}: the added token {text!r} has id {index}, which is {ids[index]!r}")
    tokens = tuple(ids.get(index, "") for index in range(max(ids) + 1))
    for index, text in added.items():
        given = library.token_to_id(text)
        if given != index:
            raise UserError(
                f"{name}: its added token {text!r} says id {index}, and `tokenizers` gives it {given}"
            )
    return ByteModel(content, tokens, frozenset(added))


def _library(content: dict[str, Any]) -> Tokenizer:
    from tokenizers import Tokenizer

    found = Tokenizer.from_str(json.dumps(content, ensure_ascii=False))
    found.no_truncation()
    found.no_padding()
    return found


def _bytes_or_none(entry: str) -> bytes | None:
    try:
        return from_alphabet(entry)
    except ValueError:
        return None
