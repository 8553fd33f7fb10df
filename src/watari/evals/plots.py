"""The page's plots as files: SVG drawn as on the page, PNG by matplotlib; each in English and Japanese.

plots/<spec>[-<judge>]-{intervals,radar,bars,turns,spread}.{en,ja}.{svg,png}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from markupsafe import Markup

from watari.artifact import atomic
from watari.evals.page.board import Board
from watari.evals.page.drawing import COMPARED, bars, dot_plot, heat, interval_rows, radar, turn_rows
from watari.evals.plots_png import COLOURS, FAINT, INK, SOFT, japanese_font, png_plots, say_name, title_of
from watari.pages.labels import Pair
from watari.pages.visible import visible

_FAMILY = "system-ui, 'Hiragino Sans', 'Noto Sans JP', 'Noto Sans CJK JP', sans-serif"
_UNSAFE = re.compile(r"[^\w.+-]+")
_LANGUAGES = ("en", "ja")


def write_plots(boards: Sequence[Board], out: Path) -> tuple[list[Path], tuple[str, ...]]:
    """Write the plots of some tables; return the files, and what a person must be told.

    Without a Japanese font the PNG of the Japanese plots have English labels; the SVG are text, which a reader's own
    fonts show.

    Args:
        boards: The tables; one without a figure has no plots.
        out: The folder; made where it is missing.
    """
    files: list[Path] = []
    names = _names(boards)
    out.mkdir(parents=True, exist_ok=True)
    for board, name in zip(boards, names, strict=True):
        if not board.shown:
            continue
        for language in _LANGUAGES:
            for kind, plot in svg_plots(board, language).items():
                path = out / f"{name}-{kind}.{language}.svg"
                atomic.write_text(path, standalone(plot, title_of(board, kind, language)))
                files.append(path)
    font = japanese_font()
    for board, name in zip(boards, names, strict=True):
        for language in _LANGUAGES if board.shown else ():
            files += png_plots(board, name, out, language, font)
    notes = () if font else ("no Japanese font on this machine: the .ja.png plots have English labels",)
    return files, notes


@dataclass(frozen=True)
class Plot:
    """A drawing, and what each colour in it stands for: class to name."""

    drawing: Markup
    legend: tuple[tuple[str, str], ...] = ()


def svg_plots(board: Board, language: str) -> dict[str, Plot]:
    """Return the drawings that a table has, by kind, in one language."""

    def say(pair: Pair) -> Markup:
        return Markup.escape(pair[language == "ja"])

    best = board.shown[:COMPARED]
    rows = turn_rows(board)
    models = tuple((f"c{place}", entry.model) for place, entry in enumerate(best))
    turns = tuple((f"c{place}", say_name(name, language)) for place, name in enumerate(board.turns))
    drawn = {
        "intervals": (dot_plot(board, interval_rows(board), "title"), ()),
        "radar": (radar(board, best, "title", say), models),
        "bars": (bars(board, best, "title", say), models),
        "turns": (dot_plot(board, rows, "title") if rows else None, turns),
        "spread": (heat(board, "title", say), ()),
    }
    return {kind: Plot(drawing, legend) for kind, (drawing, legend) in drawn.items() if drawing is not None}


def standalone(plot: Plot, lines: Sequence[str]) -> str:
    """Return a drawing as an SVG file of its own, with its title above it and a legend below where models have colours."""
    found = re.match(r'<svg class="chart" viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>', plot.drawing)
    assert found is not None
    width, height = float(found[1]), float(found[2])
    head = 56.0
    total = head + height + 22 * len(plot.legend) + (8 if plot.legend else 0)
    body = plot.drawing[found.end() : -len("</svg>")]
    texts = Markup(
        '<text id="title" class="title" x="12" y="24">{}</text><text class="sub" x="12" y="44">{}</text>'
    )
    said = texts.format(*(visible(line, lines=False) for line in lines))
    below = "".join(
        f'<g transform="translate(16 {head + height + 22 * place + 4:g})"><circle class="dot {kind}" cx="5" cy="5" r="5"/>'
        f'<text class="name" x="18" y="9.5">{Markup.escape(visible(name, lines=False))}</text></g>'
        for place, (kind, name) in enumerate(plot.legend)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {total:g}" width="{width:g}" '
        f'height="{total:g}" role="img" aria-labelledby="title"><style>{_style()}</style>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{said}'
        f'<g class="chart" transform="translate(0 {head:g})">{body}</g>{below}</svg>\n'
    )


@cache
def _style() -> str:
    """Return the page's style of drawings, on light ground, without variables: not every viewer knows them."""
    css = resources.files("watari.evals.page").joinpath("templates", "page.css").read_text("utf-8")
    rules = [line for line in css.splitlines() if line.startswith(".chart .")]
    base = [
        f"text {{ font-family: {_FAMILY}; fill: {SOFT}; font-size: 12px; }}",
        f".title {{ font-size: 16px; font-weight: 600; fill: {INK}; }}",
        f".chart .grid {{ stroke: {FAINT}; }}",
    ]
    coloured = [
        f".dot.c{n}, .bar.c{n} {{ fill: {colour}; }} .whisker.c{n}, .web.c{n} {{ stroke: {colour}; }}"
        for n, colour in enumerate(COLOURS)
    ]
    plain = "\n".join([*base, *(_without_variables(rule) for rule in rules), *coloured])
    return plain + "\n.web { fill-opacity: .06; } .whisker { stroke-opacity: .5; } .bar { opacity: .85; }"


def _without_variables(rule: str) -> str:
    rule = re.sub(r"(?:fill|stroke): (?:color-mix\([^;]*|var\(--c\));", "", rule)
    for name, colour in (
        ("ink", INK), ("soft", SOFT), ("faint", FAINT), ("card", "#ffffff"), ("c0", COLOURS[0]), ("bad", "#a8331f")
    ):  # fmt: skip
        rule = rule.replace(f"var(--{name})", colour)
    return rule.replace(".chart .", ".")


def _names(boards: Sequence[Board]) -> list[str]:
    """Return the beginning of each table's file names; no two the same."""
    found: list[str] = []
    for board in boards:
        spec = board.spec.replace("/", "-")
        name = _UNSAFE.sub("_", f"{spec}-{board.judge}" if board.judge else spec).strip("._")[:80] or "table"
        found.append(name if name not in found else f"{name}-{board.id}")
    return found
