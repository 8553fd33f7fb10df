"""Byte-level BPE of three makes, extended: the base stays itself, and the new entries are all they claim.

I1 … I9 are the invariants of the facts page on tokenizers, §8. The bases are small and trained here.
"""

from __future__ import annotations

import base64
import json
import random
import unicodedata
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_bytelevel import LLAMA_WORDS, grown, korean, trained
from small_japanese import ODD, japanese
from watari.errors import UserError
from watari.pretrained import load_tokenizer
from watari.pretrained.bytelevel import byte_model, from_alphabet, to_alphabet
from watari.pretrained.encoding import encode_documents
from watari.pretrained.tekken import NATIVE, RANKS, from_ranks, ranks
from watari.tokenizer.bytes import ByteBpe, read_byte_bpe
from watari.tokenizer.entries import Entries
from watari.tokenizer.policy import Policy
from watari.tokenizer.script import script_of

KINDS = ["gpt2", "llama3", "qwen"]
RANGES = {
    "ja": [
        (0x3000, 0x30FF),
        (0x31F0, 0x33FF),
        (0x3400, 0x4DBF),
        (0x4E00, 0x9FFF),
        (0xF900, 0xFAFF),
        (0xFF01, 0xFF9F),
        (0x20000, 0x3FFFF),
    ],
    "ko": [(0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97F), (0xAC00, 0xD7FF)],
}
"""Strict characters, written down here a second time from the facts page and the language pack."""


@dataclass
class Made:
    """A base, the texts learned for it, and what came of them."""

    language: str
    base: ByteBpe
    texts: list[str]
    entries: Entries
    extended: ByteBpe

    def without_script(self, text: str) -> str:
        """Drop every strict character, and what the base's normaliser would turn into one."""
        ranges = RANGES[self.language]
        return "".join(
            c
            for c in text
            if not any(a <= ord(n) <= b for n in self.base.normalized(c) for a, b in ranges)
            and not any(a <= ord(c) <= b for a, b in ranges)
        )


_MADE: dict[tuple[str, str], Made] = {}


def make(kind: str, language: str) -> Made:
    if (kind, language) not in _MADE:
        base, script = trained(kind), script_of(language)
        documents = [text for _, text in japanese(60)] if language == "ja" else korean(30)
        texts = grown(base, documents, script, 300)
        entries = base.with_intermediates(texts, Policy(script))
        _MADE[kind, language] = Made(language, base, texts, entries, base.extended(entries.pieces))
    return _MADE[kind, language]


@pytest.fixture(params=[f"{kind}-{language}" for kind in KINDS for language in ("ja", "ko")])
def made(request: pytest.FixtureRequest) -> Made:
    return make(*request.param.split("-"))


def fuzz(count: int, seed: int, pieces: list[str]) -> list[str]:
    draw = random.Random(seed)
    found = ["".join(draw.choices(ODD + "한국말뷁쀍 가나", k=draw.randint(0, 24))) for _ in range(count)]
    found += ["".join(draw.choices(pieces, k=draw.randint(1, 5)))[draw.randint(0, 2) :] for _ in range(count)]
    found += [" " * n + text + "\n" * (n % 3) for n, text in enumerate(found[: count // 20])]
    return [*found, *(character * n for character in "aあー。 \nん鬱한" for n in range(1, 30))]


def ends(ids: Any, surfaces: list[bytes | None], base: ByteBpe) -> set[int]:
    """Return where tokens end, in bytes; an added token puts its name."""
    place, found = 0, set()
    for index in ids:
        surface = surfaces[index]
        place += len(base.pieces()[index].encode() if surface is None else surface)
        found.add(place)
    return found


def check_text(made: Made, text: str) -> None:
    """I1, I2 and I3 of one text."""
    before, after = made.base.encode([text])[0], made.extended.encode([text])[0]
    assert ends(after, made.extended.surfaces(), made.base) <= ends(before, made.base.surfaces(), made.base)
    assert made.extended.decode(after) == made.base.decode(before) == made.base.normalized(text)
    foreign = made.without_script(text)
    assert made.base.encode([foreign])[0].tolist() == made.extended.encode([foreign])[0].tolist()


def test_fuzzed_text_keeps_the_promises(made: Made) -> None:
    texts = fuzz(400, 1, made.texts)
    before, after = made.base.encode(texts), made.extended.encode(texts)
    assert sum(map(len, after)) < 0.9 * sum(map(len, before))
    for text in texts:
        check_text(made, text)


@given(text=st.text(max_size=40), kind=st.sampled_from(KINDS), language=st.sampled_from(["ja", "ko"]))
@settings(max_examples=200)
def test_any_unicode_keeps_the_promises(text: str, kind: str, language: str) -> None:
    check_text(make(kind, language), text)


@given(
    text=st.text(
        st.sampled_from("あいの日本語鬱竈𠮷田한국말뷁 가.,a1\n")
        | st.characters(min_codepoint=0x3000, max_codepoint=0xFFFD, exclude_categories=["Cs"]),
        max_size=30,
    ),
    kind=st.sampled_from(KINDS),
    language=st.sampled_from(["ja", "ko"]),
)
@settings(max_examples=200)
def test_text_of_the_far_east_keeps_the_promises(text: str, kind: str, language: str) -> None:
    check_text(make(kind, language), text)


def test_the_base_stands_in_the_file_untouched(made: Made) -> None:
    before, after = deepcopy(made.base.model.content), deepcopy(made.extended.model.content)
    vocabulary, longer = before["model"].pop("vocab"), after["model"].pop("vocab")
    merges, more = before["model"].pop("merges"), after["model"].pop("merges")
    assert before == after
    assert more[: len(merges)] == merges
    assert {type(merge) for merge in more} == {type(merges[0])}
    assert list(longer.items())[: len(vocabulary)] == list(vocabulary.items())
    size = len(made.base)
    assert made.extended.pieces()[:size] == made.base.pieces()
    assert made.extended.pieces()[size:] == made.entries.pieces
    assert made.extended.surfaces()[:size] == made.base.surfaces()
    assert len(made.extended) == size + len(made.entries.pieces)
    assert made.extended.digest() != made.base.digest()


def test_new_entries_lie_behind_every_added_token(made: Made) -> None:
    library = made.extended.model.tokenizer()
    added = made.base.model.content["added_tokens"]
    assert added
    for token in added:
        assert library.token_to_id(token["content"]) == token["id"] < len(made.base)
        assert library.encode(token["content"], add_special_tokens=False).ids == [token["id"]]


def test_every_entry_is_reached_from_its_own_text(made: Made) -> None:
    first = len(made.base)
    entries = made.entries
    assert len(entries.pieces) >= 250
    assert not set(entries.dropped) & {made.texts[place] for place in entries.origin}
    assert len(entries.dropped) + len(set(entries.origin)) == len(set(made.texts))
    expected = [[first + place] for place in range(len(entries.pieces))]
    assert made.extended.spelled(entries.pieces) == expected
    whole = [
        place
        for place, piece in enumerate(entries.pieces)
        if piece == alphabet(made.texts[entries.origin[place]])
    ]
    found = made.extended.encode([made.texts[entries.origin[place]] for place in whole])
    assert [ids.tolist() for ids in found] == [expected[place] for place in whole]


def alphabet(text: str) -> str:
    return to_alphabet(text.encode("utf-8"))


def test_every_beginning_of_the_list_is_complete(made: Made) -> None:
    pieces = made.entries.pieces
    for count in (1, 40, 111):
        part = made.base.extended(pieces[:count])
        assert part.spelled(pieces[:count]) == [[len(made.base) + place] for place in range(count)]
    half = len(made.texts) // 2
    shorter = made.base.with_intermediates(made.texts[:half], Policy(script_of(made.language)))
    assert shorter.pieces == pieces[: len(shorter.pieces)]


def test_extending_in_two_steps_is_extending_twice(made: Made) -> None:
    pieces = made.entries.pieces
    twice = made.base.extended(pieces[:100]).extended(pieces[100:])
    assert twice.pieces() == made.extended.pieces()
    texts = fuzz(60, 2, made.texts)
    assert [ids.tolist() for ids in twice.encode(texts)] == [
        ids.tolist() for ids in made.extended.encode(texts)
    ]


def test_words_are_what_tokens_never_run_across(made: Made) -> None:
    texts = [*fuzz(60, 3, made.texts), "a<tool_call>b <|endoftext|>c", "cafe\u0301 か\u3099\u2329"]
    matched = {t["content"]: t["id"] for t in made.base.model.content["added_tokens"] if not t["special"]}
    for base in (made.base, made.extended):
        for text, ids in zip(texts, base.encode(texts), strict=True):
            words = base.pretokens(text)
            rest = base.normalized(text)
            for token in matched:
                rest = rest.replace(token, "")
            assert "".join(words) == rest
            found = [index for word in base.encode_pretokens(words) for index in word]
            assert found == [index for index in ids.tolist() if index not in matched.values()]


def test_a_reloaded_folder_gives_the_same_ids(made: Made, tmp_path: Path) -> None:
    made.extended.write(tmp_path, base=len(made.base))
    texts = [*fuzz(120, 4, made.texts), " ", "  a", "\n", "か\u3099", "<|endoftext|><|eot_id|><tool_call>"]
    expected = [ids.tolist() for ids in made.extended.encode(texts)]
    # Beside a model's config, transformers chooses the class by itself: it must still take ours. For `qwen2` it takes
    # Qwen2Tokenizer whatever the file says, which is right for a base that is Qwen's.
    types = ["llama", "qwen3", "mistral", "gpt2", *(["qwen2"] if made.base.name == "qwen" else [])]
    for model_type in types:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
        tokenizer = load_tokenizer(tmp_path)
        assert encode_documents(tokenizer, texts) == expected
        assert len(tokenizer) == len(made.extended)
        assert tokenizer.decode(expected[5]) == made.extended.decode(expected[5])
    special = made.base.settings.get("eos_token")
    assert tokenizer.eos_token == special
    if special:
        assert tokenizer.eos_token_id == made.base.pieces().index(special)
    if made.base.name == "llama3":
        assert tokenizer.encode("日")[0] == made.base.pieces().index("<|begin_of_text|>")
    again = read_byte_bpe(tmp_path / "tokenizer.json", "again", config=tmp_path / "tokenizer_config.json")
    assert again.model.content == made.extended.model.content
    assert again.digest() == made.extended.digest()


def test_the_same_bytes_are_written_again(made: Made, tmp_path: Path) -> None:
    script = script_of(made.language)
    again = trained(made.base.name)
    other = again.extended(again.with_intermediates(made.texts, Policy(script)).pieces)
    for name, tokenizer in (("a", made.extended), ("b", other)):
        tokenizer.write(tmp_path / name, base=len(made.base))
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("language", ["ja", "ko"])
def test_ranks_give_the_same_ids_in_tiktoken(language: str, tmp_path: Path) -> None:
    import tiktoken

    made = make("llama3", language)
    made.extended.write(tmp_path, base=len(made.base))
    lines = (tmp_path / NATIVE / RANKS).read_bytes().splitlines()
    rank_of = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in lines}
    assert sorted(rank_of.values())[-1] == len(made.extended) - 1
    encoding = tiktoken.Encoding("x", pat_str=LLAMA_WORDS, mergeable_ranks=rank_of, special_tokens={})
    texts = fuzz(1500, 5, made.texts)
    assert [encoding.encode_ordinary(text) for text in texts] == [
        ids.tolist() for ids in made.extended.encode(texts)
    ]


def test_merges_that_are_not_ranks_are_not_written_as_ranks(tmp_path: Path) -> None:
    # A trained list names one split of each token, so that ranks would join others too.
    made = make("gpt2", "ja")
    assert ranks(made.base.model) is None
    made.extended.write(tmp_path, base=len(made.base))
    assert not (tmp_path / NATIVE).exists()


def test_a_character_gets_the_part_that_leads_to_it() -> None:
    made = make("llama3", "ja")
    found = made.base.with_intermediates(["鬱", "𠮷"], Policy(script_of("ja")))
    assert [from_alphabet(piece) for piece in found.pieces] == [
        b"\xe9\xac",
        "鬱".encode(),
        b"\xf0\xa0",
        b"\xf0\xa0\xae",
        "𠮷".encode(),
    ]
    assert found.origin == [0, 0, 1, 1, 1]
    assert [len(ids) for ids in made.base.spelled(found.pieces)] == [2, 3, 2, 3, 4]
    extended = made.base.extended(found.pieces)
    first = len(made.base)
    # Another character that begins alike takes the part too, and no more.
    assert [ids.tolist()[0] for ids in extended.encode(["鬯", "𠀋"])] == [first, first + 2]
    assert [ids.tolist() for ids in extended.encode(["鬱", "𠮷"])] == [[first + 1], [first + 4]]


def test_a_part_that_other_scripts_use_is_not_taken() -> None:
    # U+31F0 is strict and U+31C0, which begins with the same two bytes, is not; U+FF01 shares with U+FF00.
    base = make("llama3", "ja").base
    assert [len(ids) for ids in base.encode(["ㇰ", "鬱"])] == [3, 3]
    found = base.with_intermediates(["ㇰ", "ㇰ日", "鬱"], Policy(script_of("ja")))
    assert "other scripts" in found.dropped["ㇰ"]
    assert "ㇰ日" in found.dropped
    assert [from_alphabet(piece) for piece in found.pieces] == [b"\xe9\xac", "鬱".encode()]


def test_what_is_no_new_word_is_left_out_and_told() -> None:
    base = make("qwen", "ja").base
    texts = ["鬱", "鬱", "日 本", "か\u3099", "<tool_call>", "の"]
    found = base.with_intermediates(texts, Policy(script_of("ja")))
    assert found.origin == [0, 0]
    assert set(found.dropped) == {"日 本", "か\u3099", "<tool_call>", "の"}
    assert "already" in found.dropped["の"]
    assert "single word" in found.dropped["か\u3099"]


def whole_characters(characters: str, *longer: str) -> ByteBpe:
    """Return a tokenizer that has these characters, the first two bytes of each, and some longer tokens."""
    tokens = [bytes([value]) for value in range(256)]
    for character in characters:
        tokens += [character.encode()[:2], character.encode()]
    tokens += [text.encode() for text in longer]
    return ByteBpe("made", from_ranks(list(dict.fromkeys(tokens)), LLAMA_WORDS, ()))


def test_a_text_that_better_merges_cut_otherwise_is_left_out() -> None:
    base = whole_characters("日本語学")
    texts = ["本語", "日本", "語学", "日本語学"]
    found = base.with_intermediates(texts, Policy(script_of("ja")))
    assert set(found.dropped) == {"日本語学"}
    # 本語 is joined first, and then neither 日本 nor 語学 is; only a word that is an entry is taken whole.
    extended = base.extended([alphabet(text) for text in texts])
    assert [len(ids) for ids in extended.encode(["日本語学", "日本語学日"])] == [1, 4]


def test_an_entry_that_ranks_would_join_to_a_token_of_the_base_is_left_out() -> None:
    """The base makes の日本語 out of の日 and 本語 only. A new 日本語 would be joined to の by ranks, not by merges."""
    import tiktoken

    base = whole_characters("の日本語", "日本", "の日", "本語", "の日本語", "本の")
    assert ranks(base.model) is not None
    found = base.with_intermediates(["日本語", "語の", "語日本"], Policy(script_of("ja")))
    assert set(found.dropped) == {"日本語"}
    assert ranks(base.extended(found.pieces).model) is not None

    careless = base.extended([alphabet("日本語")])
    assert ranks(careless.model) is None
    rank_of = {data: index for index, data in enumerate(careless.surfaces()) if data is not None}
    encoding = tiktoken.Encoding("x", pat_str=LLAMA_WORDS, mergeable_ranks=rank_of, special_tokens={})
    text = "語の日本語"
    assert encoding.encode_ordinary(text) != careless.encode([text])[0].tolist()


def test_special_names_in_a_text_are_characters() -> None:
    made = make("llama3", "ja")
    text = "日本<|eot_id|>語"
    ids = made.extended.encode([text])[0].tolist()
    assert not set(ids) & made.base.model.added
    assert made.extended.decode(ids) == text
    assert made.extended.decode([*ids, made.base.pieces().index("<|eot_id|>")]) == text
    assert made.extended.decode([to_byte(made.base, 0xE3)]) == "\ufffd"


def to_byte(base: ByteBpe, value: int) -> int:
    return base.surfaces().index(bytes([value]))


def test_alphabet_is_that_of_gpt2_both_ways() -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    letters = [to_alphabet(bytes([value])) for value in range(256)]
    assert sorted(letters) == sorted(ByteLevel.alphabet())
    assert to_alphabet(" 日\n".encode()) == "ĠæĹ¥Ċ"
    assert from_alphabet("".join(letters)) == bytes(range(256))
    for odd in ("日", "a b", "\xad", "\x00"):
        with pytest.raises(ValueError, match="alphabet"):
            from_alphabet(odd)


def changed(**parts: Any) -> dict[str, Any]:
    content = deepcopy(trained_once("qwen").model.content)
    for path, value in parts.items():
        *above, last = path.split("__")
        place = content
        for name in above:
            place = place[name]
        place[last] = value
    return content


def trained_once(kind: str) -> ByteBpe:
    return make(kind, "ja").base


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"model": {"type": "Unigram", "vocab": [["a", 0.0]]}}, "a Unigram model"),
        ({"model": {"type": "WordPiece", "vocab": {"a": 0}}}, "a WordPiece model"),
        ({"model": {"vocab": {"a": 0}}}, "unknown type"),
        ({"model": None}, "not a tokenizer.json"),
        ({"model__byte_fallback": True}, "made from SentencePiece"),
        ({"model__dropout": 0.1}, "dropout"),
        ({"model__end_of_word_suffix": "</w>"}, "suffixes"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "without a byte-level pre-tokenizer"),
        ({"pre_tokenizer": None}, "without a byte-level pre-tokenizer"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "add_prefix_space"),
        ({"normalizer": {"type": "Lowercase"}}, "Lowercase"),
        ({"decoder": None}, "decoder"),
        ({"added_tokens": [{"id": 5, "content": "<x>", "special": True}]}, "does not take it"),
    ],
)
def test_refuses_in_words(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        byte_model(changed(**parts), "the base")


def test_refuses_a_vocabulary_that_does_not_fit() -> None:
    content = changed()
    del content["model"]["vocab"]["Ģ"]
    with pytest.raises(UserError, match="0x80"):
        byte_model(content, "x")
    content = changed()
    content["model"]["vocab"]["zzzz"] = 3
    with pytest.raises(UserError, match="one id"):
        byte_model(content, "x")
    content = changed()
    content["added_tokens"][0]["id"] = 7
    with pytest.raises(UserError, match="has id 7"):
        byte_model(content, "x")
    content = changed()
    content["added_tokens"][0]["id"] += 50
    with pytest.raises(UserError, match="says id"):
        byte_model(content, "x")


def test_refuses_entries_that_are_there_already() -> None:
    base = trained_once("gpt2")
    for pieces in (["Ġthe"], ["æĹ", "æĹ"]):
        with pytest.raises(UserError, match="already"):
            base.extended(pieces)


def test_refuses_a_special_token_that_is_a_word() -> None:
    # With whole words taken as they are, `user` in a text would become the special token once it is an entry.
    content = deepcopy(trained_once("llama3").model.content)
    content["added_tokens"].append(
        {**content["added_tokens"][-1], "id": len(trained_once("llama3")), "content": "zuser"}
    )
    base = ByteBpe("chat", byte_model(content, "chat"))
    with pytest.raises(UserError, match="zuser"):
        base.extended(["éĳ"])


def test_a_normaliser_is_told_and_kept() -> None:
    made = make("qwen", "ja")
    assert made.base.model.normalizer == "NFC"
    assert make("llama3", "ja").base.model.normalizer is None
    decomposed = unicodedata.normalize("NFD", "がぎぐ")
    assert made.extended.encode([decomposed])[0].tolist() == made.extended.encode(["がぎぐ"])[0].tolist()


def test_unreadable_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        read_byte_bpe(tmp_path / "tokenizer.json", "x", config=tmp_path / "none.json")
    (tmp_path / "tokenizer.json").write_text(json.dumps(trained_once("gpt2").model.content))
    (tmp_path / "tokenizer_config.json").write_text("[")
    with pytest.raises(UserError, match=r"tokenizer_config\.json"):
        read_byte_bpe(tmp_path / "tokenizer.json", "x", config=tmp_path / "tokenizer_config.json")
