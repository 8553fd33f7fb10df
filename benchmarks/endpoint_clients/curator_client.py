"""curator: bespokelabs.curator.LLM with the litellm back end (its openai back end downloads a vocabulary and fails offline)."""

from __future__ import annotations

import os

os.environ |= {"CURATOR_DISABLE_RICH_DISPLAY": "1", "TELEMETRY_ENABLED": "0", "CURATOR_VIEWER": "0"}
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from bespokelabs import curator
from rows import ATTEMPTS, TIMEOUT, Clock, arguments, prompts


class Answer(curator.LLM):
    """The prompt as it is; the answer as it is."""

    def prompt(self, row: dict) -> str:
        """Return what is asked."""
        return row["text"]

    def parse(self, row: dict, response: str) -> dict:
        """Return a row of the result."""
        return {"text": row["text"], "answer": response}


def main() -> None:
    """Do the rows."""
    given = arguments(__doc__).parse_args()
    os.environ["CURATOR_CACHE_DIR"] = str(given.folder / "cache")
    data = [{"text": text} for text in prompts(given.rows)]
    clock = Clock()
    model = Answer(
        model_name="openai/m",
        backend="litellm",
        backend_params={
            "base_url": given.url,
            "api_key": "none",
            "max_concurrent_requests": given.concurrency,
            "max_requests_per_minute": 1_000_000,
            "max_tokens_per_minute": 1_000_000_000,
            "max_retries": ATTEMPTS - 1,
            "request_timeout": int(TIMEOUT),
            "require_all_responses": False,
        },
        generation_params={"max_tokens": 2048},
    )
    found = model(data)
    rows = found.dataset if hasattr(found, "dataset") else found
    clock.tell(len(rows), given.rows - len(rows))


if __name__ == "__main__":
    main()
