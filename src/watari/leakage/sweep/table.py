"""A sweep as a table of 80 columns, from its `sweep.json` alone."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import Any

from watari.leakage.sweep.verdicts import told_claim
from watari.pages.noted import counted

WIDTH = 80
_NAME = 34


def as_lines(sweep: Mapping[str, Any]) -> list[str]:
    """Return the table, what its signs mean, the canary, and the recommendation.

    Cells are sorted by leakage, then quality; a long name goes on in the next line.
    """
    quality = sweep["objectives"]["high"]
    lines = _wrapped(
        f"{sweep['model']} ({sweep['engine']}): {counted(len(sweep['cells']), 'cell')}, "
        f"{counted(sweep['size']['prompts'], 'prompt')} x {sweep['size']['repeats']:,}"
    )
    head = "judge" if quality == "judge" else "sound"
    lines += [
        "",
        f"{'':<4}{'cell':<{_NAME}}{'leaking %':>18}{'/1k':>6}{head:>6}{'loop':>6}{'cut':>6}",
    ]
    best = set(sweep["not_told_apart_from_best"])
    cells = sorted(sweep["cells"], key=lambda cell: _order(cell, quality))
    for cell in cells:
        lines += [line.rstrip() for line in _row(cell, quality, sweep["recommended"]["cell"], best)]
    lines += ["", "> recommended   * on the Pareto front   = not told apart from the least leaking"]
    lines += _wrapped(
        f"leaking: share of responses with any leak, 95 % interval; /1k: leaks per 1,000 characters; {head}:"
        f" {sweep['metrics'].get(quality, quality)}; loop, cut: %"
    )
    marked = [f"{mark}: {cell['name']}" for cell in sweep["cells"] for mark in cell["marks"]]
    if marked:
        lines += _wrapped("marked (+): " + "; ".join(marked))
    lines += ["", *_proved(sweep["canary"])]
    for note in sweep["notes"]:
        lines += _wrapped(f"note: {note}")
    lines += ["", *_wrapped(f"Recommended: {sweep['recommended']['cell']}.")]
    for sentence in sweep["recommended"]["reason"]:
        lines += _wrapped(sentence)
    if beyond := sweep["recommended"]["not_in_the_file"]:
        pronoun = "it" if len(beyond) == 1 else "them"
        lines += _wrapped(
            f"{', '.join(beyond)}: generation_config.json cannot hold {pronoun}; send with each request:"
        )
        lines += _wrapped(json.dumps(sweep["recommended"]["request"], ensure_ascii=False))
    return lines


def _row(cell: Mapping[str, Any], quality: str, recommended: str, best: set[str]) -> list[str]:
    figures = cell["figures"]
    signs = (
        (">" if cell["name"] == recommended else " ")
        + ("*" if cell.get("on_front") else " ")
        + ("=" if cell["name"] in best else " ")
    )
    name = cell["name"] + (" +" if cell["marks"] else "")
    name, *more = textwrap.wrap(name, _NAME - 2, break_on_hyphens=False)
    below = [f"      {part}" for part in more]
    if "leaking" not in figures:
        return [f"{signs} {name:<{_NAME}}{'no answers':>18}", *below]
    leaking = figures["leaking"]
    shown = f"{100 * leaking['value']:.1f}"
    if leaking["low"] is not None:
        shown += f" [{100 * leaking['low']:.1f},{100 * leaking['high']:.1f}]"
    good = figures.get(quality, {}).get("value")
    if good is None:
        scored = "-"
    else:
        scored = f"{good:.2f}" if quality == "judge" else f"{100 * good:.0f}%"
    row = (
        f"{signs} {name:<{_NAME}}{shown:>18}{_number(figures, 'events', 1, 2):>6}{scored:>6}"
        f"{_number(figures, 'loops', 100, 0):>6}{_number(figures, 'truncated', 100, 0):>6}"
    )
    return [row, *below]


def _number(figures: Mapping[str, Any], name: str, times: float, digits: int) -> str:
    return f"{times * figures[name]['value']:.{digits}f}" if name in figures else "-"


def _order(cell: Mapping[str, Any], quality: str) -> tuple[float, float]:
    figures = cell["figures"]
    if "leaking" not in figures:
        return (2.0, 0.0)
    return (figures["leaking"]["value"], -figures.get(quality, {}).get("value", 0.0))


def _proved(checks: list[Mapping[str, Any]]) -> list[str]:
    if not checks:
        return ["canary: not asked for: that settings are applied is not shown"]
    applied = list(dict.fromkeys(check["setting"] for check in checks if check["verdict"] == "applied"))
    lines = _wrapped("canary: applied: " + (", ".join(applied) or "nothing shown"))
    for check in checks:
        if check["verdict"] != "applied":
            lines += _wrapped(f"canary: {check['setting']} {check['verdict']}: {told_claim(check)}")
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False) if text else []
