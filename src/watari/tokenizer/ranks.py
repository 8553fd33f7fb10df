"""Rank files of tiktoken's form: a token in base64 and its rank a line, and no word on how a text is cut."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from watari.errors import UserError
from watari.tokenizer.encoder import Encoder, Ids

if TYPE_CHECKING:
    from tiktoken import Encoding

TIKTOKEN = "tiktoken:"
"""`tiktoken:cl100k_base` is OpenAI's rank file where tiktoken has it in its cache, or a package carries it."""

_WORD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_GPT_2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
PATTERNS: dict[str, str] = {
    "r50k": _GPT_2,
    "p50k": _GPT_2,
    "gpt2": _GPT_2,
    "cl100k": rf"{_WORD}|\p{{N}}{{1,3}}|{_REST}",
    "llama3": rf"{_WORD}|\p{{N}}{{1,3}}|{_REST}",
    "o200k": "|".join(
        [
            rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_SHORT}",
            rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_SHORT}",
            r"\p{N}{1,3}",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
            r"\s*[\r\n]+",
            r"\s+(?!\S)",
            r"\s+",
        ]
    ),
    "qwen": rf"{_WORD}|\p{{N}}|{_REST}",
}
"""How each family of rank files cuts a text before any merge; a rank file does not say it itself."""


@dataclass(frozen=True)
class _Published:
    """One of OpenAI's rank files.

    Args:
        pattern: Key in `PATTERNS`.
        size: One above the highest id, special tokens included.
        sha256: Of the file, as `tiktoken_ext.openai_public` (tiktoken 0.14) checks it.
    """

    pattern: str
    size: int
    sha256: str

    def cached_as(self, name: str) -> str:
        """Return the name under which tiktoken and the packages that carry its files keep it."""
        url = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
        return hashlib.sha1(url.encode()).hexdigest()


_PUBLISHED = {
    "r50k_base": _Published(
        "r50k", 50_257, "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
    ),
    "p50k_base": _Published(
        "p50k", 50_281, "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"
    ),
    "cl100k_base": _Published(
        "cl100k", 100_277, "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
    ),
    "o200k_base": _Published(
        "o200k", 200_019, "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
    ),
}
_RANK_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} [0-9]+\r?\n")


def is_rank_file(start: bytes) -> bool:
    """True if a file that begins like this is one."""
    return _RANK_LINE.match(start) is not None


@dataclass(frozen=True)
class _Ranks:
    """A rank file, as tiktoken reads it; special tokens are plain text in a text."""

    name: str
    encoding: Encoding
    ranks: dict[bytes, int]
    size: int

    def __len__(self) -> int:
        return self.size

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        found = self.encoding.encode_ordinary_batch(list(texts), num_threads=os.cpu_count() or 1)
        return [np.asarray(ids, dtype=np.int32) for ids in found]

    def decode(self, ids: Sequence[int]) -> str:
        return self.encoding.decode([int(index) for index in ids])

    def surfaces(self) -> list[bytes | None]:
        found: list[bytes | None] = [None] * self.size
        for token, rank in self.ranks.items():
            found[rank] = token
        return found


def open_ranks(path: Path, name: str, pattern: str | None) -> Encoder:
    """Return the tokenizer in a rank file.

    Args:
        path: The file.
        name: How messages and tables call it.
        pattern: A key of `PATTERNS` or a regular expression; None: what the file's content or its name tells.

    Raises:
        UserError: if it is damaged, its pattern is not known, or tiktoken is not installed.
    """
    try:
        import tiktoken
    except ImportError:
        raise UserError(f"{name}: needs the Python package tiktoken", "pip install tiktoken") from None

    data = path.read_bytes()
    ranks = _read_ranks(data, name)
    content = hashlib.sha256(data).hexdigest()
    known = next((entry for entry in _PUBLISHED.values() if entry.sha256 == content), None)
    if pattern is None:
        shown = f"{path.name} {name}".lower().replace("-", "").replace("_", "")
        pattern = known.pattern if known else next((key for key in PATTERNS if key in shown), None)
    if pattern is None:
        raise UserError(
            f"{name}: a rank file does not say how it cuts a text into words",
            f"say it with --pattern: {', '.join(PATTERNS)}, or a regular expression",
        )
    size = max(known.size if known else 0, max(ranks.values()) + 1)
    try:
        encoding = tiktoken.Encoding(
            name, pat_str=PATTERNS.get(pattern, pattern), mergeable_ranks=ranks, special_tokens={}
        )
    except Exception as error:
        raise UserError(f"{name}: tiktoken does not take this pattern: {first_line(error)}") from None
    return _Ranks(name, encoding, ranks, size)


def _read_ranks(data: bytes, name: str) -> dict[bytes, int]:
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line:
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise UserError(f"{name}: line {number} is not base64 and a number") from None
    missing = [value for value in range(256) if bytes([value]) not in ranks]
    if missing:
        raise UserError(
            f"{name}: the byte {missing[0]:#04x} has no rank, so that not every text can be spelled"
        )
    if len(set(ranks.values())) < len(ranks):
        raise UserError(f"{name}: two tokens have the same rank")
    return ranks


def rank_file(name: str) -> Path:
    """Return the file of one of OpenAI's encodings where it is at hand; nothing is downloaded.

    Raises:
        UserError: if there is no such encoding, or its file is not there.
    """
    if name not in _PUBLISHED:
        raise UserError(f"{TIKTOKEN}{name}: no such encoding", f"known: {', '.join(_PUBLISHED)}")
    import importlib.util

    folders = [
        os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR"),
        str(Path(tempfile.gettempdir()) / "data-gym-cache"),
    ]
    carrier = importlib.util.find_spec("litellm")
    if carrier is not None and carrier.origin is not None:
        folders.append(str(Path(carrier.origin).parent / "litellm_core_utils" / "tokenizers"))
    for folder in folders:
        file = Path(folder or "") / _PUBLISHED[name].cached_as(name)
        if folder and file.is_file():
            return file
    raise UserError(
        f"{TIKTOKEN}{name}: not in tiktoken's cache, and nothing is downloaded",
        f"run `python -c \"import tiktoken; tiktoken.get_encoding('{name}')\"` once, or give the .tiktoken file",
    )


def first_line(error: Exception) -> str:
    """Return what a library said, on one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
