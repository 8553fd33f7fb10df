"""Joint rows: the prompt computed once for both replies gives the log-probabilities and gradients of separate rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from watari.train.batches import Batch, Sample
from watari.train.device import Compute
from watari.train.head import token_logprobs
from watari.train.language_model import LanguageModel
from watari.train.pairs import Pair
from watari.train.preference_rows import can_share_prompts, pair_passes, prompt_length, worth_sharing

CPU = Compute(torch.device("cpu"), torch.float32)
LENGTHS = ((30, 4, 9), (12, 5, 1), (17, 1, 1), (40, 12, 3), (2, 1, 2))


def made(name: str, prompt: int, chosen: int, rejected: int, *, tail: int = 0, draw: Any = None) -> Pair:
    """Return a pair of random tokens; `tail` tokens after each reply are not supervised."""
    draw = draw or np.random.Generator(np.random.PCG64(prompt * 100 + chosen * 10 + rejected))
    begin = draw.integers(0, 420, prompt)
    sides = []
    for length in (chosen, rejected):
        ids = np.concatenate([begin, draw.integers(0, 420, length + tail)]).astype(np.int32)
        places = np.arange(len(ids))
        sides.append(Sample(name, ids, (places >= prompt) & (places < prompt + length)))
    return Pair(name, name, sides[0], sides[1])


def model(attention: str = "sdpa", **settings: Any) -> LanguageModel:
    from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig

    torch.manual_seed(0)
    make: Any = MistralConfig if "sliding_window" in settings else LlamaConfig
    config = make(
        vocab_size=420,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.2,
        **settings,
    )
    plain = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    return LanguageModel(plain, CPU)


def logprobs(of: LanguageModel, batch: Batch) -> Tensor:
    return token_logprobs(of.hidden(batch), of.head.weight, batch.targets, torch.float32)


def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watari.train.preference_rows.worth_sharing", lambda pair: prompt_length(pair) > 0)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_joint_rows_are_exact(attention: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each token's log-probability to 1e-5, gradients to 1e-5 of their norm, whatever shares the pass."""
    always(monkeypatch)
    of = model(attention)
    pairs = [made(f"p{index}", *lengths) for index, lengths in enumerate(LENGTHS)]
    (joint,) = pair_passes(pairs, 10_000, joint=True)
    found: dict[bool, tuple[dict[tuple[str, int], Tensor], dict[str, Tensor]]] = {}
    for together in (True, False):
        of.model.zero_grad()
        each: dict[tuple[str, int], Tensor] = {}
        loss = torch.zeros(())
        for one in (
            [joint] if together else [p for pair in pairs for p in pair_passes([pair], 1, joint=False)]
        ):
            laid = one.laid()
            values = logprobs(of, laid)
            for number in range(2 * len(one.pairs)):
                pair = one.pairs[number // 2]
                each[pair.id, number % 2] = values[laid.owner == number]
                # Weights that differ by reply, so that a mix-up shows.
                loss = loss + each[pair.id, number % 2].sum() * (1 + number % 2) * len(pair.chosen)
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = {name: p.grad.clone() for name, p in of.model.named_parameters() if p.grad is not None}
        found[together] = each, gradients
    for key, expected in found[False][0].items():
        assert len(expected) > 0
        torch.testing.assert_close(found[True][0][key], expected, atol=1e-5, rtol=0)
    for name, expected in found[False][1].items():
        error = float((found[True][1][name] - expected).norm())
        assert error < 1e-5 * float(expected.norm()), name


def test_a_row_may_ask_for_as_many_positions_as_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt of two tokens: as many targets as columns, one of them asked for twice."""
    always(monkeypatch)
    of = model()
    pair = made("p", 2, 3, 4)
    (joint,), (plain,) = (pair_passes([pair], 100, joint=joint) for joint in (True, False))
    laid = joint.laid()
    assert len(laid.where) == laid.ids.numel() == 7
    torch.testing.assert_close(logprobs(of, laid), logprobs(of, plain.laid()), atol=1e-5, rtol=0)


def test_unsupervised_tokens_behind_a_reply_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    always(monkeypatch)
    of = model()
    pair = made("p", 9, 3, 4, tail=2)
    (joint,), (plain,) = (pair_passes([pair], 100, joint=joint) for joint in (True, False))
    assert joint.laid().ids.shape == (1, 9 + 2 + 3)
    torch.testing.assert_close(logprobs(of, joint.laid()), logprobs(of, plain.laid()), atol=1e-5, rtol=0)


def test_prompts_that_differ_are_not_shared() -> None:
    pair = made("p", 30, 4, 4)
    assert prompt_length(pair) == 30
    assert worth_sharing(pair)
    ids = pair.rejected.ids.copy()
    ids[3] += 1
    other = Pair("q", "q", pair.chosen, Sample("q", ids, pair.rejected.trained))
    assert prompt_length(other) == 0
    assert not worth_sharing(other)
    (one,) = pair_passes([other], 1000, joint=True)
    assert not one.joint


def test_short_prompts_are_not_worth_it() -> None:
    pairs = [made("long", 60, 5, 8), made("short", 4, 40, 40)]
    assert {(p.id, one.joint) for one in pair_passes(pairs, 1000, joint=True) for p in one.pairs} == {
        ("long", True),
        ("short", False),
    }
    assert all(not one.joint for one in pair_passes(pairs, 1000, joint=False))


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("ranks", [1, 3])
def test_every_pair_is_in_one_pass_and_passes_are_small(joint: bool, ranks: int) -> None:
    draw = np.random.Generator(np.random.PCG64(3))
    pairs = [made(f"p{index}", *(1 + draw.integers(0, 30, 3)), draw=draw) for index in range(40)]
    split = pair_passes(pairs, 200, joint=joint, ranks=ranks)
    assert sorted(pair.id for one in split for pair in one.pairs) == sorted(pair.id for pair in pairs)
    assert all(one.laid().ids.numel() <= 200 for one in split)
    for one in split:
        laid = one.laid()
        assert len(laid.spans) == 2 * len(one.pairs)
        assert laid.tokens == sum(len(pair.chosen) + len(pair.rejected) for pair in one.pairs)
        counts = torch.bincount(laid.owner, minlength=len(laid.spans)).view(-1, 2)
        assert counts.tolist() == [list(pair.replies) for pair in one.pairs]
    assert len(split) % ranks == 0
    assert len({one.joint for one in split}) == 1 + joint


def test_a_window_shorter_than_the_sequence_is_not_shared() -> None:
    """The mask would replace the window; one that nothing reaches beyond changes nothing."""
    of = model(sliding_window=16)
    assert not can_share_prompts(of, 17)
    assert can_share_prompts(of, 16)
    assert can_share_prompts(model(), 10_000)


def test_attention_that_is_no_mask_is_not_shared() -> None:
    of = model()
    of.model.config.layer_types = ["full_attention", "linear_attention", "full_attention"]
    assert not can_share_prompts(of, 16)


def test_a_model_that_does_not_heed_the_mask_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    of = model()
    hidden = of.hidden

    def heedless(batch: Batch, **more: Any) -> Tensor:
        return hidden(replace(batch, mask=None), **more)

    monkeypatch.setattr(of, "hidden", heedless)
    assert not can_share_prompts(of, 16)
