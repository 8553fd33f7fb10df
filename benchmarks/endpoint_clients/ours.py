"""Ours: `open_asking` with its durable ledger, rows through `work_through`, results in order."""

from __future__ import annotations

import asyncio
import os
import resource
from contextlib import suppress
from typing import Any

from rows import Clock, arguments, prompts

from watari.artifact.hashing import hash_text
from watari.artifact.stage import Silent
from watari.endpoint.asking import open_asking, work_through
from watari.endpoint.params import AskingParams, EndpointRef
from watari.endpoint.request import AskFailed, Request
from watari.endpoint.settings import Budget, Endpoint, Limits, Price
from watari.errors import WatariError


class Params(AskingParams):
    """A stage that asks one endpoint."""

    teacher: EndpointRef


async def main() -> None:
    """Do the rows."""
    parser = arguments(__doc__)
    parser.add_argument("--money", type=float, help="a budget, at a price of 1 and 2 a million tokens")
    parser.add_argument("--requests", type=int, help="a budget in requests")
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
    answered = lost = 0
    told = ""
    clock = Clock()
    async with open_asking(params, Silent()) as asking:

        async def one(text: str) -> bool:
            messages = [{"role": "user", "content": text}]
            try:
                answer = await asking.ask(endpoint, Request(hash_text(text), messages, settings=settings))
            except AskFailed:
                return False
            return bool(answer.text)

        try:
            async for done in work_through(prompts(given.rows), one):
                answered += done
                lost += not done
        except WatariError as error:
            told = str(error)
    with suppress(AttributeError):
        spent = asking.spending().get("teacher", {})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    clock.tell(answered, lost, told=told, spent=spent, peak_mb=peak, pid=os.getpid())


if __name__ == "__main__":
    asyncio.run(main())
