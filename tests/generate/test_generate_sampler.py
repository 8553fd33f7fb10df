"""Sampler: checks, mappings, and the same distribution as transformers' own warpers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation import logits_process as hf

from watari.errors import UserError
from watari.generate.choice import Chooser, kept
from watari.generate.sampler import GREEDY, SHISA_CARD, Sampler

torch.set_num_threads(1)

CPU = torch.device("cpu")


def chooser(
    sampler: Sampler, ids: list[str], *, seed: int = 0, prompts: list[list[int]] | None = None
) -> Chooser:
    return Chooser(sampler, seed, ids, prompts or [[0]] * len(ids), vocabulary=50, width=50, device=CPU)


def test_the_card_is_the_seed_cards() -> None:
    assert (SHISA_CARD.temperature, SHISA_CARD.top_p, SHISA_CARD.repetition_penalty) == (0.7, 0.95, 1.05)
    assert SHISA_CARD.max_new_tokens == 1000
    assert GREEDY.greedy
    assert not SHISA_CARD.greedy


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -1),
        ("top_p", 0),
        ("top_p", 1.1),
        ("min_p", -0.1),
        ("repetition_penalty", 0),
        ("stop", ("",)),
    ],
)
def test_a_wrong_value_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(UserError, match=f"sampler: .*{field}|{field}:"):
        GREEDY.with_settings(**{field: value})


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(UserError, match="dry_multiplier"):
        GREEDY.with_settings(dry_multiplier=1)


@pytest.mark.parametrize("field", ["frequency_penalty", "presence_penalty"])
def test_what_transformers_lacks_is_refused(field: str) -> None:
    with pytest.raises(UserError, match=field):
        SHISA_CARD.with_settings(**{field: 0.5}).to_generation_config()


def test_generation_config_says_the_same() -> None:
    config = SHISA_CARD.with_settings(min_p=0.1, stop=("###",)).to_generation_config(eos_token_id=2)
    assert config.do_sample is True
    assert (config.temperature, config.top_p, config.min_p, config.top_k) == (0.7, 0.95, 0.1, 0)
    assert (config.repetition_penalty, config.max_new_tokens, config.eos_token_id) == (1.05, 1000, 2)
    assert config.stop_strings == ["###"]
    assert GREEDY.to_generation_config().do_sample is False


def test_a_models_own_settings_win() -> None:
    mixed = SHISA_CARD.with_generation_config({"top_p": 0.8, "eos_token_id": 2, "temperature": None})
    assert (mixed.top_p, mixed.temperature, mixed.repetition_penalty) == (0.8, 0.7, 1.05)
    assert SHISA_CARD.with_generation_config({"do_sample": False, "temperature": 0.6}).greedy
    with pytest.raises(UserError, match="top_p"):
        SHISA_CARD.with_generation_config({"top_p": 7})


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.1, 3.0),
    st.sampled_from([1.0, 0.95, 0.5, 0.01]),
    st.sampled_from([0, 1, 3, 600]),
    st.sampled_from([0.0, 0.05, 0.4, 1.0]),
    st.integers(0, 1000),
    st.sampled_from([50, 1500]),
)
def test_kept_is_what_transformers_keeps(
    temperature: float, top_p: float, top_k: int, min_p: float, seed: int, width: int
) -> None:
    scores = torch.randn(3, width, generator=torch.Generator().manual_seed(seed)) * 2
    expected = hf.TemperatureLogitsWarper(temperature)(None, scores.double())
    if top_k:
        expected = hf.TopKLogitsWarper(top_k)(None, expected)
    if top_p < 1:
        expected = hf.TopPLogitsWarper(top_p)(None, expected)
    if min_p:
        expected = hf.MinPLogitsWarper(min_p)(None, expected)
    sampler = Sampler(temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p)
    probabilities, tokens = kept(scores, sampler)
    found = torch.zeros(3, width, dtype=torch.float64).scatter_(1, tokens, probabilities)
    torch.testing.assert_close(found, expected.softmax(dim=-1), atol=1e-9, rtol=1e-7)


def test_repetition_penalty_is_transformers() -> None:
    scores = torch.randn(2, 50, generator=torch.Generator().manual_seed(1))
    prompts = [[1, 2, 3], [4, 5, 6]]
    sampler = GREEDY.with_settings(repetition_penalty=1.8)
    expected = hf.RepetitionPenaltyLogitsProcessor(1.8)(torch.tensor(prompts), scores.clone()).argmax(dim=-1)
    first = chooser(sampler, ["a", "b"], prompts=prompts)
    chosen = first.choose(scores)
    assert chosen.tolist() == expected.tolist()
    after = torch.cat([torch.tensor(prompts), chosen[:, None]], dim=1)
    again = hf.RepetitionPenaltyLogitsProcessor(1.8)(after, scores.clone()).argmax(dim=-1)
    assert first.choose(scores).tolist() == again.tolist()


def test_draws_belong_to_the_row_not_to_the_batch() -> None:
    scores = torch.randn(3, 50, generator=torch.Generator().manual_seed(2))
    sampler = Sampler(temperature=1.0)
    together = chooser(sampler, ["a", "b", "c"])
    steps = torch.stack([together.choose(scores) for _ in range(20)])
    alone = chooser(sampler, ["b"])
    assert [int(alone.choose(scores[1:2])) for _ in range(20)] == steps[:, 1].tolist()
    fewer = chooser(sampler, ["a", "b", "c"])
    first = fewer.choose(scores)
    fewer.keep(torch.tensor([2]))
    assert int(fewer.choose(scores[2:])) == int(steps[1, 2])
    assert first.tolist() == steps[0].tolist()
    other = chooser(sampler, ["b"], seed=1)
    assert [int(other.choose(scores[1:2])) for _ in range(20)] != steps[:, 1].tolist()


def test_the_draws_follow_the_distribution() -> None:
    scores = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    ids = [str(i) for i in range(4000)]
    rows = Chooser(
        Sampler(temperature=1.0, top_p=0.9), 0, ids, [[0]] * 4000, vocabulary=4, width=4, device=CPU
    )
    counts = torch.bincount(rows.choose(scores.expand(4000, 4)), minlength=4) / 4000
    # 0.5, 0.3, 0.15 of 0.95; four standard errors of a share are 0.032.
    torch.testing.assert_close(counts, torch.tensor([0.5263, 0.3158, 0.1579, 0.0]), atol=0.032, rtol=0)


def test_padding_rows_are_never_chosen() -> None:
    scores = torch.zeros(1, 50)
    scores[0, 45:] = 100.0
    for sampler in (GREEDY, Sampler(temperature=2.0)):
        rows = Chooser(sampler, 0, ["a"], [[0]], vocabulary=45, width=50, device=CPU)
        assert all(int(rows.choose(scores)) < 45 for _ in range(50))
