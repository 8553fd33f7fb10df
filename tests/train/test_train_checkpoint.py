"""Checkpoints: what is written is what is read, and what is damaged is noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from watari.errors import StageFailed, no_space
from watari.train import checkpoint
from watari.train.checkpoint import Position


class Trained:
    """Two small parameters and their optimizer."""

    def __init__(self, width: int = 5, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.layer = torch.nn.Linear(width, 7)
        self.parameters = dict(self.layer.named_parameters())
        self.optimizer = torch.optim.AdamW(self.layer.parameters(), lr=0.1, fused=True)
        self._inputs = torch.randn(3, width)

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.layer(self._inputs).square().sum().backward()
        self.optimizer.step()

    def save(self, work: Path, step: int, keep: int = 2) -> Path:
        return checkpoint.save(
            work, Position(step, 10 * step, 1, 7, 8), self.parameters, self.optimizer, keep=keep
        )

    def load(self, work: Path, told: list[str] | None = None) -> Position:
        found = checkpoint.latest(work, lambda line: None if told is None else told.append(line))
        assert found is not None
        return checkpoint.load(found, self.parameters, self.optimizer)

    def same(self, other: Trained) -> bool:
        return all(torch.equal(p, other.parameters[name]) for name, p in self.parameters.items())


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Checkpoints of the steps 1, 2 and 3."""
    trained = Trained()
    for step in (1, 2, 3):
        trained.step()
        trained.save(tmp_path / "work", step, keep=3)
    return tmp_path / "work"


def names(work: Path) -> list[str]:
    return sorted(path.name for path in work.iterdir())


def test_going_on_gives_the_same_bits(work: Path) -> None:
    undisturbed, resumed = Trained(), Trained(seed=9)
    for _ in range(3):
        undisturbed.step()
    resumed._inputs = undisturbed._inputs
    assert not resumed.same(undisturbed)
    assert resumed.load(work) == Position(3, 30, 1, 7, 8)
    assert resumed.same(undisturbed)
    for _ in range(4):
        undisturbed.step()
        resumed.step()
    assert resumed.same(undisturbed)
    for name, parameter in resumed.parameters.items():
        ours, theirs = (t.optimizer.state[t.parameters[name]] for t in (resumed, undisturbed))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
        assert (
            parameter.data_ptr() % 64 == theirs["exp_avg"].data_ptr() % 64 == ours["exp_avg"].data_ptr() % 64
        )


def test_the_last_ones_are_kept(work: Path) -> None:
    trained = Trained()
    trained.save(work, 4, keep=2)
    assert names(work) == ["checkpoint-0000000003", "checkpoint-0000000004"]
    trained.save(work, 5, keep=1)
    assert names(work) == ["checkpoint-0000000005"]


DAMAGES: dict[str, Any] = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "a bit flipped": lambda path: path.write_bytes(
        path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])
    ),
    "emptied": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("file", ["weights.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("how", sorted(DAMAGES))
def test_a_damaged_one_gives_way_to_the_one_before(work: Path, file: str, how: str) -> None:
    newest = checkpoint.latest(work)
    assert newest is not None
    if (file, how) == ("state.json", "a bit flipped"):
        # Its own hash it cannot hold; what it says of the others must not be believed blindly.
        state = json.loads((newest / file).read_text())
        state["files"]["weights.safetensors"]["xxh128"] = "0" * 32
        (newest / file).write_text(json.dumps(state))
    else:
        DAMAGES[how](newest / file)
    trained = Trained()
    told: list[str] = []
    assert trained.load(work, told).step == 2
    (line,) = told
    assert "checkpoint-0000000003 is damaged" in line
    assert "going back" in line


def test_if_all_are_damaged_there_is_none(work: Path) -> None:
    told: list[str] = []
    for path in work.glob("checkpoint-*/weights.safetensors"):
        path.write_bytes(b"torn")
    assert checkpoint.latest(work, told.append) is None
    assert len(told) == 3
    assert checkpoint.latest(work / "nowhere") is None


def test_a_damaged_one_is_written_again_when_its_step_comes(work: Path) -> None:
    newest = checkpoint.latest(work)
    assert newest is not None
    (newest / "weights.safetensors").write_bytes(b"torn")
    trained = Trained()
    trained.load(work)
    trained.step()
    trained.save(work, 3)
    assert checkpoint.latest(work) == newest
    again = Trained(seed=9)
    again.load(work)
    assert again.same(trained)


def test_one_that_is_whole_is_not_written_again(work: Path) -> None:
    newest = checkpoint.latest(work)
    assert newest is not None
    before = (newest / "state.json").stat().st_mtime_ns
    assert Trained().save(work, 3) == newest
    assert (newest / "state.json").stat().st_mtime_ns == before


def test_leftovers_are_no_checkpoints_and_go(work: Path) -> None:
    (work / ".writing-checkpoint-0000000009").mkdir()
    (work / ".writing-checkpoint-0000000009" / "weights.safetensors").write_bytes(b"torn")
    assert Trained().load(work).step == 3
    Trained().save(work, 4)
    assert not list(work.glob(".writing-*"))


def test_of_another_model_or_another_format(work: Path) -> None:
    with pytest.raises(StageFailed, match="another model"):
        Trained(width=6).load(work)
    newest = checkpoint.latest(work)
    assert newest is not None
    (newest / "state.json").write_text(json.dumps({"step": 3, "tokens": 30, "threads": 1, "log_bytes": 7}))
    told: list[str] = []
    assert Trained().load(work, told).step == 2
    assert "format" in told[0]


def test_moments_that_there_are_none_of_yet(tmp_path: Path) -> None:
    """A first phase trains a part of the weights; the others have no moments, and get none."""
    trained = Trained()
    trained.layer.bias.requires_grad_(False)
    trained.step()
    trained.save(tmp_path, 1)
    resumed = Trained(seed=9)
    resumed.step()
    resumed.load(tmp_path)
    assert set(resumed.optimizer.state) == {resumed.layer.weight}


def test_nothing_in_it_is_a_pickle(work: Path) -> None:
    suffixes = {path.suffix for path in work.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".safetensors"}


def test_a_full_disk_costs_nothing_but_the_step(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full answers as a full disk does; half a checkpoint does not stay to fill it."""
    trained = Trained()
    trained.load(work)
    trained.step()
    plain = checkpoint._write

    def write(path: Path, *others: Any) -> None:
        plain(path, *others)
        if path.name.startswith("optimizer"):
            with open("/dev/full", "wb", buffering=0) as full:
                full.write(path.read_bytes())

    monkeypatch.setattr(checkpoint, "_write", write)
    before = names(work)
    with pytest.raises(OSError) as caught:
        trained.save(work, 4)
    assert no_space(caught.value)
    assert names(work) == before
    monkeypatch.undo()
    assert Trained().load(work) == Position(3, 30, 1, 7, 8)
    trained.save(work, 4, keep=9)
    assert Trained().load(work).step == 4
