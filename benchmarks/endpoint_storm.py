"""A server that allows 100 requests a second, and 256 rows in flight: who storms it, who loses rows.

Once with true x-ratelimit-* and Retry-After headers, once with none. Ours is not told of the cap. 429s a row; the share of the
allowed rate that is used, from the first request to the last answer; rows lost. Peers have up to eight sendings a row, as they
come otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from endpoint_bench import (
    OURS,
    PEERS,
    SERVER,
    Peer,
    Ran,
    load,
    python_of,
    run_client,
    say,
    server,
    sizes,
    stats,
    told_version,
)
from sides import arguments, tell

CAP = 100
LIMIT = 90.0
MOST_429 = 0.15
LEAST_SHARE = 85.0
_HEADERS = {"headers tell it": "1", "no header tells it": "0"}


@dataclass(frozen=True)
class Storm:
    """What one client did: 429s a row, percent of the allowed rate, rows lost."""

    ran: Ran
    limited: float
    share: float
    lost: int


def main() -> None:
    """Measure ours, then every peer, with headers and without."""
    options = arguments(__doc__)
    rows, concurrency = (200, 64) if options.quick else (2000, 256)
    peers = () if options.quick else tuple(peer for peer in PEERS if python_of(peer) is not None)
    for words, headers in _HEADERS.items():
        found = {peer.name: _storm(peer, rows, concurrency, headers) for peer in (OURS, *peers)}
        ours = found[OURS.name]
        assert ours.ran.finished, ours.ran.why
        about = sizes(f"{rows} rows, {concurrency} in flight, {CAP} requests/s allowed")
        for peer in peers:
            _claims(words, ours, found[peer.name], told_version(peer), about)
        _claims(words, ours, Storm(ours.ran, MOST_429, LEAST_SHARE, 0), "bar", about)


def _storm(peer: Peer, rows: int, concurrency: int, headers: str) -> Storm:
    with server(settings=f"{SERVER}&cap={CAP}&headers={headers}") as base:
        ran = run_client(peer, base, rows, concurrency, limit=LIMIT)
        seen = stats(base)
    assert ran is not None
    answered = seen["bodies_answered"]
    # The bucket's first filling comes at once, the rest at the rate.
    share = 100 * answered / (CAP * (1 + seen["seconds"]))
    lost = rows - answered if ran.finished else 0
    found = Storm(ran, seen["rate_limited"] / rows, share, lost)
    say(
        f"{peer.name}: {found.limited:.3f} 429s a row, {share:.0f} % of the rate, lost {lost} {ran.why} ({load()})"
    )
    return found


def _claims(words: str, ours: Storm, theirs: Storm, version: str, about: str) -> None:
    if not theirs.ran.finished:
        about += f"; the peer: {theirs.ran.why}"
    tell(
        f"429s a row under a cap, {words}",
        ours.limited,
        theirs.limited,
        unit="429s a row",
        peer_name=version,
        sizes=about,
    )
    tell(
        f"share of the allowed rate, {words}",
        ours.share,
        theirs.share,
        unit="%",
        peer_name=version,
        sizes=about,
        less_is_better=False,
    )
    if theirs.ran.finished:
        tell(
            f"rows lost under a cap, {words}",
            ours.lost,
            theirs.lost,
            unit="rows",
            peer_name=version,
            sizes=about,
        )


if __name__ == "__main__":
    main()
