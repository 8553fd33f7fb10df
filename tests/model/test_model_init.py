"""`model.init`: shapes, seeded weights, and a folder that transformers loads by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from made_artifacts import as_input
from tiny_llama import make_tokenizer
from watari.artifact.kinds import Kind
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.stage import Inputs, Silent, StageResult
from watari.errors import UserError
from watari.model import init
from watari.pretrained import load_model

torch.set_num_threads(1)
SMALL = {"hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "context": 64}


def run(out: Path, **params: Any) -> StageResult:
    out.mkdir(parents=True, exist_ok=True)
    chosen = init.Params(**{"tokenizer": "package://mistral-v1", **SMALL, **params})
    return init.run(chosen, Inputs(), out, Silent())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StageResult]:
    out = tmp_path_factory.mktemp("init")
    return out, run(out, seed=3)


def test_loads_with_no_code_of_ours_and_generates(made: tuple[Path, StageResult]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, result = made
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.config.vocab_size == len(tokenizer) == result.metrics["vocabulary"] == 32000
    assert result.metrics["parameters"] == model.num_parameters()
    assert result.metrics["embedding_parameters"] == 2 * 32000 * 32
    ids = tokenizer("Hello there", return_tensors="pt")
    assert ids["input_ids"][0, 0] == model.config.bos_token_id == 1
    assert model.generate(**ids, max_new_tokens=3, do_sample=False).shape[1] <= ids["input_ids"].shape[1] + 3
    assert model.generation_config.eos_token_id == 2
    assert model.config.rope_parameters["rope_theta"] == 10_000
    assert model.config.intermediate_size == 128


def test_same_seed_same_bytes_other_seed_other_weights(
    made: tuple[Path, StageResult], tmp_path: Path
) -> None:
    run(tmp_path / "again", seed=3)
    run(tmp_path / "other", seed=4)
    assert digest_of(list_files(tmp_path / "again")) == digest_of(list_files(made[0]))
    assert digest_of(list_files(tmp_path / "other")) != digest_of(list_files(made[0]))


def test_weights_depend_on_their_name_not_on_the_order(
    made: tuple[Path, StageResult], tmp_path: Path
) -> None:
    run(tmp_path / "deeper", seed=3, layers=3)
    shallow = dict(load_model(made[0]).named_parameters())
    deep = dict(load_model(tmp_path / "deeper").named_parameters())
    assert len(deep) > len(shallow)
    for name, weight in shallow.items():
        assert torch.equal(weight, deep[name]), name
    firsts = {weight.flatten()[0].item() for weight in shallow.values() if weight.dim() > 1}
    assert len(firsts) == sum(weight.dim() > 1 for weight in shallow.values())


def test_spread_and_norms(tmp_path: Path) -> None:
    run(tmp_path, initializer_range=0.05)
    for name, weight in load_model(tmp_path).named_parameters():
        if weight.dim() == 1:
            assert (weight == 1).all(), name
        else:
            assert abs(float(weight.std()) - 0.05) < 0.005, name
            assert abs(float(weight.mean())) < 0.005, name


def test_tied_and_half_precision(tmp_path: Path) -> None:
    result = run(tmp_path, tie_embeddings=True, dtype="bfloat16")
    model = load_model(tmp_path, dtype="auto")
    assert model.dtype is torch.bfloat16
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert result.metrics["parameters"] == model.num_parameters()
    assert result.metrics["embedding_parameters"] == 32000 * 32


def test_folder_or_file_as_tokenizer(tmp_path: Path, made: tuple[Path, StageResult]) -> None:
    make_tokenizer(tmp_path / "small")
    result = run(tmp_path / "a", tokenizer=str(tmp_path / "small"))
    assert result.metrics["vocabulary"] == load_model(tmp_path / "a").config.vocab_size < 500
    assert (tmp_path / "a" / "tokenizer.json").read_bytes() == (
        tmp_path / "small" / "tokenizer.json"
    ).read_bytes()
    run(tmp_path / "b", tokenizer=str(made[0] / "tokenizer.model"), seed=3)
    assert digest_of(list_files(tmp_path / "b")) == digest_of(list_files(made[0]))
    assert as_input("b", tmp_path / "b", Kind.MODEL).manifest.digest


def test_mistakes_are_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no tokenizer there"):
        run(tmp_path, tokenizer=str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="known: package://mistral-v1"):
        run(tmp_path, tokenizer="package://llama-9")
    (tmp_path / "tokenizer.model").write_bytes(b"not this")
    with pytest.raises(UserError, match="not a SentencePiece model"):
        run(tmp_path, tokenizer=str(tmp_path / "tokenizer.model"))


@pytest.mark.parametrize(
    "wrong", [{"hidden": 30}, {"hidden": 36, "heads": 12}, {"heads": 4, "kv_heads": 3}, {"layers": 0}]
)
def test_shapes_that_do_not_fit(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        init.Params(**{"tokenizer": "package://mistral-v1", **SMALL, **wrong})
