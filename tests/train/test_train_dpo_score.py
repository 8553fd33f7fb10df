"""Log-probabilities are computed once: kept, handed on, shared by processes; figures over them are what they say."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from made_artifacts import as_input
from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Silent
from watari.errors import Interrupted, UserError
from watari.generate.templates import PRESETS
from watari.pretrained import load_model, load_tokenizer
from watari.train.batches import Sample
from watari.train.device import Compute
from watari.train.language_model import LanguageModel
from watari.train.pairs import Pair, read_preferences
from watari.train.preference import PairLoss
from watari.train.preference_figures import Totals, agreement, figures, lengths_of
from watari.train.preference_rows import PairPass, pair_passes
from watari.train.preference_score import LogProbs, read_reference, score, write_reference

Rows = Callable[..., InputArtifact]


@pytest.fixture
def pairs(tiny: InputArtifact, rows_of: Rows, choices: list[dict[str, Any]]) -> list[Pair]:
    tokenizer = load_tokenizer(tiny.path)
    data = rows_of("d", Kind.PREFERENCES, choices)
    return read_preferences([data], tokenizer, PRESETS["shisa"], sequence=256, seed=0, stage="s").pairs


def loaded(tiny: InputArtifact) -> tuple[LanguageModel, list[int]]:
    """Return the model, and a list that grows by one at each forward pass."""
    model = LanguageModel(load_model(tiny.path), Compute(torch.device("cpu"), torch.float32))
    forward, calls = model.hidden, list[int]()

    def counted(*args: Any, **more: Any) -> Any:
        calls.append(1)
        return forward(*args, **more)

    model.hidden = counted  # type: ignore[method-assign]
    return model, calls


def test_what_is_kept_is_not_computed_again(tiny: InputArtifact, pairs: list[Pair], tmp_path: Path) -> None:
    model, calls = loaded(tiny)
    batches = pair_passes(pairs, 200, joint=True)
    kept = tmp_path / "work" / "kept.jsonl"

    def again() -> dict[str, LogProbs]:
        calls.clear()
        return score(model, batches, progress=Silent(), note="", kept_in=kept)

    whole = again()
    assert len(calls) == len(batches) > 3
    assert whole.keys() == {pair.key for pair in pairs}
    assert again() == whole
    assert not calls
    text = kept.read_bytes()
    # A line torn in the middle is not taken for one.
    kept.write_bytes(text[: len(text) // 2])
    assert again() == whole
    assert 0 < len(calls) < len(batches)
    assert {json.loads(line)[0] for line in kept.read_text("utf-8").splitlines()} == set(whole)


def test_a_pair_in_two_passes_comes_from_the_first(tiny: InputArtifact, pairs: list[Pair]) -> None:
    model, calls = loaded(tiny)
    one, two, three = (PairPass(tuple(pairs[start:end]), False) for start, end in ((0, 4), (2, 6), (0, 3)))
    found = score(model, [one, two, three], progress=Silent(), note="")
    assert len(calls) == 2
    alone = score(model, [one], progress=Silent(), note="")
    assert {key: found[key] for key in alone} == alone


class Meeting:
    """What the threads that stand for processes share."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size)
        self.brought: dict[int, list[float]] = {}


class Rank:
    """One of several processes, as far as scoring asks."""

    def __init__(self, rank: int, size: int, meeting: Meeting) -> None:
        self.rank, self.size, self.meeting = rank, size, meeting
        self.forwards = 0

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        self.meeting.brought[self.rank] = list(values)
        self.meeting.barrier.wait()
        found = [math.fsum(column) for column in zip(*self.meeting.brought.values(), strict=True)]
        self.meeting.barrier.wait()
        return found

    def forward(self, model: LanguageModel, work: Callable[[], torch.Tensor]) -> torch.Tensor:
        self.forwards += 1
        return work()


def test_processes_share_the_passes(tiny: InputArtifact, pairs: list[Pair], tmp_path: Path) -> None:
    """Each computes as often, all end with the same, rank 0 alone keeps it and needs no other's file to go on."""
    batches = pair_passes(pairs, 200, joint=True)[:7]
    alone = score(loaded(tiny)[0], batches, progress=Silent(), note="")

    def together(names: Sequence[str]) -> tuple[list[dict[str, LogProbs]], list[int]]:
        meeting = Meeting(3)
        ranks = [Rank(rank, 3, meeting) for rank in range(3)]
        found: dict[int, dict[str, LogProbs]] = {}
        # Loaded before the threads begin: transformers swaps a method of its base class while it loads a model.
        models = [loaded(tiny)[0] for _ in ranks]

        def work(rank: Rank) -> None:
            kept = tmp_path / names[rank.rank] / "kept.jsonl"
            world: Any = rank
            found[rank.rank] = score(
                models[rank.rank], batches, progress=Silent(), note="", kept_in=kept, world=world
            )

        threads = [threading.Thread(target=work, args=(rank,)) for rank in ranks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return [found[rank] for rank in range(3)], [rank.forwards for rank in ranks]

    found, forwards = together(["out", "s1", "s2"])
    assert found == [alone] * 3
    assert forwards == [3, 3, 3]
    assert not (tmp_path / "s1").exists()
    kept = tmp_path / "out" / "kept.jsonl"
    lines = kept.read_bytes().splitlines(keepends=True)
    assert len(lines) == len(alone)
    kept.write_bytes(b"".join(lines[: len(batches[0].pairs) + 1]))
    found, forwards = together(["out", "t1", "t2"])
    assert found == [alone] * 3
    assert forwards == [2, 2, 2]


def test_a_stop_is_heard_and_what_was_done_is_kept(
    tiny: InputArtifact, pairs: list[Pair], tmp_path: Path
) -> None:
    class Stopping(Silent):
        passes = 0

        def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
            self.passes += 1

        def stop_requested(self) -> bool:
            return self.passes == 2

    model, calls = loaded(tiny)
    batches = pair_passes(pairs, 200, joint=True)
    with pytest.raises(Interrupted):
        score(model, batches, progress=Stopping(), note="", kept_in=tmp_path / "kept.jsonl")
    assert len(calls) == 2
    score(model, batches, progress=Silent(), note="", kept_in=tmp_path / "kept.jsonl")
    assert len(calls) == len(batches)


def test_a_reference_is_handed_on(tiny: InputArtifact, pairs: list[Pair], tmp_path: Path) -> None:
    found = {pair.key: LogProbs(-1.5 * index, -2.25) for index, pair in enumerate(pairs)}
    write_reference(tmp_path / "reference.parquet", [*pairs, pairs[0]], found, model="m", precision="fp32")
    artifact = as_input("earlier", tmp_path, Kind.MODEL)
    assert read_reference(artifact, model="m", precision="fp32") == found
    with pytest.raises(UserError, match="another reference"):
        read_reference(artifact, model="n", precision="fp32")
    with pytest.raises(UserError, match="the reference in fp32"):
        read_reference(artifact, model="m", precision="bf16")
    with pytest.raises(UserError, match=r"has no reference\.parquet"):
        read_reference(tiny, model="m", precision="fp32")


def plain_pair(name: str, chosen: int, rejected: int, leaks: tuple[bool, bool] | None) -> Pair:
    sides = [
        Sample(name, np.zeros(2 + length, np.int32), np.arange(2 + length) >= 2)
        for length in (chosen, rejected)
    ]
    return Pair(name, name, sides[0], sides[1], leaks)


MADE = [
    plain_pair("a", 4, 10, (False, True)),
    plain_pair("b", 8, 2, (True, True)),
    plain_pair("c", 5, 5, None),
    plain_pair("d", 3, 9, (False, False)),
]
RATIOS = torch.tensor([[2.0, -1.0], [-4.0, 1.0], [0.5, 0.5], [3.0, 6.0]], dtype=torch.float64)


def test_figures_by_hand() -> None:
    loss = PairLoss("sigmoid", 0.5)
    rewards = loss.rewards(RATIOS, lengths_of(MADE))
    found = figures(MADE, RATIOS, rewards, Totals.of(MADE))
    assert found == pytest.approx(
        {
            "margin": (1.5 - 2.5 + 0 - 1.5) / 4,
            "accuracy": (1 + 0 + 0.5 + 0) / 4,
            "chosen_reward": (1 - 2 + 0.25 + 1.5) / 4,
            "rejected_reward": (-0.5 + 0.5 + 0.25 + 3) / 4,
            "kl_chosen": (2 / 4 - 4 / 8 + 0.5 / 5 + 3 / 3) / 4,
            "kl_rejected": (-1 / 10 + 1 / 2 + 0.5 / 5 + 6 / 9) / 4,
            # a: the shorter is preferred (by 6); b: the shorter (by 6); c: a tie; d: the longer (by 6).
            "length_gap": (-6 - 6 + 0 + 6) / 4,
            "length_slope": (1.5 * -6 + -2.5 * 6 + -1.5 * -6) / (36 * 3),
            "leaking_reward": (-0.5 - 2 + 0.5) / 3,
            "clean_reward": (1 + 1.5 + 3) / 3,
        }
    )


def test_figures_of_parts_add_up_to_those_of_the_whole() -> None:
    loss = PairLoss("sigmoid_norm", 2.0)
    totals = Totals.of(MADE)
    rewards = loss.rewards(RATIOS, lengths_of(MADE))
    whole = figures(MADE, RATIOS, rewards, totals)
    parts = [figures(MADE[i : i + 1], RATIOS[i : i + 1], rewards[i : i + 1], totals) for i in range(4)]
    assert all(part.keys() == whole.keys() for part in parts)
    assert {name: sum(part[name] for part in parts) for name in whole} == pytest.approx(whole)


def test_swapped_sides_have_the_same_drift_and_the_opposite_margin() -> None:
    """What is said of lengths and leaks does not ask which side was chosen."""
    swapped = [
        Pair(p.id, p.key, p.rejected, p.chosen, None if p.leaks is None else (p.leaks[1], p.leaks[0]))
        for p in MADE
    ]
    loss = PairLoss("sigmoid", 0.5)
    one, two = (
        figures(pairs, ratios, loss.rewards(ratios, lengths_of(pairs)), Totals.of(pairs))
        for pairs, ratios in ((MADE, RATIOS), (swapped, RATIOS.flip(1)))
    )
    for name in ("length_gap", "length_slope", "leaking_reward", "clean_reward"):
        assert one[name] == pytest.approx(two[name]), name
    assert one["margin"] == -two["margin"]
    assert one["accuracy"] == 1 - two["accuracy"]
    assert (one["kl_chosen"], one["kl_rejected"]) == (two["kl_rejected"], two["kl_chosen"])


def test_agreement_over_a_set() -> None:
    policy = {p.key: LogProbs(-10 + float(r[0]), -8 + float(r[1])) for p, r in zip(MADE, RATIOS, strict=True)}
    base = {p.key: LogProbs(-10.0, -8.0) for p in MADE}
    found = agreement(MADE, policy, base, PairLoss("sigmoid", 0.5))
    assert found is not None
    margins, gaps = np.array([1.5, -2.5, 0, -1.5]), np.array([-6, 6, 0, -6])
    assert found.pairs == 4
    assert found.reward_accuracy == 0.375
    # Only a's chosen reply is likelier as it stands: -8 against -9.
    assert found.likelihood_accuracy == 0.25
    assert found.loss == pytest.approx(np.log1p(np.exp(-margins)).mean(), abs=1e-6)
    expected = (margins * gaps).sum() / math.sqrt((margins**2).sum() * (gaps**2).sum())
    assert found.length_correlation == pytest.approx(expected, abs=1e-6)
    same = agreement(MADE, base, base, PairLoss("sigmoid", 0.5))
    assert same is not None
    assert (same.reward_accuracy, same.margin, same.length_gap, same.length_correlation) == (0.5, 0, 0, None)
    assert same.loss == pytest.approx(math.log(2), abs=1e-6)
    assert agreement([], base, base, PairLoss("sigmoid", 0.5)) is None
