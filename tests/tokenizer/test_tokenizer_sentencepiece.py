"""The reader and writer of SentencePiece files, and the tokenizer.json made from them."""

from __future__ import annotations

import contextlib
import io
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_japanese import ODD, japanese
from watari.artifact.outside import fingerprint, packaged_file
from watari.errors import UserError
from watari.pretrained import load_tokenizer
from watari.pretrained.fast import check_supported, merges, write_fast_tokenizer
from watari.pretrained.sentencepiece import ModelType, Piece, PieceKind, SpmModel, parse_spm, read_spm

BASES = ["mistral-v1", "mistral-v3"]
LITERALS = ("<s>", "</s>", "<unk>", "[")
"""Strings that could hold a special token's name, which Hugging Face matches in text and sentencepiece does not."""


def packaged(name: str) -> SpmModel:
    return read_spm(packaged_file(f"package://{name}"))


def trained(**settings: object) -> SpmModel:
    """A tiny model over odd text, with every piece short: merges collide far more often than in a real one."""
    import sentencepiece

    data = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text for _, text in japanese(40)] * 3),
        model_writer=data,
        **{
            "vocab_size": 560,
            "model_type": "bpe",
            "byte_fallback": True,
            "normalization_rule_name": "identity",
            "remove_extra_whitespaces": False,
            "character_coverage": 0.99,
            "minloglevel": 2,
            **settings,
        },
    )
    return parse_spm(data.getvalue())


def fuzz(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    made = ["".join(draw.choices(ODD, k=draw.randint(0, 24))) for _ in range(count)]
    made += [" " * n + text + "\n" * (n % 3) for n, text in enumerate(made[: count // 10])]
    made += [character * n for character in "aあー。-▁ \n" if character != "▁" for n in range(1, 36)]
    return [text for text in made if not any(mark in text for mark in LITERALS)]


@pytest.mark.parametrize("name", BASES)
def test_reads_what_sentencepiece_reads(name: str) -> None:
    model = packaged(name)
    reference = model.processor()
    assert len(model) == reference.get_piece_size()
    for index, piece in enumerate(model.pieces):
        assert piece.text == reference.id_to_piece(index)
        assert piece.score == reference.get_score(index)
        assert (piece.kind is PieceKind.BYTE) == reference.is_byte(index)
        assert (piece.kind is PieceKind.CONTROL) == reference.is_control(index)
    assert (model.unk, model.bos, model.eos) == (0, 1, 2)
    assert model.model_type is ModelType.BPE


def test_extending_by_nothing_keeps_every_byte() -> None:
    model = packaged("mistral-v1")
    assert model.extended([]).data == model.data


def test_extended_file_holds_the_base_untouched_and_says_its_size() -> None:
    model = packaged("mistral-v1")
    longer = model.extended([Piece("日本語", -40000.0), Piece("𠮷", -40001.0)])
    assert longer.pieces[:-2] == model.pieces
    assert longer.processor().get_piece_size() == len(model) + 2
    assert longer.processor().id_to_piece(len(model) + 1) == "𠮷"
    # All pieces of the base come first, byte for byte.
    same = model.data.rindex("▁".encode())
    assert longer.data[:same] == model.data[:same]
    assert parse_spm(longer.data) == longer


@pytest.mark.parametrize("data", [b"", b"hello there", b"\x0a\xff", b"\x00\x01\x02"])
def test_refuses_what_is_no_model(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(UserError, match="not a SentencePiece model"):
        read_spm(tmp_path / "tokenizer.model")


@given(st.binary(max_size=64))
def test_damaged_bytes_never_escape_as_another_error(data: bytes) -> None:
    with contextlib.suppress(ValueError, IndexError):
        parse_spm(data)


@pytest.fixture(scope="module", params=[*BASES, "llama-2", "tiny", "tiny-without-prefix"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A model and its converted tokenizer, loaded as any user would load it."""
    if request.param == "llama-2":
        model = read_spm(request.getfixturevalue("test_data") / "tinystories-llama" / "tokenizer.model")
    elif request.param.startswith("tiny"):
        model = trained(add_dummy_prefix=request.param == "tiny")
    else:
        model = packaged(request.param)
    check_supported(model, request.param)
    folder = tmp_path_factory.mktemp(request.param)
    write_fast_tokenizer(model, folder)
    # Beside a model's config, transformers chooses the class by itself: it must still take ours.
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return model, load_tokenizer(folder)


def test_ids_and_decoding_equal_sentencepiece(pair) -> None:
    model, fast = pair
    reference = model.processor()
    texts = fuzz(2500, seed=1) + [text for _, text in japanese(60)]
    for text in texts:
        ids = reference.encode(text)
        assert fast(text, add_special_tokens=False)["input_ids"] == ids, text
        assert fast(text)["input_ids"] == [1, *ids]
        assert fast.decode(ids) == reference.decode(ids) == text


@settings(max_examples=100)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁<["), max_size=40))
def test_ids_equal_on_any_text(mistral_v1, text: str) -> None:
    _, reference, fast = mistral_v1
    ids = reference.encode(text)
    assert fast(text, add_special_tokens=False)["input_ids"] == ids
    assert fast.decode(ids) == text


@pytest.fixture(scope="module")
def mistral_v1(tmp_path_factory: pytest.TempPathFactory):
    model = packaged("mistral-v1")
    folder = tmp_path_factory.mktemp("fast")
    write_fast_tokenizer(model, folder)
    return model, model.processor(), load_tokenizer(folder)


def test_real_text_gives_the_same_ids(mistral_v1, test_data: Path) -> None:
    import gzip

    _, reference, fast = mistral_v1
    seen = 0
    for name in ("aozora", "en-books"):
        with gzip.open(test_data / name / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
            for _, line in zip(range(8), lines, strict=False):
                text = json.loads(line)["text"][:20_000]
                if any(mark in text for mark in LITERALS[:3]):
                    continue
                assert fast(text, add_special_tokens=False)["input_ids"] == reference.encode(text)
                seen += len(text)
    assert seen > 100_000


def test_special_tokens_and_padding(mistral_v1) -> None:
    _, _, fast = mistral_v1
    assert (fast.bos_token, fast.eos_token, fast.unk_token) == ("<s>", "</s>", "<unk>")
    assert fast.pad_token is None
    assert fast("<s>a</s>", add_special_tokens=False)["input_ids"][0] == 1
    assert fast.decode([1, 28708, 2], skip_special_tokens=True) == "a"


def test_merges_of_special_and_byte_pieces_do_not_exist() -> None:
    made = {left + right for left, right in merges(packaged("mistral-v3"))}
    assert not made & {"<s>", "</s>", "<unk>", "<0x0A>", "[INST]"}
    assert "the" in made


def test_settings_of_the_base_are_kept_but_not_its_class(tmp_path: Path) -> None:
    given_settings = {
        "tokenizer_class": "LlamaTokenizer",
        "legacy": True,
        "add_bos_token": False,
        "chat_template": "{{ messages }}",
        "model_max_length": 4096,
    }
    write_fast_tokenizer(packaged("mistral-v1"), tmp_path, settings=given_settings)
    fast = load_tokenizer(tmp_path)
    assert fast("a")["input_ids"] == fast("a", add_special_tokens=False)["input_ids"]
    assert fast.chat_template == "{{ messages }}"
    assert fast.model_max_length == 4096
    assert (
        json.loads((tmp_path / "tokenizer_config.json").read_text())["tokenizer_class"]
        == "PreTrainedTokenizerFast"
    )


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"model_type": "unigram", "hard_vocab_limit": False}, "Unigram"),
        ({"byte_fallback": False}, "byte fallback"),
        ({"normalization_rule_name": "nmt_nfkc"}, "normaliser"),
        ({"remove_extra_whitespaces": True}, "normaliser"),
    ],
)
def test_other_families_are_refused_in_words(settings_: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        check_supported(trained(**settings_), "base")
    assert "not supported yet in this version" in str(error.value)


def test_packaged_names() -> None:
    assert fingerprint("package://mistral-v1") != fingerprint("package://mistral-v3")
    with pytest.raises(UserError, match="package://mistral-v1, package://mistral-v3"):
        fingerprint("package://mistral-v9")
