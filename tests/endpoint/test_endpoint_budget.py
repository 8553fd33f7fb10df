"""A budget is never exceeded: any interleaving, several purses and processes, kill -9."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.endpoint.budget import BudgetSpent, Purse, check_budget, worst_case
from watari.endpoint.ledger import Attempt, Spend, open_ledger, writer
from watari.endpoint.ledger.accounts import HELD, SPENT
from watari.endpoint.ledger.records import nanos
from watari.endpoint.settings import Budget, Endpoint, Price
from watari.errors import UserError

FREE = Budget()


def attempt(label: str = "a", cost: float = 0.0, tokens: int = 0, number: int = 0) -> Attempt:
    return Attempt(
        f"k{label}{number}",
        "u",
        label,
        "r",
        0,
        "translate",
        "fast",
        "m",
        "answered",
        200,
        b"{}",
        b"{}",
        tokens,
        0,
        cost,
    )


async def spend(ledger, purse, worst: Spend, actual: Spend, *, steps: int = 1, end: str = "settle") -> bool:
    try:
        hold = await purse.hold(worst)
    except BudgetSpent:
        return False
    for _ in range(steps):
        await asyncio.sleep(0)
    if end == "release":
        hold.release()
        return True
    if end == "lose":
        hold.lose()
        return True
    await ledger.record(attempt(purse.label, actual.money, actual.tokens))
    hold.settle(actual)
    return True


def test_sums_of_money_are_exact():
    total = Spend()
    for _ in range(1000):
        total = total + Spend(money=0.1) + Spend(money=0.2)
    assert total.money == 300.0
    assert nanos(0.1 + 0.2) == 300_000_000
    assert nanos(1e-10) == 1, "rounded up: never too little"
    with pytest.raises(ValueError, match="not an amount"):
        nanos(float("nan"))


requests = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(1, 40),
        st.floats(0, 1),
        st.integers(0, 3),
        st.sampled_from(["settle"] * 6 + ["release", "lose"]),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=25)
@given(requests, st.integers(0, 200), st.integers(0, 300), st.integers(1, 12))
def test_no_interleaving_exceeds_a_budget(asked, stage_cap, run_cap, width):
    """Two stages side by side; each budget holds for what was settled and for what was set aside, and what is refused
    really has no room."""

    async def main() -> None:
        with open_ledger(folder()) as ledger:
            purses = {
                label: Purse(ledger, label, Budget(tokens=stage_cap), Budget(money=run_cap / 100))
                for label in "ab"
            }
            gate = asyncio.Semaphore(width)

            async def one(
                label: str, worst: int, share: float, steps: int, end: str
            ) -> tuple[str, int, bool, str]:
                async with gate:
                    top = Spend(worst / 100, worst, 1)
                    real = Spend(int(worst * share) / 100, int(worst * share), 1)
                    went = await spend(ledger, purses[label], top, real, steps=steps, end=end)
                    check(ledger)
                    return label, worst, went, end

            def check(ledger) -> None:
                spent, blocks = ledger.transact(lambda tx: (tx.run(SPENT), tx.run(HELD)))
                assert sum(row[1] for row in spent) + sum(row[2] for row in blocks) <= nanos(run_cap / 100)
                for label in "ab":
                    mine = [row[2] for row in spent if row[0] == label] + [
                        row[3] for row in blocks if row[1] == label
                    ]
                    assert sum(mine) <= stage_cap

            done = await asyncio.gather(*(one(*request) for request in asked))
            for purse in purses.values():
                assert purse.in_flight == 0
                await purse.close()
            check(ledger)
            lost = {
                label: sum(worst for of, worst, went, end in done if (of, went, end) == (label, True, "lose"))
                for label in "ab"
            }
            paid = {
                label: sum(int(w * s) for of, w, s, _, end in asked if (of, end) == (label, "settle"))
                for label in "ab"
            }
            for label in "ab":
                assert ledger.spent(label).tokens - lost[label] <= paid[label]
                refused = [worst for of, worst, went, _ in done if of == label and not went]
                left = min(
                    stage_cap - ledger.spent(label).tokens, run_cap - round(ledger.spent().money * 100)
                )
                # Nothing is given back after the last refusal but by what was in flight then.
                if refused and width == 1:
                    assert max(refused) > left

    # The order is what matters here, not how long a commit waits for more.
    with patch.object(writer, "LINGER", 0.002):
        asyncio.run(main())


_made: list[Path] = []


def folder() -> Path:
    import tempfile

    place = Path(tempfile.mkdtemp(prefix="watari-budget-"))
    _made.append(place)
    return place


@pytest.fixture(autouse=True)
def _removed():
    import shutil

    yield
    for place in _made:
        shutil.rmtree(place, ignore_errors=True)
    _made.clear()


def test_512_in_flight_spend_all_and_not_more(tmp_path):
    async def main() -> None:
        with open_ledger(tmp_path) as ledger:
            purse = Purse(ledger, "a", Budget(money=1.0), FREE)
            random.seed(7)
            most = 0.0

            async def one() -> bool:
                nonlocal most
                worst = random.randint(1, 20) / 1000
                try:
                    hold = await purse.hold(Spend(worst, 10, 1))
                except BudgetSpent:
                    return False
                await asyncio.sleep(random.random() / 100)
                await ledger.record(attempt("a", worst * random.random(), 10))
                hold.settle()
                most = max(most, ledger.spent().money)
                return True

            gate = asyncio.Semaphore(512)

            async def gated() -> bool:
                async with gate:
                    return await one()

            done = await asyncio.gather(*(gated() for _ in range(700)))
            await purse.close()
            assert most <= 1.0
            assert 0.9 < ledger.spent("a").money <= 1.0, "what was left was used"
            assert 0 < done.count(True) < 700
            assert ledger.held() == []

    asyncio.run(main())


def test_what_does_not_fit_is_refused_in_words(tmp_path):
    async def main() -> None:
        with open_ledger(tmp_path) as ledger:
            purse = Purse(ledger, "translated", Budget(money=0.5), Budget(requests=100))
            assert await spend(ledger, purse, Spend(0.4, 1, 1), Spend(0.35, 1, 1))
            with pytest.raises(BudgetSpent) as refused:
                await purse.hold(Spend(0.2, 1, 1))
            assert refused.value.message == (
                "the budget of translated is spent: 0.35 of 0.5 money; the next request may take 0.2"
            )
            (await purse.hold(Spend(0.15, 1, 1))).release()

    asyncio.run(main())


def test_a_free_endpoint_is_exempt_from_money(tmp_path):
    async def main() -> None:
        with open_ledger(tmp_path) as ledger:
            purse = Purse(ledger, "a", Budget(money=0.0), FREE)
            for _ in range(5):
                assert await spend(ledger, purse, Spend(0.0, 1000, 1), Spend(0.0, 900, 1))
            with pytest.raises(BudgetSpent):
                await purse.hold(Spend(0.000001, 1, 1))

    asyncio.run(main())


def test_a_waiting_request_goes_on_when_one_in_flight_leaves_enough(tmp_path):
    async def main() -> None:
        with open_ledger(tmp_path) as ledger:
            purse = Purse(ledger, "a", Budget(tokens=100), FREE)
            first = await purse.hold(Spend(0, 90, 1))
            second = asyncio.create_task(purse.hold(Spend(0, 50, 1)))
            await asyncio.sleep(0.3)
            assert not second.done()
            await ledger.record(attempt("a", 0, 20))
            first.settle()
            held = await asyncio.wait_for(second, 2)
            third = asyncio.create_task(purse.hold(Spend(0, 80, 1)))
            await asyncio.sleep(0.05)
            third.cancel()
            await asyncio.gather(third, return_exceptions=True)
            assert third.cancelled()
            held.release()
            (await asyncio.wait_for(purse.hold(Spend(0, 80, 1)), 2)).release()

    asyncio.run(main())


def test_one_stage_waits_for_what_another_may_leave(tmp_path):
    async def main() -> None:
        with open_ledger(tmp_path) as one, open_ledger(tmp_path) as other:
            first = Purse(one, "a", FREE, Budget(tokens=100))
            second = Purse(other, "b", FREE, Budget(tokens=100))
            held = await first.hold(Spend(0, 60, 1))
            waiting = asyncio.create_task(second.hold(Spend(0, 60, 1)))
            await asyncio.sleep(0.5)
            assert not waiting.done(), "what is in flight elsewhere may leave enough"
            await one.record(attempt("a", 0, 10))
            held.settle()
            (await asyncio.wait_for(waiting, 5)).release()
            with pytest.raises(BudgetSpent, match="of the run is spent: 10 of 100 tokens"):
                await second.hold(Spend(0, 91, 1))
            await first.close()
            await second.close()

    asyncio.run(main())


def test_what_is_left_unsettled_counts_as_spent(tmp_path):
    async def main(money: float) -> None:
        with open_ledger(tmp_path) as ledger:
            purse = Purse(ledger, "a", Budget(money=1.0), FREE)
            await purse.hold(Spend(money, 1, 1))  # the ledger is closed under it

    asyncio.run(main(0.3))
    with open_ledger(tmp_path) as ledger:
        assert ledger.spent().money == pytest.approx(0.3)
    asyncio.run(main(0.5))
    with pytest.raises(BudgetSpent):
        asyncio.run(main(0.3))


CHILD = """
import asyncio, sys
from watari.endpoint.budget import Purse, BudgetSpent
from watari.endpoint.ledger import Attempt, Spend, open_ledger
from watari.endpoint.settings import Budget

label = sys.argv[2]

async def main():
    ledger = open_ledger(sys.argv[1])
    purse = Purse(ledger, label, Budget(), Budget(money=float(sys.argv[3])))
    gate = asyncio.Semaphore(64)
    async def one(i):
        async with gate:
            hold = await purse.hold(Spend(0.002, 100, 1))
            sys.stdout.write("s"); sys.stdout.flush()      # sent: from here on it may be charged
            await asyncio.sleep(0.005)
            await ledger.record(Attempt(f"{label}{i}", "u", label, "r", 0, "t", "e", "m", "answered", 200, b"", b"", 50, 0, 0.002))
            hold.settle()
    done = await asyncio.gather(*(one(i) for i in range(int(sys.argv[4]))), return_exceptions=True)
    await purse.close()
    ledger.close()
    sys.stdout.write("x" * sum(isinstance(d, BudgetSpent) for d in done))
    odd = [d for d in done if d is not None and not isinstance(d, BudgetSpent)]
    assert not odd, odd[:3]
asyncio.run(main())
"""


def child(place: Path, label: str, cap: float, count: int) -> "subprocess.Popen[bytes]":
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(place), label, str(cap), str(count)],
        env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.PIPE,
    )


def test_killed_runs_never_exceed_the_budget_together(tmp_path):
    """Every request that left a process is on record or in a dead process's block, so later runs count it."""
    sent = 0
    for moment in (0.05, 0.2):
        process = child(tmp_path, "a", 2.0, 3000)
        assert process.stdout is not None
        first = process.stdout.read(1)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        sent += (first + process.stdout.read()).count(b"s")
        process.wait()
        with open_ledger(tmp_path, readonly=True) as ledger:
            # What no budget limits (here tokens and requests) is written down later, for people.
            assert 0.002 * sent - 1e-9 <= ledger.spent().money <= 2.0
    last = child(tmp_path, "a", 2.0, 3000)
    out, _ = last.communicate(timeout=60)
    assert last.returncode == 0
    sent += out.count(b"s")
    assert out.count(b"x"), "it came to its end"
    assert sent * 0.002 <= 2.0 + 1e-9
    with open_ledger(tmp_path, readonly=True) as ledger:
        assert ledger.spent().money == pytest.approx(2.0, abs=0.0021)
        # What a kill costs: what was in flight, and what was set aside ahead (1/32 of what was left).
        assert sent >= 1000 - 2 * (64 + 32)


def test_two_processes_share_the_runs_budget(tmp_path):
    both = [child(tmp_path, label, 1.0, 400) for label in "ab"]
    outs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(out.count(b"s") for out in outs) == 500
    assert sum(out.count(b"x") for out in outs) == 300
    with open_ledger(tmp_path, readonly=True) as ledger:
        assert ledger.spent().money == 1.0


def test_worst_case_of_a_request():
    endpoint = Endpoint(base_url="http://x/v1", model="m", price=Price(input=1.0, output=2.0))
    body = {"messages": [{"role": "user", "content": "渡り"}], "max_tokens": 100, "n": 2}
    worst = worst_case(endpoint, body)
    prompt = len("user") + len("渡り".encode()) + 32
    assert worst == Spend((prompt + 400) / 1e6, prompt + 200, 1)
    check_budget(endpoint, body, [Budget(money=1)])
    del body["max_tokens"]
    check_budget(endpoint, body, [Budget(requests=1)])
    for budget in (Budget(money=1), Budget(tokens=1)):
        with pytest.raises(UserError, match="without `max_tokens`"):
            check_budget(endpoint, body, [FREE, budget])
    check_budget(Endpoint(base_url="http://x/v1", model="m"), body, [Budget(money=1)])
