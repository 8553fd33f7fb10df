"""A budget with 512 in flight: what was spent above it, and how much of it could be used.

The price is 1 a million prompt tokens and 2 a million completion tokens; what was spent is counted by the server. The second
budget is in requests, where what may be used is known exactly.
"""

from __future__ import annotations

from endpoint_bench import FAULTS, OURS, SERVER, run_client, say, server, sizes, stats
from sides import arguments, tell


def main() -> None:
    """Spend until it is gone."""
    options = arguments(__doc__)
    rows, concurrency, money, requests = (600, 32, 0.1, 200) if options.quick else (20_000, 512, 5.0, 5_000)
    with server(settings=f"{SERVER}&{FAULTS}") as base:
        ran = run_client(OURS, base, rows, concurrency, limit=300, more=("--money", str(money)))
        seen = stats(base)
    assert ran is not None
    assert ran.finished, ran.why
    spent = (seen["prompt_tokens"] + 2 * seen["completion_tokens"]) / 1e6
    say(f"{spent:.4f} of {money}: {ran.more['told']}")
    about = sizes(
        f"{concurrency} in flight, {rows} rows wanted, {seen['bodies_answered']} done, 1 % 429, 1 % 500"
    )
    tell(
        "spent above a budget in money",
        max(0.0, spent - money),
        0,
        unit="of the currency",
        peer_name="bar",
        sizes=about,
    )
    tell(
        "share of a budget in money that was used",
        100 * spent / money,
        100,
        unit="%",
        peer_name="all of it",
        sizes=about,
        less_is_better=False,
    )
    with server(settings=f"{SERVER}&{FAULTS}") as base:
        ran = run_client(OURS, base, rows, concurrency, limit=300, more=("--requests", str(requests)))
        seen = stats(base)
    assert ran is not None
    assert ran.finished, ran.why
    say(f"{seen['requests']} of {requests} requests: {ran.more['told']}")
    about = sizes(
        f"{concurrency} in flight, {rows} rows wanted, {seen['bodies_answered']} done, 1 % 429, 1 % 500"
    )
    tell(
        "requests above a budget in requests",
        max(0, seen["requests"] - requests),
        0,
        unit="requests",
        peer_name="bar",
        sizes=about,
    )


if __name__ == "__main__":
    main()
