"""mistral's tekken.json: read, it gives mistral-common's own ids; extended, every form of it still agrees."""

from __future__ import annotations

import base64
import gzip
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_bytelevel import grown, korean
from small_japanese import ODD, japanese
from watari.errors import UserError
from watari.pretrained import load_tokenizer
from watari.pretrained.alphabet import to_alphabet
from watari.pretrained.encoding import encode_documents
from watari.pretrained.tekken import NATIVE, RANKS, TEKKEN, from_ranks, ranks, read_tekken
from watari.tokenizer.bytes import ByteBpe
from watari.tokenizer.entries import Entries
from watari.tokenizer.opening import locate, open_base
from watari.tokenizer.policy import Policy
from watari.tokenizer.script import script_of


@dataclass
class Made:
    base: ByteBpe
    mistral: Any
    texts: list[str]
    entries: Entries
    extended: ByteBpe
    folder: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """tekken with 300 Japanese entries and 100 Korean ones behind them, written and read by mistral-common."""
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    base = open_base("tekken")
    assert isinstance(base, ByteBpe)
    texts, pieces, origin, dropped = [], [], [], {}
    for language, documents, count in (("ja", [t for _, t in japanese(80)], 300), ("ko", korean(30), 100)):
        script = script_of(language)
        learned = grown(base, documents, script, count)
        learned += ["鬱々", "竈", "𠮷野家"] if language == "ja" else [" 뷁", "뷁"]
        found = base.with_intermediates(learned, Policy(script))
        texts += learned
        pieces += found.pieces
        origin += found.origin
        dropped |= found.dropped
    extended = base.extended(pieces)
    folder = tmp_path_factory.mktemp("tekken")
    extended.write(folder, base=len(base))
    entries = Entries(pieces, origin, dropped)
    return Made(base, Tekkenizer.from_file(locate("tekken")), texts, entries, extended, folder)


def fuzz(count: int, pieces: list[str]) -> list[str]:
    draw = random.Random(6)
    found = ["".join(draw.choices(ODD + "한국말뷁 ", k=draw.randint(0, 24))) for _ in range(count)]
    found += ["".join(draw.choices(pieces, k=draw.randint(1, 5)))[draw.randint(0, 2) :] for _ in range(count)]
    blocks = [(0x20, 0x24FF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7FF), (0x1F000, 0x2FFFF)]
    found += [
        "".join(chr(draw.randint(*draw.choice(blocks))) for _ in range(draw.randint(1, 20)))
        for _ in range(count)
    ]
    found += [c * n for c in "aAあー。-= \nんの鬱/!\t" for n in range(1, 40)]
    return [*found, "<s>[INST] </s><SPECIAL_20>", "[/INST]<pad>"]


def test_reads_what_mistral_common_reads(made: Made) -> None:
    base, mistral = made.base, made.mistral
    assert len(base) == mistral.n_words == 131072
    assert base.pieces()[:1000] == mistral.vocab()[:1000]
    for index, surface in enumerate(base.surfaces()):
        assert surface == (None if index < 1000 else mistral.id_to_byte_piece(index))
    texts = fuzz(1500, made.texts)
    for text, ids in zip(texts, base.encode(texts), strict=True):
        assert ids.tolist() == mistral.encode(text, False, False)
        assert base.decode(ids) == text


def test_real_text_gives_the_ids_of_mistral_common(made: Made, test_data: Path) -> None:
    with gzip.open(test_data / "jglue" / "jsquad_valid-v1.3.json.gz", "rt", encoding="utf-8") as handle:
        content = json.load(handle)
    texts = [paragraph["context"] for article in content["data"] for paragraph in article["paragraphs"]]
    assert len(texts) > 1000
    found, longer = made.base.encode(texts), made.extended.encode(texts)
    for text, ids in zip(texts, found, strict=True):
        assert ids.tolist() == made.mistral.encode(text, False, False)
    assert sum(map(len, longer)) < sum(map(len, found))


def native(made: Made) -> Any:
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    return Tekkenizer.from_file(made.folder / NATIVE / TEKKEN)


def test_every_form_of_the_extended_one_agrees(made: Made) -> None:
    import tiktoken

    texts = fuzz(1200, made.texts)
    expected = [ids.tolist() for ids in made.extended.encode(texts)]
    mistral = native(made)
    assert mistral.n_words == len(made.extended)
    assert mistral.vocab()[:131072] == made.mistral.vocab()
    assert [mistral.encode(text, False, False) for text in texts] == expected
    rank_of = {
        base64.b64decode(line.split()[0]): int(line.split()[1])
        for line in (made.folder / NATIVE / RANKS).read_bytes().splitlines()
    }
    pattern = made.extended.model.content["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    encoding = tiktoken.Encoding("x", pat_str=pattern, mergeable_ranks=rank_of, special_tokens={})
    assert [[rank + 1000 for rank in ids] for ids in encoding.encode_ordinary_batch(texts)] == expected
    # A folder with tekken.json in it would be loaded by another class for Mistral's models.
    (made.folder / "config.json").write_text(json.dumps({"model_type": "mistral"}))
    tokenizer = load_tokenizer(made.folder)
    assert encode_documents(tokenizer, texts) == expected
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 11)
    assert tokenizer.encode("日") == [1, *made.extended.encode(["日"])[0].tolist()]
    assert open_base(str(made.folder)).digest() == made.extended.digest()
    again = read_tekken(made.folder / NATIVE / TEKKEN, "again")
    assert again.tokens == made.extended.model.tokens


def test_extended_text_is_a_coarser_cut_of_the_same(made: Made) -> None:
    texts = fuzz(800, made.texts)
    before, after = made.base.encode(texts), made.extended.encode(texts)
    surfaces = made.extended.surfaces()
    scripts = [script_of("ja"), script_of("ko")]
    same = 0
    for text, old, new in zip(texts, before, after, strict=True):
        assert b"".join(surfaces[index] or b"" for index in new) == text.encode("utf-8")
        assert ends(new, surfaces) <= ends(old, surfaces)
        if not any(script.has_strict(text) for script in scripts):
            assert old.tolist() == new.tolist()
            same += 1
    assert same > 100
    assert sum(map(len, after)) < 0.95 * sum(map(len, before))


def ends(ids: Any, surfaces: list[bytes | None]) -> set[int]:
    place, found = 0, set()
    for index in ids:
        place += len(surfaces[index] or b"")
        found.add(place)
    return found


@given(text=st.text(max_size=40))
@settings(max_examples=300)
def test_any_unicode_gives_the_ids_of_mistral_common(made: Made, text: str) -> None:
    [ids] = made.base.encode([text])
    assert ids.tolist() == made.mistral.encode(text, False, False)
    assert made.extended.decode(made.extended.encode([text])[0]) == text


def test_every_entry_is_reached(made: Made) -> None:
    first = len(made.base)
    expected = [[first + place] for place in range(len(made.entries.pieces))]
    assert len(expected) > 380
    assert made.extended.spelled(made.entries.pieces) == expected
    assert {"鬱々", "竈", " 뷁"} <= set(made.texts) - set(made.entries.dropped)


def test_entries_left_out_are_those_about_which_ranks_and_merges_disagree(made: Made) -> None:
    """舞台 is no token of tekken, and a longer one that ends with it is."""
    found = made.base.with_intermediates(["舞台", "のが"], Policy(script_of("ja")))
    assert set(found.dropped) == {"舞台"}
    careless = made.base.extended([*found.pieces, to_alphabet("舞台".encode())])
    assert ranks(careless.model) is None
    assert ranks(made.extended.model) is not None


def test_a_file_with_its_own_special_tokens(tmp_path: Path) -> None:
    tokens = [bytes([value]) for value in range(256)] + ["あ".encode()[:2], "あ".encode()]
    content = {
        "config": {
            "pattern": r"\s+|\S+",
            "num_vocab_tokens": len(tokens),
            "default_vocab_size": len(tokens) - 1 + 5,
            "default_num_special_tokens": 5,
            "version": "v13",
        },
        "vocab": [
            {"rank": rank, "token_bytes": base64.b64encode(token).decode(), "token_str": None}
            for rank, token in enumerate(tokens)
        ],
        "special_tokens": [
            {"rank": 1, "token_str": "<s>", "is_control": True},
            {"rank": 0, "token_str": "<unk>", "is_control": True},
        ],
        "version": 1,
        "image": {"image_patch_size": 16, "max_image_size": 1024},
    }
    path = tmp_path / "tekken.json"
    path.write_text(json.dumps(content))
    model = read_tekken(path, "small")
    assert model.tokens[:5] == ("<unk>", "<s>", "<SPECIAL_2>", "<SPECIAL_3>", "<SPECIAL_4>")
    # The last token does not fit into default_vocab_size.
    assert len(model) == 262
    base = ByteBpe("small", model)
    assert base.encode(["あ"])[0].tolist() == [5 + 256, 5 + 0x82]
    extended = base.extended(["ãģĤ"])
    extended.write(tmp_path / "out", base=len(base))
    written = json.loads((tmp_path / "out" / NATIVE / TEKKEN).read_text("utf-8"))
    assert written["special_tokens"] == content["special_tokens"]
    assert written["image"] == content["image"]
    assert written["config"]["default_vocab_size"] == 263 == len(written["vocab"]) + 5
    assert extended.encode(["あ"])[0].tolist() == [262]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("config"),
        lambda content: content["config"].update(default_vocab_size=10**6),
        lambda content: content["vocab"][256].update(token_bytes="AA=="),
        lambda content: content["vocab"][0].update(token_bytes=7),
        lambda content: content.update(special_tokens=[{"rank": 3, "token_str": "<s>"}]),
        lambda content: content["vocab"].pop(0),
    ],
)
def test_refuses_what_is_no_tekken_file(change: Any, tmp_path: Path) -> None:
    content: dict[str, Any] = {
        "config": {"pattern": ".", "default_vocab_size": 259, "default_num_special_tokens": 2},
        "vocab": [{"rank": n, "token_bytes": base64.b64encode(bytes([n])).decode()} for n in range(256)],
        "special_tokens": [{"rank": 0, "token_str": "<unk>"}, {"rank": 1, "token_str": "<s>"}],
    }
    content["vocab"].append({"rank": 256, "token_bytes": base64.b64encode(b"ab").decode()})
    path = tmp_path / "tekken.json"
    path.write_text(json.dumps(content))
    assert len(read_tekken(path, "x")) == 259
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError):
        read_tekken(path, "x")


def test_every_byte_must_have_a_rank() -> None:
    with pytest.raises(UserError, match="missing"):
        from_ranks([bytes([value]) for value in range(255)], ".", ())
