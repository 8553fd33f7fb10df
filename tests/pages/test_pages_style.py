"""The colours of every page can be read, on light and on dark ground."""

from __future__ import annotations

import re
from importlib import resources

import pytest

PAGES = (
    "watari.report",
    "watari.tokenizer.page",
    "watari.corpus.report",
    "watari.evals.page",
    "watari.leakage.page",
)
GROUNDS = ("paper", "card")
TEXTS = ("ink", "soft", "accent", "good", "bad", "new")
UNDER_TEXT = ("sunk", "k0", "k1", "k2", "k3", "k4")
LINES = ("line", "faint")
"""Ornament: nothing is told by them alone."""


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb` (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.1)."""
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def style(package: str) -> str:
    """Return a page's whole style."""
    shared = resources.files("watari.pages").joinpath("templates", "base.css").read_text("utf-8")
    return shared + resources.files(package).joinpath("templates", "page.css").read_text("utf-8")


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("package", PAGES)
def test_colours_can_be_read(package: str, theme: int) -> None:
    found = re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", style(package))
    colours = {name: pair[theme] for name, *pair in found}
    assert len(colours) == len(found) >= 19
    for name, colour in colours.items():
        if name in UNDER_TEXT:
            assert contrast(colour, colours["ink"]) >= 4.5, name
        elif name not in GROUNDS + LINES:
            least = 4.5 if name in TEXTS else 3
            for ground in GROUNDS:
                assert contrast(colour, colours[ground]) >= least, (name, ground)


@pytest.mark.parametrize("package", PAGES)
def test_every_colour_that_is_used_is_there(package: str) -> None:
    css = style(package)
    given = set(re.findall(r"--([\w-]+):", css))
    # A lone `var(--c)` is what the classes c0 to c7 set.
    assert set(re.findall(r"var\(--([\w-]+)", css)) <= given


@pytest.mark.parametrize("package", PAGES)
def test_a_pages_own_style_says_nothing_twice(package: str) -> None:
    shared = resources.files("watari.pages").joinpath("templates", "base.css").read_text("utf-8")
    own = resources.files(package).joinpath("templates", "page.css").read_text("utf-8")
    rules = {line.strip() for line in shared.splitlines() if line.strip() not in ("", "}")}
    twice = [line for line in own.splitlines() if line.strip() in rules and not line.startswith("@media")]
    assert [line for line in twice if line.strip() != ":root {"] == []
