"""Byte-level BPE in the form of ranks: mistral's tekken.json and tiktoken's rank files.

In this form a token is bytes with a rank, and two neighbours are joined if their bytes together are a token, the
lowest rank first; a word that is a token is taken whole. There is no list of merges: it is every split of every token
into two tokens, in the order of the ranks.
"""

from __future__ import annotations

import base64
import binascii
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from watari.artifact import atomic
from watari.errors import UserError
from watari.pretrained.bytelevel import ByteModel, to_alphabet

NATIVE = "native"
"""Folder, inside a tokenizer's, of the files that Hugging Face does not read. Beside a model's config, AutoTokenizer
would take a tekken.json in the folder itself for more than tokenizer.json, with another class and no fast tokenizer."""
RANKS = "ranks.tiktoken"
TEKKEN = "tekken.json"
_SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def read_tekken(path: Path, name: str) -> ByteModel:
    """Return mistral's tekken.json as a tokenizer with the same ids as mistral-common's own.

    The first `default_num_special_tokens` ids are special tokens: those that the file names, or in old files those
    that mistral-common names, and `<SPECIAL_i>` for the rest. A token's id is its rank behind them; tokens that do not
    fit into `default_vocab_size` are no tokens.

    Args:
        path: The file.
        name: How messages call it.

    Raises:
        UserError: if it is no such file.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        config = content["config"]
        pattern, size = str(config["pattern"]), int(config["default_vocab_size"])
        count = int(config["default_num_special_tokens"])
        tokens = [base64.b64decode(entry["token_bytes"]) for entry in content["vocab"][: size - count]]
        special = _special_tokens(content.get("special_tokens"), count)
    except (OSError, ValueError, KeyError, TypeError, binascii.Error) as error:
        raise UserError(f"{name}: not a readable tekken.json: {type(error).__name__}: {error}") from None
    if len(tokens) != size - count or len(set(tokens)) < len(tokens) or len(special) != count:
        raise UserError(f"{name}: its vocabulary does not have the {size - count:,} tokens that it says")
    head = {key: value for key, value in content.items() if key != "vocab"}
    return from_ranks(tokens, pattern, special, native=head)


def from_ranks(
    tokens: Sequence[bytes], pattern: str, special: Sequence[str], *, native: dict[str, Any] | None = None
) -> ByteModel:
    """Return the tokenizer in which token k has rank k, and the ids behind those of the special tokens.

    Args:
        tokens: The tokens in the order of their ranks.
        pattern: The regular expression that cuts a text into words.
        special: Special tokens: the first ids.
        native: See `ByteModel`.

    Raises:
        UserError: if a byte is missing.
    """
    missing = sorted({bytes([value]) for value in range(256)} - set(tokens))
    if missing:
        raise UserError(f"ranks: the byte {missing[0]!r} is missing, so that not every text can be spelled")
    known = set(tokens)
    first = len(special)
    entries = [to_alphabet(token) for token in tokens]
    merges = [
        # Longer left parts first: the leftmost of two tokens that overlap wins, as it does with ranks.
        [entry[:at], entry[at:]]
        for token, entry in zip(tokens, entries, strict=True)
        for at in range(len(token) - 1, 0, -1)
        if token[:at] in known and token[at:] in known
    ]
    vocabulary = {text: index for index, text in enumerate(special)}
    vocabulary |= {entry: first + rank for rank, entry in enumerate(entries)}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(index, text) for index, text in enumerate(special)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": _bos_first(special),
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,
            "vocab": vocabulary,
            "merges": merges,
        },
    }
    added = frozenset(range(first))
    return ByteModel(content, (*special, *entries), added, first_rank=first, native=native)


def tekken_settings(model: ByteModel) -> dict[str, Any]:
    """Return what a tokenizer_config.json says of a model read from a tekken.json."""
    named = {key: text for key, text in _SPECIAL.items() if text in model.tokens[: model.first_rank]}
    return {**named, "add_bos_token": "bos_token" in named, "add_eos_token": False}


def ranks(model: ByteModel) -> dict[bytes, int] | None:
    """Return the tokens with their ranks, if tiktoken makes the same ids of every word; else None.

    The words are those of this model's normaliser and pre-tokenizer, of which ranks say nothing. It does if the merge
    list is every split of every token into two tokens, in the order of the ids, and a word that is a token comes out
    whole. A split of a base token may be missing where one side of it is new (the merge list of
    a base is never touched), if `unmet` proves that its sides never meet.
    """
    surfaces = model.surfaces()
    rank_of = {data: index - model.first_rank for index, data in enumerate(surfaces) if data is not None}
    if any(bytes([value]) not in rank_of for value in range(256)) or min(rank_of.values()) < 0:
        return None
    bytes_of = dict(zip(model.tokens, surfaces, strict=True))
    listed = [(bytes_of[left] or b"", bytes_of[right] or b"") for left, right in model.merges()]
    made = [rank_of.get(left + right, -1) for left, right in listed]
    if any(later < sooner for sooner, later in pairwise(made)):
        return None
    starts = [start - model.first_rank for start in model.levels]
    meant = set(listed)
    for token, rank in rank_of.items():
        end = starts[level] if (level := bisect_right(starts, rank)) < len(starts) else None
        for at in range(1, len(token)):
            left, right = token[:at], token[at:]
            if left not in rank_of or right not in rank_of or (left, right) in meant:
                continue
            if end is None or not unmet(left, right, rank_of, end):
                return None
    if not model.ignore_merges:
        whole = model.tokenizer()
        whole.normalizer = whole.pre_tokenizer = None
        whole.encode_special_tokens = True
        entries = [model.tokens[rank + model.first_rank] for rank in rank_of.values()]
        found = whole.encode_batch_fast(entries, add_special_tokens=False)
        if any(len(encoding.ids) != 1 for encoding in found):
            return None
    return rank_of


def unmet(left: bytes, right: bytes, rank_of: Mapping[bytes, int], end: int) -> bool:
    """True if, in no text, `left` and `right` come to stand side by side, one of them being a token from `end` on.

    When all merges below rank `end` were done, their bytes were tokens below `end` of which no two neighbours make
    another. So it is enough that every possible last token of `left` and every possible first token of `right` do.
    """
    ends = [left] if rank_of.get(left, end) < end else _outer(left, rank_of, end, last=True)
    starts = [right] if rank_of.get(right, end) < end else _outer(right, rank_of, end, last=False)
    if [left] == ends and [right] == starts:
        return False
    return all(rank_of.get(a + b, end) < end for a in ends for b in starts)


def _outer(data: bytes, rank_of: Mapping[bytes, int], end: int, *, last: bool) -> list[bytes]:
    """Return the first tokens (or the last ones) of the ways to cut `data` into tokens below rank `end` of which no
    two neighbours make another."""

    @cache
    def ends_well(at: int, before: bytes) -> bool:
        return at == len(data) or any(
            rank_of.get(before + data[at:to], end) >= end and ends_well(to, data[at:to])
            for to in range(at + 1, len(data) + 1)
            if rank_of.get(data[at:to], end) < end
        )

    @cache
    def begins_well(at: int, behind: bytes) -> bool:
        return at == 0 or any(
            rank_of.get(data[start:at] + behind, end) >= end and begins_well(start, data[start:at])
            for start in range(at)
            if rank_of.get(data[start:at], end) < end
        )

    if last:
        cuts = [at for at in range(1, len(data)) if rank_of.get(data[at:], end) < end]
        return [data[at:] for at in cuts if begins_well(at, data[at:])]
    cuts = [at for at in range(1, len(data)) if rank_of.get(data[:at], end) < end]
    return [data[:at] for at in cuts if ends_well(at, data[:at])]


def write_tiktoken(model: ByteModel, out: Path) -> list[Path]:
    """Write the rank form, where there is one: `ranks.tiktoken`, and `tekken.json` where the base was one.

    A line of `ranks.tiktoken` is a token in base64 and its rank; id = rank + `model.first_rank`, and the special tokens
    are not in it. In `tekken.json` the new tokens stand behind the last one that the base used, and
    `default_vocab_size` grows; the unused tail of mistral's own file (tokens beyond `default_vocab_size`) makes room.

    Args:
        model: The tokenizer.
        out: The folder; made if missing.

    Returns:
        The files written; empty if ranks cannot say what this tokenizer does.
    """
    rank_of = ranks(model)
    if rank_of is None:
        return []
    out.mkdir(parents=True, exist_ok=True)
    ordered = sorted(rank_of, key=rank_of.__getitem__)
    lines = b"".join(b"%s %d\n" % (base64.b64encode(token), rank_of[token]) for token in ordered)
    atomic.write_bytes(out / RANKS, lines)
    if model.native is None:
        return [out / RANKS]
    config = {
        **model.native["config"],
        "num_vocab_tokens": len(ordered),
        "default_vocab_size": len(model),
    }
    vocabulary = [
        {
            "rank": rank,
            "token_bytes": base64.b64encode(token).decode("ascii"),
            "token_str": _text_or_none(token),
        }
        for rank, token in enumerate(ordered)
    ]
    atomic.write_json(out / TEKKEN, {**model.native, "config": config, "vocab": vocabulary}, indent=None)
    return [out / RANKS, out / TEKKEN]


def _special_tokens(named: list[dict[str, Any]] | None, count: int) -> list[str]:
    if named is None:
        from mistral_common.tokens.tokenizers.tekken import Tekkenizer

        named = [dict(token) for token in Tekkenizer.DEPRECATED_SPECIAL_TOKENS]
    ordered = sorted(named, key=lambda token: int(token["rank"]))
    if [int(token["rank"]) for token in ordered] != list(range(len(ordered))):
        raise ValueError("the ranks of its special tokens have gaps")
    texts = [str(getattr(token["token_str"], "value", token["token_str"])) for token in ordered]
    return texts + [f"<SPECIAL_{index}>" for index in range(len(texts), count)]


def _added(index: int, text: str) -> dict[str, Any]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": index, "content": text, **plain, "special": True}


def _bos_first(special: Sequence[str]) -> dict[str, Any] | None:
    bos = _SPECIAL["bos_token"]
    if bos not in special:
        return None

    def sequence(name: str, kind: int) -> list[dict[str, Any]]:
        return [{"SpecialToken": {"id": bos, "type_id": kind}}, {"Sequence": {"id": name, "type_id": kind}}]

    return {
        "type": "TemplateProcessing",
        "single": sequence("A", 0),
        "pair": [*sequence("A", 0), *sequence("B", 1)],
        "special_tokens": {bos: {"id": bos, "ids": [special.index(bos)], "tokens": [bos]}},
    }


def _text_or_none(token: bytes) -> str | None:
    try:
        return token.decode("utf-8")
    except UnicodeDecodeError:
        return None
