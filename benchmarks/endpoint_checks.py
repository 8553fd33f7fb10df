"""CPU a row with every check in the path: each answer is recorded, and a pair of about its size is checked.

The pairs are good stored ones (WATARI_TEST_DATA) of 0.9 to 1.7 KB on the English side, else conversations of the little world.
Processor time of the client and of the process that checks for it, with the same work without checks beside it.
"""

from __future__ import annotations

import gzip
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from endpoint_bench import OURS, Ran, load, run_client, say, server, sizes
from sides import arguments, tell

from watari.demo import conversations
from watari.demo.teacher import translated

BAR = 1.2
_SMALLEST, _LARGEST = 900, 1700


def main() -> None:
    """Measure with checks and without."""
    options = arguments(__doc__)
    rows, concurrency = (300, 32) if options.quick else (15_000, 512)
    repeats = options.repeats or (1 if options.quick else 3)
    pairs, what = _pairs()
    found: dict[str, list[Ran]] = {"with": [], "without": []}
    with tempfile.TemporaryDirectory(prefix="watari-checks-") as name:
        file = Path(name) / "pairs.jsonl"
        file.write_text("\n".join(json.dumps(pair) for pair in pairs), "utf-8")
        for _ in range(repeats):
            for side, more in (("with", ("--checks", str(file), "--workers", "1")), ("without", ())):
                with server() as base:
                    ran = run_client(OURS, base, rows, concurrency, limit=300, more=more)
                assert ran is not None
                assert ran.finished, ran.why
                found[side].append(ran)
                say(
                    f"{side} checks: {ran.cpu_ms:.2f} ms a row, {ran.rate:.0f} rows/s, {ran.more['refused']} refused ({load()})"
                )
    last = found["with"][-1]
    about = sizes(
        f"{rows} rows, {concurrency} in flight, {what}, {last.more['refused']} refused; one process for checks"
    )
    ours = statistics.median(ran.cpu_ms for ran in found["with"])
    tell("CPU a row with every check", ours, BAR, unit="ms", peer_name="bar", sizes=about)
    bare = statistics.median(ran.cpu_ms for ran in found["without"])
    tell(
        "CPU a row with every check, beside none",
        ours,
        bare,
        unit="ms",
        peer_name="ours without checks",
        sizes=about,
    )


def _pairs() -> tuple[list[dict[str, Any]], str]:
    folder = os.environ.get("WATARI_TEST_DATA")
    file = Path(folder) / "en-ja-pairs" / "pairs-good.jsonl.gz" if folder else None
    if file is not None and file.is_file():
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        near = [row for row in rows if _SMALLEST <= _size(row) <= _LARGEST]
        names = ("kind", "src", "tgt", "free")
        mean = sum(map(_size, near)) / len(near)
        return [
            {name: row.get(name) for name in names} for row in near
        ], f"{len(near)} stored pairs of {mean:.0f} bytes"
    made = []
    for row in conversations(seed=1, count=500, language="en", level="easy"):
        right, _ = translated({number: message["content"] for number, message in enumerate(row["messages"])})
        target = [{**message, "content": right[number]} for number, message in enumerate(row["messages"])]
        made.append({"kind": "chat", "src": row["messages"], "tgt": target, "free": False})
    return made, "500 conversations of the demo"


def _size(row: dict[str, Any]) -> int:
    return sum(len(message["content"].encode()) for message in row["src"])


if __name__ == "__main__":
    main()
