"""How numbers of any size are written: the same in both languages."""

from __future__ import annotations


def short(value: float) -> str:
    """Return a count of any size in few letters: 812, 20.4k, 1.53M, 6.02T."""
    for unit, letter in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit * 0.9995:
            return (
                f"{value / unit:.3g}{letter}" if abs(value) < 999.5 * unit else f"{value / unit:,.0f}{letter}"
            )
    return f"{round(value):,}"
