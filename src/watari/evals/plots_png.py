"""The plots of a league table as PNG, by matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi
from pathlib import Path
from typing import Any

from watari.evals.page.board import Board, bins_of, spread
from watari.evals.page.drawing import COMPARED, DRAWN, DotRow, bin_names, interval_rows, turn_rows
from watari.evals.page.words import WORDS, name_pair
from watari.pages.visible import fitted, visible

COLOURS = ("#1f5fa8", "#c2571a", "#0a7d6a", "#a8336a", "#8a6d00", "#5d4fb0", "#3c7d9c", "#6b4a2b")
"""Those of the page on light ground."""
FONTS = ("Noto Sans CJK JP", "Noto Sans JP", "Hiragino Sans", "Yu Gothic", "IPAexGothic", "IPAGothic")
INK, SOFT, FAINT = "#20242c", "#5b6270", "#dedad1"


def title_of(board: Board, kind: str, language: str) -> list[str]:
    """Return the lines that stand above a plot: what it is, of which spec and judge, and how models are coloured."""
    key = {"bars": "by_category", "radar": "by_category", "spread": "spread"}.get(kind, kind)
    place = int(language == "ja")
    judge = WORDS["judged_by"][place].format(judge=board.judge) if board.judge else WORDS["no_judge"][place]
    return [WORDS[key][place], f"{board.spec} · {judge}"]


def japanese_font() -> str | None:
    """Return the name of a font with Japanese characters that matplotlib finds; None if there is none."""
    from matplotlib import font_manager

    have = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in FONTS if name in have), None)


def png_plots(board: Board, name: str, out: Path, language: str, font: str | None) -> list[Path]:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    spoken = language if font or language == "en" else "en"
    kinds: dict[str, Callable[[Any, Board, str], bool]] = {
        "intervals": _draw_intervals, "radar": _draw_radar, "bars": _draw_bars, "turns": _draw_turns, "spread": _draw_spread
    }  # fmt: skip
    files = []
    settings: Any = {"font.family": [*([font] if font and spoken == "ja" else []), "DejaVu Sans", *([font] if font else [])]}  # fmt: skip
    with matplotlib.rc_context(settings):
        for kind, draw in kinds.items():
            figure = Figure()
            FigureCanvasAgg(figure)
            if not draw(figure, board, spoken):
                continue
            path = out / f"{name}-{kind}.{language}.png"
            lines = title_of(board, kind, spoken)
            said = "\n".join(visible(line, lines=False) for line in lines)
            figure.text(0.02, 1.0, said, ha="left", va="bottom", size=10, color=INK, linespacing=1.5)
            figure.savefig(path, dpi=150, bbox_inches="tight", metadata={"Software": "Watari"})
            files.append(path)
    return files


def _draw_rows(figure: Any, rows: Sequence[DotRow], board: Board, legend: Sequence[str]) -> None:
    """Dots with whiskers, a row a model, best on top."""
    figure.set_size_inches(8.5, 0.75 + 0.3 * len(rows))
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        for order, dot in enumerate(row.dots):
            colour = COLOURS[int(dot.kind[1:])]
            y = place + (0.16 * (order - (len(row.dots) - 1) / 2) if len(row.dots) > 1 else 0.0)
            one = dot.figure
            if one.low is not None and one.high is not None:
                axes.plot([one.low, one.high], [y, y], color=colour, alpha=0.5, linewidth=2.4, solid_capstyle="round")  # fmt: skip
            axes.plot([one.value], [y], "o", color=colour, markersize=5, label=legend[order] if legend and not place else None)  # fmt: skip
        if len(row.dots) == 1:
            axes.annotate(
                board.written(row.dots[0].figure.value), (1.01, place), xycoords=axes.get_yaxis_transform(),
                va="center", size=8, color=INK,
            )  # fmt: skip
    axes.set_yticks(range(len(rows)), [fitted(visible(row.label, lines=False), 40) for row in rows], size=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    _quiet(axes, "x")
    if legend:
        axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.35 / len(rows) - 0.06), ncols=len(legend))  # fmt: skip


def _draw_intervals(figure: Any, board: Board, language: str) -> bool:
    _draw_rows(figure, interval_rows(board), board, ())
    return True


def _draw_turns(figure: Any, board: Board, language: str) -> bool:
    rows = turn_rows(board)
    if rows:
        _draw_rows(figure, rows, board, [say_name(name, language) for name in board.turns])
    return bool(rows)


def _draw_radar(figure: Any, board: Board, language: str) -> bool:
    names, entries = board.categories, board.shown[:COMPARED]
    if len(names) < 3:
        return False
    figure.set_size_inches(6.4, 5.6)
    axes = figure.add_subplot(projection="polar")
    axes.set_theta_offset(pi / 2)
    axes.set_theta_direction(-1)
    low = min(0.0, board.scale[0])
    angles = [2 * pi * place / len(names) for place in range(len(names) + 1)]
    for place, entry in enumerate(entries):
        values = [
            low if (one := entry.figure(name)) is None or one.value is None else one.value for name in names
        ]
        label = fitted(visible(entry.model, lines=False), 40)
        axes.plot(
            angles, [*values, values[0]], color=COLOURS[place % len(COLOURS)], linewidth=1.6, label=label
        )
        axes.fill(angles, [*values, values[0]], color=COLOURS[place % len(COLOURS)], alpha=0.05)
    axes.set_ylim(low, board.scale[1])
    axes.set_xticks(angles[:-1], [say_name(name, language) for name in names], size=9)
    axes.tick_params(axis="y", labelsize=7, colors=SOFT)
    axes.grid(color=FAINT)
    axes.spines["polar"].set_color(FAINT)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.12, 1.0))
    return True


def _draw_bars(figure: Any, board: Board, language: str) -> bool:
    names, entries = board.categories, board.shown[:COMPARED]
    if not names:
        return False
    figure.set_size_inches(max(6.0, 1.35 * len(names)), 3.6)
    axes = figure.add_subplot()
    thick = 0.82 / len(entries)
    for order, entry in enumerate(entries):
        for place, name in enumerate(names):
            one = entry.figure(name)
            if one is None or one.value is None:
                continue
            x = place + thick * (order - (len(entries) - 1) / 2)
            label = fitted(visible(entry.model, lines=False), 40) if not place else None
            axes.bar(x, one.value, thick * 0.92, color=COLOURS[order % len(COLOURS)], alpha=0.85, label=label)
            if one.low is not None and one.high is not None:
                axes.plot([x, x], [one.low, one.high], color=INK, linewidth=0.9, alpha=0.75)
    axes.set_xticks(range(len(names)), [fitted(say_name(name, language), 18) for name in names], size=9)
    axes.set_ylim(min(0.0, board.scale[0]), board.scale[1])
    _quiet(axes, "y")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return True


def _draw_spread(figure: Any, board: Board, language: str) -> bool:
    bins, entries = bins_of(board), board.entries[:DRAWN]
    shares = [spread(entry, bins) for entry in entries]
    figure.set_size_inches(8.5, 0.9 + 0.28 * len(entries))
    axes = figure.add_subplot()
    axes.imshow(
        [[share**0.5 for share in row] for row in shares], cmap="Blues", vmin=0, vmax=1.2, aspect="auto"
    )
    for y, row in enumerate(shares):
        for x, share in enumerate(row):
            if share >= 0.005:
                axes.text(x, y, f"{100 * share:.0f}", ha="center", va="center", size=7.5, color="white" if share > 0.4 else INK)  # fmt: skip
    axes.set_xticks(range(len(bins) + 1), [*bin_names(bins), WORDS["invalid"][language == "ja"]], size=8)
    axes.set_yticks(
        range(len(entries)), [fitted(visible(entry.model, lines=False), 40) for entry in entries], size=8
    )
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return True


def _quiet(axes: Any, along: str) -> None:
    axes.tick_params(axis="both", length=0)
    axes.tick_params(axis=along, labelsize=8, colors=SOFT)
    axes.grid(axis=along, color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)


def say_name(name: str, language: str) -> str:
    return visible(name_pair(name)[language == "ja"], lines=False)
