"""eval.perplexity: every token once, the same bits as a plain forward pass, per character."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from made_artifacts import as_input, documents
from tiny_llama import make_folder, make_tokenizer
from watari.artifact.hashing import hash_file
from watari.artifact.kinds import Kind
from watari.artifact.rows import read_rows
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.errors import UserError
from watari.evals.bits import bits_of
from watari.evals.perplexity import Params, run
from watari.pretrained import load_model, load_tokenizer
from watari.pretrained.rolling import windows

torch.set_num_threads(1)

TEXTS = [
    ("en", "Once upon a time there was a little girl who lived in a small town by the sea. " * 4),
    ("en", "The red ball was too high."),
    ("en", "a"),
    ("ja", "むかしむかし、あるところに女の子がいました。"),
    ("ja", "赤いボール。" * 20),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> InputArtifact:
    return as_input("base", make_folder(tmp_path_factory.mktemp("model"), seed=5), Kind.MODEL)


def measure(out: Path, model: InputArtifact, *found: InputArtifact, **params: Any) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    checked = Params(model="base", documents=[item.name for item in found], **params)
    return run(checked, Inputs({"model": [model], "documents": list(found)}), out, Silent()).metrics


@given(st.integers(0, 60), st.integers(1, 20), st.data())
def test_every_token_is_counted_once_with_all_the_context_there_is(
    length: int, window: int, data: Any
) -> None:
    stride = data.draw(st.integers(1, window))
    ids = list(range(100, 100 + length))
    counted = []
    for item in windows(0, ids, 1, window=window, stride=stride):
        assert len(item.ids) <= window + 1
        counted += item.ids[-item.new :]
        first = item.ids[-item.new - 1]
        assert first == 1 or len(item.ids) == window + 1 or item.ids[0] == 1
    assert counted == ids


@pytest.mark.parametrize(("window", "stride"), [(256, 128), (16, 8), (16, 16), (7, 3), (2, 1)])
def test_bits_are_those_of_a_plain_forward_pass(model: InputArtifact, window: int, stride: int) -> None:
    loaded, tokenizer = load_model(model.path), load_tokenizer(model.path)
    documents = [tokenizer.encode(text, add_special_tokens=False) for _, text in TEXTS]
    found = bits_of(loaded, documents, start=1, window=window, stride=stride)
    for ids, bits in zip(documents, found, strict=True):
        expected = 0.0
        for item in windows(0, ids, 1, window=window, stride=stride):
            with torch.no_grad():
                logits = loaded(input_ids=torch.tensor([item.ids])).logits[0].double()
            losses = -torch.log_softmax(logits, -1)[
                torch.arange(len(item.ids) - 1), torch.tensor(item.ids[1:])
            ]
            expected += float(losses[-item.new :].sum()) / math.log(2)
        assert bits == pytest.approx(expected, rel=1e-5)


def test_figures_are_sums_over_characters(tmp_path: Path, model: InputArtifact) -> None:
    docs = documents("docs", tmp_path / "docs", TEXTS)
    metrics = measure(tmp_path / "o", model, docs)
    lines = [
        json.loads(line) for line in (tmp_path / "o" / "documents.jsonl").read_text("utf-8").splitlines()
    ]
    rows = {(row["metric"], row["group"]): row for row in read_rows(tmp_path / "o")}
    for language in ("en", "ja"):
        texts = [text for own, text in TEXTS if own == language]
        bits = sum(line["bits"] for line in lines if line["language"] == language)
        figure = metrics[language]["bits_per_character"]
        row = rows["bits_per_character", language]
        assert figure["value"] == row["value"] == pytest.approx(bits / sum(map(len, texts)), rel=1e-4)
        assert rows["bits_per_byte", language]["value"] == pytest.approx(
            bits / len("".join(texts).encode()), rel=1e-4
        )
        assert row["n"] == len(texts)
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        assert metrics[language]["characters"] == sum(map(len, texts))
        assert metrics[language]["unknown_tokens"] == 0


def test_a_uniform_model_costs_the_log_of_its_vocabulary_a_token(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    make_folder(folder)
    zeroed = load_model(folder)
    torch.nn.init.zeros_(zeroed.get_output_embeddings().weight)
    zeroed.save_pretrained(str(folder))
    docs = documents("docs", tmp_path / "docs", TEXTS[3:])
    metrics = measure(tmp_path / "o", as_input("base", folder, Kind.MODEL), docs)["ja"]
    expected = math.log2(420) * metrics["tokens"] / metrics["characters"]
    assert metrics["bits_per_character"]["value"] == pytest.approx(expected, rel=1e-5)


def test_same_bytes_again_whatever_the_order(tmp_path: Path, model: InputArtifact) -> None:
    one = documents("docs", tmp_path / "docs", TEXTS)
    first, second = (documents(name, tmp_path / name, []) for name in ("a", "b"))
    assert measure(tmp_path / "o", model, first, one) == measure(tmp_path / "p", model, one, second)
    for name in ("rows.parquet", "documents.jsonl"):
        assert hash_file(tmp_path / "o" / name) == hash_file(tmp_path / "p" / name)


def test_limits_by_language_and_by_document(tmp_path: Path, model: InputArtifact) -> None:
    many = documents("docs", tmp_path / "docs", [("ja", f"文書{i}。" * 30) for i in range(40)] + TEXTS[:1])
    metrics = measure(tmp_path / "o", model, many, characters=300, per_document=50)
    assert metrics["ja"]["characters"] == 300
    assert metrics["ja"]["bits_per_character"]["n"] == 6
    assert metrics["en"]["characters"] == 50
    assert metrics["en"]["bits_per_character"]["ci_low"] is None


def test_without_bos_the_end_token_starts_a_document(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model")
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    del config["bos_token"]
    make_tokenizer(folder, bos=False)
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    docs = documents("docs", tmp_path / "docs", TEXTS[:2])
    assert measure(tmp_path / "o", as_input("base", folder, Kind.MODEL), docs)["en"]["tokens"] > 0
    del config["eos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(UserError, match="neither BOS nor EOS"):
        measure(tmp_path / "o", as_input("base", folder, Kind.MODEL), docs)


def test_nothing_to_measure_is_refused(tmp_path: Path, model: InputArtifact) -> None:
    with pytest.raises(UserError, match="no document"):
        measure(tmp_path / "o", model, documents("docs", tmp_path / "docs", [("ja", " ")]))
    with pytest.raises(ValueError, match="stride"):
        Params(model="base", documents="docs", window=8, stride=9)
