"""One million rows of input: the peak of the client's memory, and how long it takes until the first request is sent.

The rows lie in parquet files and are read as they are needed; results come in order. From the start of the process to the first
request, imports and the opening of the ledger included.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from endpoint_bench import OURS, run_client, say, server, sizes, stats
from endpoint_clients.rows import prompt
from sides import arguments, tell

from watari.artifact.kinds import Kind
from watari.artifact.rows import write_rows

LIMIT = 1500.0
_TEXTS = 997


def main() -> None:
    """Write the rows, do them, tell the memory."""
    options = arguments(__doc__)
    rows, concurrency = (3_000, 64) if options.quick else (1_000_000, 512)
    with tempfile.TemporaryDirectory(prefix="watari-million-") as name:
        folder = Path(name)
        write_rows(folder / "rows" / "rows.parquet", Kind.CONVERSATIONS, _rows(rows))
        with server(settings="latency=50&sd=10&rate_429=0.01&rate_500=0.01") as base:
            ran = run_client(
                OURS,
                base,
                rows,
                concurrency,
                limit=LIMIT,
                more=("--file", str(folder / "rows")),
                folder=folder,
            )
            seen = stats(base)
    assert ran is not None
    assert ran.finished, ran.why
    first = seen["first_at"] - ran.started
    say(
        f"{ran.rows} rows, {ran.rate:.0f} a second, peak {ran.more['peak_mb']:.0f} MB, first request after {first:.2f} s"
    )
    about = sizes(
        f"{rows} rows of 1.3 KB in parquet, {concurrency} in flight, {ran.rows} answered, {ran.lost} lost"
    )
    tell("peak memory of a client", ran.more["peak_mb"], 400, unit="MB", peer_name="bar", sizes=about)
    tell("from the start to the first request", first, 3.0, unit="s", peer_name="bar", sizes=about)


def _rows(count: int) -> Iterator[dict[str, Any]]:
    texts = [prompt(number) for number in range(_TEXTS)]
    for number in range(count):
        text = f"{number}: {texts[number % _TEXTS]}"
        yield {
            "id": f"row-{number:07d}",
            "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}],
            "language": "en",
            "source": "benchmark",
            "license": None,
            "parents": [],
            "meta": "{}",
        }


if __name__ == "__main__":
    main()
