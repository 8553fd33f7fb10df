"""Layout, packing and passes; packed sequences score as they do alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from watari.artifact.stage import InputArtifact
from watari.errors import UserError
from watari.pretrained import load_model
from watari.train.batches import Sample, lay_out, pack, passes
from watari.train.device import Compute
from watari.train.head import token_logprobs
from watari.train.language_model import LanguageModel

CPU32 = Compute(torch.device("cpu"), torch.float32)


def sample(length: int, seed: int = 0, share: float = 1.0) -> Sample:
    draw = np.random.Generator(np.random.PCG64(seed))
    return Sample(
        f"s{seed}", draw.integers(3, 400, length).astype(np.int32), np.asarray(draw.random(length) < share)
    )


SAMPLES = st.lists(
    st.builds(sample, st.integers(2, 9), st.integers(0, 99), st.sampled_from([0.0, 0.5, 1.0])),
    min_size=1,
    max_size=4,
)


@given(st.lists(SAMPLES, min_size=1, max_size=4))
def test_every_supervised_token_is_a_target_once(rows: list[list[Sample]]) -> None:
    batch = lay_out(rows)
    width = batch.ids.shape[1]
    flat = [one for row in rows for one in row]
    expected = [
        (number, int(token)) for number, one in enumerate(flat) for token in one.ids[1:][one.trained[1:]]
    ]
    assert list(zip(batch.owner.tolist(), batch.targets.tolist(), strict=True)) == expected
    # The position of a target holds the token right before it, in the same sequence.
    before = [int(token) for one in flat for token in one.ids[:-1][one.trained[1:]]]
    assert batch.ids.flatten()[batch.where].tolist() == before
    assert batch.tokens == sum(len(one) for one in flat)
    assert (batch.positions is None) == all(len(row) == 1 for row in rows)
    for (row, column, columns, length), one in zip(batch.spans, flat, strict=True):
        assert length == len(one)
        assert columns in (length, length - 1)
        assert batch.ids[row, column : column + columns].tolist() == one.ids[:columns].tolist()
        if batch.positions is not None:
            assert batch.positions[row, column : column + columns].tolist() == list(range(columns))
            assert column + columns == width or batch.positions[row, column + columns] == 0


@given(st.lists(st.integers(1, 32), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_packing_loses_and_cuts_nothing(lengths: list[int], chance: object) -> None:
    order = list(range(len(lengths)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    rows = pack(lengths, 32, order)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in row) <= 32 for row in rows)
    # Johnson's bound for best-fit decreasing, against the least that the lengths allow.
    assert len(rows) <= 11 / 9 * max(1, -(-sum(lengths) // 32) * 11 / 9) + 4
    # No two rows could have been one: the defining property of a fit.
    loads = sorted(sum(lengths[index] for index in row) for row in rows)
    assert len(loads) < 2 or loads[0] + loads[1] > 32


def test_packing_depends_on_the_order_only_among_equals() -> None:
    lengths = [5] * 20 + [9] * 20
    first, second = pack(lengths, 14, range(40)), pack(lengths, 14, [*reversed(range(40))])
    assert first != second
    assert [[lengths[i] for i in row] for row in first] == [[lengths[i] for i in row] for row in second]


@given(st.lists(st.integers(2, 40), min_size=1, max_size=20), st.integers(1, 100), st.sampled_from([1, 2]))
def test_passes_keep_every_row_and_the_limit(lengths: list[int], limit: int, together: int) -> None:
    rows = [[sample(length, seed)] for seed, length in enumerate(lengths * together)]
    split = passes(rows, limit, together=together)
    assert sorted(id(row[0]) for part in split for row in part) == sorted(id(row[0]) for row in rows)
    for part in split:
        padded = len(part) * max(len(row[0]) for row in part)
        assert padded <= limit or len(part) == together
        for start in range(0, len(part), together):
            ids = [row[0].id for row in part[start : start + together]]
            places = [next(i for i, row in enumerate(rows) if row[0].id == name) for name in ids]
            assert places == list(range(places[0], places[0] + together))
            assert places[0] % together == 0


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_sequences_score_as_alone(tiny: InputArtifact, attention: str) -> None:
    model = LanguageModel(load_model(tiny.path, attention=attention), CPU32)
    samples = [sample(length, length) for length in (12, 7, 20, 3)]

    def scores(rows: list[list[Sample]]) -> torch.Tensor:
        batch = lay_out(rows)
        with torch.no_grad():
            each = token_logprobs(model.hidden(batch), model.head.weight, batch.targets, torch.float32)
        return torch.cat([each[batch.owner == number] for number in range(len(samples))])

    alone = []
    for one in samples:
        ids = torch.from_numpy(one.ids.astype(np.int64))[None]
        with torch.no_grad():
            logits = model.model(input_ids=ids).logits.float()
        alone.append(torch.log_softmax(logits, -1)[0, :-1].gather(1, ids[0, 1:, None])[:, 0])
        if one is samples[0]:
            assert float(alone[0].std()) > 1e-3
    for rows in ([samples], [samples[:2], samples[2:]], [[one] for one in samples]):
        torch.testing.assert_close(scores(rows), torch.cat(alone), atol=2e-5, rtol=0)


def test_a_model_that_computes_its_logits_otherwise_is_refused(tiny: InputArtifact) -> None:
    model = load_model(tiny.path)

    class Doubling(torch.nn.Linear):
        def forward(self, states: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(states)

    head = Doubling(*reversed(model.lm_head.weight.shape), bias=False)  # type: ignore[misc, arg-type, union-attr]
    head.weight = model.lm_head.weight  # type: ignore[assignment, union-attr]
    model.lm_head = head
    with pytest.raises(UserError, match="cannot be trained here"):
        LanguageModel(model, CPU32)


def test_an_attention_that_ignores_packing_is_refused(tiny: InputArtifact) -> None:
    model = load_model(tiny.path)
    body = model.model
    forward = body.forward  # type: ignore[union-attr]

    def with_a_cache(**given: object) -> object:
        return forward(**{**given, "use_cache": True})  # type: ignore[operator]

    body.forward = with_a_cache  # type: ignore[union-attr, assignment]
    with pytest.raises(UserError, match="keep packed sequences apart"):
        LanguageModel(model, CPU32)


SHAPE = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}


@pytest.mark.parametrize("family", ["Llama", "Mistral", "Qwen2", "Qwen3", "Gemma"])
@pytest.mark.parametrize("tied", [False, True])
def test_families_whose_head_is_a_matrix_are_understood(family: str, tied: bool) -> None:
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**SHAPE, tie_word_embeddings=tied)
    model = getattr(transformers, f"{family}ForCausalLM")(config)
    understood = LanguageModel(model, CPU32)
    batch = lay_out([[Sample("a", one.ids % 96, one.trained) for one in (sample(9, 1), sample(5, 2))]])
    understood.hidden(batch).sum().backward()
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == tied


def test_a_family_that_caps_its_logits_is_refused() -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(**SHAPE, final_logit_softcapping=0.5, initializer_range=0.5)
    with pytest.raises(UserError, match="Gemma2ForCausalLM cannot be trained here"):
        LanguageModel(Gemma2ForCausalLM(config), CPU32)
