"""litellm: acompletion with num_retries."""

from __future__ import annotations

import asyncio
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from rows import ATTEMPTS, TIMEOUT, Clock, arguments, prompts


async def main() -> None:
    """Do the rows."""
    given = arguments(__doc__).parse_args()
    rows = prompts(given.rows)
    answered = lost = 0
    litellm.suppress_debug_info = True
    clock = Clock()

    async def worker() -> None:
        nonlocal answered, lost
        for text in rows:
            try:
                said = await litellm.acompletion(
                    model="openai/m",
                    messages=[{"role": "user", "content": text}],
                    api_base=given.url,
                    api_key="none",
                    num_retries=ATTEMPTS - 1,
                    timeout=TIMEOUT,
                )
                assert said.choices[0].message.content
                answered += 1
            except Exception:  # what it raises has many roots
                lost += 1

    await asyncio.gather(*(worker() for _ in range(given.concurrency)))
    clock.tell(answered, lost)


if __name__ == "__main__":
    asyncio.run(main())
