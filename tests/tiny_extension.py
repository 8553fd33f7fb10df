"""Small extended tokenizers for the tests of verification: learned here in the plainest way, no code of the room's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from small_japanese import japanese
from watari.artifact.outside import packaged_file
from watari.pretrained.fast import splits
from watari.pretrained.sentencepiece import read_spm
from watari.tokenizer.script import script_of
from watari.tokenizer.spm import SpmBpe
from watari.tokenizer.texts import Text

SCRIPT = script_of("ja")
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def texts(count: int = 60) -> list[Text]:
    """Documents in Japanese, English and both."""
    return [Text(f"doc-{n}", text, language) for n, (language, text) in enumerate(japanese(count))]


@cache
def mistral() -> SpmBpe:
    """The real tokenizer of Mistral 7B v0.1."""
    return SpmBpe("mistral-v1", read_spm(packaged_file("package://mistral-v1")))


def joined(sequences: Iterable[Sequence[str]], known: set[str], count: int, text_of: Any = str) -> list[str]:
    """Return `count` new pieces: the most frequent pair again and again, counted anew each time.

    Args:
        sequences: Texts as the base cuts them.
        known: The base's pieces.
        count: How many pieces.
        text_of: From a piece as it is written to its text; None where it is a part of a character.
    """
    ends = {part for piece in known for pair in splits(piece) for part in pair}
    lists = [list(sequence) for sequence in sequences]
    found: list[str] = []
    while len(found) < count:
        pairs = Counter(pair for pieces in lists for pair in pairwise(pieces) if _fits(pair, text_of))
        choice = next(
            (left + right for (left, right), _ in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
             if left + right not in known and left + right not in ends),
            None,
        )  # fmt: skip
        assert choice is not None, "the text holds too few pairs"
        if choice not in found:
            found.append(choice)
        lists = [_joined(pieces, choice) for pieces in lists]
        known = known | {choice}
    return found


def _fits(pair: tuple[str, str], text_of: Any) -> bool:
    parts = [text_of(piece) for piece in pair]
    return all(part and all(SCRIPT.is_strict(ord(character)) for character in part) for part in parts)


def _joined(pieces: list[str], choice: str) -> list[str]:
    out: list[str] = []
    for piece in pieces:
        if out and out[-1] + piece == choice:
            out[-1] = choice
        else:
            out.append(piece)
    return out


@cache
def spm_pieces(count: int = 60) -> tuple[str, ...]:
    """New pieces for Mistral's tokenizer."""
    base = mistral()
    names = base.pieces()
    sequences = [[names[i] for i in ids] for ids in base.encode([item.text for item in texts()])]
    return tuple(joined(sequences, set(names), count, _plain))


def _plain(piece: str) -> str | None:
    return None if piece.startswith("<0x") else piece


def write_spm(folder: Path, model: SpmBpe, base: int | None = None) -> Path:
    """Write a folder with tokenizer.model, tokenizer.json and tokenizer_config.json."""
    model.write(folder, base=len(mistral()) if base is None else base)
    return folder


def byte_level(folder: Path, ignore_merges: bool = True) -> Path:
    """Write a small byte-level tokenizer, cut into words as Llama 3's is, trained on the tests' texts."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(_regex(WORDS), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[],
        show_progress=False,
    )
    english = ["The cat sat by the window and looked at the people of the town, 1998." * 3]
    tokenizer.train_from_iterator([*english, *(text for _, text in japanese(12, seed=4))], trainer)
    tokenizer.add_special_tokens(["<|begin|>", "<|end|>"])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin|>", "eos_token": "<|end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def _regex(pattern: str) -> Any:
    from tokenizers import Regex

    return Regex(pattern)


def extend_byte_level(base: Path, out: Path, count: int = 60) -> Path:
    """Write the tokenizer of `base` with new pieces and every way to join them from known ones."""
    content = json.loads((base / "tokenizer.json").read_text("utf-8"))
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    sequences: list[list[str]] = []
    for item in texts():
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(item.text):
            sequences.append([tokenizer.id_to_token(i) for i in _ids(tokenizer, word)])
    known = set(content["model"]["vocab"])
    add_byte_level(content, joined(sequences, known, count, _characters))
    return write_json(base, out, content)


def _ids(tokenizer: Tokenizer, word: str) -> list[int]:
    return [token.id for token in tokenizer.model.tokenize(word)]


_KEPT = [code for code in range(256) if 33 <= code <= 126 or 161 <= code <= 172 or 174 <= code <= 255]
_MOVED = [code for code in range(256) if code not in _KEPT]
_BYTES = {**{chr(code): code for code in _KEPT}, **{chr(256 + at): code for at, code in enumerate(_MOVED)}}
"""GPT-2's alphabet: a letter for every byte."""


def _characters(piece: str) -> str | None:
    """Return a byte-level piece as text, None if it is a part of a character."""
    try:
        return bytes(_BYTES[letter] for letter in piece).decode("utf-8")
    except UnicodeDecodeError:
        return None


def byte_letters(text: str) -> str:
    """Return a text in the byte-level alphabet."""
    letters = {code: letter for letter, code in _BYTES.items()}
    return "".join(letters[byte] for byte in text.encode("utf-8"))


def add_byte_level(content: dict[str, Any], pieces: Sequence[str]) -> None:
    """Append pieces behind the last id, with every way to join them."""
    vocabulary = content["model"]["vocab"]
    # Special tokens that only stand in `added_tokens` would be numbered anew behind the new pieces.
    vocabulary.update({token["content"]: token["id"] for token in content["added_tokens"]})
    first = 1 + max(vocabulary.values())
    for place, piece in enumerate(pieces):
        vocabulary[piece] = first + place
    for piece in pieces:
        content["model"]["merges"] += [
            list(p) for p in splits(piece) if p[0] in vocabulary and p[1] in vocabulary
        ]


def write_json(base: Path, out: Path, content: dict[str, Any]) -> Path:
    """Write a tokenizer.json, and the config of `base` beside it."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    (out / "tokenizer_config.json").write_bytes((base / "tokenizer_config.json").read_bytes())
    return out


class Fast:
    """A tokenizer.json as an `Encoder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.encode_special_tokens = True
        self.byte_level = "ByteLevel" in (folder / "tokenizer.json").read_text("utf-8")

    def __len__(self) -> int:
        return 1 + max(self.tokenizer.get_vocab(with_added_tokens=True).values())

    def encode(self, texts: Sequence[str]) -> list[Any]:
        found = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.asarray(item.ids, dtype=np.int32) for item in found]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode([int(i) for i in ids], skip_special_tokens=False))

    def surfaces(self) -> list[bytes | None]:
        found: list[bytes | None] = [None] * len(self)
        added = self.tokenizer.get_added_tokens_decoder()
        for piece, index in self.tokenizer.get_vocab(with_added_tokens=False).items():
            if index in added:
                continue
            if self.byte_level:
                found[index] = bytes(_BYTES[letter] for letter in piece)
            elif piece.startswith("<0x"):
                found[index] = bytes([int(piece[3:5], 16)])
            else:
                found[index] = piece.replace("▁", " ").encode("utf-8")
        return found
