"""How numbers are written: the same in both languages."""

from __future__ import annotations

from math import floor, log10


def whole(value: float | None) -> str:
    """Return a count with its thousands grouped; `–` for None."""
    return "–" if value is None else f"{round(value):,}"


def short(value: float) -> str:
    """Return a count with three significant digits: 812, 20.4k, 1.53M, 6.02T."""
    for unit, letter in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit * 0.9995:
            return (
                f"{value / unit:.3g}{letter}" if abs(value) < 999.5 * unit else f"{value / unit:,.0f}{letter}"
            )
    return f"{round(value):,}"


def tick_label(value: float, span: float) -> str:
    """Return a tick's label: 1.5M, 20k, 0.25, 2e-5; decimals as the axis's span needs."""
    size = abs(value)
    for unit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        # Steps of a short training stay as they are: 1200, not 1.2k.
        if size >= unit and (letter != "k" or span >= 1e4):
            return f"{round(value / unit, 3):g}{letter}"
    if size and size < 1e-3:
        mantissa, _, power = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(power)}"
    decimals = max(0, min(6, 2 - floor(log10(span)))) if span > 0 else 0
    return f"{round(value, decimals):g}"


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
