"""distilabel: a pipeline of one TextGeneration step over OpenAILLM, a batch as large as the concurrency."""

from __future__ import annotations

import logging

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
from rows import ATTEMPTS, TIMEOUT, Clock, arguments, prompts


def main() -> None:
    """Do the rows."""
    given = arguments(__doc__).parse_args()
    logging.disable(logging.WARNING)
    data = [{"instruction": text} for text in prompts(given.rows)]
    clock = Clock()
    with Pipeline(name="bench", cache_dir=given.folder / "cache") as pipeline:
        load = LoadDataFromDicts(data=data, batch_size=given.concurrency)
        model = OpenAILLM(
            model="m",
            base_url=given.url,
            api_key="none",
            max_retries=ATTEMPTS - 1,
            timeout=int(TIMEOUT),
            generation_kwargs={"max_new_tokens": 2048},
        )
        load >> TextGeneration(llm=model, input_batch_size=given.concurrency)
    found = pipeline.run(use_cache=False)
    texts = found["default"]["train"]["generation"]
    answered = sum(text is not None for text in texts)
    clock.tell(answered, given.rows - answered)


if __name__ == "__main__":
    main()
