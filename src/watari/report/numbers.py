"""How a number is written on the page: the same in both languages, with tabular figures."""

from __future__ import annotations

from math import floor, log10

from markupsafe import Markup

from watari.report.figures import Figure, Number

SHARES = ("exact_match", "accuracy", "preference_accuracy", "share", "rate", "responses_with_any")
"""Names (or their last words) of figures that are shares of one; they are written as percentages."""


def is_share(name: str) -> bool:
    """True if a figure of this name is a share of one."""
    return name.endswith(SHARES) and not name.endswith("learning_rate")


def is_change(name: str) -> bool:
    """True if a figure of this name is a change by a share: 0.05 is 5 % more."""
    return name.endswith("_change")


def written(value: Number, name: str = "") -> str:
    """Return a number as text: grouped integers, percentages for shares and changes, else about four significant digits."""
    if is_share(name):
        return f"{100 * value:.1f}%"
    if is_change(name):
        return f"{100 * value:+.1f}%"
    if isinstance(value, int):
        return f"{value:,}"
    if value and abs(value) < 1e-3:
        return f"{value:.2e}"
    if value == int(value) and abs(value) >= 1000:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    decimals = 3 if abs(value) < 10 else max(0, 3 - floor(log10(abs(value))))
    return f"{value:.{decimals}f}"


def size(count: int) -> str:
    """Return bytes as text with a binary unit."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{count:,} B" if unit == "B" else f"{value:,.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def link(figure: Figure, text: str | None = None) -> Markup:
    """Return a figure as a link to the stage that it comes from; a derived figure as plain text."""
    said = written(figure.value, figure.name) if text is None else text
    if figure.origin is None:
        return Markup('<span class="num" title="{}">{}</span>').format(
            f"{figure.derived[0]}" if figure.derived else "", said
        )
    return Markup('<a class="num" href="#{}" title="{}">{}</a>').format(
        figure.origin.stage.anchor, figure.origin.text, said
    )


def interval(figure: Figure) -> str:
    """Return the figure's interval as text, or an empty string."""
    if figure.low is None or figure.high is None:
        return ""
    return f"{written(float(figure.low), figure.name)} – {written(float(figure.high), figure.name)}"
