"""How a number is written on the page: the same in both languages."""

from __future__ import annotations

from math import floor, isfinite, log10
from typing import Any


def size(count: float) -> str:
    """Return bytes with a decimal unit: 1.53 GB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB", "PB", "EB"):
        if abs(value) < 999.5 or unit == "EB":
            return f"{value:,.0f} {unit}" if unit in ("B", "EB") else f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


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
