"""Small byte-level tokenizers in the forms of GPT-2, Llama 3 and Qwen, and a throw-away learner to extend them by."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import pairwise
from typing import Any

from small_japanese import japanese
from watari.pretrained.alphabet import from_alphabet
from watari.pretrained.bytelevel import byte_model
from watari.pretrained.tekken import from_ranks
from watari.tokenizer.bytes import ByteBpe
from watari.tokenizer.script import Script

LLAMA_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_WORDS = LLAMA_WORDS.replace("{1,3}", "")
_PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


def korean(count: int, seed: int = 0) -> list[str]:
    """Return `count` documents of made-up Korean words, drawn from a list so that they come again."""
    draw = random.Random(seed)
    syllables = "가나다라마바사아자차카타파하고노도로모보소오조구누두루무부수우주국한글말람집밥물불산강을를이가은는에서쀍뷁"
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(400)]
    return [" ".join(draw.choices(words, k=60)) + ".\nThen 42 left.\n" for _ in range(count)]


def trained(kind: str) -> ByteBpe:
    """Return a tokenizer of 700 entries whose base knows some Japanese and Korean, as real ones do.

    gpt2: the pre-tokenizer is ByteLevel alone, merges are written "a b", the special token is an entry. llama3: Split
    and ByteLevel, every split is a merge, whole words are taken, special tokens behind the vocabulary, BOS in front.
    qwen: NFC, merges are pairs, one added token is not special.
    """
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    words = LLAMA_WORDS if kind == "llama3" else QWEN_WORDS
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind == "gpt2")
    library = Tokenizer(models.BPE())
    library.pre_tokenizer = (
        byte_level
        if kind == "gpt2"
        else pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(words), "isolated"), byte_level])
    )
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>"] if kind == "gpt2" else [],
        show_progress=False,
    )
    english = ["The cat sat by the window, and 42 people left in 1998.\n\tdef run(self):  return None\n"] * 40
    library.train_from_iterator([*english, *(text for _, text in japanese(12, 5)), *korean(3, 5)], trainer)
    content = json.loads(library.to_str())
    byte_decoder = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    content["decoder"] = byte_decoder
    if kind == "gpt2":
        content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
        return _named(kind, content)
    if kind == "llama3":
        ordered = sorted(content["model"]["vocab"], key=content["model"]["vocab"].__getitem__)
        content = from_ranks([from_alphabet(entry) for entry in ordered], words, ()).content
        first = len(ordered)
        _add(content, first, ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"])
        bos = content["added_tokens"][0]["content"]
        content["post_processor"] = {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {bos: {"id": bos, "ids": [first], "tokens": [bos]}},
        }
        return _named(kind, content, bos_token=bos, eos_token="<|end_of_text|>")
    content["normalizer"] = {"type": "NFC"}
    _add(content, len(content["model"]["vocab"]), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    _add(content, len(content["model"]["vocab"]) + 3, ["<tool_call>"], special=False)
    return _named(kind, content, eos_token="<|im_end|>")


def _add(content: dict[str, Any], first: int, texts: list[str], *, special: bool = True) -> None:
    content["added_tokens"] += [
        {"id": first + place, "content": text, **_PLAIN, "special": special}
        for place, text in enumerate(texts)
    ]


def _named(kind: str, content: dict[str, Any], **settings: str) -> ByteBpe:
    classes = {"gpt2": "GPT2Tokenizer", "llama3": "PreTrainedTokenizerFast", "qwen": "Qwen2Tokenizer"}
    return ByteBpe(kind, byte_model(content, kind), {"tokenizer_class": classes[kind], **settings})


def grown(base: ByteBpe, texts: list[str], script: Script, count: int) -> list[str]:
    """Return up to `count` texts joined pair by pair in the base's words: no learner, but pieces of its kind."""
    words = Counter(word for text in texts for word in base.pretokens(text) if script.has_strict(word))
    surfaces = base.surfaces()
    symbols = [_characters([surfaces[i] or b"" for i in ids]) for ids in base.encode_pretokens(list(words))]
    known = {surface for surface in surfaces if surface}
    singles: Counter[bytes] = Counter()
    for found, times in zip(symbols, words.values(), strict=True):
        singles.update({symbol: times for symbol in found if symbol not in known and _strict(symbol, script)})
    pieces = [symbol.decode() for symbol, _ in singles.most_common(count // 4)]
    known.update(piece.encode() for piece in pieces)
    while len(pieces) < count:
        pairs: Counter[tuple[bytes, bytes]] = Counter()
        for found, times in zip(symbols, words.values(), strict=True):
            for pair in pairwise(found):
                pairs[pair] += times
        usable = [
            pair
            for pair, _ in pairs.most_common()
            if set(pair) <= known and pair[0] + pair[1] not in known and _strict(pair[0] + pair[1], script)
        ]
        if not usable:
            break
        for pair in usable[:10]:
            if pair[0] + pair[1] not in known:
                pieces.append((pair[0] + pair[1]).decode())
                known.add(pair[0] + pair[1])
                symbols = [_join(found, pair) for found in symbols]
    return pieces[:count]


def _strict(symbol: bytes, script: Script) -> bool:
    try:
        return script.has_strict(symbol.decode()) and len(symbol) <= 36
    except UnicodeDecodeError:
        return False


def _characters(tokens: list[bytes]) -> list[bytes]:
    """Return tokens with those that only together are whole characters as one."""
    found, open_end = [], b""
    for token in tokens:
        open_end += token
        try:
            open_end.decode()
        except UnicodeDecodeError:
            continue
        found.append(open_end)
        open_end = b""
    return found


def _join(symbols: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    found: list[bytes] = []
    for symbol in symbols:
        if found and (found[-1], symbol) == pair:
            found[-1] += symbol
        else:
            found.append(symbol)
    return found
