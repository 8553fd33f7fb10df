"""openai-python: AsyncOpenAI with its own retries, one client for all rows; httpx as it comes, or its aiohttp transport."""

from __future__ import annotations

import asyncio

from openai import AsyncOpenAI, DefaultAioHttpClient, OpenAIError
from rows import ATTEMPTS, TIMEOUT, Clock, arguments, prompts


async def main() -> None:
    """Do the rows."""
    parser = arguments(__doc__)
    parser.add_argument("--aiohttp", action="store_true")
    given = parser.parse_args()
    rows = prompts(given.rows)
    answered = lost = 0
    http = DefaultAioHttpClient() if given.aiohttp else None
    clock = Clock()
    settings = {"base_url": given.url, "api_key": "none", "max_retries": ATTEMPTS - 1, "timeout": TIMEOUT}
    async with AsyncOpenAI(http_client=http, **settings) as client:

        async def worker() -> None:
            nonlocal answered, lost
            for text in rows:
                try:
                    said = await client.chat.completions.create(
                        model="m", messages=[{"role": "user", "content": text}]
                    )
                    assert said.choices[0].message.content
                    answered += 1
                except OpenAIError:
                    lost += 1

        await asyncio.gather(*(worker() for _ in range(given.concurrency)))
    clock.tell(answered, lost)


if __name__ == "__main__":
    asyncio.run(main())
