"""Leakage along a setting, such as the temperature: a chart a column, a line a scan or model, intervals as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from watari.pages.labels import both_svg
from watari.pages.visible import visible
from watari.report.chart import Line, Panel, chart_svg
from watari.report.figures import Figure, Score, dig, number, read_object
from watari.report.numbers import link
from watari.report.stages import ReportStage
from watari.report.words import t, t_svg

SUMMARY = "summary.json"
RATE, SHARE = "events_per_1000", "responses_with_any"
_MOST = 8
"""Lines of a chart: as many as there are colours."""
_ASIDE = 0.008
"""How far a line stands beside the one before it, as a share of the axis."""


@dataclass(frozen=True)
class Drawn:
    """One line: what it is called, its colour, its scan, and (value, share, rate) along the axis."""

    name: str
    colour: int
    stage: ReportStage
    points: list[tuple[float, Figure, Figure]]
    trend: dict[str, Any] | None


@dataclass(frozen=True)
class LeakCurve:
    """One chart with its legend, its note, its table (the values of the axis and each line's figures) and its data."""

    id: str
    title: Markup
    note: Markup
    svg: Markup
    lines: list[Drawn]
    data: dict[str, Any]


def leak_curves(scans: Sequence[ReportStage], scores: dict[str, list[Score]]) -> list[LeakCurve]:
    """Return a chart for each column of numbers along which the scans have figures.

    A scan whose rows are of several models has a line a model, any other one line.

    Raises:
        UserError: if a scan's summary cannot be read.
    """
    found: dict[str, list[Drawn]] = {}
    for stage in scans:
        path = stage.path / SUMMARY
        curves = read_object(path).get("curves") if path.is_file() else None
        known = {(score.metric, score.group): score.figure for score in scores[stage.name]}
        listed = [curve for curve in curves if isinstance(curve, dict)] if isinstance(curves, list) else []
        for column in dict.fromkeys(str(curve.get("column")) for curve in listed):
            own = [curve for curve in listed if curve.get("column") == column]
            for curve in [curve for curve in own if curve.get("series")] or own:
                lines = found.setdefault(column, [])
                points = _points(column, curve, known)
                if len(points) > 1 and len(lines) < _MOST:
                    trend = curve.get("trend")
                    lines.append(
                        Drawn(
                            _name(stage, curve, alone=len(scans) == 1),
                            len(lines),
                            stage,
                            points,
                            trend if isinstance(trend, dict) else None,
                        )
                    )
    return [
        _chart(f"leaks{place}", column, lines)
        for place, (column, lines) in enumerate(((c, lines) for c, lines in found.items() if lines), 1)
    ]


def _points(
    column: str, curve: dict[str, Any], known: dict[tuple[str, str], Figure]
) -> list[tuple[float, Figure, Figure]]:
    series = curve.get("series")
    head = "".join(f"{name}={value}/" for name, value in series.items()) if isinstance(series, dict) else ""
    found = []
    for point in curve.get("points") or []:
        value = number(dig(point, ("value",)))
        group = f"{head}{column}={dig(point, ('value',))}"
        share, rate = known.get((SHARE, group)), known.get((RATE, group))
        if value is not None and share is not None and rate is not None:
            found.append((float(value), share, rate))
    return sorted(found, key=lambda point: point[0])


def _name(stage: ReportStage, curve: dict[str, Any], *, alone: bool) -> str:
    series = curve.get("series")
    said = ", ".join(str(value) for value in series.values()) if isinstance(series, dict) else ""
    return visible(said if said and alone else f"{stage.name} {said}".strip(), lines=False)


def _chart(id: str, column: str, lines: list[Drawn]) -> LeakCurve:
    share = Panel(t_svg("leakage_share_axis"), height=170, floor=0.0, ticks=4)
    rate = Panel(t_svg("leakage_rate_axis"), height=120, floor=0.0, ticks=3)
    data = []
    xs = [x for line in lines for x, _, _ in line.points]
    aside = _ASIDE * (max(xs) - min(xs))
    for line in lines:
        for panel, place, scale in ((share, 1, 100.0), (rate, 2, 1.0)):
            # Side by side, or the bars of two lines would be one.
            figures = [
                (x + aside * line.colour, share_of if place == 1 else rate_of)
                for x, share_of, rate_of in line.points
            ]
            values = [(x, one.value * scale) for x, one in figures]
            panel.lines.extend((Line(values, line.colour), Line(values, line.colour, "dots")))
            panel.lines.extend(
                Line([(x, one.low * scale), (x, one.high * scale)], line.colour, "whisker")
                for x, one in figures
                if one.low is not None and one.high is not None
            )
        data.append(
            {
                "name": line.name,
                "colour": line.colour,
                "x": [x for x, _, _ in line.points],
                "leak_share": [_told(one, 100.0, 1) + "%" for _, one, _ in line.points],
                "leak_rate": [_told(one, 1.0, 3) for _, _, one in line.points],
            }
        )
    shown = visible(column, lines=False)
    trends = [said for line in lines if (said := _trend(line)) is not None]
    note = t("leakage_curve_note", trends=Markup(" ").join(trends)) if trends else Markup()
    svg = chart_svg([share, rate], x_title=both_svg(shown, shown), labelled_by=f"{id}-title", name=id)
    return LeakCurve(id, t("leakage_curve", column=shown), note, svg, lines, {"x": shown, "lines": data})


def _told(figure: Figure, scale: float, digits: int) -> str:
    said = f"{figure.value * scale:.{digits}f}"
    if figure.low is None or figure.high is None:
        return said
    return f"{said} [{figure.low * scale:.{digits}f}, {figure.high * scale:.{digits}f}]"


def _trend(line: Drawn) -> Markup | None:
    """Return how the share of leaking responses changes for one more of the axis."""
    found = [number(dig(line.trend, (SHARE, name))) for name in ("slope", "low", "high", "p")]
    if any(value is None for value in found):
        return None
    slope, low, high, p = (float(value) for value in found if value is not None)
    said = t(
        "leakage_points",
        value=f"{100 * slope:+.1f}",
        low=f"{100 * low:+.1f}",
        high=f"{100 * high:+.1f}",
        p="< 0.001" if p < 0.001 else f"= {p:.3f}",
    )
    return Markup('<span class="entry"><b>{}</b> {}</span>').format(line.name, said)


def told_link(figure: Figure) -> Markup:
    """Return a figure with its interval, linked to its stage."""
    ends = (
        "" if figure.low is None or figure.high is None else _told(figure, *_form(figure)).partition(" ")[2]
    )
    return Markup("{} <small>{}</small>").format(link(figure), ends) if ends else link(figure)


def _form(figure: Figure) -> tuple[float, int]:
    return (100.0, 1) if figure.name == SHARE else (1.0, 3)
