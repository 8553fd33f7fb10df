"""Parts of drawings as inline SVG."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup


def number(value: float) -> str:
    """Return a coordinate with at most one decimal, so that the same drawing is the same text."""
    return f"{round(value, 1):g}" if abs(value) < 1e5 else str(round(value))


def text(kind: str, x: float, y: float, said: str | Markup, anchor: str = "start") -> Markup:
    """Return a text of a class; `anchor` is where on it `x` lies: its start, middle or end."""
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        kind, number(x), number(y), anchor, said
    )


def level(kind: str, left: float, right: float, y: float) -> Markup:
    """Return a line of a class from left to right."""
    return Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
        kind, number(left), number(right), number(y), number(y)
    )


def upright(kind: str, x: float, top: float, bottom: float) -> Markup:
    """Return a line of a class from the top down."""
    return Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
        kind, number(x), number(x), number(top), number(bottom)
    )


def box(kind: str, x: float, y: float, width: float, height: float, title: str = "") -> Markup:
    """Return a rectangle of a class, with what is said of it when it is pointed at."""
    inside = Markup("<title>{}</title>").format(title) if title else ""
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}">{}</rect>').format(
        kind, number(x), number(y), number(width), number(height), inside
    )


def path(points: Iterable[tuple[float, float]]) -> str:
    """Return the `d` of a line through points."""
    return "".join(f"{'L' if place else 'M'}{number(x)} {number(y)}" for place, (x, y) in enumerate(points))


def chart(width: float, height: float, labelled_by: str, body: Iterable[Markup]) -> Markup:
    """Return a drawing that can only be looked at; `labelled_by` is the id of its heading."""
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="{}">{}</svg>').format(
        number(width), number(height), labelled_by, Markup("").join(body)
    )
