"""Which tokenizer.json is byte-level BPE that can be read and extended, and what to say of every other."""

from __future__ import annotations

from typing import Any

from watari.errors import UserError
from watari.pretrained.alphabet import letters

SUPPORTED = (
    "supported: byte-level BPE as in GPT-2, Llama 3, Qwen and Nemo, and SentencePiece BPE with byte fallback"
)
NORMALIZERS = ("NFC", "NFD", "NFKC", "NFKD")
"""Normalisers that are kept as they are. A promise about a text is then one about the text that they make of it:
NFC turns U+2329 into U+3008, for one."""
_SPLITTERS = ("Split", "Digits", "Punctuation", "UnicodeScripts")
_NEVER = frozenset([0xC0, 0xC1, *range(0xF5, 0x100)])
"""Bytes that no UTF-8 text holds."""


def check_supported_bytes(content: Any, name: str) -> None:
    """Make sure that a tokenizer.json is byte-level BPE that can spell every text.

    Raises:
        UserError: saying what it is instead.
    """
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict | list):
        raise UserError(f"{name}: not a tokenizer.json (no model with a vocabulary)")
    kind = model.get("type") or ("BPE" if "merges" in model else "model of unknown type")
    problem = ""
    if kind != "BPE" or not isinstance(model["vocab"], dict):
        problem = f"a {kind} model"
    elif model.get("byte_fallback"):
        raise UserError(
            f"{name}: a tokenizer.json made from SentencePiece is not read",
            "give the `tokenizer.model` beside it",
        )
    elif model.get("dropout"):
        problem = "BPE with dropout"
    elif model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        problem = "BPE with prefixes or suffixes of subwords"
    else:
        problem = _not_byte_level(content)
    if problem:
        raise UserError(f"{name}: {problem} is not supported yet in this version", SUPPORTED)
    missing = [
        value for value in range(256) if value not in _NEVER and letters()[value] not in model["vocab"]
    ]
    if missing:
        raise UserError(
            f"{name}: the byte {missing[0]:#04x} is no entry of the vocabulary, so that not every text can be spelled",
            SUPPORTED,
        )


def _not_byte_level(content: dict[str, Any]) -> str:
    """Return in what way a file is not what byte-level BPE is; "" if it is."""
    cutters = _parts(content.get("pre_tokenizer"), "pretokenizers")
    if not cutters or cutters[-1].get("type") != "ByteLevel":
        return "BPE without a byte-level pre-tokenizer at its end"
    if cutters[-1].get("add_prefix_space", True):
        return "byte-level BPE that puts a blank in front of a text (add_prefix_space)"
    for part in cutters[:-1]:
        if part.get("type") not in _SPLITTERS or part.get("behavior") == "Removed":
            return f"byte-level BPE behind the pre-tokenizer {part.get('type')}"
    odd = [kind for kind in kinds_of(content.get("normalizer"), "normalizers") if kind not in NORMALIZERS]
    if odd:
        return f"byte-level BPE behind the normaliser {odd[0]}"
    if "ByteLevel" not in kinds_of(content.get("decoder"), "decoders"):
        return "byte-level BPE without a byte-level decoder"
    return ""


def _parts(given: Any, inside: str) -> list[dict[str, Any]]:
    """Return the members of a sequence, of sequences in it too; a part by itself is one."""
    if not isinstance(given, dict):
        return []
    if given.get("type") != "Sequence":
        return [given]
    return [part for member in given.get(inside, []) for part in _parts(member, inside)]


def kinds_of(given: Any, inside: str) -> list[str]:
    """Return the types of a part of the file, or of every member of a sequence (`inside` names its list)."""
    return [str(part.get("type")) for part in _parts(given, inside)]
