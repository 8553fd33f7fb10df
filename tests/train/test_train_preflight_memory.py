"""The memory estimate against what autograd really keeps, and what it says of adapters, processes and machines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tiny_llama import make_model, make_tokenizer
from watari.pretrained import load_model
from watari.train import lora, memory
from watari.train.batches import Sample, lay_out
from watari.train.device import Compute
from watari.train.language_model import LanguageModel
from watari.train.memory import Machine, size_words, token_tables, trainable_count, training_memory
from watari.train.settings import LoraParams
from watari.train.sft import Params

SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "initializer_range": 0.05,
}


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    made: dict[str, Path] = {}

    def make(**shape: Any) -> Path:
        name = repr(sorted(shape.items()))
        if name not in made:
            made[name] = tmp_path_factory.mktemp("memory")
            make_tokenizer(made[name])
            make_model(made[name], **{**SHAPE, **shape})
        return made[name]

    return make


def kept_by_autograd(folder: Path, dtype: torch.dtype, *, rows: int, width: int) -> int:
    """Return the bytes that a forward pass keeps for backward, weights aside."""
    model = LanguageModel(load_model(folder), Compute(torch.device("cpu"), dtype))
    draw = np.random.Generator(np.random.PCG64(0))
    samples = [
        [Sample(str(n), draw.integers(3, 400, width + 1).astype(np.int32), np.ones(width + 1, np.bool_))]
        for n in range(rows)
    ]
    own = {parameter.untyped_storage().data_ptr() for parameter in model.model.parameters()}
    sizes: dict[int, int] = {}
    alive = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.hidden(lay_out(samples))
    return sum(sizes.values())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(("rows", "width"), [(8, 96), (2, 512)])
def test_activations_are_those_that_autograd_keeps(
    folder_of: Callable[..., Path], dtype: torch.dtype, rows: int, width: int
) -> None:
    """Of two models that differ in depth alone, so that what does not belong to layers cancels out."""
    deep, flat = (folder_of(num_hidden_layers=layers) for layers in (6, 2))
    kept = kept_by_autograd(deep, dtype, rows=rows, width=width) - kept_by_autograd(
        flat, dtype, rows=rows, width=width
    )

    def said(folder: Path) -> int:
        given = {"pass_tokens": rows * width, "sequence": width, "batch": rows}
        return training_memory(folder, **given, bf16=dtype == torch.bfloat16).activations

    assert said(deep) - said(flat) == pytest.approx(kept, rel=0.15)


def test_what_is_known_is_16_bytes_a_parameter(folder_of: Callable[..., Path]) -> None:
    folder = folder_of()
    count = sum(p.numel() for p in load_model(folder).parameters())
    found = training_memory(folder, pass_tokens=512, sequence=128, batch=8)
    assert (found.parameters, found.trainable, found.known) == (count, count, 16 * count)
    assert found.total == found.known + found.activations + found.head + found.runtime


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("targets", ["linear", ["q_proj", "v_proj"]])
@pytest.mark.parametrize("first_new", [None, 400])
def test_adapters_are_counted_as_they_are_attached(
    folder_of: Callable[..., Path], tied: bool, targets: Any, first_new: int | None
) -> None:
    folder = folder_of(tied=tied) if tied else folder_of()
    params = LoraParams(rank=4, targets=targets)
    model = load_model(folder)
    lora.attach(model, params, new_rows_from=first_new, seed=0, stage="t")
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trainable_count(folder, params, first_new) == trained


def test_adapters_need_less(folder_of: Callable[..., Path]) -> None:
    given = {"pass_tokens": 512, "sequence": 128, "batch": 8}
    full = training_memory(folder_of(), **given)
    small = training_memory(folder_of(), **given, lora=LoraParams(rank=4))
    assert small.gradients + small.optimizer < 0.3 * (full.gradients + full.optimizer)
    assert full.weights < small.weights < 1.3 * full.weights


def test_what_lowers_it_lowers_it(folder_of: Callable[..., Path]) -> None:
    given = {"pass_tokens": 2048, "sequence": 128, "batch": 64}
    plain = training_memory(folder_of(), **given)
    assert (
        training_memory(folder_of(), **given, checkpoint_activations=True).activations < plain.activations / 2
    )
    assert training_memory(folder_of(), **given, bf16=False).activations > plain.activations
    divided = training_memory(folder_of(), **given, processes=4, divided=True)
    assert divided.known == plain.known // 4
    copies = training_memory(folder_of(), **given, processes=64)
    assert (copies.known, copies.activations < plain.activations) == (plain.known, True)


def test_a_stage_says_what_all_its_processes_need(folder_of: Callable[..., Path]) -> None:
    def needed(**changed: Any) -> int:
        params = Params(model="m", data="d", pass_tokens=1024, sequence=128, batch=64, **changed)
        return memory.training_bytes(folder_of(), pass_tokens=1024, sequence=128, batch=64, params=params)

    assert needed(processes=3) == pytest.approx(3 * needed(), rel=0.01)
    assert needed(processes=2, sharding="fsdp") < 2 * needed()
    assert needed(lora={"rank": 2}) < needed()


def test_a_layers_matrix_of_vocabulary_width_is_no_table(tmp_path: Path) -> None:
    make_tokenizer(tmp_path)
    make_model(tmp_path, rows=420, **{**SHAPE, "intermediate_size": 420})
    assert sorted(token_tables(tmp_path)) == ["lm_head.weight", "model.embed_tokens.weight"]


def test_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 8_000)
    monkeypatch.setattr(memory, "resident_memory", lambda: 500)
    assert Machine.of(torch.device("cpu"), processes=2) == Machine("this machine", 4_000, 500)


@pytest.mark.parametrize("version", [1, 2])
def test_a_control_groups_limit_counts(version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        1: ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
        2: ("memory.max", "memory.current"),
    }[version]
    for name, value in zip(names, ("5000000", "2000000"), strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(value + "\n")
    whole = memory.available_memory()
    real = Path
    monkeypatch.setattr(memory, "Path", lambda place: tmp_path if place == "/sys/fs/cgroup" else real(place))
    assert memory.available_memory() == 3_000_000 < whole
    (tmp_path / names[0]).write_text("max\n")
    assert memory.available_memory() > 3_000_000


def test_sizes_are_readable() -> None:
    said = [size_words(count) for count in (12, 7_300, 812_000_000, 30_240_000_000, 2.5e12)]
    assert said == ["12 B", "7 kB", "812 MB", "30.2 GB", "2.5 TB"]
