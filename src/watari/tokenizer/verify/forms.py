"""Every form in which an extended tokenizer lies in its folder, as something that encodes: they must agree."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from watari.errors import UserError
from watari.pretrained.bytelevel import to_alphabet
from watari.pretrained.sentencepiece import SpmModel
from watari.pretrained.tekken import NATIVE, TEKKEN
from watari.tokenizer.encoder import Ids
from watari.tokenizer.verify.structure import Structure

Encode = Callable[[Sequence[str]], list[Ids]]
GPT2_WORDS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""What `ByteLevel` with `use_regex` cuts a text by."""


@dataclass(frozen=True)
class Form:
    """One form.

    Args:
        name: Of the check.
        title: What reads it.
        encode: From texts to ids; None if it could not be opened.
        sampled: True if a sample of lines is asked only: our own reference, and what is the same by construction.
        leading: True if the extended tokenizer of the sheet is this very form.
        broken: True if it claims to be readable and is not.
        reason: Why it cannot be asked.
    """

    name: str
    title: str
    encode: Encode | None
    sampled: bool = False
    leading: bool = False
    broken: bool = False
    reason: str = ""


def forms_of(files: Structure, leading: SpmModel | None) -> list[Form]:
    """Return every form that the folder holds, those that cannot be opened with the reason.

    Args:
        files: What the folder holds.
        leading: The SentencePiece model of the extended tokenizer itself, where it is one.
    """
    folder = files.path
    found = [_tokenizers(files), _transformers(files), _sentencepiece(files, leading)]
    if folder is not None and folder.is_dir():
        for place in (folder, folder / NATIVE):
            if (place / TEKKEN).is_file():
                found.append(_opened("agree-tekken", "tekken.json (mistral-common)", _tekken, place / TEKKEN))
            found += [_tiktoken(ranks, files) for ranks in sorted(place.glob("*.tiktoken"))]
    return [*found, *_references(files)]


def _opened(name: str, title: str, opener: Callable[[Path], Encode], path: Path) -> Form:
    try:
        return Form(name, title, opener(path))
    except Exception as error:
        # Whatever a library raises over somebody's file is the finding.
        return Form(name, title, None, broken=True, reason=f"{path.name} does not load: {_line(error)}")


def _tokenizers(files: Structure) -> Form:
    name, title = "agree-tokenizers", "tokenizer.json (tokenizers)"
    if files.fast_file is None:
        return Form(name, title, None, reason="there is no tokenizer.json")
    return _opened(name, title, lambda path: _fast(files), files.fast_file)


def _fast(files: Structure) -> Encode:
    tokenizer = files.library

    def encode(texts: Sequence[str]) -> list[Ids]:
        encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.asarray(encoding.ids, dtype=np.int32) for encoding in encodings]

    return encode


def _transformers(files: Structure) -> Form:
    name, title = "agree-transformers", "AutoTokenizer (transformers)"
    folder = files.path
    if folder is None or not folder.is_dir():
        return Form(name, title, None, reason="no folder was given")
    if not any((folder / file).is_file() for file in ("tokenizer.json", "tokenizer_config.json")):
        return Form(name, title, None, reason="neither tokenizer.json nor tokenizer_config.json is there")
    try:
        encode, same = _auto(folder, files)
    except Exception as error:
        return Form(name, title, None, broken=True, reason=f"the folder does not load: {_line(error)}")
    return Form(name, title, encode, sampled=same)


def _auto(folder: Path, files: Structure) -> tuple[Encode, bool]:
    """Return what AutoTokenizer encodes with, and whether it is tokenizer.json's own tokenizer, entry for entry."""
    from watari.pretrained import load_tokenizer
    from watari.pretrained.encoding import encode_documents

    tokenizer = load_tokenizer(folder)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    same = backend is not None and files.fast_file is not None and backend.to_str() == files.library.to_str()
    return (
        lambda texts: [np.asarray(ids, dtype=np.int32) for ids in encode_documents(tokenizer, texts)]
    ), same


def _sentencepiece(files: Structure, leading: SpmModel | None) -> Form:
    name, title = "agree-sentencepiece", "tokenizer.model (sentencepiece)"
    if files.spm is None:
        return Form(name, title, None, reason="there is no SentencePiece tokenizer.model")
    if leading is not None and leading.data == files.spm.data:
        return Form(name, title, None, leading=True)
    processor = files.spm.processor()
    return Form(
        name,
        title,
        lambda texts: [np.asarray(ids, dtype=np.int32) for ids in processor.encode(list(texts))],
    )


def _tekken(path: Path) -> Encode:
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    tekken = Tekkenizer.from_file(path)
    return lambda texts: [
        np.asarray(tekken.encode(text, bos=False, eos=False), dtype=np.int32) for text in texts
    ]


def _tiktoken(path: Path, files: Structure) -> Form:
    name, title = "agree-tiktoken", f"{path.name} (tiktoken)"
    words = _words(files.fast.get("pre_tokenizer") if files.fast is not None else None)
    if words is None:
        return Form(name, title, None, reason="no tokenizer.json beside it says how words are cut")
    normaliser = (files.fast or {}).get("normalizer")
    if normaliser is not None:
        return Form(name, title, None, reason="tiktoken has no normaliser, and tokenizer.json has one")

    def opener(file: Path) -> Encode:
        from tiktoken import Encoding
        from tiktoken.load import load_tiktoken_bpe

        ranks = load_tiktoken_bpe(str(file))
        encoding = Encoding(file.stem, pat_str=words, mergeable_ranks=ranks, special_tokens={})
        # Ranks begin at 0 behind the special tokens of a table that starts with these.
        first = next(iter(ranks))
        skip = files.vocabulary[to_alphabet(first)] - ranks[first]
        return lambda texts: [np.asarray(encoding.encode_ordinary(t), dtype=np.int32) + skip for t in texts]

    return _opened(name, title, opener, path)


def _words(given: dict[str, Any] | None) -> str | None:
    """Return the regular expression of a pre-tokenizer that tiktoken can stand for."""
    if given is None:
        return None
    steps = given["pretokenizers"] if given["type"] == "Sequence" else [given]
    patterns = [
        step["pattern"]["Regex"] for step in steps if step["type"] == "Split" and "Regex" in step["pattern"]
    ]
    level = [step for step in steps if step["type"] == "ByteLevel"]
    if len(level) != 1 or len(steps) != len(patterns) + 1:
        return None
    if level[0].get("use_regex", True):
        patterns.append(GPT2_WORDS)
    return patterns[0] if len(patterns) == 1 else None


def _references(files: Structure) -> list[Form]:
    from watari.tokenizer.reference import JsonReference, SpmReference

    found = []
    if files.spm is not None:
        spm = files.spm
        found.append(
            _reference("model", "tokenizer.model", lambda: SpmReference(spm, "tokenizer.model").encode)
        )
    if files.fast is not None:
        fast = files.fast
        found.append(
            _reference("json", "tokenizer.json", lambda: JsonReference(fast, "tokenizer.json").encode)
        )
    return found or [
        Form("agree-reference", "our slow reference encoder", None, reason="no file that it reads")
    ]


def _reference(suffix: str, file: str, opener: Callable[[], Encode]) -> Form:
    name, title = f"agree-reference-{suffix}", f"{file} (our slow reference encoder)"
    try:
        return Form(name, title, opener(), sampled=True)
    except (UserError, KeyError, TypeError, json.JSONDecodeError) as error:
        return Form(name, title, None, sampled=True, reason=_line(error))


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
