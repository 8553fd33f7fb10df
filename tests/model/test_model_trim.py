"""`model.trim`: the kept rows and all other weights keep their bits, and a text of kept tokens its logits."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from made_artifacts import as_input
from many_scripts import DROPPED, ENGLISH, JAPANESE, make_byte_level
from tiny_llama import make_model
from watari.artifact.kinds import Kind
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.stage import Inputs, Silent, StageResult
from watari.errors import UserError
from watari.model import trim
from watari.pretrained import load_model
from watari.pretrained.trimmed import Trim, read_trim, write_trim
from watari.tokenizer.trim import Asked, trim_tokenizer

torch.set_num_threads(1)
PAD = 24
"""Rows of the bases behind their tokenizer's."""


@dataclass
class World:
    """A tokenizer, its trimmed form, and where models can be made."""

    base: Path
    tokenizer: Path
    trim: Trim
    size: int


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("trim-model")
    # Special tokens before the vocabulary and behind it: bos is 0, and one id moves.
    base = make_byte_level(root / "base", first=True)
    trim_tokenizer(base, root / "trimmed", Asked(drop=["ko", "ru", "ar"], align=8, fuzz=100))
    found = read_trim(root / "trimmed")
    return World(base, root / "trimmed", found, found.base_vocabulary)


def model(world: World, folder: Path, **settings: Any) -> Path:
    shutil.copytree(world.base, folder)
    make_model(folder, rows=world.size + PAD, **{"bos_token_id": 0, "eos_token_id": 1, **settings})
    return folder


def run(base: Path, tokenizer: Path, out: Path) -> StageResult:
    out.mkdir(parents=True)
    inputs = Inputs(
        {
            "base": [as_input("base", base, Kind.MODEL)],
            "tokenizer": [as_input("tok", tokenizer, Kind.TOKENIZER)],
        }
    )
    return trim.run(trim.Params(base="base", tokenizer="tok"), inputs, out, Silent())


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("shards", [False, True])
def test_rows_are_picked_and_all_else_keeps_its_bits(
    world: World, tmp_path: Path, tied: bool, shards: bool
) -> None:
    base = model(world, tmp_path / "base", tied=tied)
    if shards:
        loaded = load_model(base)
        (base / "model.safetensors").unlink()
        loaded.save_pretrained(base, max_shard_size="60KB")
        assert len(list(base.glob("*.safetensors"))) > 2
    told = run(base, world.tokenizer, tmp_path / "out").metrics
    before, after = load_model(base), load_model(tmp_path / "out")
    old, new = before.state_dict(), after.state_dict()
    assert set(old) == set(new)
    tables = {"model.embed_tokens.weight", "lm_head.weight"}
    for name, weight in old.items():
        expected = weight[world.trim.kept] if name in tables else weight
        assert torch.equal(new[name], expected), name
    same = after.get_output_embeddings().weight is after.get_input_embeddings().weight
    assert same == tied
    assert (
        after.config.vocab_size
        == world.trim.vocabulary
        == len(AutoTokenizer.from_pretrained(tmp_path / "out"))
    )
    assert told == {
        "vocabulary_before": world.size,
        "vocabulary": world.trim.vocabulary,
        "padding_rows_dropped": PAD,
        "tied": tied,
        "parameters_before": before.num_parameters(),
        "parameters": after.num_parameters(),
    }
    if shards:
        index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text("utf-8"))
        assert index["metadata"]["total_size"] == 4 * after.num_parameters()


def test_logits_of_kept_ids_on_text_of_kept_tokens(world: World, tmp_path: Path) -> None:
    base = model(world, tmp_path / "base")
    run(base, world.tokenizer, tmp_path / "out")
    one, two = (
        AutoModelForCausalLM.from_pretrained(base),
        AutoModelForCausalLM.from_pretrained(tmp_path / "out"),
    )
    first, second = AutoTokenizer.from_pretrained(base), AutoTokenizer.from_pretrained(tmp_path / "out")
    table = torch.tensor(world.trim.new_ids())
    for text in (ENGLISH[0], *JAPANESE[:4]):
        before, after = first(text, return_tensors="pt"), second(text, return_tensors="pt")
        assert torch.equal(table[before["input_ids"]], after["input_ids"])
        with torch.no_grad():
            logits, trimmed = one(**before).logits, two(**after).logits
            states = one.model(**before).last_hidden_state
            assert torch.equal(states, two.model(**after).last_hidden_state), (
                "what comes before the head is untouched"
            )
        # The same products of the same numbers; a narrower matrix may add them up in another order.
        assert torch.allclose(logits[..., world.trim.kept], trimmed, rtol=1e-5, atol=1e-5)
    assert second.decode(after["input_ids"][0], skip_special_tokens=True) == JAPANESE[3]
    ids = second(DROPPED[0], return_tensors="pt")
    two.generate(**ids, max_new_tokens=4, do_sample=False)
    assert second.decode(ids["input_ids"][0], skip_special_tokens=True) == DROPPED[0]


def test_half_precision_keeps_its_bits_and_type(world: World, tmp_path: Path) -> None:
    base = model(world, tmp_path / "base")
    loaded = load_model(base, dtype="bfloat16")
    loaded.save_pretrained(base)
    run(base, world.tokenizer, tmp_path / "out")
    before, after = load_model(base, dtype="auto"), load_model(tmp_path / "out", dtype="auto")
    assert after.dtype is torch.bfloat16
    assert torch.equal(before.lm_head.weight[world.trim.kept], after.lm_head.weight)


def test_a_tied_head_that_stands_in_the_files_too(world: World, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    base = model(world, tmp_path / "base", tied=True)
    weights = load_file(base / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    told = run(base, world.tokenizer, tmp_path / "out").metrics
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert found["lm_head.weight"].shape == (world.trim.vocabulary, 32)
    assert torch.equal(found["lm_head.weight"], found["model.embed_tokens.weight"])
    assert told["tied"]
    assert told["parameters"] == load_model(tmp_path / "out").num_parameters()


def test_ids_in_the_settings_follow(world: World, tmp_path: Path) -> None:
    base = model(world, tmp_path / "base")
    last = world.trim.kept[-1]
    gone = next(index for index in range(world.size) if index not in set(world.trim.kept))
    path = base / "generation_config.json"
    content = json.loads(path.read_text("utf-8"))
    content |= {
        "eos_token_id": [1, last],
        "pad_token_id": last,
        "suppress_tokens": [gone, last],
        "bad_words_ids": [[last, 1], [gone, 1]],
        "force_words_ids": [[[last], [gone]]],
        "temperature": 0.7,
    }
    path.write_text(json.dumps(content))
    config = json.loads((base / "config.json").read_text("utf-8"))
    config |= {"pad_token_id": -1, "eos_token_id": last}
    (base / "config.json").write_text(json.dumps(config))
    run(base, world.tokenizer, tmp_path / "out")
    new = world.trim.vocabulary - 1
    assert new != last
    written = json.loads((tmp_path / "out" / "config.json").read_text("utf-8"))
    assert (written["bos_token_id"], written["eos_token_id"], written["pad_token_id"]) == (0, new, -1)
    assert {**config, "vocab_size": 0} == {**written, "vocab_size": 0, "eos_token_id": last}
    generation = json.loads((tmp_path / "out" / "generation_config.json").read_text("utf-8"))
    assert generation == {
        **content,
        "eos_token_id": [1, new],
        "pad_token_id": new,
        "suppress_tokens": [new],
        "bad_words_ids": [[new, 1]],
        "force_words_ids": [[[new]]],
    }


def test_a_nested_config(world: World) -> None:
    given = {"model_type": "x", "text_config": {"vocab_size": 9, "eos_token_id": 1}, "bos_token_id": None}
    moved = trim._moved(given, {1: 0}, "config.json")
    trim._set_vocabulary(moved, 5)
    assert moved == {
        "model_type": "x",
        "text_config": {"vocab_size": 5, "eos_token_id": 0},
        "bos_token_id": None,
    }
    assert given["text_config"]["vocab_size"] == 9


def test_same_bytes_again(world: World, tmp_path: Path) -> None:
    base = model(world, tmp_path / "base")
    for name in "ab":
        run(base, world.tokenizer, tmp_path / name)
    assert digest_of(list_files(tmp_path / "a")) == digest_of(list_files(tmp_path / "b"))


def test_mistakes_are_told_in_words(world: World, tmp_path: Path) -> None:
    base = model(world, tmp_path / "base")
    with pytest.raises(UserError, match=r"was not made by tokenizer\.trim"):
        run(base, world.base, tmp_path / "a")
    other = tmp_path / "other"
    shutil.copytree(world.tokenizer, other)
    write_trim(world.trim.model_copy(update={"base_digest": "0" * 32}), other)
    with pytest.raises(
        UserError, match=f"trimmed from a tokenizer of {world.size:,} ids that is not the one of base"
    ):
        run(base, other, tmp_path / "b")
    config = json.loads((base / "config.json").read_text("utf-8"))
    (base / "config.json").write_text(json.dumps({**config, "pad_token_id": world.size + 3}))
    with pytest.raises(
        UserError, match=f"base: config.json: pad_token_id is {world.size + 3}, which the trimmed"
    ):
        run(base, world.tokenizer, tmp_path / "c")
    small = tmp_path / "small"
    shutil.copytree(world.base, small)
    make_model(small, rows=world.size - 8, bos_token_id=0, eos_token_id=1)
    with pytest.raises(UserError, match="embedding rows for a tokenizer of"):
        run(small, world.tokenizer, tmp_path / "d")
