"""A server that allows 100 requests a second, with true headers, and 256 rows in flight: who storms it, who loses rows.

Ours is not told of the cap. 429s a row; the share of the allowed rate that is used, from the first request to the last answer;
rows lost. Peers have up to eight sendings a row, as they come otherwise.
"""

from __future__ import annotations

from endpoint_bench import OURS, PEERS, SERVER, load, python_of, run_client, say, server, sizes, stats, told_version
from sides import arguments, tell

CAP = 100
LIMIT = 150.0


def main() -> None:
    """Measure ours, then every peer."""
    options = arguments(__doc__)
    rows, cap, concurrency = (300, CAP, 64) if options.quick else (2000, CAP, 256)
    peers = () if options.quick else tuple(peer for peer in PEERS if python_of(peer) is not None)
    measured = {}
    for peer in (OURS, *peers):
        with server(settings=f"{SERVER}&cap={cap}") as base:
            ran = run_client(peer, base, rows, concurrency, limit=LIMIT)
            seen = stats(base)
        assert ran is not None
        limited = seen["rate_limited"] / rows
        # The bucket's first fill comes at once; the rest at the rate.
        share = seen["bodies_answered"] / (cap * max(seen["seconds"], 1e-9) + cap)
        lost = rows - seen["bodies_answered"] if ran.finished else 0
        measured[peer.name] = (ran, limited, share, lost)
        say(f"{peer.name}: {limited:.3f} 429s a row, {share:.1%} of the rate, lost {lost} {ran.why} ({load()})")
    ran, limited, share, lost = measured["ours"]
    assert ran.finished, ran.why
    about = sizes(f"{rows} rows, {concurrency} in flight, {cap} requests/s allowed, headers tell it")
    ideal = "what is allowed: none" if options.quick else ""
    for peer in peers or ():
        theirs, their_limited, their_share, their_lost = measured[peer.name]
        version = told_version(peer)
        more = about if theirs.finished else f"{about}; the peer: {theirs.why}"
        tell("429s a row under a cap", limited, their_limited, unit="429s a row", peer_name=version, sizes=more)
        tell("share of the allowed rate", 100 * share, 100 * their_share, unit="%", peer_name=version, sizes=more, less_is_better=False)
        if theirs.finished:
            tell("rows lost under a cap", lost, their_lost, unit="rows", peer_name=version, sizes=more)
    tell("429s a row under a cap, beside the bar", limited, 0.15, unit="429s a row", peer_name="bar", sizes=about)
    tell("share of the allowed rate, beside the bar", 100 * share, 85, unit="%", peer_name="bar", sizes=about + ideal, less_is_better=False)
    tell("rows lost under a cap, beside the bar", lost, 0, unit="rows", peer_name="bar", sizes=about)


if __name__ == "__main__":
    main()
