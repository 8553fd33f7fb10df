"""`work_through`: order, stragglers, memory, stopping; and a client that is killed again and again."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raw_server import Say, answer, serving_raw
from watari.artifact.stage import Silent
from watari.endpoint.ledger import open_ledger
from watari.endpoint.through import work_through
from watari.errors import Interrupted


async def collected(rows: object, work: object, **more: object) -> list[object]:
    return [result async for result in work_through(rows, work, **more)]  # type: ignore[arg-type]


def test_results_come_in_the_order_of_the_rows() -> None:
    async def work(row: int) -> int:
        await asyncio.sleep(random.random() * 0.02)
        return row * row

    assert asyncio.run(collected(range(500), work, window=50)) == [row * row for row in range(500)]


def test_at_most_a_window_is_in_work_and_rows_are_read_as_needed() -> None:
    busy = most = read = 0

    def rows() -> Iterator[int]:
        nonlocal read
        for row in range(200):
            read += 1
            yield row

    async def work(row: int) -> int:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        assert read <= row + 32 + 1
        await asyncio.sleep(0.001)
        busy -= 1
        return row

    asyncio.run(collected(rows(), work, window=32))
    assert most == 32


@pytest.mark.parametrize("in_memory", [10, 16_384])
def test_a_straggler_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    monkeypatch.setattr("watari.endpoint.through.IN_MEMORY", in_memory)
    others = asyncio.Event()
    done = 0

    async def work(row: int) -> tuple[int, str]:
        nonlocal done
        if row == 3:
            await others.wait()  # would wait for ever if the others did not get through
        else:
            await asyncio.sleep(0)
            done += 1
            if done == 4999:
                others.set()
        return row, "text" * 10

    found = asyncio.run(asyncio.wait_for(collected(range(5000), work, window=20), 30))
    assert found == [(row, "text" * 10) for row in range(5000)]


def test_results_that_cannot_be_written_down_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watari.endpoint.through.IN_MEMORY", 2)

    async def work(row: int) -> object:
        await asyncio.sleep(0.05 if row == 0 else 0)
        return lambda: row

    found = asyncio.run(collected(range(50), work, window=10))
    assert [one() for one in found] == list(range(50))  # type: ignore[operator]


def test_the_first_failure_is_raised_and_the_rest_is_ended() -> None:
    ended = slept = 0

    async def work(row: int) -> int:
        nonlocal ended, slept
        try:
            if row == 30:
                raise ValueError("row 30")
            await asyncio.sleep(0.01 if row < 30 else 60)
            slept += row > 30
        finally:
            ended += 1
        return row

    with pytest.raises(ValueError, match="row 30"):
        asyncio.run(collected(range(1000), work, window=40))
    assert slept == 0, "nobody waited for those that sleep a minute"
    assert 31 <= ended < 1000


def test_a_failure_of_the_rows_themselves_is_raised() -> None:
    def rows() -> Iterator[int]:
        yield 1
        raise ValueError("the file is broken")

    async def work(row: int) -> int:
        return row

    with pytest.raises(ValueError, match="the file is broken"):
        asyncio.run(collected(rows(), work))


def test_stopping() -> None:
    class Stop(Silent):
        def stop_requested(self) -> bool:
            return begun > 100

    begun = 0

    async def work(row: int) -> int:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0.01)
        return row

    with pytest.raises(Interrupted):
        asyncio.run(collected(iter(range(10**9)), work, window=10, progress=Stop()))
    assert begun < 1000


def test_a_consumer_that_leaves_ends_the_work() -> None:
    async def work(row: int) -> int:
        await asyncio.sleep(0)
        return row

    async def run() -> int:
        rows = work_through(iter(range(10**9)), work, window=10)
        async for row in rows:
            if row == 5:
                break
        await rows.aclose()  # type: ignore[attr-defined]
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1


def test_no_rows() -> None:
    async def work(row: int) -> int:
        return row

    assert asyncio.run(collected([], work)) == []


# --- kill -9

_CLIENT = """
import asyncio, sys
from watari.artifact.stage import Silent
from watari.endpoint.asking import open_asking, work_through
from watari.endpoint.params import AskingParams
from watari.endpoint.request import Request
from watari.endpoint.settings import Endpoint, Limits

async def main(url, ledger, rows, concurrency):
    teacher = Endpoint(name="t", base_url=url, model="raw", limits=Limits(concurrency=concurrency))
    async with open_asking(AskingParams(ledger=ledger, label="x"), Silent()) as asking:
        async def work(row):
            messages = [{"role": "user", "content": str(row)}]
            return (await asking.ask(teacher, Request(unit=str(row), messages=messages, row=str(row)))).text
        async for text in work_through(range(rows), work):
            print(text, flush=False)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
"""


def _client(url: str, ledger: Path, rows: int, concurrency: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _CLIENT, url, str(ledger), str(rows), str(concurrency)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize(
    ("kills", "rows", "concurrency"),
    [(2, 1000, 64), pytest.param(20, 20_000, 256, marks=pytest.mark.slow)],
)
def test_killed_at_random_moments_nothing_is_lost_and_little_is_asked_again(
    tmp_path: Path, kills: int, rows: int, concurrency: int
) -> None:
    ledger = tmp_path / "ledger.sqlite"
    moments = random.Random(kills)
    with serving_raw(lambda got: Say(answer(f"a{got.text}"), seconds=0.05)) as server:
        allowed = 0.0
        for _ in range(kills):
            client = _client(server.base_url, ledger, rows, concurrency)
            before = len(server.said)
            while len(server.said) == before and client.poll() is None:
                time.sleep(0.005)
            at, answered = time.monotonic(), len(server.said)
            time.sleep(moments.uniform(0.0, 0.3))
            client.send_signal(signal.SIGKILL)
            client.communicate()
            rate = (len(server.said) - answered) / (time.monotonic() - at)
            # In flight, and what was answered in the 100 ms of a commit (and as much again for a busy machine).
            allowed += concurrency + 0.2 * max(rate, concurrency / 0.05)
        client = _client(server.base_url, ledger, rows, concurrency)
        out, _ = client.communicate(timeout=300)
        assert client.returncode == 0
        assert out.split() == [f"a{row}" for row in range(rows)]
        sent = len(server.got)
        print(f"asked again: {sent - rows} in {kills} kills; allowed {allowed:.0f}")
        assert sent - rows <= allowed
        # A finished run sends nothing when it is run again.
        client = _client(server.base_url, ledger, rows, concurrency)
        out, _ = client.communicate(timeout=300)
        assert len(out.split()) == rows
        assert len(server.got) == sent
    with open_ledger(ledger, readonly=True) as found:
        ((count,),) = found.rows("SELECT COUNT(DISTINCT key) FROM attempt WHERE status = 'answered'")
        assert count == rows


_MILLION = """
import asyncio, time
from watari.endpoint.through import work_through
from watari.peak import peak_memory

began = time.monotonic()
first = None

async def work(row):
    global first
    if first is None:
        first = time.monotonic() - began
    if row["id"] == 10:
        await asyncio.sleep(4)
    await asyncio.sleep(0)
    return {"id": row["id"], "answer": row["text"][::-1]}

async def main():
    rows = ({"id": i, "text": f"{i} " * 150} for i in range(1_000_000))
    expected = 0
    async for result in work_through(rows, work):
        assert result["id"] == expected
        expected += 1
    assert expected == 1_000_000

asyncio.run(main())
print(first, peak_memory() / 2**20)
"""


@pytest.mark.slow
def test_a_million_rows_with_a_straggler_stay_small() -> None:
    out = subprocess.run(
        [sys.executable, "-c", _MILLION],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ).stdout
    first, peak = map(float, out.split())
    print(f"first row after {first:.3f} s, {peak:.0f} MB")
    assert peak < 400


def test_the_collector_is_left_as_it_was(tmp_path: Path) -> None:
    from watari.endpoint.asking import open_asking
    from watari.endpoint.params import AskingParams

    before = gc.get_threshold()

    async def run() -> None:
        async with open_asking(AskingParams(ledger=str(tmp_path / "l.sqlite")), Silent()):
            assert gc.get_threshold()[0] > before[0]

    asyncio.run(run())
    assert gc.get_threshold() == before
