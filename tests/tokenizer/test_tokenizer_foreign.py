"""Tokenizers that can only be measured: every form's surfaces are the bytes that its ids put into a text."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_japanese import ODD, japanese
from watari.artifact.outside import packaged_file
from watari.errors import UserError
from watari.tokenizer.encoder import Encoder
from watari.tokenizer.foreign import encoder_of, open_foreign
from watari.tokenizer.opening import open_encoder
from watari.tokenizer.ranks import PATTERNS

TEXTS = [text for _, text in japanese(60)]
ANY_TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(ODD)), max_size=60)


def joined(encoder: Encoder, text: str) -> bytes:
    surfaces = encoder.surfaces()
    assert len(surfaces) == len(encoder)
    return b"".join(surfaces[index] or b"<none>" for index in encoder.encode([text])[0].tolist())


@pytest.fixture(scope="module")
def byte_level() -> dict[str, Any]:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    made.train_from_iterator(TEXTS, trainer)
    return json.loads(made.to_str())


@pytest.fixture(scope="module")
def unigram() -> bytes:
    import sentencepiece

    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=out,
        vocab_size=600,
        model_type="unigram",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        user_defined_symbols=["\u3000\u3000", "猫"],
        minloglevel=2,
    )
    return out.getvalue()


@given(text=ANY_TEXT)
def test_byte_level_surfaces_are_the_text(byte_level: dict[str, Any], text: str) -> None:
    encoder = encoder_of(json.dumps(byte_level), "bytes")
    assert joined(encoder, text) == text.encode("utf-8")
    assert encoder.decode(encoder.encode([text])[0]) == text


def test_special_tokens_in_a_text_are_plain_text(byte_level: dict[str, Any]) -> None:
    encoder = encoder_of(json.dumps(byte_level), "bytes")
    special = next(token["id"] for token in byte_level["added_tokens"])
    assert special not in encoder.encode(["a<|end|>b"])[0]
    assert encoder.decode(encoder.encode(["a<|end|>b"])[0]) == "a<|end|>b"
    assert encoder.surfaces()[special] is None


def test_padding_and_truncation_of_a_file_are_left_out(byte_level: dict[str, Any]) -> None:
    content = dict(byte_level)
    content["truncation"] = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    content["padding"] = {
        "strategy": {"Fixed": 9},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "<|end|>",
    }
    encoder = encoder_of(json.dumps(content), "bytes")
    assert encoder.decode(encoder.encode(["abc def ghi", "a"])[0]) == "abc def ghi"
    assert len(encoder.encode(["abc def ghi", "a"])[1]) == 1


def test_added_tokens_have_no_surface_but_where_they_are_pieces_too(byte_level: dict[str, Any]) -> None:
    content = json.loads(json.dumps(byte_level))
    size = max(content["model"]["vocab"].values()) + 1
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    content["added_tokens"] += [{"id": size, "content": "東京駅", **plain}]
    known = next(piece for piece, index in content["model"]["vocab"].items() if piece == "A")
    content["added_tokens"] += [{"id": content["model"]["vocab"][known], "content": known, **plain}]
    encoder = encoder_of(json.dumps(content), "added")
    assert len(encoder) == size + 1
    assert encoder.surfaces()[size] is None
    assert encoder.surfaces()[content["model"]["vocab"][known]] == b"A"
    assert size in encoder.encode(["東京駅の前"])[0]


@given(text=ANY_TEXT)
def test_unigram_model_of_sentencepiece(
    unigram: bytes, tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "unigram.model"
    if not path.exists():
        path.write_bytes(unigram)
    encoder = open_foreign(path, "unigram")
    # U+2581 stands for a blank; NUL ends sentencepiece's text.
    text = text.replace("▁", "").replace("\0", "")
    ids = encoder.encode([text])[0]
    if text:
        assert joined(encoder, text) == b" " + text.encode("utf-8")
    assert encoder.decode(ids) == text


def test_sentencepiece_kinds(unigram: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.model").write_bytes(unigram)
    encoder = open_foreign(tmp_path / "a.model", "a")
    surfaces = encoder.surfaces()
    assert surfaces[0] is surfaces[1] is surfaces[2] is None  # <unk>, <s>, </s>
    assert "\u3000\u3000".encode() in surfaces
    assert "猫".encode() in surfaces
    assert surfaces.count(b"\xe3") == 1


def word_piece() -> dict[str, Any]:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    vocab = {
        word: index for index, word in enumerate(["[UNK]", "play", "##ing", "##s", "猫", "the", "a", "##b"])
    }
    made = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.add_special_tokens(["[UNK]"])
    return json.loads(made.to_str())


def test_word_piece() -> None:
    encoder = encoder_of(json.dumps(word_piece()), "bert")
    assert encoder.surfaces() == [None, b"play", b"ing", b"s", "猫".encode(), b"the", b"a", b"b"]
    assert encoder.encode(["the playing 猫s"])[0].tolist() == [5, 1, 2, 4, 0]


def test_end_of_word_suffix_and_byte_fallback() -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    made = Tokenizer(
        models.BPE(
            {"a": 0, "b</w>": 1, "ab</w>": 2, "<unk>": 3},
            [("a", "b</w>")],
            end_of_word_suffix="</w>",
            unk_token="<unk>",
        )
    )
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.decoder = decoders.BPEDecoder(suffix="</w>")
    assert encoder_of(made.to_str(), "clip").surfaces()[:3] == [b"a", b"b ", b"ab "]

    bytes_ = {f"<0x{value:02X}>": value + 2 for value in range(256)}
    made = Tokenizer(
        models.Unigram(
            [("<unk>", 0.0), ("▁a", -1.0), *((piece, -9.0) for piece in bytes_)], 0, byte_fallback=True
        )
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    encoder = encoder_of(made.to_str(), "t5")
    surfaces = encoder.surfaces()
    assert surfaces[1] == b" a"
    assert surfaces[2 + 0xE7] == b"\xe7"
    assert joined(encoder, "a") == b" a"


def rank_file(path: Path) -> Path:
    tokens = [bytes([value]) for value in range(256)] + [b"ab", b"abc", "猫".encode()[:2], "猫".encode()]
    path.write_bytes(b"".join(base64.b64encode(t) + b" %d\n" % rank for rank, t in enumerate(tokens)))
    return path


def test_rank_file(tmp_path: Path) -> None:
    encoder = open_foreign(rank_file(tmp_path / "x.tiktoken"), "x", pattern="gpt2")
    assert len(encoder) == 260
    assert encoder.surfaces()[257] == b"abc"
    assert encoder.encode(["abc 猫"])[0].tolist() == [257, 32, 259]
    text = "a<|endoftext|>b"
    assert encoder.decode(encoder.encode([text])[0]) == text
    assert joined(encoder, "abc\n猫𠮷") == "abc\n猫𠮷".encode()


def test_pattern_of_a_rank_file_by_name_or_as_an_expression(tmp_path: Path) -> None:
    path = rank_file(tmp_path / "some.tiktoken")
    with pytest.raises(UserError, match=r"does not say how it cuts a text into words.*--pattern"):
        open_foreign(path, "some")
    assert len(open_foreign(path, "qwen.tiktoken").encode(["abc"])[0]) == 1
    # Cut between all letters: no merge is left.
    assert len(open_foreign(path, "some", pattern=r"\p{L}|\P{L}+").encode(["abc"])[0]) == 3
    with pytest.raises(UserError, match="does not take this pattern"):
        open_foreign(path, "some", pattern="(")


def test_patterns_cut_as_tiktoken_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    import regex
    from tiktoken_ext import openai_public

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *given, **named: {})
    texts = [
        *TEXTS,
        ODD,
        "It's 12345\n\n  x  DON'T\r\n\tend  ",
        "don’t ÀB Ωmega's a/b//c\n",
        "  ",
        "a \n \n b",
        "WE'LLsay",
    ]
    for name in ("r50k", "p50k", "cl100k", "o200k"):
        theirs = getattr(openai_public, f"{name}_base")()["pat_str"]
        for text in texts:
            assert regex.findall(PATTERNS[name], text) == regex.findall(theirs, text), (name, text)


def test_openai_files_are_found_in_the_cache_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
    rank_file(tmp_path / hashlib.sha1(url.encode()).hexdigest())
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert open_encoder("tiktoken:cl100k_base").encode(["abc"])[0].tolist() == [257]
    with pytest.raises(UserError, match=r"no such encoding .known: r50k_base"):
        open_encoder("tiktoken:nothing")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "empty"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="not in tiktoken's cache, and nothing is downloaded"):
        open_encoder("tiktoken:cl100k_base")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a SentencePiece model"),
        (b"hello, I am a poem\n", "not a SentencePiece model"),
        (b'{"model": {"type": "Dream"}}', "not a tokenizer.json"),
        (b"{", "not a tokenizer.json"),
        (b"{\xff", "not UTF-8"),
        (b"YQ== 0\nnot a line\n", "line 2 is not base64 and a number"),
        (b"YQ== 0\n", "the byte 0x00 has no rank"),
    ],
)
def test_what_no_library_reads_is_told_in_words(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "odd.model"
    path.write_bytes(content)
    with pytest.raises(UserError, match=complaint) as told:
        open_foreign(path, "odd.model")
    assert "\n" not in str(told.value)


def test_ranks_that_are_given_twice(tmp_path: Path) -> None:
    path = rank_file(tmp_path / "gpt2.tiktoken")
    path.write_bytes(path.read_bytes() + b"%s 7\n" % base64.b64encode(b"zzz"))
    with pytest.raises(UserError, match="two tokens have the same rank"):
        open_foreign(path, "gpt2")


def test_opening_falls_back_from_what_can_be_extended(tmp_path: Path, unigram: bytes) -> None:
    (tmp_path / "tokenizer.model").write_bytes(unigram)
    assert len(open_encoder(str(tmp_path))) == 600
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "tokenizer.json").write_text(json.dumps(word_piece()), "utf-8")
    assert len(open_encoder(str(tmp_path / "bert"))) == 8
    with pytest.raises(UserError, match="no such file or folder"):
        open_encoder(str(tmp_path / "nowhere"))


def test_foreign_reading_of_a_base_agrees_with_the_base() -> None:
    path = packaged_file("package://mistral-v1")
    foreign, base = open_foreign(path, "m"), open_encoder("mistral-v1")
    assert foreign.surfaces() == base.surfaces()
    for text in TEXTS[:10]:
        assert foreign.encode([text])[0].tolist() == base.encode([text])[0].tolist()
