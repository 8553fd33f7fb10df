"""aiohttp by hand: workers, the retry loop that anybody would write, nothing recorded."""

from __future__ import annotations

import asyncio
import json
import random

import aiohttp
from rows import ATTEMPTS, TIMEOUT, Clock, arguments, prompts


async def main() -> None:
    """Do the rows."""
    given = arguments(__doc__).parse_args()
    rows = prompts(given.rows)
    answered = lost = 0
    address = f"{given.url}/chat/completions"
    headers = {"content-type": "application/json"}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    connector = aiohttp.TCPConnector(limit=0)
    clock = Clock()
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def one(text: str) -> bool:
            body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
            for attempt in range(ATTEMPTS):
                pause = min(8.0, 0.5 * 2**attempt)
                try:
                    async with session.post(address, data=body, headers=headers) as response:
                        said = await response.read()
                        if response.status == 200 and json.loads(said)["choices"][0]["message"]["content"]:
                            return True
                        pause = float(response.headers.get("retry-after", pause))
                except (aiohttp.ClientError, TimeoutError, ValueError):
                    pass
                await asyncio.sleep(pause * (1 - 0.25 * random.random()))
            return False

        async def worker() -> None:
            nonlocal answered, lost
            for text in rows:
                done = await one(text)
                answered += done
                lost += not done

        await asyncio.gather(*(worker() for _ in range(given.concurrency)))
    clock.tell(answered, lost)


if __name__ == "__main__":
    asyncio.run(main())
