"""A SentencePiece-BPE model as a `tokenizer.json` that encodes id for id like sentencepiece.

The class named in `tokenizer_config.json` is PreTrainedTokenizerFast: transformers 5's LlamaTokenizer throws the
normaliser of tokenizer.json away and then differs from sentencepiece on texts that start with a space (facts:
tokenizer §6.3; 129 of 2,917 fuzz strings, 0 with this class).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from watari.artifact import atomic
from watari.errors import UserError
from watari.pretrained.sentencepiece import SPACE, ModelType, Piece, PieceKind, SpmModel

_ADDED = (PieceKind.UNKNOWN, PieceKind.CONTROL, PieceKind.USER_DEFINED)
"""Pieces that are matched as they stand, before any merge. As in every Hugging Face tokenizer, the text behind one is
tokenised by itself, with a leading space of its own; and unlike in sentencepiece, control pieces are matched too."""
CONTEXT = 10**30
"""What transformers writes for `model_max_length` where a tokenizer knows no limit; the model's config has it."""


def check_supported(model: SpmModel, name: str) -> None:
    """Make sure that the model is of the family that the converter is exact for.

    Raises:
        UserError: for Unigram models, models without byte fallback, with a normaliser that changes characters, or
            with unused pieces.
    """
    problem = ""
    if model.model_type is not ModelType.BPE:
        problem = f"a SentencePiece {model.model_type.name.title()} model"
    elif not model.byte_fallback:
        problem = "a SentencePiece model without byte fallback"
    elif not model.plain:
        problem = "a SentencePiece model whose normaliser changes characters or blanks"
    else:
        unused = [piece for piece in model.pieces if piece.kind is PieceKind.UNUSED]
        if unused:
            problem = f"a SentencePiece model with unused pieces ({unused[0].text!r})"
    if problem:
        raise UserError(
            f"{name}: {problem} is not supported yet in this version",
            "supported: SentencePiece BPE with byte fallback, as in Llama 1/2 and Mistral 7B",
        )


def merges(model: SpmModel, base: int | None = None) -> list[tuple[str, str]]:
    """Return the merge list: every split of every normal piece into two known pieces, best piece first.

    Within one piece, longer left parts come first, as in transformers' own converter. Pieces of equal score (the runs
    of blanks, all at -1e9) are ordered by the length of the left part, which is what makes the list agree with
    sentencepiece's leftmost-first rule for them. Control, unknown and byte pieces are never the outcome of a merge,
    nor a part of one: sentencepiece keeps them out of its lookup.

    Args:
        model: The model.
        base: Number of its first pieces that are the base's. The merges of the later ones follow all of theirs, in
            the order of the ids, so that the base's list stands at the head of the extended one, unchanged.
    """
    base = len(model) if base is None else base
    known = {piece.text: index for index, piece in enumerate(model.pieces) if piece.kind is PieceKind.NORMAL}
    ranked = [
        (-piece.score, -len(left), -len(right), known[left], left, right)
        for piece in model.pieces[:base]
        if piece.kind is PieceKind.NORMAL
        for left, right in splits(piece.text)
        if known.get(left, base) < base and known.get(right, base) < base
    ]
    ranked.sort()
    later = [
        (left, right)
        for piece in model.pieces[base:]
        for left, right in sorted(splits(piece.text), key=lambda pair: -len(pair[0]))
        if left in known and right in known
    ]
    return [(left, right) for *_, left, right in ranked] + later


def splits(text: str) -> list[tuple[str, str]]:
    """Return every way to cut `text` into two parts that are not empty."""
    return [(text[:at], text[at:]) for at in range(1, len(text))]


def tokenizer_json(
    model: SpmModel, *, base: int | None = None, add_bos: bool = True, add_eos: bool = False
) -> dict[str, Any]:
    """Return the content of `tokenizer.json`.

    Args:
        model: A model that `check_supported` lets through.
        base: See `merges`.
        add_bos: Let every encoded text start with bos, as both seed bases were trained.
        add_eos: Let it end with eos.
    """
    prepend = [{"type": "Prepend", "prepend": SPACE}] if model.add_dummy_prefix else []
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if model.add_dummy_prefix else []
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(index, piece) for index, piece in _added_pieces(model)],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [*prepend, {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}],
        },
        "pre_tokenizer": None,
        "post_processor": _post_processor(model, add_bos=add_bos, add_eos=add_eos),
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                *strip,
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": model.pieces[model.unk].text,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": model.ids(),
            "merges": merges(model, base),
        },
    }


def tokenizer_config(model: SpmModel, *, add_bos: bool = True, add_eos: bool = False) -> dict[str, Any]:
    """Return the content of `tokenizer_config.json`.

    There is no pad token. With pad = eos a trainer that masks padding also masks the one eos that ends an answer, and
    the model never learns to stop; our training packs, and batched generation pads with an id under a mask.
    """
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": add_bos and model.bos is not None,
        "add_eos_token": add_eos and model.eos is not None,
        "unk_token": model.pieces[model.unk].text,
        "added_tokens_decoder": {
            str(index): {key: value for key, value in _added(index, piece).items() if key != "id"}
            for index, piece in _added_pieces(model)
        },
    }
    for name, index in (("bos_token", model.bos), ("eos_token", model.eos)):
        if index is not None:
            config[name] = model.pieces[index].text
    return config


def write_fast_tokenizer(
    model: SpmModel, out: Path, *, base: int | None = None, settings: dict[str, Any] | None = None
) -> None:
    """Write `tokenizer.model`, `tokenizer.json` and `tokenizer_config.json`.

    Args:
        model: A model that `check_supported` lets through.
        out: The folder; made if missing.
        base: See `merges`.
        settings: Keys of an existing `tokenizer_config.json` to keep (chat template, add_bos_token, ...). What the
            conversion must decide, the class and the special tokens' table, is decided here.
    """
    given = settings or {}
    add_bos, add_eos = bool(given.get("add_bos_token", True)), bool(given.get("add_eos_token", False))
    config = tokenizer_config(model, add_bos=add_bos, add_eos=add_eos)
    ours = ("tokenizer_class", "added_tokens_decoder", "clean_up_tokenization_spaces")
    kept = {key: value for key, value in given.items() if key not in (*ours, *_OF_OTHER_CLASSES)}
    out.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(out / "tokenizer.model", model.data)
    content = tokenizer_json(model, base=base, add_bos=add_bos, add_eos=add_eos)
    atomic.write_text(out / "tokenizer.json", json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    atomic.write_json(out / "tokenizer_config.json", {**config, **kept})


_OF_OTHER_CLASSES = ("legacy", "sp_model_kwargs", "use_default_system_prompt", "auto_map", "spaces_between_special_tokens", "is_local", "backend", "add_prefix_space")  # fmt: skip
"""Settings that only LlamaTokenizer reads, or that a saved tokenizer carries from the place it was loaded from."""


def _added_pieces(model: SpmModel) -> list[tuple[int, Piece]]:
    return [(index, piece) for index, piece in enumerate(model.pieces) if piece.kind in _ADDED]


def _added(index: int, piece: Piece) -> dict[str, Any]:
    return {
        "id": index,
        "content": piece.text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": piece.kind is not PieceKind.USER_DEFINED,
    }


def _post_processor(model: SpmModel, *, add_bos: bool, add_eos: bool) -> dict[str, Any] | None:
    bos = [model.bos] if add_bos and model.bos is not None else []
    eos = [model.eos] if add_eos and model.eos is not None else []
    if not bos and not eos:
        return None

    def around(sequence: str, kind: int) -> list[dict[str, Any]]:
        def special(ids: Sequence[int]) -> list[dict[str, Any]]:
            return [{"SpecialToken": {"id": model.pieces[i].text, "type_id": kind}} for i in ids]

        return [*special(bos), {"Sequence": {"id": sequence, "type_id": kind}}, *special(eos)]

    return {
        "type": "TemplateProcessing",
        "single": around("A", 0),
        "pair": [*around("A", 0), *around("B", 1)],
        "special_tokens": {
            model.pieces[i].text: {"id": model.pieces[i].text, "ids": [i], "tokens": [model.pieces[i].text]}
            for i in (*bos, *eos)
        },
    }
