"""`convert`: base ids become exactly what the extended tokenizer gives, and back (I10 of the facts on tokenizers)."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_artifacts import as_input, documents
from many_scripts import KOREAN, make_byte_level
from small_japanese import ODD, japanese
from watari.artifact.hashing import hash_file
from watari.artifact.kinds import Kind
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.outside import packaged_file
from watari.artifact.stage import Inputs, Silent
from watari.artifact.tokens import TokenReader, TokensInfo, TokenWriter
from watari.corpus import pack
from watari.errors import UserError
from watari.pretrained.fast import write_fast_tokenizer
from watari.pretrained.sentencepiece import read_spm
from watari.tokenizer import convert, converter
from watari.tokenizer.build import extend_tokenizer, write_extension
from watari.tokenizer.convert import Converter, convert_tokens, open_converter
from watari.tokenizer.encoder import BpeTokenizer
from watari.tokenizer.goal import Goal
from watari.tokenizer.opening import open_base
from watari.tokenizer.policy import Policy
from watari.tokenizer.script import script_of
from watari.tokenizer.texts import Text

JA = [Text(f"d{n}", text, language) for n, (language, text) in enumerate(japanese(160))]


@dataclass
class Pair:
    """A base and its extension, and the converter between them."""

    base: Path
    extended: Path

    def __post_init__(self) -> None:
        self.before: BpeTokenizer = open_base(str(self.base))
        self.after: BpeTokenizer = open_base(str(self.extended))
        self.converter: Converter = open_converter(self.extended)


def extend(base: Path, out: Path, language: str, texts: list[Text], add: int, **policy: Any) -> Pair:
    made = extend_tokenizer(
        open_base(str(base)), texts, Policy(script_of(language), **policy), Goal(add=add, align=None)
    )
    write_extension(made, out)
    return Pair(base, out)


@pytest.fixture(scope="module")
def spm(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    root = tmp_path_factory.mktemp("convert")
    write_fast_tokenizer(read_spm(packaged_file("package://mistral-v1")), root / "base")
    return extend(root / "base", root / "out", "ja", JA, 400, digits=True)


@pytest.fixture(scope="module")
def korean(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Pieces that begin with a blank, as the first one of a document may."""
    root = tmp_path_factory.mktemp("convert-ko")
    write_fast_tokenizer(read_spm(packaged_file("package://mistral-v1")), root / "base")
    texts = [Text(f"k{n}", " ".join(KOREAN), "ko") for n in range(4)]
    return extend(root / "base", root / "out", "ko", texts, 40)


@pytest.fixture(scope="module")
def bytewise(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    root = tmp_path_factory.mktemp("convert-bytes")
    return extend(make_byte_level(root / "base", vocabulary=700), root / "out", "ja", JA, 200)


ALL = ["spm", "korean", "bytewise"]
EDGES = [
    "",
    " ",
    "\n",
    "猫",
    " 猫",
    "\n猫",
    "鱻",
    "鬱龘𠮷鬱",
    "3月3日",
    "a鬱b",
    "안녕하세요 안녕",
    " 안녕",
    "🙂安👨‍👩‍👧",
    "<s>東京</s>",
    "東京駅の前" * 40,
]


def same(pair: Pair, texts: list[str]) -> int:
    """Assert that conversion equals encoding, both ways; return how many ids were saved."""
    base, extended = pair.before.encode(texts), pair.after.encode(texts)
    forth, back = pair.converter.to_extended(base), pair.converter.to_base(extended)
    for text, a, b, c, d in zip(texts, extended, forth, base, back, strict=True):
        assert a.tolist() == b.tolist(), text
        assert c.tolist() == d.tolist(), text
    return sum(map(len, base)) - sum(map(len, extended))


@pytest.mark.parametrize("which", ALL)
def test_equals_encoding_the_text(which: str, request: pytest.FixtureRequest) -> None:
    pair = request.getfixturevalue(which)
    saved = same(pair, [*(text.text for text in JA), *KOREAN, *EDGES])
    assert saved > (20 if which == "korean" else 1000)


ANY_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.text(st.sampled_from(ODD), max_size=60),
    st.lists(st.sampled_from([t.text[i : i + 6] for t in JA[:20] for i in (0, 7, 15)] + KOREAN), max_size=8).map(
        "".join
    ),
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(ANY_TEXT, max_size=3))
def test_equals_encoding_on_any_text(spm: Pair, korean: Pair, bytewise: Pair, texts: list[str]) -> None:
    for pair in (spm, korean, bytewise):
        same(pair, texts)


def test_unknown_characters_are_put_together_again(spm: Pair) -> None:
    """鬱 and 竈 are three bytes each to Mistral, and pieces of the extension."""
    pieces = spm.after.pieces()
    [base], [extended] = spm.before.encode(["鬱々とした"]), spm.after.encode(["鬱々とした"])
    assert sum(pieces[i].startswith("<0x") for i in base) >= 3
    assert not any(pieces[i].startswith("<0x") for i in extended)
    [found] = spm.converter.to_extended([base])
    assert found.tolist() == extended.tolist()


def test_what_is_no_text_is_left_alone(spm: Pair, bytewise: Pair) -> None:
    for pair in (spm, bytewise):
        pieces = pair.before.pieces()
        special = [i for i, surface in enumerate(pair.before.surfaces()) if surface is None][:2]
        one, two = pair.before.encode(["東京駅の前で", "図書館で猫は"])
        new = pair.after.encode(["東京駅の前で", "図書館で猫は"])
        given_ids = [special[0], *one.tolist(), special[1], *two.tolist(), special[1]]
        wanted = [special[0], *new[0].tolist(), special[1], *new[1].tolist(), special[1]]
        [found] = pair.converter.to_extended([given_ids])
        assert found.tolist() == wanted, [pieces[i] for i in special]
        [back] = pair.converter.to_base([found])
        assert back.tolist() == given_ids
    # A character cut in the middle is bytes that stay bytes; what follows is converted all the same.
    names = spm.before.pieces()
    cut = [names.index("<0xAC>"), names.index("<0xB1>"), *spm.before.encode(["\n東京駅の前"])[0][1:].tolist()]
    [found] = spm.converter.to_extended([cut])
    assert found.tolist() == [*cut[:2], *spm.after.encode(["\n東京駅の前"])[0][1:].tolist()]
    assert spm.converter.to_base([found])[0].tolist() == cut
    half = [bytewise.before.encode(["鱻"])[0].tolist()[0]]
    if bytewise.before.surfaces()[half[0]] != "鱻".encode():
        assert bytewise.converter.to_extended([half])[0].tolist() == half


def test_documents_never_join(spm: Pair) -> None:
    """「東京」 and 「駅」 in two documents stay two, though one behind the other they would be one."""
    names = spm.before.pieces()
    whole = [names.index(c) for c in "東京駅"]
    [joined] = spm.converter.to_extended([whole])
    assert len(joined) < 3
    apart = spm.converter.to_extended([whole[:1], [], whole[1:2], whole[2:]])
    assert [ids.tolist() for ids in apart] == [whole[:1], [], whole[1:2], whole[2:]]
    assert spm.converter.to_extended([]) == []


def test_memory_is_bounded_without_a_difference(spm: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converter, "_MEMORY", 3)
    fresh = open_converter(spm.extended)
    base = spm.before.encode([text.text for text in JA[:30]])
    extended = spm.after.encode([text.text for text in JA[:30]])
    assert [a.tolist() for a in fresh.to_extended(base)] == [b.tolist() for b in extended]
    assert len(fresh._known) <= 3


def shard(root: Path, tokenizer: Path, texts: list[tuple[str, str]], **params: Any) -> Path:
    root.mkdir(parents=True)
    inputs = Inputs(
        {
            "documents": [documents("docs", root.with_name(root.name + "-docs"), texts)],
            "tokenizer": [as_input("tok", tokenizer, Kind.TOKENIZER)],
        }
    )
    pack.run(pack.Params(documents=["docs"], tokenizer="tok", **params), inputs, root, Silent())
    return root


@pytest.mark.parametrize("which", ALL)
@pytest.mark.parametrize("marks", [True, False])
def test_shards_are_what_packing_anew_gives(
    which: str, marks: bool, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = request.getfixturevalue(which)
    monkeypatch.setattr(convert, "_BATCH", 700)
    texts = [(t.language, t.text) for t in JA[:60]] + [("ko", text) for text in KOREAN] + [("ja", "猫")]
    old = shard(tmp_path / "old", pair.base, texts, bos=marks, eos=marks)
    new = shard(tmp_path / "new", pair.extended, texts, bos=marks, eos=marks)
    told = convert_tokens(old, pair.extended, tmp_path / "converted")
    for name in ("tokens.bin", "tokens.idx", "documents.parquet", "tokens.json"):
        assert hash_file(tmp_path / "converted" / name) == hash_file(new / name), name
    assert told.documents == len(texts)
    assert told.tokens == TokenReader(new).info.tokens < told.tokens_before == TokenReader(old).info.tokens
    assert sorted(p.name for p in (tmp_path / "converted").iterdir()) == [
        "documents.parquet", "tokens.bin", "tokens.idx", "tokens.json",
    ]  # fmt: skip
    back = convert_tokens(new, pair.extended, tmp_path / "back", back=True)
    for name in ("tokens.bin", "tokens.idx", "documents.parquet"):
        assert hash_file(tmp_path / "back" / name) == hash_file(old / name), name
    assert back.vocabulary == len(pair.before)


def test_mistakes_are_told_in_words(spm: Pair, bytewise: Pair, tmp_path: Path) -> None:
    old = shard(tmp_path / "old", spm.base, [("ja", "猫は東京駅の前で")])
    with pytest.raises(UserError, match="exists already"):
        convert_tokens(old, spm.extended, old)
    with pytest.raises(UserError, match=r"packed with a tokenizer of 32,000 ids, not "):
        convert_tokens(old, bytewise.extended, tmp_path / "a")
    with pytest.raises(UserError, match=r"packed with .* \(it has the other one's: convert the other way\)"):
        convert_tokens(old, spm.extended, tmp_path / "a", back=True)
    with pytest.raises(UserError, match=r"was not made by tokenizer\.extend"):
        convert_tokens(old, spm.base, tmp_path / "a")
    with pytest.raises(UserError, match="not a whole shard"):
        convert_tokens(tmp_path, spm.extended, tmp_path / "a")
    with pytest.raises(UserError, match="document 1: id 32000 is not the base's, which has 32,000 ids"):
        spm.converter.to_extended([[5], [7, 32000]])
    with pytest.raises(UserError, match="is not the extended tokenizer's"):
        spm.converter.to_base([[-1]])
    assert not (tmp_path / "a").exists()
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_shard_of_nothing(spm: Pair, tmp_path: Path) -> None:
    info = TokensInfo(vocabulary=32000, tokenizer_digest="x", bos=1, eos=2)
    with TokenWriter(tmp_path / "empty", info):
        pass
    told = convert_tokens(tmp_path / "empty", spm.extended, tmp_path / "out")
    assert (told.documents, told.tokens) == (0, 0)
    assert TokenReader(tmp_path / "out").info.tokenizer_digest == digest_of(list_files(spm.extended))


@pytest.mark.data
def test_real_japanese_id_for_id(tmp_path: Path, test_data: Path) -> None:
    texts = []
    for name, share in (("aozora", 150_000), ("kyoto-wiki", 150_000)):
        size = 0
        with gzip.open(test_data / name / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                texts.append(row["text"] if "text" in row else "\n".join(row["ja"]))
                size += len(texts[-1])
                if size > share:
                    break
    write_fast_tokenizer(read_spm(packaged_file("package://mistral-v1")), tmp_path / "base")
    learned = [Text(str(n), text[:6000], "ja") for n, text in enumerate(texts[::2])]
    pair = extend(tmp_path / "base", tmp_path / "out", "ja", learned, 2000)
    saved = same(pair, texts)
    total = sum(len(ids) for ids in pair.before.encode(texts))
    assert total > 250_000
    assert saved > 0.3 * total
