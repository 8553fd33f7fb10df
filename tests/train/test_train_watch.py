"""Bits per character during training: the right number, at the right steps, the same after a resume; forgetting is told."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tiny_llama import TEXT
from watari.artifact.kinds import Kind
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.errors import Interrupted, UserError
from watari.pretrained import load_model, load_tokenizer
from watari.pretrained.encoding import encode_documents
from watari.train import pretrain
from watari.train.watch import held_back

Shard = Callable[..., InputArtifact]
Rows = Callable[..., InputArtifact]


@pytest.fixture
def held(rows_of: Rows) -> InputArtifact:
    """Seven documents in two languages, one of them longer than the window."""
    rows = [
        {"id": f"d{index}", "text": text * (1 + 3 * (index == 2)), "language": "ja" if index == 3 else "en"}
        for index, text in enumerate([*TEXT, TEXT[0][:30], TEXT[1][5:50]])
    ]
    return rows_of("held", Kind.DOCUMENTS, rows)


def run(
    tiny: InputArtifact,
    data: InputArtifact,
    held: InputArtifact,
    out: Path,
    progress: Any = None,
    **given: Any,
) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)
    params = pretrain.Params(
        model="base",
        data=["d"],
        evaluate=["held"],
        **{
            "batch": 4,
            "sequence": 32,
            "threads": 1,
            "tokens": 4 * 32 * 9,
            "lr": 1e-2,
            "precision": "fp32",
            "checkpoint_steps": 2,
            **given,
        },
    )
    inputs = Inputs({"model": [tiny], "data": [data], "evaluate": [held]})
    return pretrain.run(params, inputs, out, progress or Silent()).metrics


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "eval_log.jsonl").read_text("utf-8").splitlines()]


def plain_bits(folder: Path, texts: list[str], window: int) -> float:
    """Bits per character by the model's own logits, window by window, token by token."""
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    bits = 0.0
    for ids in encode_documents(tokenizer, texts):
        whole = [1, *ids]
        end = 1
        while end < len(whole):
            new = min(window if end == 1 else window // 2, len(whole) - end)
            begin = max(0, end + new - 1 - window)
            piece = torch.tensor([whole[begin : end + new]])
            with torch.no_grad():
                scores = torch.log_softmax(model(input_ids=piece[:, :-1], use_cache=False).logits, -1)
            picked = scores[0].gather(1, piece[0, 1:, None])[-new:]
            bits -= float(picked.double().sum()) / math.log(2)
            end += new
    return bits / sum(map(len, texts))


def test_the_bits_are_those_of_the_plain_model(
    tiny: InputArtifact, shard_of: Shard, stories: list[list[int]], held: InputArtifact, tmp_path: Path
) -> None:
    metrics = run(tiny, shard_of("d", stories), held, tmp_path / "out", evaluate_steps=4)
    lines = log(tmp_path / "out")
    assert [line["step"] for line in lines] == [0, 0, 4, 4, 8, 8, 9, 9]
    assert [line["language"] for line in lines] == ["en", "ja"] * 4
    japanese, english = [TEXT[3]], [TEXT[0], TEXT[1], TEXT[2] * 4, TEXT[4], TEXT[0][:30], TEXT[1][5:50]]
    assert lines[1]["characters"] == len(TEXT[3])
    assert lines[0]["documents"] == 6
    for place, folder in ((0, tiny.path), (-2, tmp_path / "out")):
        assert lines[place]["bits_per_character"] == pytest.approx(plain_bits(folder, english, 32), rel=1e-5)
        assert lines[place + 1]["bits_per_character"] == pytest.approx(
            plain_bits(folder, japanese, 32), rel=1e-5
        )
    told = metrics["bits_per_character"]["en"]
    assert told["first"] == lines[0]["bits_per_character"]
    assert told["last"] == lines[-2]["bits_per_character"]
    # Trained on made-up ids alone, the little that the model had is forgotten.
    assert told["change"] == pytest.approx(told["last"] / told["first"] - 1, abs=1e-6)


def test_measuring_changes_nothing_else(
    tiny: InputArtifact, shard_of: Shard, stories: list[list[int]], held: InputArtifact, tmp_path: Path
) -> None:
    data = shard_of("d", stories)
    run(tiny, data, held, tmp_path / "watched", evaluate_steps=1)
    (tmp_path / "plain").mkdir()
    params = pretrain.Params(
        model="base",
        data=["d"],
        batch=4,
        sequence=32,
        threads=1,
        tokens=4 * 32 * 9,
        lr=1e-2,
        precision="fp32",
    )
    pretrain.run(params, Inputs({"model": [tiny], "data": [data]}), tmp_path / "plain", Silent())
    for name in ("model.safetensors", "train_log.jsonl"):
        assert (tmp_path / "watched" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    assert not (tmp_path / "plain" / "eval_log.jsonl").exists()


class Stop(Silent):
    def __init__(self, at: int) -> None:
        self.at, self.seen = at, 0

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        self.seen += 1

    def stop_requested(self) -> bool:
        return self.seen >= self.at


def test_a_stop_at_any_step_changes_nothing(
    tiny: InputArtifact, shard_of: Shard, stories: list[list[int]], held: InputArtifact, tmp_path: Path
) -> None:
    data = shard_of("d", stories)
    whole = run(tiny, data, held, tmp_path / "whole", evaluate_steps=3, snapshot_steps=4)
    for at in (2, 3, 4, 8):
        out = tmp_path / str(at)
        with pytest.raises(Interrupted):
            run(tiny, data, held, out, Stop(at), evaluate_steps=3, snapshot_steps=4)
        assert run(tiny, data, held, out, evaluate_steps=3, snapshot_steps=4) == whole
        assert digest_of(list_files(out)) == digest_of(list_files(tmp_path / "whole"))


def test_snapshots_are_the_model_of_that_step(
    tiny: InputArtifact, shard_of: Shard, stories: list[list[int]], held: InputArtifact, tmp_path: Path
) -> None:
    data = shard_of("d", stories)
    run(tiny, data, held, tmp_path / "out", snapshot_steps=3, schedule="constant", warmup=0)
    snapshots = sorted(folder.name for folder in (tmp_path / "out" / "snapshots").iterdir())
    assert snapshots == ["step-3", "step-6", "step-9"]
    last = (tmp_path / "out" / "snapshots" / "step-9" / "model.safetensors").read_bytes()
    assert last == (tmp_path / "out" / "model.safetensors").read_bytes()
    third = tmp_path / "out" / "snapshots" / "step-3"
    assert (third / "model.safetensors").read_bytes() != last
    assert load_tokenizer(third).bos_token_id == 1
    # With a constant rate, three steps of nine are what the first three are.
    assert log(tmp_path / "out")[2]["step"] == 1
    english = [TEXT[0], TEXT[1], TEXT[2] * 4, TEXT[4], TEXT[0][:30], TEXT[1][5:50]]
    measured = next(line for line in log(tmp_path / "out") if line["step"] == 3)
    assert measured["bits_per_character"] == pytest.approx(plain_bits(third, english, 32), rel=1e-5)


def test_nothing_to_measure_is_told(
    tiny: InputArtifact, shard_of: Shard, stories: list[list[int]], rows_of: Rows, tmp_path: Path
) -> None:
    blank = rows_of("blank", Kind.DOCUMENTS, [{"id": "a", "text": "  ", "language": "en"}])
    with pytest.raises(UserError, match="evaluate: no document with text"):
        run(tiny, shard_of("d", stories), blank, tmp_path / "out")


def test_every_stage_measures_the_same_documents(tiny: InputArtifact, rows_of: Rows) -> None:
    rows = [
        {"id": f"d{index}", "text": f"{TEXT[index % 5]} {index}", "language": "en"} for index in range(40)
    ]
    held = rows_of("held", Kind.DOCUMENTS, rows)
    tokenizer = load_tokenizer(tiny.path)

    def ids(stage: str, seed: int) -> list[list[int]]:
        (text,) = held_back([held], tokenizer, characters=300, sequence=64, seed=seed, stage=stage)
        return [sample.ids.tolist() for sample in text.samples]

    assert ids("train.sft", 1) == ids("train.dpo", 1)
    assert ids("train.sft", 1) != ids("train.sft", 2)
