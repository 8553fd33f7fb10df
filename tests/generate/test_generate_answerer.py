"""Rounds: what is generated together follows from the rows alone, however long anything takes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from watari.artifact.stage import Silent
from watari.errors import UserError
from watari.generate.answerer import work_rows
from watari.generate.local_answerer import Rounds


class Model:
    """Stands for a model in this process: notes what it was asked together."""

    def __init__(self, label: str, fails: str = "") -> None:
        self.label = label
        self.batches: list[list[str]] = []
        self._fails = fails

    async def generate(self, jobs: Sequence[Any]) -> None:
        await asyncio.sleep(0.001)
        if self._fails in jobs:
            raise UserError("no")
        self.batches.append(sorted(jobs))


async def work(rounds: Any, models: list[Any], row: int, chance: random.Random) -> int:
    """Ask as many things as the row says, with pauses as an endpoint makes them."""
    for turn in range(1 + row % 3):
        await asyncio.sleep(chance.random() * 0.004)
        await rounds.ask(models[(row + turn) % 2], [f"{row}.{turn}"])
    await asyncio.sleep(chance.random() * 0.004)
    return row


def batches(seed: int) -> list[list[list[str]]]:
    models = [Model("a"), Model("b")]

    async def all_rows() -> list[int]:
        rounds, chance = Rounds(), random.Random(seed)
        done = work_rows(
            range(20),
            lambda row: work(rounds, models, row, chance),
            None,  # type: ignore[arg-type]  # only asked where there are no rounds
            Silent(),
            rounds=rounds,
            chunk=7,
        )
        return [row async for row in done]

    assert asyncio.run(all_rows()) == list(range(20))
    return [model.batches for model in models]


def test_batches_do_not_depend_on_time() -> None:
    first = batches(0)
    assert first[0][0] == ["0.0", "2.0", "4.0", "6.0"]
    assert all(batches(seed) == first for seed in (1, 2, 3))


def test_what_stops_one_row_stops_all() -> None:
    async def run() -> None:
        rounds, chance = Rounds(), random.Random(0)
        models = [Model("a", fails="2.0"), Model("b")]
        try:
            await rounds.together([work(rounds, models, row, chance) for row in range(5)])
        finally:
            await asyncio.sleep(0)
            assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    with pytest.raises(UserError, match="no"):
        asyncio.run(run())
