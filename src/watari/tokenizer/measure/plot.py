"""The comparison as a picture: horizontal bars of characters per token, with their intervals."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.errors import UserError
from watari.tokenizer.measure.names import fitted, width

if TYPE_CHECKING:
    from watari.tokenizer.measure.comparison import Comparison

FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "Hiragino Sans",
    "Yu Gothic",
    "Meiryo",
    "IPAexGothic",
    "IPAGothic",
    "TakaoGothic",
    "VL Gothic",
    "Source Han Sans JP",
)
"""Fonts with Japanese characters, the first one found stands behind the usual one."""
_COLOURS = ("#1f5fa8", "#c2571a", "#0a7d6a", "#a8336a", "#8a6d00", "#5d4fb0", "#3c7d9c", "#6b4a2b")
_FORMS = (".svg", ".png", ".pdf")
_LONGEST = 34


def check_plot(path: Path) -> None:
    """Refuse early what could not be drawn after all the measuring.

    Raises:
        UserError: if the file's suffix is none of .svg, .png and .pdf, its folder is missing, or matplotlib is.
    """
    if path.suffix.lower() not in _FORMS:
        raise UserError(f"{path}: not a picture's name", f"one that ends in {', '.join(_FORMS)} is wanted")
    if not path.parent.is_dir():
        raise UserError(f"{path}: its folder does not exist")
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError(f"{path}: a plot needs the Python package matplotlib", "pip install matplotlib")


def write_plot(comparison: Comparison, path: Path) -> None:
    """Write the picture; the same comparison gives the same bytes on the same machine.

    Raises:
        UserError: see `check_plot`; and if the file cannot be written.
    """
    check_plot(path)
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings: Any = {
        "font.family": ["DejaVu Sans", *_fonts()],
        # Text stays text, so that a reader's own fonts show what this machine has no font for.
        "svg.fonttype": "none",
        "svg.hashsalt": "watari",
        "pdf.fonttype": 42,
    }
    names = fitted([item.tokenizer for item in comparison.measurements], _LONGEST)
    files = fitted(comparison.files, _LONGEST)
    rows = (len(names) + 1.35) * len(files)
    label = max(width(name) for name in names) * 0.078 + 0.2
    title = max(width(name) for name in files) * 0.09 + 0.3
    across, height = max(label + 5.2, title + label), 0.27 * rows + 0.95
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(across, height))
        FigureCanvasAgg(figure)
        axes = figure.add_axes(
            (label / across, 0.62 / height, 1 - (label + 0.75) / across, 1 - 0.72 / height)
        )
        _draw(axes, comparison, names, files)
        date: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}
        try:
            figure.savefig(path, dpi=160, metadata=date[path.suffix.lower()])
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _draw(axes: Any, comparison: Comparison, names: list[str], files: list[str]) -> None:
    at = 0.0
    ticks: list[float] = []
    furthest = 0.0
    for file, shown in zip(comparison.files, files, strict=True):
        axes.annotate(
            shown,
            (0.0, at),
            xycoords=axes.get_yaxis_transform(),
            xytext=(1, 0),
            textcoords="offset points",
            va="center",
            size=9.5,
            weight="bold",
            bbox={"facecolor": "white", "linewidth": 0, "pad": 1.5},
        )
        at += 1
        for place, item in enumerate(comparison.figures(file)):
            value = item.chars_per_token or 0.0
            low, high = item.chars_per_token_low, item.chars_per_token_high
            axes.barh(at, value, height=0.68, color=_COLOURS[place % len(_COLOURS)], alpha=0.85, linewidth=0)
            end = value
            if low is not None and high is not None:
                axes.plot([low, high], [at, at], color="#20242c", linewidth=1.4, solid_capstyle="butt")
                end = max(value, high)
            axes.annotate(
                f"{value:.3f}",
                (end, at),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                size=8.5,
                color="#20242c",
            )
            furthest = max(furthest, end)
            ticks.append(at)
            at += 1
        at += 0.35
    axes.set_yticks(ticks, names * len(files), size=9)
    axes.set_ylim(at - 0.75, -0.6)
    axes.set_xlim(0, furthest * 1.08 or 1)
    axes.set_xlabel("characters per token (line: 95 % interval over documents)", size=9)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8.5, colors="#5b6270")
    axes.grid(axis="x", color="#dedad1", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#5b6270")


def _fonts() -> list[str]:
    from matplotlib import font_manager

    have = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in FONTS if name in have][:1]
