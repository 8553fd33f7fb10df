"""tokens.pack: ids decode to the text, bos and eos where they belong, sources mixed, order keyed by ids."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_artifacts import as_input, documents
from tiny_llama import make_tokenizer
from watari.artifact.hashing import hash_file
from watari.artifact.kinds import Kind
from watari.artifact.params import Selection
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.artifact.tokens import TokenReader
from watari.corpus.pack import Params, run
from watari.errors import UserError
from watari.pretrained import load_tokenizer

TEXTS = [
    ("en", "Once upon a time there was a little girl."),
    ("ja", "むかしむかし、女の子がいました。\n赤いボール🎈。"),
    ("en", "The red <s> ball </s> and <unk> too"),
    ("ja", "饂飩と鰻"),
    ("en", " leading and trailing  blanks "),
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> InputArtifact:
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer(folder)
    return as_input("tok", folder, Kind.TOKENIZER)


def pack(out: Path, tokenizer: InputArtifact, found: list[InputArtifact], **params: Any) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    checked = Params(documents=[item.name for item in found], tokenizer="tok", **params)
    inputs = Inputs({"documents": found, "tokenizer": [tokenizer]})
    return run(checked, inputs, out, Silent()).metrics


def test_every_document_decodes_to_its_text(tmp_path: Path, tokenizer: InputArtifact) -> None:
    docs = documents("docs", tmp_path / "docs", TEXTS)
    metrics = pack(tmp_path / "o", tokenizer, [docs])
    shard = TokenReader(tmp_path / "o")
    loaded = load_tokenizer(tokenizer.path)
    seen = {}
    for index, row in enumerate(shard.documents()):
        ids = shard.document(index).tolist()
        assert (ids[0], ids[-1]) == (1, 2)
        assert not {1, 2} & set(ids[1:-1]), "text that looks like a special token is text"
        seen[row["doc_id"]] = loaded.decode(ids[1:-1], clean_up_tokenization_spaces=False)
    assert seen == {f"docs-{index}": text for index, (_, text) in enumerate(TEXTS)}
    assert metrics["round_trip"] == {"checked": 5, "equal": 5}
    assert metrics["tokens"] == len(shard.tokens) == shard.info.tokens
    assert metrics["characters"] == sum(len(text) for _, text in TEXTS)
    assert metrics["unknown_tokens"] == 0
    english = metrics["languages"]["en"]
    assert english["characters"] == sum(len(text) for language, text in TEXTS if language == "en")
    assert english["characters_per_token"] == round(english["characters"] / english["tokens"], 4)
    assert sum(x["tokens"] for x in metrics["languages"].values()) == metrics["tokens"] - 2 * len(TEXTS)
    assert not (tmp_path / "o" / "work" / "ids.int32").exists()


@settings(max_examples=20)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁\x00"), min_size=1),
        min_size=1,
        max_size=5,
    )
)
def test_any_text_survives(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: InputArtifact, texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    docs = documents("docs", folder / "docs", [("und", text) for text in texts])
    assert pack(folder / "o", tokenizer, [docs])["round_trip"] == {"checked": len(texts), "equal": len(texts)}


def test_bos_and_eos_as_asked(tmp_path: Path, tokenizer: InputArtifact) -> None:
    docs = documents("docs", tmp_path / "docs", [("en", "a ball")])
    ends = {}
    for bos, eos in ((None, True), (True, False), (False, True), (False, False)):
        out = tmp_path / f"{bos}{eos}"
        pack(out, tokenizer, [docs], bos=bos, eos=eos)
        ids = TokenReader(out).document(0).tolist()
        ends[bos, eos] = (ids[0] == 1, ids[-1] == 2)
    assert ends == {
        (None, True): (True, True),
        (True, False): (True, False),
        (False, True): (False, True),
        (False, False): (False, False),
    }
    bare = tmp_path / "bare"
    make_tokenizer(bare, bos=False)
    pack(tmp_path / "o", as_input("tok", bare, Kind.TOKENIZER), [docs])
    info = TokenReader(tmp_path / "o").info
    assert (info.bos, info.eos) == (None, 2)


def test_order_is_keyed_by_ids_and_mixes_sources(tmp_path: Path, tokenizer: InputArtifact) -> None:
    ja = documents("ja", tmp_path / "ja", [("ja", f"文{i}") for i in range(60)])
    en = documents("en", tmp_path / "en", [("en", f"text {i}") for i in range(60)])
    metrics = [
        pack(tmp_path / "one", tokenizer, [ja, en]),
        pack(tmp_path / "two", tokenizer, [en, ja], batch=7),
    ]
    assert metrics[0] == metrics[1]
    for name in ("tokens.bin", "tokens.idx", "documents.parquet", "tokens.json"):
        assert hash_file(tmp_path / "one" / name) == hash_file(tmp_path / "two" / name)
    languages = [row["language"] for row in TokenReader(tmp_path / "one").documents()]
    turns = sum(a != b for a, b in pairwise(languages))
    assert 35 < turns < 85
    pack(tmp_path / "three", tokenizer, [ja, en], seed=1)
    assert hash_file(tmp_path / "one" / "tokens.bin") != hash_file(tmp_path / "three" / "tokens.bin")


def test_a_ratio_repeats_documents(tmp_path: Path, tokenizer: InputArtifact) -> None:
    docs = documents("docs", tmp_path / "docs", TEXTS)
    twice = InputArtifact(
        docs.name, docs.path, docs.manifest, Selection.model_validate({"from": "docs", "ratio": 2})
    )
    assert pack(tmp_path / "o", tokenizer, [twice])["documents"] == 2 * len(TEXTS)


def test_refusals(tmp_path: Path, tokenizer: InputArtifact) -> None:
    empty = documents("docs", tmp_path / "docs", [])
    with pytest.raises(UserError, match="no documents"):
        pack(tmp_path / "o", tokenizer, [empty])
    null = documents("null", tmp_path / "null", [("en", "a"), ("en", None)])  # type: ignore[list-item]
    with pytest.raises(UserError, match="null: row 2"):
        pack(tmp_path / "o", tokenizer, [null])
