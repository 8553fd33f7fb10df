"""Our slow encoders against the libraries: two ways to the same ids, of which one follows the definition."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, trainers

import tiny_extension as tiny
from small_japanese import japanese
from watari.artifact.outside import packaged_file
from watari.errors import UserError
from watari.pretrained.fast import tokenizer_json
from watari.pretrained.sentencepiece import SpmModel, parse_spm, read_spm
from watari.tokenizer.reference import JsonReference, SpmReference
from watari.tokenizer.reference.merging import cut, merge
from watari.tokenizer.verify.strings import fuzz_strings

TEXTS = [text for _, text in japanese(30)]


def strings(count: int = 500, pieces: tuple[str, ...] = ("the", " of", "東京", "…”")) -> list[str]:
    return [
        *fuzz_strings(count, 3, tiny.SCRIPT, [*pieces, *TEXTS[0][:40]]),
        *TEXTS,
        "",
        " ",
        "  a",
        "\n",
        "▁",
        "▁ ▁",
    ]


def trained(**settings_: object) -> SpmModel:
    """A tiny SentencePiece model over the tests' text."""
    import sentencepiece

    data = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 3),
        model_writer=data,
        **{
            "vocab_size": 560,
            "model_type": "bpe",
            "byte_fallback": True,
            "normalization_rule_name": "identity",
            "remove_extra_whitespaces": False,
            "character_coverage": 0.99,
            "minloglevel": 2,
            **settings_,
        },
    )
    return parse_spm(data.getvalue())


# --- merging ---


def merged_plainly(symbols: list[str], ranks: dict[tuple[str, str], float]) -> list[str]:
    """Look at all pairs again after every join."""
    symbols = list(symbols)
    while True:
        found = [(ranks[pair], at) for at, pair in enumerate(pairwise(symbols)) if pair in ranks]
        if not found:
            return symbols
        _, at = min(found)
        symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]


@given(
    st.text("ab", max_size=14),
    st.dictionaries(
        st.tuples(st.text("ab", min_size=1, max_size=3), st.text("ab", min_size=1, max_size=3)),
        st.integers(0, 6),
        max_size=14,
    ),
)
def test_the_heap_joins_what_the_definition_joins(text: str, ranks: dict[tuple[str, str], float]) -> None:
    expected = merged_plainly(list(text), ranks)
    assert merge(list(text), lambda left, right: ranks.get((left, right))) == expected
    # Cut where no join can be, the stretches by themselves give the same.
    joined = frozenset(left[-1] + right[0] for left, right in ranks)
    parts = cut(text, joined)
    assert "".join(parts) == text
    apart = [s for part in parts for s in merge(list(part), lambda left, right: ranks.get((left, right)))]
    assert apart == expected


# --- SentencePiece ---


@pytest.fixture(
    scope="module", params=["mistral-v1", "mistral-v3", "extended", "tiny", "no-prefix", "user-defined"]
)
def spm(request: pytest.FixtureRequest) -> SpmModel:
    made: dict[str, Callable[[], SpmModel]] = {
        "extended": lambda: tiny.mistral().extended(tiny.spm_pieces()).model,
        "tiny": trained,
        "no-prefix": lambda: trained(add_dummy_prefix=False),
        "user-defined": lambda: trained(user_defined_symbols=["東京", "東京駅の", "<x>", "ます"]),
    }
    return made.get(request.param, lambda: read_spm(packaged_file(f"package://{request.param}")))()


def test_equals_sentencepiece(spm: SpmModel) -> None:
    processor, reference = spm.processor(), SpmReference(spm)
    texts = strings()
    for text, ids in zip(texts, reference.encode(texts), strict=True):
        assert ids.tolist() == processor.encode(text), text


@settings(max_examples=100)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_equals_sentencepiece_on_any_text(text: str) -> None:
    model = tiny.mistral().model
    (ids,) = _REFERENCE.encode([text])
    assert ids.tolist() == _PROCESSOR.encode(text)
    assert len(model) > max(ids.tolist(), default=0)


_REFERENCE = SpmReference(tiny.mistral().model)
_PROCESSOR = tiny.mistral().model.processor()


def test_refuses_a_model_of_another_family() -> None:
    with pytest.raises(UserError, match="Unigram"):
        SpmReference(trained(model_type="unigram", hard_vocab_limit=False))


# --- tokenizer.json ---


def metaspace(content: dict[str, Any]) -> None:
    content["normalizer"] = None
    content["pre_tokenizer"] = {
        "type": "Metaspace",
        "replacement": "▁",
        "prepend_scheme": "first",
        "split": False,
    }


def metaspace_words(content: dict[str, Any]) -> None:
    metaspace(content)
    content["pre_tokenizer"] |= {"prepend_scheme": "always", "split": True}


def without_fallback(content: dict[str, Any]) -> None:
    content["model"]["byte_fallback"] = False


SPM_FORMS: dict[str, Callable[[dict[str, Any]], None]] = {
    "as converted": lambda content: None,
    "metaspace": metaspace,
    "metaspace, words": metaspace_words,
    "without fallback": without_fallback,
}


def added(content: dict[str, Any], text: str, **flags: bool) -> None:
    content["model"]["vocab"].setdefault(text, len(content["model"]["vocab"]))
    token = {"id": content["model"]["vocab"][text], "content": text, "special": False, "single_word": False}
    content["added_tokens"].append({**token, "lstrip": False, "rstrip": False, "normalized": False, **flags})


def check(content: dict[str, Any], texts: list[str]) -> None:
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.encode_special_tokens = True
    found = JsonReference(content).encode(texts)
    for text, ids in zip(texts, found, strict=True):
        assert ids.tolist() == tokenizer.encode(text, add_special_tokens=False).ids, text


@pytest.mark.parametrize("form", SPM_FORMS)
@pytest.mark.parametrize("with_added", [False, True])
def test_equals_tokenizers_in_the_sentencepiece_family(form: str, with_added: bool) -> None:
    content = tokenizer_json(trained())
    SPM_FORMS[form](content)
    if with_added:
        added(content, "図書館")
        added(content, "東京", normalized=True)
        added(content, "東京駅の前")
        added(content, " the ")
    check(content, strings(300, ("the", "東京", "図書館", "東京駅")))


@pytest.mark.parametrize("ignore_merges", [False, True])
@pytest.mark.parametrize("form", ["NFC", "NFKC", None])
def test_equals_tokenizers_in_the_byte_level_family(
    tmp_path: Path, ignore_merges: bool, form: str | None
) -> None:
    base = tiny.byte_level(tmp_path / "base", ignore_merges)
    content = json.loads(
        (tiny.extend_byte_level(base, tmp_path / "out") / "tokenizer.json").read_text("utf-8")
    )
    content["normalizer"] = form and {"type": form}
    added(content, "図書館")
    check(content, strings())


def test_a_word_that_is_an_entry_is_taken_whole_only_where_the_file_says_so(tmp_path: Path) -> None:
    content = json.loads((tiny.byte_level(tmp_path) / "tokenizer.json").read_text("utf-8"))
    # No merge leads to it.
    content["model"]["vocab"]["qzqz"] = 702
    for whole, ids in ((True, [702]), (False, [content["model"]["vocab"][c] for c in "qzqz"])):
        content["model"]["ignore_merges"] = whole
        assert JsonReference(content).encode(["qzqz"])[0].tolist() == ids


def test_gpt_2_words_and_merges_as_strings() -> None:
    tokenizer = Tokenizer(models.BPE())
    from tokenizers import decoders, pre_tokenizers

    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.add_tokens([AddedToken("cat", normalized=False)])
    content = json.loads(tokenizer.to_str())
    content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
    check(content, strings())


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda c: c["model"].update(dropout=0.1), "dropout"),
        (lambda c: c["model"].update(type="WordPiece"), "WordPiece"),
        (lambda c: c["model"].update(end_of_word_suffix="</w>"), "suffixes"),
        (lambda c: added(c, "x", lstrip=True), "'x'"),
    ],
)
def test_refuses_what_it_does_not_define(edit: Callable[[dict[str, Any]], None], words: str) -> None:
    content = tokenizer_json(trained())
    edit(content)
    with pytest.raises(UserError, match=words):
        JsonReference(content, "base")


def test_real_lines(test_data: Path) -> None:
    """Fast, SentencePiece and both references on lines of real text."""
    model = tiny.mistral().extended(tiny.spm_pieces()).model
    lines: list[str] = []
    for name in ("aozora", "en-books"):
        with gzip.open(test_data / name / "docs.jsonl.gz", "rt", encoding="utf-8") as rows:
            for _, row in zip(range(9), rows, strict=False):
                lines += [line for line in json.loads(row)["text"].split("\n") if line][:400]
    assert len(lines) > 2000
    content = tokenizer_json(model, base=len(tiny.mistral()))
    expected = model.processor().encode(lines)
    assert [ids.tolist() for ids in SpmReference(model).encode(lines)] == expected
    assert [ids.tolist() for ids in JsonReference(content).encode(lines)] == expected
