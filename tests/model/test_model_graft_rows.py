"""New rows, method by method: what each of them promises, on tables small enough to check by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from watari.model.rows import (
    INITS,
    METHODS,
    Aids,
    Vectors,
    bias_direction,
    bias_terms,
    focus,
    log_ratios,
    loss_change,
    make_rows,
    matching_pursuit,
    mean_of_parents,
    never_sampled,
    token_vectors,
)
from watari.pretrained.graft import Graft

torch.set_num_threads(1)
BASE, WIDTH = 40, 12


def grafted(parents: list[list[int]], counts: list[tuple[int, int]] | None = None, **fields: object) -> Graft:
    counts = counts or [(3, 10)] * len(parents)
    return Graft(
        language="ja",
        base_digest="0",
        base_vocabulary=BASE,
        pieces=[f"piece{number}" for number in range(len(parents))],
        ranks=list(range(len(parents))),
        parents=parents,
        frequency=[piece for piece, _ in counts],
        first_frequency=[first for _, first in counts],
        **fields,
    )


def table(seed: int = 0, rows: int = BASE) -> torch.Tensor:
    return torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(seed))


GRAFT = grafted([[3, 4], [5, 6, 7], [4, 3], [9, 9, 2, 1]], [(3, 10), (1, 100), (0, 7), (50, 20)])


@given(st.lists(st.lists(st.integers(0, BASE - 1), min_size=1, max_size=9), min_size=1, max_size=30))
def test_mean_is_the_mean_of_the_parents_rows(parents: list[list[int]]) -> None:
    rows = table()
    expected = torch.stack([rows[ids].mean(0) for ids in parents])
    assert torch.allclose(mean_of_parents(grafted(parents)).apply(rows), expected, atol=1e-6)


def test_mixtures_do_not_depend_on_how_they_are_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    from watari.model.rows import mixture

    whole = mean_of_parents(GRAFT).apply(table())
    monkeypatch.setattr(mixture, "_BLOCK_BYTES", 4 * WIDTH * 3)
    assert torch.allclose(mean_of_parents(GRAFT).apply(table()), whole, atol=1e-7)


def test_bytes_weigh_a_third_of_a_character() -> None:
    tokens = ["x"] * BASE
    tokens[5:9] = ["本", "<0xE7>", "<0xAB>", "<0x88>"]
    made = grafted([[5, 6, 7, 8]])
    rows = make_rows("weighted-mean", "input", table(), Aids(made, tokens))
    expected = table()[5] / 2 + table()[6:9].sum(0) / 6
    assert torch.allclose(rows[0], expected, atol=1e-6)
    # In the byte-level alphabet every letter is one byte; a blank of SentencePiece is one, though U+2581 has three.
    tokens[5:7] = ["æľ¬", "ç"]
    level = grafted([[5, 6]], family="byte-level")
    assert torch.allclose(
        make_rows("weighted-mean", "output", table(), Aids(level, tokens))[0],
        table()[5] * 0.75 + table()[6] * 0.25,
        atol=1e-6,
    )
    tokens[5:7] = ["\u2581", "a"]
    blank = make_rows("weighted-mean", "input", table(), Aids(grafted([[5, 6]]), tokens))
    assert torch.allclose(blank[0], table()[5:7].mean(0), atol=1e-6)


def test_count_bias_is_last_first_moved_along_one_direction() -> None:
    u = torch.arange(WIDTH).float()
    aids = Aids(GRAFT, bias=u)
    assert torch.equal(make_rows("count-bias", "input", table(), aids), table()[[4, 7, 3, 1]])
    moved = make_rows("count-bias", "output", table(1), aids) - table(1)[[3, 5, 4, 9]]
    expected = [math.log((a + 0.5) / (b + 0.5)) for a, b in [(3, 10), (1, 100), (0, 7)]] + [0.0]
    assert torch.allclose(moved, torch.tensor(expected)[:, None] * u, atol=1e-4)
    assert log_ratios(GRAFT).max() == 0
    assert torch.equal(make_rows("last-first", "output", table(1), aids), table(1)[[3, 5, 4, 9]])


def test_a_tied_row_is_as_likely_as_the_bases_spelling() -> None:
    generator = torch.Generator().manual_seed(5)
    contexts = torch.randn(300, WIDTH, generator=generator) * 0.3 + 1
    u = bias_direction(contexts)
    aids = Aids(GRAFT, bias=u, contexts=contexts, similar=mean_of_parents(grafted([[1], [2], [3], [8]])))
    total = (contexts @ table().T).logsumexp(1)
    chained = make_rows("count-bias", "output", table(), aids)
    wanted = (contexts @ chained.T - total[:, None]).logsumexp(0)
    for init, start in (("count-bias", "subword-mean"), ("count-bias-focus", "focus")):
        rows = make_rows(init, "tied", table(), aids)  # type: ignore[arg-type]
        assert torch.allclose((contexts @ rows.T - total[:, None]).logsumexp(0), wanted, atol=0.02)
        moved = rows - make_rows(start, "tied", table(), aids)  # type: ignore[arg-type]
        along = (moved @ u)[:, None] / u.square().sum() * u
        assert torch.allclose(moved, along, atol=1e-3)


def test_a_head_with_a_bias_takes_the_log_ratio_exactly() -> None:
    terms = torch.randn(BASE, generator=torch.Generator().manual_seed(3))
    aids = Aids(GRAFT, head_bias=True)
    assert torch.equal(make_rows("count-bias", "output", table(), aids), table()[[3, 5, 4, 9]])
    assert torch.allclose(bias_terms("count-bias", terms, aids), terms[[3, 5, 4, 9]] + log_ratios(GRAFT))
    assert torch.allclose(bias_terms("random", terms, aids), terms.mean().repeat(4))
    assert bias_terms("muted-output", terms, aids).max() < -1000
    assert make_rows("muted-output", "output", table(), aids).abs().max() == 0
    assert bias_terms("zero-output", terms, aids).abs().max() == 0


@pytest.mark.parametrize("init", ["random", "gaussian", "hf-mean-resizing"])
def test_drawn_rows_belong_to_their_pieces(init: str) -> None:
    base = table(rows=BASE + 8)
    longer = make_rows(init, "input", base, Aids(GRAFT, seed=4))  # type: ignore[arg-type]
    first = make_rows(init, "input", base, Aids(GRAFT.first(2), seed=4))  # type: ignore[arg-type]
    # Equal draws; a product of another shape may round the last bit otherwise.
    assert torch.allclose(longer[:2], first, atol=1e-5)
    others = [("output", 4), ("input", 5)]
    for side, seed in others:
        assert not torch.equal(make_rows(init, side, base, Aids(GRAFT, seed=seed)), longer)  # type: ignore[arg-type]
    # Rows beyond the base's tokenizer are padding: they count for nothing.
    base[BASE:] = 1e6
    assert torch.equal(make_rows(init, "input", base, Aids(GRAFT, seed=4)), longer)  # type: ignore[arg-type]


def test_gaussian_rows_have_the_mean_and_the_covariance_of_the_base() -> None:
    generator = torch.Generator().manual_seed(2)
    base = torch.randn(BASE, WIDTH, generator=generator) @ torch.randn(WIDTH, WIDTH, generator=generator) + 3
    made = grafted([[1]] * 20_000)
    rows = make_rows("gaussian", "input", base, Aids(made)).double()
    wanted = torch.cov(base.double().T, correction=0)
    spread = wanted.diagonal().sqrt()
    assert torch.allclose(rows.mean(0), base.double().mean(0), atol=0.05 * float(spread.max()))
    assert ((torch.cov(rows.T) - wanted) / (spread[:, None] * spread)).abs().max() < 0.06
    resized = make_rows("hf-mean-resizing", "input", base, Aids(made)).double()
    assert torch.allclose(
        torch.cov(resized.T) * 1e9 / wanted.diagonal().mean(), wanted / wanted.diagonal().mean(), atol=0.1
    )


def test_mean_resizing_is_that_of_transformers() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=BASE,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            initializer_range=1.0,
        )
    )
    base = model.get_input_embeddings().weight.data.clone()
    made = grafted([[1]] * 4000)
    ours = make_rows("hf-mean-resizing", "input", base, Aids(made)).double()
    model.resize_token_embeddings(BASE + 4000, mean_resizing=True)
    theirs = model.get_input_embeddings().weight.data[BASE:].double()
    assert torch.allclose(ours.mean(0), theirs.mean(0), atol=1e-5)
    assert torch.allclose(ours.std(0), theirs.std(0), rtol=0.1)
    assert float(ours.std(0).min()) > 0


def test_tied_tables_take_what_one_row_can_be() -> None:
    for init in INITS:
        method = METHODS[init]
        if method.tied is None:
            with pytest.raises(ValueError, match="tied"):
                make_rows(init, "tied", table(), Aids(GRAFT))
        elif not method.text:
            assert make_rows(init, "tied", table(), Aids(GRAFT, ["a"] * BASE)).shape == (4, WIDTH)


def test_direction_is_the_least_squares_one_and_does_not_overfit() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(4000, 16, generator=generator) + 0.7
    u = bias_direction(hidden)
    assert abs(float((hidden @ u).mean()) - 1) < 0.15
    for off in (0.7, 1.3):
        assert float((hidden @ u - 1).square().mean()) < float((hidden @ (u * off) - 1).square().mean())
    # As many states as dimensions can be met exactly, by a u that is worthless elsewhere: windows left out tell.
    width = 300
    centre = torch.randn(width, generator=generator)
    near, far = (torch.randn(n, width, generator=generator) * 2 + centre for n in (300, 2000))
    window = torch.arange(300) // 10
    error = {
        name: float((far @ found - 1).square().mean())
        for name, found in (("plain", bias_direction(near)), ("held out", bias_direction(near, window)))
    }
    assert error["plain"] > 2
    assert error["held out"] < 0.3


def test_a_never_sampled_row_is_never_sampled() -> None:
    generator = torch.Generator().manual_seed(0)
    head = torch.randn(BASE, WIDTH, generator=generator)
    steady = torch.randn(500, WIDTH, generator=generator) * 0.1 + torch.ones(WIDTH)
    window = torch.arange(500) // 10
    never = never_sampled(steady, window, head)
    assert never.how == "bias direction"
    assert ((steady @ never.row) < (steady @ head.T).max(1).values - 49).all()
    assert never.probability < 1e-20
    # A common direction, but not an even one: only a step along it.
    uneven = steady * (0.3 + torch.rand(500, 1, generator=generator) * 2)
    uneven[:, 0] += torch.randn(500, generator=generator)
    found = never_sampled(uneven, window, head)
    assert found.how.endswith("moved against the bias direction")
    peak = torch.log_softmax(uneven[:250] @ head.T, 1).max(0).values.min().exp()
    assert found.probability < 0.3 * float(peak)
    # States without a common direction: c·u would cry out in half of them.
    wild = torch.randn(500, WIDTH, generator=generator)
    head[17] = 0
    head[:17] *= 5
    head[18:] *= 5
    found = never_sampled(wild, window, head)
    assert found.how.startswith("row of base token ")
    token = int(found.how.split()[-1])
    peak = torch.log_softmax(wild[:250] @ head.T, 1).max(0).values
    assert float(peak[token]) <= float(peak.median())
    assert torch.equal(found.row, head[token])
    # Fewer states than dimensions: u is even on all of them, and means nothing elsewhere.
    few, wide = torch.randn(10, 64, generator=generator), torch.randn(BASE, 64, generator=generator)
    assert never_sampled(few, torch.arange(10), wide).how.startswith("row of base token ")


def test_loss_change_is_what_more_columns_cost() -> None:
    hidden, head, rows = table(1), table(2), table(3)[:5]
    target = torch.arange(BASE) % BASE
    effect = loss_change(hidden, target, head, rows)
    assert effect is not None
    before = torch.nn.functional.cross_entropy(hidden @ head.T, target)
    after = torch.nn.functional.cross_entropy(hidden @ torch.cat([head, rows]).T, target)
    assert math.isclose(effect.before, float(before), rel_tol=1e-5)
    assert math.isclose(effect.after, float(after), rel_tol=1e-5)
    assert loss_change(hidden[:0], target[:0], head, rows) is None


def text_of_kinds(seed: int = 0) -> list[list[int]]:
    """Documents in which tokens of one kind stand between others of their own kind: 0-9, 10-19, 20-29, and new ones."""
    draw = np.random.Generator(np.random.PCG64(seed))
    kinds = [[*range(start, start + 10), BASE + start // 10] for start in (0, 10, 20)]
    return [draw.choice(kinds[number % 3], 60).tolist() for number in range(300)]


def test_tokens_of_one_kind_are_near_each_other() -> None:
    vectors = token_vectors(text_of_kinds(), dimensions=8)
    assert vectors.ids.tolist() == [*range(30), BASE, BASE + 1, BASE + 2]
    assert np.allclose(np.linalg.norm(vectors.unit, axis=1), 1, atol=1e-4)
    likeness = vectors.unit @ vectors.unit.T
    kind = np.array([*np.repeat([0, 1, 2], 10), 0, 1, 2])
    same = kind[:, None] == kind
    assert likeness[same].min() > likeness[~same].max()
    # What ends one document and what begins the next are no neighbours.
    apart = token_vectors([[1, 2], [3, 2], [5, 6], [7, 6]] * 40, dimensions=6).unit
    likeness = apart @ apart.T
    one, two, three, five = 0, 1, 2, 3
    assert likeness[one, three] > 0.99
    assert abs(likeness[one, [two, five]]).max() < 0.01
    again = token_vectors(text_of_kinds(), dimensions=8)
    assert np.array_equal(vectors.unit, again.unit)
    assert len(token_vectors([[1, 2, 3]]).ids) == 0


def test_half_of_the_input_row_is_what_the_piece_is_like() -> None:
    similar = mean_of_parents(grafted([[1], [2, 3], [5], [6]]))
    aids = Aids(GRAFT, similar=similar, bias=torch.zeros(WIDTH))
    rows = make_rows("count-bias-focus", "input", table(), aids)
    expected = (table()[[4, 7, 3, 1]] + similar.apply(table())) / 2
    assert torch.allclose(rows, expected, atol=1e-6)
    assert torch.equal(make_rows("count-bias-focus", "output", table(), aids), table()[[3, 5, 4, 9]])


@pytest.mark.parametrize("method", [focus, matching_pursuit])
def test_similar_rows_are_made_of_tokens_of_the_same_kind(method: object) -> None:
    made = grafted([[33], [34], [35], [36, 37]])
    mixed, having = method(made, token_vectors(text_of_kinds(), dimensions=8))  # type: ignore[operator]
    assert having == 3
    weights = torch.zeros(4, BASE).index_put_((mixed.owner, mixed.ids), mixed.weights, accumulate=True)
    for place in range(3):
        own = weights[place, 10 * place : 10 * place + 10].sum()
        assert float(own) > 0.8 * float(weights[place].abs().sum())
    # The fourth never came up in the text: its parents' mean.
    assert torch.allclose(weights[3, 36:38], torch.tensor([0.5, 0.5]))
    assert float(weights[3].sum()) == pytest.approx(1)
    empty, none = method(made, Vectors(np.zeros(0, np.int64), np.zeros((0, 1), np.float32)))  # type: ignore[operator]
    assert none == 0
    assert torch.equal(empty.apply(table()), mean_of_parents(made).apply(table()))


def test_focus_weights_are_a_distribution_and_pursuit_fits() -> None:
    made = grafted([[33], [34], [35]])
    vectors = token_vectors(text_of_kinds(), dimensions=8)
    mixed, _ = focus(made, vectors)
    sums = torch.zeros(3).index_add_(0, mixed.owner, mixed.weights)
    assert torch.allclose(sums, torch.ones(3), atol=1e-5)
    assert mixed.weights.min() > 0
    # A vector that is exactly a sum of two atoms is spelled by these two.
    unit = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 20)))[0].astype(np.float32)
    target = (0.8 * unit[3] + 0.6 * unit[11])[None]
    exact = Vectors(np.array([*range(20), BASE]), np.concatenate([unit, target]))
    fitted, _ = matching_pursuit(grafted([[1]]), exact)
    rows = fitted.apply(table())
    assert torch.allclose(rows[0], 0.8 * table()[3] + 0.6 * table()[11], atol=1e-3)
