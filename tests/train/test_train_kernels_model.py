"""Whole models through the kernels, checkpointed and compiled, against transformers' own code."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor, nn

from watari.errors import UserError
from watari.train.batches import Batch, Sample, lay_out
from watari.train.device import Compute, compiler_missing
from watari.train.head import cross_entropy, token_logprobs
from watari.train.kernels.decoder import known_layers
from watari.train.language_model import LanguageModel

CPU = torch.device("cpu")
FP32, BF16 = Compute(CPU, torch.float32), Compute(CPU, torch.bfloat16)
FAMILIES = ["Llama", "Mistral", "Qwen2", "Qwen3"]
LAYOUTS = ["padded", "packed"]
SHAPE = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.2,
}


def new_model(family: str = "Llama", attention: str = "sdpa", **settings: Any) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        **{**SHAPE, "attn_implementation": attention, **settings}
    )
    model = getattr(transformers, f"{family}ForCausalLM")(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "norm" in name:
                parameter += 0.1 * torch.randn_like(parameter)
    return model


def sample(length: int, seed: int) -> Sample:
    draw = np.random.Generator(np.random.PCG64(seed))
    return Sample(str(seed), draw.integers(0, 96, length).astype(np.int32), draw.random(length) < 0.7)


def batch_of(layout: str) -> Batch:
    samples = [sample(length, length) for length in (12, 7, 20, 3)]
    return lay_out([[one] for one in samples] if layout == "padded" else [samples[:2], samples[2:]])


def gradients(model: LanguageModel, batch: Batch) -> dict[str, Tensor]:
    """The loss and all gradients."""
    model.model.zero_grad(set_to_none=True)
    loss = cross_entropy(model.hidden(batch), model.head.weight, batch.targets, model.compute.dtype)
    loss.backward()  # type: ignore[no-untyped-call]
    return {"loss": loss.detach(), **{n: p.grad.clone() for n, p in model.trainable().items()}}  # type: ignore[union-attr]


def plain_form(model: Any, compute: Compute = FP32) -> LanguageModel:
    """A language model whose layers run as transformers has them."""
    made = LanguageModel(model, compute)
    made.restore()
    return made


def assert_near(ours: dict[str, Tensor], plain: dict[str, Tensor], tolerance: float) -> None:
    """Each agrees to `tolerance`, relative to its largest entry."""
    assert ours.keys() == plain.keys()
    for name, want in plain.items():
        atol = tolerance * float(want.abs().max())
        torch.testing.assert_close(
            ours[name], want, rtol=0, atol=atol, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_losses_and_gradients_are_transformers_own(family: str, tied: bool, layout: str) -> None:
    model = new_model(family, tie_word_embeddings=tied)
    ours = LanguageModel(copy.deepcopy(model), FP32)
    plain = plain_form(model)
    assert ours._fast
    assert not plain._fast
    batch = batch_of(layout)
    assert_near(gradients(ours, batch), gradients(plain, batch), 1e-5)
    # The kernels were what ran, and are not what runs elsewhere.
    assert not any("forward" in vars(layer) for layer in plain.body.layers)
    assert all("forward" in vars(layer) for layer in ours.body.layers)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bf16_is_as_near_to_fp32_as_transformers_own(layout: str) -> None:
    model, batch = new_model(), batch_of(layout)
    exact = gradients(plain_form(copy.deepcopy(model)), batch)
    ours = gradients(LanguageModel(copy.deepcopy(model), BF16), batch)
    stock = gradients(plain_form(copy.deepcopy(model), BF16), batch)

    def error(found: dict[str, Tensor]) -> float:
        return sum(float((found[n] - exact[n]).norm() / exact[n].norm()) for n in exact if n != "loss")

    assert 0 < error(ours) < 1.1 * error(stock)


@pytest.mark.parametrize("attention", ["kernels", "sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_logits_are_those_of_each_sequence_alone(family: str, attention: str) -> None:
    model = new_model(family, "sdpa" if attention == "kernels" else attention, initializer_range=0.1)
    made = LanguageModel(model, FP32) if attention == "kernels" else plain_form(model)
    samples = [sample(length, length) for length in (12, 7, 20, 3)]
    whole = [Sample(one.id, one.ids, np.ones(len(one), np.bool_)) for one in samples]
    with torch.no_grad():
        packed = made.hidden(lay_out([whole])) @ made.head.weight.T
        alone = [
            model(input_ids=torch.from_numpy(one.ids.astype(np.int64))[None]).logits[0, :-1] for one in whole
        ]
    torch.testing.assert_close(packed, torch.cat(alone), rtol=0, atol=1e-5)
    assert float(packed.std()) > 0.1


def test_a_batch_with_a_mask_of_its_own_is_obeyed() -> None:
    ids = torch.arange(8)[None] * 5
    seen = torch.ones(8, 8, dtype=torch.bool).tril()
    seen[5:, 3:5] = False
    batch = Batch(
        ids=ids,
        positions=torch.tensor([[0, 1, 2, 3, 4, 3, 4, 5]]),
        where=torch.tensor([2, 2, 7]),
        targets=torch.tensor([1, 2, 3]),
        owner=torch.tensor([0, 1, 1]),
        spans=((0, 3, 2, 5), (0, 5, 3, 6)),
        tokens=8,
        mask=seen[None, None],
    )
    for attention in ("sdpa", "eager"):
        model = new_model(attention=attention)
        ours = LanguageModel(copy.deepcopy(model), FP32)
        assert_near(gradients(ours, batch), gradients(plain_form(model), batch), 1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compute", [FP32, BF16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("family", ["Llama", "Gemma"])
def test_checkpointing_changes_no_bit(family: str, compute: Compute, layout: str) -> None:
    model, batch = new_model(family), batch_of(layout)
    kept = gradients(LanguageModel(copy.deepcopy(model), compute), batch)
    saved: list[int] = []

    def found(checkpointed: bool) -> dict[str, Tensor]:
        made = LanguageModel(copy.deepcopy(model), compute, checkpoint_activations=checkpointed)
        saved.append(0)

        def note(tensor: Tensor) -> Tensor:
            saved[-1] += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            made.hidden(batch)
        return gradients(made, batch)

    for other in (found(True), found(False)):
        assert all(torch.equal(other[name], kept[name]) for name in kept)
    assert saved[0] < saved[1] / 2


def test_a_step_repeats_to_the_bit() -> None:
    model, batch = LanguageModel(new_model(), BF16), batch_of("packed")
    one, two = gradients(model, batch), gradients(model, batch)
    assert all(torch.equal(one[name], two[name]) for name in one)


class Adapter(nn.Module):
    """A frozen linear layer plus a low-rank product."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(2, base.in_features) * 0.2)
        self.b = nn.Parameter(torch.randn(base.out_features, 2) * 0.2)

    def forward(self, states: Tensor) -> Tensor:
        out: Tensor = self.base(states) + states @ self.a.T @ self.b.T
        return out


@pytest.mark.parametrize("names", [["q_proj"], ["k_proj", "o_proj"], ["up_proj"], ["down_proj"]])
def test_adapters_run_as_they_are(names: list[str]) -> None:
    model = new_model("Qwen2").requires_grad_(False)
    for layer in model.model.layers:
        for part in (layer.self_attn, layer.mlp):
            for name in set(names) & set(dict(part.named_children())):
                setattr(part, name, Adapter(getattr(part, name)))
    ours, plain = LanguageModel(copy.deepcopy(model), FP32), plain_form(model)
    assert known_layers(plain.body) is not None
    found = gradients(ours, batch_of("padded"))
    assert len(found) == 1 + 2 * 2 * len(names)
    assert_near(found, gradients(plain, batch_of("padded")), 1e-5)


def test_only_what_is_known_runs_through_kernels() -> None:
    assert known_layers(new_model("Gemma").model) is None
    for path in ("model", "model.norm", "model.layers.0", "model.layers.1.self_attn", "model.layers.1.mlp"):
        model = new_model()
        assert known_layers(model.model) is not None
        handle = model.get_submodule(path).register_forward_hook(lambda module, inputs, out: out)
        assert known_layers(model.model) is None
        handle.remove()
        model.get_submodule(path).forward = lambda *given: None
        assert known_layers(model.model) is None
    assert known_layers(new_model(hidden_act="gelu").model) is None


def test_a_hook_on_a_linear_layer_is_called() -> None:
    model = new_model()
    calls: list[int] = []
    model.model.layers[0].mlp.up_proj.register_forward_hook(lambda *given: calls.append(1))
    made = LanguageModel(model, FP32)
    calls.clear()
    made.hidden(batch_of("padded"))
    assert calls == [1]


def test_kernels_that_compute_something_else_are_not_used() -> None:
    model = new_model(hidden_act="silu")
    model.model.norm.variance_epsilon = 1e-6
    unknown = model.model.layers[0].self_attn
    unknown.scaling = 0.1
    assert LanguageModel(copy.deepcopy(model), FP32)._fast
    # A part of a known class, but not of the known form: its weight is not all that it does.
    model.model.norm.weight.data *= 2
    model.model.norm.register_buffer("gain", torch.tensor(3.0))

    class LlamaRMSNorm(type(model.model.norm)):  # type: ignore[misc]
        __module__ = type(model.model.norm).__module__

        def forward(self, states: Tensor) -> Tensor:
            out: Tensor = super().forward(states) * self.gain
            return out

    model.model.norm.__class__ = LlamaRMSNorm
    assert known_layers(model.model) is not None
    made, batch = LanguageModel(copy.deepcopy(model), FP32), batch_of("packed")
    assert not made._fast
    assert_near(gradients(made, batch), gradients(plain_form(model), batch), 1e-6)


def test_a_window_shorter_than_a_sequence_is_left_to_transformers() -> None:
    model = new_model("Mistral", sliding_window=8)
    ours, plain = LanguageModel(copy.deepcopy(model), FP32), plain_form(model)
    assert ours._fast
    for layout in LAYOUTS:
        assert_near(gradients(ours, batch_of(layout)), gradients(plain, batch_of(layout)), 1e-5)


def test_nothing_of_ours_is_saved_and_all_is_undone() -> None:
    model = new_model(tie_word_embeddings=True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    made = LanguageModel(model, FP32, checkpoint_activations=True)
    assert list(made.trainable()) == [name for name in before if name != "lm_head.weight"]
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.lm_head.weight is model.model.embed_tokens.weight
    batch = batch_of("padded")
    there = gradients(made, batch)["loss"]
    assert made.restore() is model
    assert not any("forward" in vars(module) for module in model.modules())
    torch.testing.assert_close(gradients(made, batch)["loss"], there)


def test_trainable_names_only_what_is_trained() -> None:
    model = new_model().requires_grad_(False)
    model.model.layers[1].mlp.up_proj.weight.requires_grad_(True)
    made = LanguageModel(model, FP32)
    assert list(made.trainable()) == ["model.layers.1.mlp.up_proj.weight"]
    assert set(gradients(made, batch_of("padded"))) == {"loss", "model.layers.1.mlp.up_proj.weight"}


def test_no_compiler_no_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    made = LanguageModel(new_model(), FP32, compile=True)
    assert not made.compiled
    assert made.uncompiled == "torch.compile needs a C++ compiler; no-such-compiler is not found"
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    assert "neither g++ nor clang++" in (compiler_missing(CPU) or "")


def test_a_model_without_layers_cannot_be_checkpointed() -> None:
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=96, n_embd=32, n_layer=1, n_head=2, n_positions=64)
    )
    with pytest.raises(UserError, match="no list of layers"):
        LanguageModel(model, FP32, checkpoint_activations=True)


@pytest.mark.slow
@pytest.mark.skipif(compiler_missing(CPU) is not None, reason="no C++ compiler")
@pytest.mark.parametrize("family", ["Llama", "Qwen3"])
def test_compiled_layers_compute_the_same_whatever_the_shape(family: str) -> None:
    model = new_model(family)
    made = LanguageModel(copy.deepcopy(model), FP32, compile=True, checkpoint_activations=True)
    assert made.compiled
    assert list(made.model.state_dict()) == list(model.state_dict())
    plain = plain_form(copy.deepcopy(model))
    batches = [batch_of(layout) for layout in LAYOUTS]
    batches += [
        lay_out([[sample(length, n)] for n in range(rows)]) for rows, length in ((2, 9), (3, 30), (5, 17))
    ]
    for batch in batches:
        assert_near(gradients(made, batch), gradients(plain, batch), 1e-4)
    torch._dynamo.reset()
    again = LanguageModel(copy.deepcopy(model), FP32, compile=True, checkpoint_activations=True)
    with torch._dynamo.config.patch(error_on_recompile=False):
        first = gradients(again, batches[-1])
    # Compiled for any shape at once: what came before leaves no trace.
    assert all(torch.equal(first[n], each) for n, each in gradients(made, batches[-1]).items())
    with torch.no_grad():
        exact = made.hidden(batches[0], exact=True)
        want = plain.hidden(batches[0])
        torch.testing.assert_close(
            token_logprobs(exact, made.head.weight, batches[0].targets, torch.float32),
            token_logprobs(want, plain.head.weight, batches[0].targets, torch.float32),
            rtol=0,
            atol=1e-5,
        )
