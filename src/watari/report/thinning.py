"""Fewer points, and smoother ones, of a line that is to be drawn."""

from __future__ import annotations

from collections.abc import Sequence


def smoothed(values: Sequence[float]) -> list[float]:
    """Return the centred moving average over about a twentieth of the line; it does not lag behind as an EMA does.

    Towards an end the window shrinks on both sides alike.
    """
    half = len(values) // 40
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    found = []
    for place in range(len(values)):
        reach = min(half, place, len(values) - 1 - place)
        found.append((sums[place + reach + 1] - sums[place - reach]) / (2 * reach + 1))
    return found


def strided(count: int, most: int) -> list[int]:
    """Return at most `most` evenly spaced positions of `count`, both ends among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(place * (count - 1) / (most - 1)) for place in range(most)})


def thinned(values: Sequence[float], most: int) -> list[int]:
    """Return at most about `most` positions that keep the line's shape: each bucket's least and greatest, both ends."""
    if len(values) <= most:
        return list(range(len(values)))
    buckets = max(1, most // 2)
    kept = {0, len(values) - 1}
    for bucket in range(buckets):
        span = range(bucket * len(values) // buckets, (bucket + 1) * len(values) // buckets)
        kept.add(min(span, key=lambda place: (values[place], place)))
        kept.add(max(span, key=lambda place: (values[place], -place)))
    return sorted(kept)
