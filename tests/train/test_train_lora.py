"""Adapters: what peft computes with the same factors, exact merging, ties kept, new rows trained whole."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from safetensors import safe_open
from torch import nn

from made_artifacts import as_input, documents
from small_japanese import japanese
from tiny_llama import make_folder
from watari.artifact.kinds import Kind
from watari.artifact.stage import Inputs, Silent
from watari.errors import UserError
from watari.model import graft, init
from watari.pretrained import load_model, save_model
from watari.tokenizer.build import extend_tokenizer, write_extension
from watari.tokenizer.goal import Goal
from watari.tokenizer.opening import open_base
from watari.tokenizer.policy import Policy
from watari.tokenizer.script import script_of
from watari.tokenizer.texts import Text
from watari.train import lora
from watari.train.batches import Sample, lay_out
from watari.train.device import Compute
from watari.train.head import cross_entropy
from watari.train.language_model import LanguageModel
from watari.train.lora.layers import GrownEmbedding, LoraLinear, TiedHead
from watari.train.memory import trainable_count
from watari.train.settings import LoraParams

torch.set_num_threads(1)
FIRST = 400
ROWS = 420
IDS = torch.tensor([[1, 5, 401, 9, 419, 400, 7], [1, 402, 402, 6, 30, 410, 2]])
FP32 = Compute(torch.device("cpu"), torch.float32)
SMALL = LoraParams(rank=4, alpha=8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """A tiny Llama by whether its head is tied; rows from FIRST on are taken for new."""
    root = tmp_path_factory.mktemp("lora")
    return {
        tied: make_folder(root / str(tied), tied=tied, initializer_range=0.1, attention_bias=not tied)
        for tied in (False, True)
    }


def attached(folder: Path, params: LoraParams = SMALL, first: int | None = FIRST, seed: int = 0) -> Any:
    model = load_model(folder)
    lora.attach(model, params, new_rows_from=first, seed=seed, stage="test")
    return model


def moved(model: Any, seed: int = 0, size: float = 0.05) -> Any:
    """Move everything that is trained, as training would."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=size)
    return model


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS, use_cache=False).logits


def summed_loss(model: Any) -> torch.Tensor:
    scores = model(input_ids=IDS, use_cache=False).logits[:, :-1].flatten(0, 1)
    return nn.functional.cross_entropy(scores, IDS[:, 1:].flatten(), reduction="sum")


def in_peft(folder: Path, ours: Any, params: LoraParams = SMALL, first: int | None = FIRST) -> Any:
    """Return peft's model with the factors and the new rows of ours."""
    new = None
    if first is not None:
        names = ["embed_tokens"] if ours.config.tie_word_embeddings else ["embed_tokens", "lm_head"]
        new = {name: list(range(first, ROWS)) for name in names}
    model = peft.get_peft_model(
        load_model(folder),
        peft.LoraConfig(
            r=params.rank,
            lora_alpha=params.alpha,
            target_modules="all-linear" if params.targets == "linear" else params.targets,
            trainable_token_indices=new,
            task_type="CAUSAL_LM",
        ),
    )
    model.eval()
    theirs = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in ours.named_parameters():
            if parameter.requires_grad:
                theirs[peft_name(name)].copy_(parameter)
    return model


def peft_name(name: str) -> str:
    name = name.replace("lora_A", "lora_A.default.weight").replace("lora_B", "lora_B.default.weight")
    return "base_model.model." + name.replace("new.weight", "token_adapter.trainable_tokens_delta.default")


def same_as_peft(folder: Path, params: LoraParams, first: int | None) -> None:
    ours = moved(attached(folder, params, first))
    theirs = in_peft(folder, ours, params, first)
    trained = {peft_name(name): p for name, p in ours.named_parameters() if p.requires_grad}
    assert set(trained) == {name for name, p in theirs.named_parameters() if p.requires_grad}
    torch.testing.assert_close(logits(ours), logits(theirs), rtol=1e-5, atol=1e-5)
    summed_loss(ours).backward()
    summed_loss(theirs).backward()
    for name, parameter in theirs.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(trained[name].grad, parameter.grad, rtol=1e-4, atol=1e-5)
            assert trained[name].grad.abs().max() > 1e-3, name


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("first", [None, FIRST])
def test_outputs_and_gradients_are_peft_s(folders: dict[bool, Path], tied: bool, first: int | None) -> None:
    """fp32: logits within 1e-5, gradients within 1e-4 of their size."""
    same_as_peft(folders[tied], SMALL, first)


@pytest.mark.parametrize(
    "params",
    [
        LoraParams(rank=2, alpha=3, targets=["q_proj", "v_proj"]),
        LoraParams(rank=5, alpha=1, targets=["mlp.down_proj"]),
        LoraParams(rank=1, alpha=64, targets=["model.layers.1.self_attn.o_proj", "gate_proj"]),
    ],
    ids=["two names", "end of a path", "whole path"],
)
def test_rank_alpha_and_targets_mean_what_they_mean_to_peft(
    folders: dict[bool, Path], params: LoraParams
) -> None:
    same_as_peft(folders[False], params, FIRST)


@pytest.mark.parametrize("tied", [False, True])
def test_at_first_the_model_is_the_base(folders: dict[bool, Path], tied: bool) -> None:
    base, model = load_model(folders[tied]), attached(folders[tied])
    assert torch.equal(logits(model), logits(base))
    assert torch.equal(model.get_input_embeddings().weight, base.get_input_embeddings().weight)
    assert torch.equal(model.get_output_embeddings().weight, base.get_output_embeddings().weight)


def test_the_first_factor_is_kaiming_uniform_and_keyed_by_seed_stage_and_layer(
    folders: dict[bool, Path],
) -> None:
    def factors(params: LoraParams, seed: int = 0) -> dict[str, torch.Tensor]:
        named = attached(folders[False], params, seed=seed).named_parameters()
        return {name: p.detach() for name, p in named if name.endswith("lora_A")}

    wide = LoraParams(rank=64, alpha=1)
    everywhere = factors(wide)
    assert len(everywhere) == 14
    for name, factor in everywhere.items():
        bound = factor.shape[1] ** -0.5
        assert factor.abs().max() <= bound, name
        torch.testing.assert_close(factor.std(), torch.tensor(bound / 3**0.5), rtol=0.05, atol=0)
    few = factors(LoraParams(rank=64, alpha=1, targets=["v_proj"]))
    assert all(torch.equal(factor, everywhere[name]) for name, factor in few.items())
    assert not any(torch.equal(factor, everywhere[name]) for name, factor in factors(wide, seed=1).items())
    one, two = (everywhere[f"model.layers.{layer}.self_attn.q_proj.lora_A"] for layer in (0, 1))
    assert not torch.equal(one, two)


@pytest.mark.parametrize("tied", [False, True])
def test_new_rows_get_the_gradient_of_full_training_through_the_loop_s_own_head(
    folders: dict[bool, Path], tied: bool
) -> None:
    sample = Sample("s", IDS.flatten().numpy().astype(np.int32), np.ones(IDS.numel(), np.bool_))
    batch = lay_out([[sample]])

    def gradients(plain: Any) -> dict[str, torch.Tensor]:
        model = LanguageModel(plain, FP32)
        cross_entropy(model.hidden(batch), model.head.weight, batch.targets, torch.float32).backward()
        return {name: p.grad for name, p in model.trainable().items()}

    full, ours = gradients(load_model(folders[tied])), gradients(attached(folders[tied]))
    tables = {"model.embed_tokens"} | (set() if tied else {"lm_head"})
    assert {name.removesuffix(".new.weight") for name in ours if "lora" not in name} == tables
    for table in tables:
        want, got = full[f"{table}.weight"][FIRST:], ours[f"{table}.new.weight"]
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
        assert want.abs().max() > 0.01


def train(model: LanguageModel, steps: int = 5) -> list[float]:
    """Train on one batch and return the losses."""
    sample = Sample("s", IDS.flatten().numpy().astype(np.int32), np.ones(IDS.numel(), np.bool_))
    batch = lay_out([[sample]])
    optimizer = torch.optim.AdamW(model.trainable().values(), lr=0.02, fused=True)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(model.hidden(batch), model.head.weight, batch.targets, model.compute.dtype)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("tied", [False, True])
def test_the_loop_s_own_path_gives_the_gradients_of_the_plain_model(
    folders: dict[bool, Path], tied: bool
) -> None:
    """Kernels, chunked cross-entropy, activation checkpointing: fp32, within 1e-4 of each gradient's size."""
    plain = moved(attached(folders[tied]))
    ids = IDS.flatten()[None]
    scores = plain(input_ids=ids, use_cache=False).logits[0, :-1]
    nn.functional.cross_entropy(scores, ids[0, 1:], reduction="sum").backward()
    sample = Sample("s", ids[0].numpy().astype(np.int32), np.ones(ids.numel(), np.bool_))
    batch = lay_out([[sample]])
    for checkpointed in (False, True):
        model = LanguageModel(moved(attached(folders[tied])), FP32, checkpoint_activations=checkpointed)
        cross_entropy(model.hidden(batch), model.head.weight, batch.targets, torch.float32).backward()
        want = {name: p.grad for name, p in plain.named_parameters() if p.requires_grad}
        assert model.trainable().keys() == want.keys()
        for name, parameter in model.trainable().items():
            size = float(want[name].abs().max())
            torch.testing.assert_close(parameter.grad, want[name], rtol=1e-4, atol=1e-4 * size)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_moves_only_adapters_and_new_rows(
    folders: dict[bool, Path], tied: bool, dtype: torch.dtype
) -> None:
    before = {name: p.detach().clone() for name, p in attached(folders[tied]).named_parameters()}
    model = LanguageModel(attached(folders[tied]), Compute(torch.device("cpu"), dtype))
    losses = train(model)
    assert losses[-1] < 0.8 * losses[0]
    after = dict(model.model.named_parameters())
    assert set(after) == set(before)
    for name, old in before.items():
        trained = "lora_" in name or name.endswith(".new.weight")
        assert torch.equal(after[name], old) != trained, name
        assert after[name].dtype == torch.float32
    assert set(model.trainable()) == {n for n in after if "lora_" in n or n.endswith(".new.weight")}


def test_activation_checkpointing_gives_the_same_losses(folders: dict[bool, Path]) -> None:
    plain = train(LanguageModel(attached(folders[True]), FP32))
    assert train(LanguageModel(attached(folders[True]), FP32, checkpoint_activations=True)) == plain


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("first", [None, FIRST])
def test_merging_gives_a_plain_model_with_the_same_logits(
    folders: dict[bool, Path], tmp_path: Path, tied: bool, first: int | None
) -> None:
    base = load_model(folders[tied])
    model = moved(attached(folders[tied], first=first))
    want, theirs = logits(model), in_peft(folders[tied], model, first=first).merge_and_unload()
    lora.merge(model)

    assert [(name, type(m)) for name, m in model.named_modules()] == [
        (name, type(m)) for name, m in base.named_modules()
    ]
    assert repr(model) == repr(base)
    torch.testing.assert_close(logits(model), want, rtol=1e-5, atol=1e-5)
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied
    assert all(parameter.requires_grad for parameter in model.parameters())
    for (name, ours), (other, peft_s) in zip(
        model.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert name == other
        torch.testing.assert_close(ours, peft_s, rtol=0, atol=1e-6)
    kept = FIRST if first else ROWS
    old, new = base.get_output_embeddings().weight, model.get_output_embeddings().weight
    assert torch.equal(new[:kept], old[:kept])
    assert torch.equal(new, old) == (first is None)

    save_model(model, tmp_path, tokenizer_from=folders[tied])
    assert torch.equal(logits(load_model(tmp_path)), logits(model))


def test_a_merged_weight_is_rounded_once(folders: dict[bool, Path]) -> None:
    model = moved(attached(folders[False], LoraParams(rank=16, alpha=7)))
    layer = model.model.layers[0].mlp.up_proj
    weight, a, b = (
        t.detach().clone().double().numpy() for t in (layer.base.weight, layer.lora_A, layer.lora_B)
    )
    lora.merge(model)
    exact = torch.from_numpy(weight + 7 / 16 * (b @ a)).float()
    assert torch.equal(model.model.layers[0].mlp.up_proj.weight, exact)


def test_a_snapshot_is_merged_without_touching_what_is_trained(folders: dict[bool, Path]) -> None:
    """`snapshot_steps` merges a deep copy."""
    model = moved(attached(folders[True]))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    copied = copy.deepcopy(model)
    lora.merge(copied)
    assert copied.lm_head.weight is copied.model.embed_tokens.weight
    torch.testing.assert_close(logits(copied), logits(model), rtol=1e-5, atol=1e-5)
    assert isinstance(model.lm_head, TiedHead)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    moved(model, seed=1)
    assert not torch.allclose(logits(copied), logits(model), atol=1e-3)


def test_weights_gathered_from_several_processes_are_put_back_by_name(folders: dict[bool, Path]) -> None:
    """What `World.full_state` returns fits a model with adapters that was just made."""
    trained = moved(attached(folders[True]))
    state = {name: p.detach() for name, p in trained.named_parameters()}
    whole = attached(folders[True])
    left = whole.load_state_dict(state, strict=False)
    assert not left.unexpected_keys
    assert not left.missing_keys
    assert torch.equal(logits(whole), logits(trained))


@pytest.mark.parametrize(
    ("tied", "params"),
    [
        (False, SMALL),
        (True, SMALL),
        (True, LoraParams(rank=3, alpha=5, targets=["model.layers.0.mlp.up_proj", "q_proj"])),
        (False, LoraParams(rank=3, alpha=5, new_rows=False)),
    ],
    ids=["untied", "tied", "some layers", "no new rows"],
)
def test_peft_loads_the_adapter_that_is_written(
    folders: dict[bool, Path], tmp_path: Path, tied: bool, params: LoraParams
) -> None:
    model = moved(attached(folders[tied], params))
    lora.save_adapter(model, tmp_path / lora.ADAPTER)
    config = json.loads((tmp_path / lora.ADAPTER / "adapter_config.json").read_text("utf-8"))
    assert (config["r"], config["lora_alpha"]) == (params.rank, params.alpha)
    loaded = peft.PeftModel.from_pretrained(load_model(folders[tied]), str(tmp_path / lora.ADAPTER))
    torch.testing.assert_close(logits(loaded), logits(model), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(logits(load_model(folders[tied])), logits(model), atol=0.1)
    theirs = [m for m in loaded.modules() if isinstance(m, peft.tuners.lora.Linear)]
    assert len(theirs) == sum(isinstance(m, LoraLinear) for m in model.modules())
    with safe_open(tmp_path / lora.ADAPTER / "adapter_model.safetensors", "pt") as tensors:
        size = sum(tensors.get_tensor(name).numel() for name in tensors.keys())  # noqa: SIM118
    assert size == sum(p.numel() for p in model.parameters() if p.requires_grad)
    again = tmp_path / "again"
    lora.save_adapter(model, again)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (again / name).read_bytes() == (tmp_path / lora.ADAPTER / name).read_bytes()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    "params", [SMALL, LoraParams(rank=3, targets=["k_proj"]), LoraParams(new_rows=False)], ids=str
)
def test_trained_weights_are_counted_before_the_model_is_loaded(
    folders: dict[bool, Path], tied: bool, params: LoraParams
) -> None:
    model = attached(folders[tied], params)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trainable_count(folders[tied], params, FIRST) == trained


@pytest.mark.parametrize(
    ("params", "first", "message"),
    [
        (LoraParams(targets=["q_proj", "query"]), None, "no linear layer 'query'"),
        (LoraParams(targets=["lm_head"]), None, "no linear layer 'lm_head'"),
        (LoraParams(targets=["proj"]), None, "no linear layer 'proj'"),
        (LoraParams(targets=[]), None, "list is empty"),
        (LoraParams(), ROWS + 1, "new_rows_from: 421 is more than the 420 rows"),
    ],
)
def test_a_mistake_is_told(
    folders: dict[bool, Path], params: LoraParams, first: int | None, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        attached(folders[False], params, first)
    if "targets" in caught.value.message:
        assert "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj" in str(caught.value.mend)


def test_embeddings_that_scale_what_they_look_up_go_on_doing_so() -> None:
    class Scaled(nn.Embedding):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return super().forward(ids) * 3.0

    plain = Scaled(10, 4, padding_idx=8)
    grown = GrownEmbedding(plain, 6)
    ids = torch.tensor([[0, 5, 6], [8, 9, 3]])
    assert torch.equal(grown(ids), plain(ids))
    grown(ids).sum().backward()
    assert torch.equal(grown.new.weight.grad, torch.tensor([3.0, 0, 3, 3])[:, None].expand(4, 4))
    assert grown.kept.weight.grad is None
    merged = grown.merged()
    assert isinstance(merged, Scaled)
    assert (merged.num_embeddings, merged.padding_idx) == (10, 8)


def test_a_layer_with_an_adapter_is_not_taken_for_a_plain_one(folders: dict[bool, Path]) -> None:
    """Fused kernels look for plain layers; they must not leave the adapter out."""
    model = moved(attached(folders[False]))
    layer = model.model.layers[0].mlp.up_proj
    assert isinstance(layer, LoraLinear)
    assert not isinstance(layer, nn.Linear)
    states = torch.randn(3, layer.base.in_features)
    torch.testing.assert_close(states @ layer.weight.T, layer(states), rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def grafted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], tuple[Path, int]]:
    """Return a function that grafts 256 Japanese pieces on a tiny model, tied or not: (folder, first new row)."""
    root = tmp_path_factory.mktemp("grafted")

    def make(tied: bool) -> tuple[Path, int]:
        base, out = root / f"base-{tied}", root / f"grafted-{tied}"
        params = init.Params(
            tokenizer="package://mistral-v1",
            hidden=32,
            layers=2,
            heads=4,
            context=128,
            initializer_range=0.1,
            tie_embeddings=tied,
        )
        for folder in (base, out):
            folder.mkdir()
        init.run(params, Inputs(), base, Silent())
        extension = root / f"tokenizer-{tied}"
        texts = [Text(str(i), text, language) for i, (language, text) in enumerate(japanese(100))]
        write_extension(
            extend_tokenizer(open_base(str(base)), texts, Policy(script_of("ja")), Goal(add=256)), extension
        )
        documents("text", root / f"text-{tied}", japanese(4))
        feeds = {
            "base": [as_input("base", base, Kind.MODEL)],
            "tokenizer": [as_input("tokenizer", extension, Kind.TOKENIZER)],
            "text": [],
        }
        result = graft.run(graft.Params(base="base", tokenizer="tokenizer"), Inputs(feeds), out, Silent())
        return out, int(result.metrics["vocabulary_before"])

    return make


@pytest.mark.parametrize("tied", [True, False])
def test_a_grafted_model_stays_tied_through_training_saving_and_merging(
    grafted: Callable[[bool], tuple[Path, int]], tmp_path: Path, tied: bool
) -> None:
    folder, first = grafted(tied)
    base = load_model(folder)
    model = attached(folder, LoraParams(rank=4, alpha=8), first)
    rows = base.get_input_embeddings().weight.shape[0]
    assert rows == first + 256
    sample = Sample("s", np.array([1, first, first + 9, 70, first + 255, 2], np.int32), np.ones(6, np.bool_))
    batch = lay_out([[sample]])
    language_model = LanguageModel(model, FP32)
    assert sum(n.endswith("new.weight") for n in language_model.trainable()) == (1 if tied else 2)
    optimizer = torch.optim.AdamW(language_model.trainable().values(), lr=0.01, weight_decay=0.0)
    for _ in range(3):
        optimizer.zero_grad()
        cross_entropy(
            language_model.hidden(batch), language_model.head.weight, batch.targets, torch.float32
        ).backward()
        optimizer.step()
    ids = batch.ids
    with torch.no_grad():
        unmerged = model(input_ids=ids, use_cache=False).logits
    lora.merge(model)
    save_model(model, tmp_path, tokenizer_from=folder)

    with safe_open(tmp_path / "model.safetensors", "pt") as tensors:
        assert ("lm_head.weight" in tensors.keys()) != tied  # noqa: SIM118
    assert json.loads((tmp_path / "config.json").read_text("utf-8"))["tie_word_embeddings"] == tied
    loaded = load_model(tmp_path)
    assert (loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight) == tied
    with torch.no_grad():
        torch.testing.assert_close(loaded(input_ids=ids, use_cache=False).logits, unmerged, rtol=0, atol=1e-5)
    old, new = base.get_input_embeddings().weight, loaded.get_input_embeddings().weight
    assert torch.equal(new[:first], old[:first])
    changed = (new[first:] != old[first:]).any(1)
    assert changed[[0, 9, 255]].all()
