"""`model.load`: what is taken from a folder or the hub, what is left behind, what is refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from hub_stand_in import run_python, serving, settings
from tiny_llama import make_folder
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.outside import packaged_file
from watari.artifact.stage import Inputs, Silent, StageResult
from watari.errors import UserError
from watari.model import load
from watari.pretrained import load_model, load_tokenizer
from watari.pretrained.sentencepiece import read_spm

torch.set_num_threads(1)


def run(path: Path | str, out: Path, revision: str | None = None) -> StageResult:
    out.mkdir(parents=True, exist_ok=True)
    return load.run(load.Params(path=str(path), revision=revision), Inputs(), out, Silent())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = make_folder(tmp_path / "source")
    (folder / "README.md").write_text("words")
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    (folder / "pytorch_model.bin").write_bytes(b"\x80pickle")
    (folder / "optimizer.pt").write_bytes(b"\x80pickle")
    return folder


def test_takes_the_model_and_nothing_else(source: Path, tmp_path: Path) -> None:
    result = run(source, tmp_path / "out")
    assert sorted(entry.path for entry in list_files(tmp_path / "out")) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    model, original = load_model(tmp_path / "out"), load_model(source)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), original.parameters(), strict=True))
    assert load_tokenizer(tmp_path / "out")("a b")["input_ids"] == load_tokenizer(source)("a b")["input_ids"]
    assert result.metrics == {
        "parameters": original.num_parameters(),
        "vocabulary": 420,
        "dtypes": ["F32"],
        "model_type": "llama",
        "shards": 1,
    }
    run(source, tmp_path / "again")
    assert digest_of(list_files(tmp_path / "again")) == digest_of(list_files(tmp_path / "out"))


def test_weights_are_linked_and_copied_where_that_fails(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(source, tmp_path / "linked")
    inode = (source / "model.safetensors").stat().st_ino
    assert (tmp_path / "linked" / "model.safetensors").stat().st_ino == inode

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    run(source, tmp_path / "copied")
    assert (tmp_path / "copied" / "model.safetensors").stat().st_ino != inode
    assert digest_of(list_files(tmp_path / "copied")) == digest_of(list_files(tmp_path / "linked"))


def test_shards_come_with_their_index(source: Path, tmp_path: Path) -> None:
    model = load_model(source)
    (source / "model.safetensors").unlink()
    model.save_pretrained(source, max_shard_size="30KB")
    shards = sorted(source.glob("model-*.safetensors"))
    assert len(shards) > 2
    result = run(source, tmp_path / "out")
    assert result.metrics["shards"] == len(shards)
    assert result.metrics["parameters"] == model.num_parameters()
    assert load_model(tmp_path / "out").num_parameters() == model.num_parameters()
    shards[1].unlink()
    with pytest.raises(UserError, match=f"1 of {len(shards)} weight files are missing"):
        run(source, tmp_path / "missing")
    (source / "model.safetensors.index.json").write_text("{")
    with pytest.raises(UserError, match="not a readable index"):
        run(source, tmp_path / "index")


def test_index_cannot_reach_outside_the_folder(source: Path, tmp_path: Path) -> None:
    shutil.copyfile(source / "model.safetensors", tmp_path / "secret.safetensors")
    index = {"weight_map": {"w": "../secret.safetensors"}}
    (source / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="are missing"):
        run(source, tmp_path / "out")


def test_sentencepiece_alone_gets_a_fast_tokenizer(source: Path, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (source / name).unlink()
    shutil.copyfile(packaged_file("package://mistral-v1"), source / "tokenizer.model")
    assert run(source, tmp_path / "out").metrics["vocabulary"] == 32000
    reference = read_spm(source / "tokenizer.model").processor()
    fast = load_tokenizer(tmp_path / "out")
    for text in ("  two blanks", "猫と\n犬", "\ttab"):
        assert fast(text, add_special_tokens=False)["input_ids"] == reference.encode(text)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("no-config", "no config.json"),
        ("pickle", "weights only as pickle"),
        ("no-weights", "no weights"),
        ("no-tokenizer", "no tokenizer"),
        ("bad-tokenizer", "tokenizer cannot be read"),
        ("cut", "bytes where its header says"),
        ("cut-header", "not a whole safetensors file"),
        ("not-safetensors", "not a"),
        ("several", "no model.safetensors.index.json"),
    ],
)
def test_refuses_in_one_line(source: Path, tmp_path: Path, damage: str, words: str) -> None:
    weights = source / "model.safetensors"
    if damage == "no-config":
        (source / "config.json").unlink()
    elif damage in ("pickle", "no-weights"):
        weights.unlink()
        if damage == "no-weights":
            (source / "pytorch_model.bin").unlink()
            (source / "optimizer.pt").unlink()
    elif damage == "no-tokenizer":
        (source / "tokenizer.json").unlink()
    elif damage == "bad-tokenizer":
        (source / "tokenizer.json").write_text('{"version": 3}')
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-10])
    elif damage == "cut-header":
        weights.write_bytes(weights.read_bytes()[:100])
    elif damage == "not-safetensors":
        weights.write_bytes(b"\x10\0\0\0\0\0\0\0" + b"x" * 64)
    else:
        weights.rename(source / "a.safetensors")
        shutil.copyfile(source / "a.safetensors", source / "b.safetensors")
    with pytest.raises(UserError, match=words) as error:
        run(source, tmp_path / "out")
    assert "\n" not in str(error.value)


def test_missing_folder_and_pointless_revision(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        run(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(UserError, match="leave `revision` out"):
        run(source, tmp_path / "out2", revision="main")


_SCRIPT = """
import json, sys
from pathlib import Path
from watari.artifact.stage import Inputs, Silent
from watari.errors import UserError
from watari.model import load
out = Path(sys.argv[2]); out.mkdir()
try:
    print(json.dumps(load.run(load.Params(path=sys.argv[1]), Inputs(), out, Silent()).metrics))
except UserError as error:
    print(f"UserError: {error}")
"""


def in_new_process(environment: dict[str, str], path: str, out: Path) -> str:
    done = run_python(["-c", _SCRIPT, path, str(out)], environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_from_the_hub(source: Path, tmp_path: Path) -> None:
    with serving() as hub:
        commit = hub.push("models/org/tiny", source)
        environment = hub.settings(tmp_path / "home")
        metrics = json.loads(in_new_process(environment, "hf://org/tiny", tmp_path / "out"))
        assert metrics["commit"] == commit
        run(source, tmp_path / "local")
        assert digest_of(list_files(tmp_path / "out")) == digest_of(list_files(tmp_path / "local"))
        assert "model.safetensors" in hub.fetched()
        never = {"pytorch_model.bin", "optimizer.pt", "modeling_evil.py", "README.md"}
        assert not never & set(hub.fetched())
        offline = hub.settings(tmp_path / "home", offline=True)
        assert json.loads(in_new_process(offline, "org/tiny", tmp_path / "offline")) == metrics
        told = in_new_process(environment, "org/other", tmp_path / "none")
        assert told.startswith("UserError: org/other: not a local path, and the hub has no such model")
        assert "HF_TOKEN" in told


def test_a_hub_that_cannot_be_reached(tmp_path: Path) -> None:
    environment = settings("http://127.0.0.1:9", tmp_path / "home")
    told = in_new_process(environment, "org/tiny", tmp_path / "out")
    assert told.startswith("UserError: org/tiny: not a local path, and the hub does not answer")
    assert "with no network, download it first" in told
