"""Assembles the page of a sweep from its `sweep.json`: the recommendation, the front, all settings, the canary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from watari.leakage.sweep.engine import LOCAL
from watari.leakage.sweep.page.drawing import front_chart
from watari.leakage.sweep.page.words import LABELS
from watari.pages.labels import both_said, language_name
from watari.pages.numbers import whole
from watari.pages.page import Template
from watari.pages.visible import visible

_TEMPLATE = Template(__package__ or "watari.leakage.sweep.page", LABELS, {"visible": visible, "whole": whole})


def page_of(sweep: Mapping[str, Any]) -> str:
    """Return the page as HTML; the same sweep gives the same page.

    Args:
        sweep: What `sweep.json` holds.
    """
    quality = sweep["objectives"]["high"]
    cells = sorted(
        sweep["cells"],
        key=lambda cell: (
            cell["figures"].get("leaking", {}).get("value", 2.0),
            -cell["figures"].get(quality, {}).get("value", 0.0),
        ),
    )
    drawn = [cell for cell in sweep["cells"] if "on_front" in cell]
    by_name = {cell["name"]: cell for cell in cells}
    best, default = sweep["recommended"]["cell"], sweep["default"]
    japanese: Mapping[str, str] = sweep.get("in_japanese", {})
    return _TEMPLATE.render(
        sweep=sweep,
        cells=cells,
        quality=quality,
        best=by_name[best],
        default=by_name.get(default),
        tied=set(sweep["not_told_apart_from_best"]),
        drawing=front_chart(drawn, quality, best, default, "front-title"),
        told=told,
        request=json.dumps(sweep["recommended"]["request"], ensure_ascii=False),
        language=language_name,
        engine=_engine(sweep["engine"]),
        said=lambda text: both_said(text, japanese.get(text, text)),
    )


def _engine(name: str) -> Markup:
    return LABELS.t("local") if name == LOCAL else Markup("<bdi>{}</bdi>").format(visible(name, lines=False))


def told(cell: Mapping[str, Any], name: str, *, ends: bool = False) -> str:
    """Return a cell's figure as text, `–` where there is none; with `ends`, its interval."""
    figure = cell["figures"].get(name)
    if figure is None or (ends and figure["low"] is None):
        return "–"
    if ends:
        return f"{_number(name, figure['low'])} – {_number(name, figure['high'])}"
    return _number(name, figure["value"])


def _number(name: str, value: float) -> str:
    if name in ("leaking", "sound", "loops", "truncated", "empty"):
        return f"{100 * value:.1f}%"
    if name in ("tokens", "characters"):
        return f"{value:,.0f}"
    return f"{value:.3f}" if name != "judge" else f"{value:.2f}"
