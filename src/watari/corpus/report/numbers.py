"""How a number is written on the page: the same in both languages."""

from __future__ import annotations

from math import floor, isfinite, log10
from typing import Any


def whole(value: float | None) -> str:
    """Return a count with its thousands grouped; `–` for None."""
    return "–" if value is None else f"{round(value):,}"


def short(value: float) -> str:
    """Return a count of any size in few letters: 812, 20.4k, 1.53M, 6.02T."""
    for unit, letter in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit * 0.9995:
            return (
                f"{value / unit:.3g}{letter}" if abs(value) < 999.5 * unit else f"{value / unit:,.0f}{letter}"
            )
    return f"{round(value):,}"


def size(count: float) -> str:
    """Return bytes with a decimal unit: 1.53 GB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB", "PB", "EB"):
        if abs(value) < 999.5 or unit == "EB":
            return f"{value:,.0f} {unit}" if unit in ("B", "EB") else f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def percent(share: float) -> str:
    """Return a share of one as a percentage, with as many digits as small ones need; nothing is rounded to 0 or 100."""
    value = 100 * share
    if value == 0 or value == 100:
        return f"{value:.0f}%"
    if abs(value) < 0.01:
        return "<0.01%" if value > 0 else ">−0.01%"
    if abs(value) > 99.99:
        return ">99.99%"
    decimals = 1 if 1 <= abs(value) <= 99 else 2
    return f"{value:.{decimals}f}%".replace("-", "−")


def signed(value: float, written: str) -> str:
    """Return a written number without its sign behind a true plus or minus."""
    bare = written.lstrip("-−")
    return bare if value == 0 else ("+" if value > 0 else "−") + bare


def figure(value: float | None) -> str:
    """Return a measured value with about four significant digits; `–` for None or no number."""
    if value is None or not isfinite(value):
        return "–"
    if value == round(value) and abs(value) < 1e15:
        return f"{round(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-3:
        return f"{value:.2e}"
    decimals = max(0, 3 - floor(log10(abs(value))))
    return f"{value:.{min(decimals, 4)}f}".rstrip("0").rstrip(".")


def plain(value: Any) -> Any:
    """Return data as JSON can hold it: what is no finite number is null."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return round numbers (1, 2, 2.5 or 5 times a power of ten) within `low` to `high`."""
    span = high - low
    if not (isfinite(span) and span > 0):
        return []
    rough = span / max(1, count)
    power = 10.0 ** floor(log10(rough))
    step = next((m * power for m in (1, 2, 2.5, 5) if m * power >= rough * 0.999), 10 * power)
    first = -floor(-low / step + 1e-9)
    return [float(f"{place * step:.12g}") for place in range(first, floor(high / step + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Return powers of ten within `low` to `high`; with 2 and 5 times them where there are few. `low` is above 0."""
    for steps in ((1,), (1, 3), (1, 2, 5)):
        found = [
            m * 10.0**power
            for power in range(floor(log10(low)), floor(log10(high)) + 1)
            for m in steps
            if low <= m * 10.0**power <= high
        ]
        if len(found) >= 3:
            break
    return found
