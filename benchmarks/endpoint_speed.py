"""Rows a second and CPU a row with a durable ledger, beside clients that keep nothing; 1 % 429 and 1 % 500.

A row is one question with a body of its own. Every client has up to eight sendings a row; wall time from its first row to its
last, so that what a client spends on starting is not counted. Ours and aiohttp in turn, the
median of the repeats; the others once. A peer that does not finish in the limit is said so, and its rate is that of the rows
that the server has answered by then.
"""

from __future__ import annotations

import statistics

from endpoint_bench import (
    AIOHTTP,
    OURS,
    PEERS,
    Peer,
    Ran,
    load,
    python_of,
    run_client,
    say,
    server,
    sizes,
    told_version,
)
from sides import arguments, tell

LIMIT = 160.0
_SECONDS = 12
"""Of work that the rows of a measurement are, at the rate that no client can pass (concurrency / 200 ms)."""


def main() -> None:
    """Measure every client at every concurrency."""
    options = arguments(__doc__)
    levels = (16,) if options.quick else (64, 256, 512)
    peers = (AIOHTTP,) if options.quick else PEERS
    repeats = options.repeats or (1 if options.quick else 3)
    there = [peer for peer in peers if python_of(peer) is not None]
    for concurrency in levels:
        rows = 100 if options.quick else concurrency * 5 * _SECONDS
        found: dict[str, list[Ran]] = {}
        for number in range(repeats):
            # The two that are close are measured in turn; the others, minutes each, once.
            for peer in (OURS, *there) if number == 0 else (OURS, AIOHTTP):
                with server() as base:
                    ran = run_client(peer, base, rows, concurrency, limit=LIMIT)
                assert ran is not None
                found.setdefault(peer.name, []).append(ran)
                told = f"{ran.rate:.0f} rows/s, {ran.cpu_ms:.2f} ms a row, lost {ran.lost} {ran.why}"
                say(f"{peer.name} at {concurrency}: {told} ({load()})")
        ours = found["ours"]
        assert all(ran.finished for ran in ours), ours[-1].why
        for peer in there:
            _claims(peer, concurrency, rows, ours, found[peer.name])


def _claims(peer: Peer, concurrency: int, rows: int, ours: list[Ran], theirs: list[Ran]) -> None:
    version, last = told_version(peer), theirs[-1]
    about = sizes(
        f"{rows} rows of 1.3 + 1.7 KB, 200±50 ms, 1 % 429, 1 % 500, median of {len(ours)}"
        f"{'' if len(theirs) == len(ours) else ', the peer once'}{_lost(ours, 'we')}{_lost(theirs, 'it')}"
    )
    if not last.finished:
        about += f"; the peer: {last.why}"
    tell(
        f"rows a second, {concurrency} in flight, every answer on disk",
        _median(ours, "rate"),
        _median(theirs, "rate"),
        unit="rows/s",
        peer_name=version,
        sizes=about,
        less_is_better=False,
    )
    if last.finished:
        tell(
            f"CPU a row, {concurrency} in flight, every answer on disk",
            _median(ours, "cpu_ms"),
            _median(theirs, "cpu_ms"),
            unit="ms",
            peer_name=version,
            sizes=about,
        )


def _median(found: list[Ran], name: str) -> float:
    return statistics.median(float(getattr(ran, name)) for ran in found)


def _lost(found: list[Ran], who: str) -> str:
    lost = sum(ran.lost for ran in found)
    return f", {who} lost {lost} rows" if lost else ""


if __name__ == "__main__":
    main()
