"""BPE as a `tokenizer.json` defines it, for both families, from the definition and not from the library.

The library is asked for one thing only: the words into which a pre-tokenizer (a regular expression, mostly) cuts a
text, and the form that a normaliser other than those of the SentencePiece family gives to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from watari.errors import UserError
from watari.pretrained.sentencepiece import SPACE
from watari.tokenizer.encoder import Ids
from watari.tokenizer.reference.merging import MEMORY, cut, merge

Normalise = Callable[[str], str]
Words = Callable[[str, bool], list[str]]
"""From a stretch of text, and whether it is the first of its text, to the words that are encoded one by one."""


@dataclass(frozen=True)
class _Added:
    """Added tokens that are cut out of a text before the model sees it: by their text, and by their ids."""

    pattern: re.Pattern[str]
    ids: dict[str, int]


class JsonReference:
    """Encodes as a tokenizer.json with a BPE model says, special tokens written in a text taken as its characters.

    Added tokens that are not special are cut out first. Each stretch between them is normalised and cut into words.
    A word starts as characters, those without an entry as their bytes; of all neighbours that the merge list
    names, the pair that stands first in it is joined, the leftmost of equal ones, until none is left. With
    `ignore_merges` a word that is an entry of the vocabulary is that entry.

    Args:
        content: The content of the file.

    Raises:
        UserError: for what it does not define: another model, dropout, prefixes of subwords, added tokens that take
            in blanks or look at word boundaries.
    """

    def __init__(self, content: dict[str, Any], name: str = "reference") -> None:
        self.name = name
        model = content["model"]
        _check(content, name)
        self._vocabulary: dict[str, int] = model["vocab"]
        pairs = [
            tuple(pair.split(" ", 1)) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]
        ]
        self._ranks: dict[tuple[str, ...], int] = {}
        for rank, pair in enumerate(pairs):
            # Of a pair given twice the later rank counts, as in a table that is filled from the top.
            self._ranks[pair] = rank
        self._joined = frozenset(left[-1] + right[0] for left, right in self._ranks)
        self._fallback = bool(model.get("byte_fallback"))
        self._whole_words = bool(model.get("ignore_merges"))
        unknown = model.get("unk_token")
        self._unknown = None if unknown is None else self._vocabulary[unknown]
        self._fused = bool(model.get("fuse_unk"))
        self._normalise = normaliser(content.get("normalizer"))
        self._words = _pre_tokenizer(content.get("pre_tokenizer"))
        plain = [token for token in content.get("added_tokens", []) if not token["special"]]
        # Those marked `normalized` are themselves normalised, and looked for in the normalised text.
        self._raw = _added(plain, normalised=None)
        self._normalised = _added(plain, normalised=self._normalise)
        self._known: dict[str, list[int]] = {}

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text."""
        return [np.asarray(self._encode(text), dtype=np.int32) for text in texts]

    def _encode(self, text: str) -> list[int]:
        found: list[int] = []
        first = True
        for index, stretch in _around(text, self._raw):
            if index is not None:
                found.append(index)
            for inner, part in _around(self._normalise(stretch), self._normalised):
                if inner is not None:
                    found.append(inner)
                    first = False
                for word in self._words(part, first and index is None) if part else ():
                    found += self._word(word)
            first = False
        return found

    def _word(self, word: str) -> list[int]:
        if self._whole_words and word in self._vocabulary:
            return [self._vocabulary[word]]
        found: list[int] = []
        for stretch in cut(word, self._joined):
            ids = self._known.get(stretch)
            if ids is None:
                if len(self._known) >= MEMORY:
                    self._known.clear()
                ids = self._known[stretch] = self._stretch(stretch)
            found += ids
        if self._fused and self._unknown in found:
            keep = [
                at
                for at in range(len(found))
                if not at or found[at] != self._unknown or found[at - 1] != found[at]
            ]
            found = [found[at] for at in keep]
        return found

    def _stretch(self, text: str) -> list[int]:
        symbols: list[str] = []
        for character in text:
            if character in self._vocabulary:
                symbols.append(character)
                continue
            spelled = [f"<0x{byte:02X}>" for byte in character.encode("utf-8")]
            known = self._fallback and all(byte in self._vocabulary for byte in spelled)
            symbols += spelled if known else [character]
        found: list[int] = []
        for symbol in merge(symbols, lambda left, right: self._ranks.get((left, right))):
            index = self._vocabulary.get(symbol, self._unknown)
            if index is not None:
                found.append(index)
        return found


def _check(content: dict[str, Any], name: str) -> None:
    model = content["model"]
    problem = ""
    if model.get("type") not in (None, "BPE") or "merges" not in model:
        problem = f"a {model.get('type')} model"
    elif model.get("dropout"):
        problem = "dropout"
    elif model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        problem = "prefixes or suffixes of subwords"
    elif odd := [
        token["content"]
        for token in content.get("added_tokens", [])
        if not token["special"] and (token["single_word"] or token["lstrip"] or token["rstrip"])
    ]:
        problem = f"an added token that looks at what stands beside it ({odd[0]!r})"
    if problem:
        raise UserError(f"{name}: the reference encoder does not define {problem}")


def _added(tokens: list[dict[str, Any]], *, normalised: Normalise | None) -> _Added | None:
    ids = {
        token["content"] if normalised is None else normalised(token["content"]): int(token["id"])
        for token in tokens
        if bool(token["normalized"]) == (normalised is not None)
    }
    if not ids:
        return None
    longest_first = sorted(ids, key=len, reverse=True)
    return _Added(re.compile("|".join(map(re.escape, longest_first))), ids)


def _around(text: str, added: _Added | None) -> list[tuple[int | None, str]]:
    """Return (the added token in front, None at the start; the stretch behind it) for a whole text."""
    if added is None:
        return [(None, text)]
    found: list[tuple[int | None, str]] = []
    index: int | None = None
    start = 0
    for match in added.pattern.finditer(text):
        found.append((index, text[start : match.start()]))
        index, start = added.ids[match.group()], match.end()
    return [*found, (index, text[start:])]


def normaliser(given: dict[str, Any] | None) -> Normalise:
    """Return the normaliser that a tokenizer.json describes."""
    if given is None:
        return lambda text: text
    if given["type"] == "Sequence":
        steps = [normaliser(step) for step in given["normalizers"]]

        def all_steps(text: str) -> str:
            for step in steps:
                text = step(text)
            return text

        return all_steps
    if given["type"] == "Prepend":
        front = str(given["prepend"])
        return lambda text: front + text if text else text
    if given["type"] == "Replace" and "String" in given["pattern"]:
        old, new = str(given["pattern"]["String"]), str(given["content"])
        return lambda text: text.replace(old, new)
    library = _Library({"normalizer": given})
    return library.normalise


def _pre_tokenizer(given: dict[str, Any] | None) -> Words:
    if given is None:
        return lambda text, first: [text]
    if given["type"] == "Metaspace":
        return _metaspace(given)
    library = _Library({"pre_tokenizer": given})
    return lambda text, first: library.words(text)


def _metaspace(given: dict[str, Any]) -> Words:
    """Blanks become U+2581 and one is put in front, unless one stands there; a word may begin at each of them."""
    mark = str(given.get("replacement", SPACE))
    scheme = given.get("prepend_scheme", "always")

    def words(text: str, first: bool) -> list[str]:
        text = text.replace(" ", mark)
        if (scheme == "always" or (scheme == "first" and first)) and not text.startswith(mark):
            text = mark + text
        return (
            re.findall(f"{re.escape(mark)}?[^{re.escape(mark)}]*", text)[:-1]
            if given.get("split", True)
            else [text]
        )

    return words


class _Library:
    """The library's normaliser or pre-tokenizer, by itself."""

    def __init__(self, parts: dict[str, Any]) -> None:
        from tokenizers import Tokenizer

        empty = {"type": "BPE", "vocab": {}, "merges": []}
        content = {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None, **parts}
        self._tokenizer = Tokenizer.from_str(
            json.dumps({**content, "post_processor": None, "decoder": None, "model": empty})
        )

    def normalise(self, text: str) -> str:
        """Return the normalised text."""
        return str(self._tokenizer.normalizer.normalize_str(text))

    def words(self, text: str) -> list[str]:
        """Return the words of a text, in the alphabet of the vocabulary."""
        return [word for word, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(text)]
