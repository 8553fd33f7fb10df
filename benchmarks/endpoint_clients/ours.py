"""Ours: `open_asking` with its durable ledger, rows through `work_through`, results in order."""

from __future__ import annotations

import asyncio
import os
import resource
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from rows import Clock, arguments, prompts

# What asking imports when it is first needed: no client's clock counts what it imports.
import watari.endpoint.ledger
import watari.endpoint.online  # noqa: F401
from watari.artifact.hashing import hash_text
from watari.artifact.rows import read_rows
from watari.artifact.stage import Silent
from watari.endpoint.asking import open_asking, work_through
from watari.endpoint.params import AskingParams, EndpointRef
from watari.endpoint.request import AskFailed, Request
from watari.endpoint.settings import Budget, Endpoint, Limits, Price
from watari.errors import WatariError


class Params(AskingParams):
    """A stage that asks one endpoint."""

    teacher: EndpointRef


def _rows(given: Namespace) -> Iterator[str]:
    if given.file is None:
        return prompts(given.rows)
    return (row["messages"][0]["content"] for row in read_rows(given.file))


@asynccontextmanager
async def _checking(file: Path | None, workers: int) -> AsyncIterator[Callable[[int], Awaitable[bool]]]:
    """Yield what checks pair number n; true of each where no file is given."""
    if file is None:

        async def nothing(number: int) -> bool:
            return True

        yield nothing
        return
    from watari.synth.checks.catalogue import accepted
    from watari.synth.checks.finding import Meta
    from watari.synth.checks.pool import CheckPool

    pairs = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    async with CheckPool(workers) as pool:

        async def check(number: int) -> bool:
            pair = pairs[number % len(pairs)]
            meta = Meta(kind=pair["kind"], finish_reason="stop", free=bool(pair.get("free")))
            return accepted(await pool.check(pair["src"], pair["tgt"], meta))

        yield check


async def main() -> None:
    """Do the rows."""
    parser = arguments(__doc__)
    parser.add_argument("--money", type=float, help="a budget, at a price of 1 and 2 a million tokens")
    parser.add_argument("--requests", type=int, help="a budget in requests")
    parser.add_argument(
        "--file", type=Path, help="a folder of conversations, whose first messages are the rows"
    )
    parser.add_argument(
        "--checks", type=Path, help="pairs that are checked, one for each answer (JSON lines)"
    )
    parser.add_argument("--workers", type=int, default=0, help="processes for the checks; 0: this one")
    given = parser.parse_args()
    priced = given.money is not None
    endpoint = Endpoint(
        name="teacher",
        base_url=given.url,
        model="m",
        limits=Limits(concurrency=given.concurrency),
        price=Price(input=1.0, output=2.0) if priced else Price(),
        attempts=8,
    )
    params = Params(
        teacher=endpoint,
        ledger=str(given.folder / "ledger.sqlite"),
        label="bench",
        budget=Budget(money=given.money, requests=given.requests),
    )
    settings: dict[str, Any] = {"max_tokens": 600} if priced else {}
    answered = lost = refused = 0
    told = ""
    clock = Clock()
    async with open_asking(params, Silent()) as asking, _checking(given.checks, given.workers) as check:

        async def one(row: tuple[int, str]) -> tuple[bool, bool]:
            number, text = row
            messages = [{"role": "user", "content": text}]
            try:
                answer = await asking.ask(endpoint, Request(hash_text(text), messages, settings=settings))
            except AskFailed:
                return False, False
            return bool(answer.text), await check(number)

        try:
            async for done, good in work_through(enumerate(_rows(given)), one):
                answered += done
                lost += not done
                refused += not good
        except WatariError as error:
            told = str(error)
        clock.stop()
    spent = asking.spending().get("teacher", {})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    clock.tell(answered, lost, refused=refused, told=told, spent=spent, peak_mb=peak, pid=os.getpid())


if __name__ == "__main__":
    asyncio.run(main())
