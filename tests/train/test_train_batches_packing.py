"""Packing: what it wastes on lengths of real conversations, and that packed sequences never touch each other."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from watari.artifact.outside import packaged_file
from watari.artifact.stage import InputArtifact
from watari.pretrained import load_model
from watari.pretrained.sentencepiece import read_spm
from watari.train.batches import Sample, lay_out, pack
from watari.train.device import Compute
from watari.train.head import cross_entropy
from watari.train.language_model import LanguageModel

CPU32 = Compute(torch.device("cpu"), torch.float32)


def plain_best_fit(lengths: list[int], capacity: int, order: list[int]) -> list[list[int]]:
    """Best-fit decreasing as it is defined, with a look at every row."""
    place = {index: number for number, index in enumerate(order)}
    rows: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda item: (-lengths[item], place[item])):
        free = [capacity - sum(lengths[member] for member in row) for row in rows]
        fitting = [number for number, room in enumerate(free) if room >= lengths[index]]
        if fitting:
            # Of rows that are equally full, the one that became so last.
            tightest = min(free[number] for number in fitting)
            last = max(
                (number for number in fitting if free[number] == tightest),
                key=lambda number: max(place_of(member, lengths, place) for member in rows[number]),
            )
            rows[last].append(index)
        else:
            rows.append([index])
    return rows


def place_of(index: int, lengths: list[int], place: dict[int, int]) -> tuple[int, int]:
    return -lengths[index], place[index]


@given(st.lists(st.integers(1, 24), max_size=40), st.randoms(use_true_random=False))
def test_packing_is_best_fit_decreasing(lengths: list[int], chance: object) -> None:
    order = list(range(len(lengths)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    assert pack(lengths, 24, order) == plain_best_fit(lengths, 24, order)


@pytest.fixture(scope="module")
def real_lengths(test_data: Path) -> npt.NDArray[np.int64]:
    """Tokens of 3,240 real question-and-answer conversations: Shaberi's items with models' replies, in Mistral's tokens."""
    encode = read_spm(packaged_file("package://mistral-v1")).processor().encode
    with gzip.open(test_data / "shaberi" / "answers.jsonl.gz", "rt", encoding="utf-8") as lines:
        answers = [json.loads(line)["answer"] for line in lines]
    lengths = np.array([len(encode(answer or "")) for answer in answers], np.int64)
    # A question with its form before it.
    asked = np.random.Generator(np.random.PCG64(0)).integers(20, 150, len(lengths))
    return lengths + asked


@pytest.mark.data
@pytest.mark.parametrize("capacity", [2048, 4096, 8192])
def test_packing_wastes_less_than_two_percent(real_lengths: npt.NDArray[np.int64], capacity: int) -> None:
    lengths = [int(length) for length in real_lengths if length <= capacity]
    assert len(lengths) > 3_100
    assert max(lengths) > 2.5 * np.median(lengths)
    rows = pack(lengths, capacity, range(len(lengths)))
    loads = sorted(sum(lengths[index] for index in row) for row in rows)[1:]
    waste = 1 - sum(loads) / (capacity * len(loads))
    assert 0 <= waste < 0.02
    # First-come rows, as a plain loader fills them, are what it is measured against.
    naive, room = 1, capacity
    for length in lengths:
        if length > room:
            naive, room = naive + 1, capacity
        room -= length
    assert len(rows) < naive


def sample(name: str, length: int, seed: int) -> Sample:
    draw = np.random.Generator(np.random.PCG64(seed))
    return Sample(name, draw.integers(3, 400, length).astype(np.int32), draw.random(length) < 0.6)


SAMPLES = [sample("a", 14, 1), sample("b", 9, 2), sample("c", 21, 3)]


def gradients(model: LanguageModel, rows: list[list[Sample]]) -> dict[str, torch.Tensor]:
    """Return the gradients of the summed loss of rows, each row in a pass of its own."""
    for parameter in model.model.parameters():
        parameter.grad = None
    for row in rows:
        batch = lay_out([row])
        cross_entropy(model.hidden(batch), model.head.weight, batch.targets, torch.float32).backward()
    return {name: p.grad.clone() for name, p in model.trainable().items() if p.grad is not None}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_the_packed_gradient_is_the_separate_one(tiny: InputArtifact, attention: str) -> None:
    model = LanguageModel(load_model(tiny.path, attention=attention), CPU32)
    separate = gradients(model, [[one] for one in SAMPLES])
    for rows in ([SAMPLES], [SAMPLES[::-1]], [SAMPLES[:2], SAMPLES[2:]]):
        packed = gradients(model, rows)
        assert packed.keys() == separate.keys()
        for name, expected in separate.items():
            torch.testing.assert_close(packed[name], expected, atol=2e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_neighbour_changes_nothing(tiny: InputArtifact, attention: str) -> None:
    """Not only close: what another sequence says does not reach this one at all."""
    model = LanguageModel(load_model(tiny.path, attention=attention), CPU32)

    def states(first: Sample) -> torch.Tensor:
        batch = lay_out([[first, SAMPLES[0], SAMPLES[1]]])
        with torch.no_grad():
            return model.hidden(batch)[batch.owner > 0]

    assert torch.equal(states(sample("x", 21, 7)), states(SAMPLES[2]))
