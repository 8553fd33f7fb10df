"""The graph of stages as SVG."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from watari.pages import svg
from watari.pages.visible import fitted
from watari.report.drawing import Box, Drawing, Measure, Point
from watari.report.layout import lay_out
from watari.report.stages import ReportStage

WIDE = Measure(columns=6, width=158)
NARROW = Measure(columns=2, width=136)
_RADIUS = 6.0


def graph_svg(stages: Sequence[ReportStage], measure: Measure, *, labelled_by: str) -> Markup:
    """Return the graph as an inline SVG: every box is a link to its stage's details.

    Args:
        stages: The run's stages; stage names are escaped.
        measure: `WIDE` or `NARROW`.
        labelled_by: The id of the element that names the picture.
    """
    if any(stage.variant for stage in stages):
        measure = Measure(measure.columns, measure.width, measure.height + 15)
    drawing = lay_out(stages, measure)
    parts = [
        Markup(
            '<svg class="graph" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="group" '
            'aria-labelledby="{by}">'
        ).format(w=svg.number(drawing.width), h=svg.number(drawing.height), by=labelled_by)
    ]
    parts.append(Markup('<g class="wires" aria-hidden="true">'))
    for wire in drawing.wires:
        parts.append(
            Markup('<path class="wire" data-a="{a}" data-b="{b}" d="{d}"/>').format(
                a=wire.start, b=wire.end, d=rounded(wire.points)
            )
        )
        tip = wire.points[-1]
        parts.append(
            Markup('<path class="tip" data-a="{a}" data-b="{b}" d="M{x} {y}l-6 -3.5v7z"/>').format(
                a=wire.start, b=wire.end, x=svg.number(tip.x), y=svg.number(tip.y)
            )
        )
    parts.append(Markup("</g>"))
    parts += [_box(index, box, drawing) for index, box in enumerate(drawing.boxes)]
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)


def _box(index: int, box: Box, drawing: Drawing) -> Markup:
    stage = box.stage
    room = int((drawing.measure.width - 22) / 7.3)
    small = int((drawing.measure.width - 22) / 6.3)
    lines = [("uses", stage.uses), ("digest", f"{stage.manifest.kind} {stage.manifest.digest[:8]}")]
    if stage.variant:
        lines.insert(0, ("variant", stage.variant))
    return Markup(
        '<a href="#{anchor}" class="node room-{room}" data-i="{i}"><title>{title}</title>'
        '<rect class="box" x="{x}" y="{y}" width="{w}" height="{h}" rx="5"/>'
        '<rect class="mark" x="{x}" y="{y}" width="5" height="{h}" rx="2.5"/>'
        '<text class="name" x="{tx}" y="{y1}">{name}</text>'
        "{lines}</a>"
    ).format(
        anchor=stage.anchor,
        room=stage.room,
        i=index,
        title=f"{stage.name} · {stage.uses} → {stage.manifest.kind} · {stage.manifest.digest}",
        x=svg.number(box.x),
        y=svg.number(box.y),
        w=svg.number(drawing.measure.width),
        h=svg.number(drawing.measure.height),
        tx=svg.number(box.x + 14),
        y1=svg.number(box.y + 20),
        name=fitted(stage.base, room),
        lines=Markup("").join(
            Markup('<text class="{}" x="{}" y="{}">{}</text>').format(
                cls, svg.number(box.x + 14), svg.number(box.y + 36 + 15 * place), fitted(text, small)
            )
            for place, (cls, text) in enumerate(lines)
        ),
    )


def rounded(points: Sequence[Point]) -> str:
    """Return an SVG path through right-angled corners, each rounded."""
    d = [f"M{svg.number(points[0].x)} {svg.number(points[0].y)}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        reach = min(_RADIUS, _length(before, corner) / 2, _length(corner, after) / 2)
        enter, leave = _toward(corner, before, reach), _toward(corner, after, reach)
        d.append(
            f"L{svg.number(enter.x)} {svg.number(enter.y)}Q{svg.number(corner.x)} {svg.number(corner.y)} {svg.number(leave.x)} {svg.number(leave.y)}"
        )
    d.append(f"L{svg.number(points[-1].x)} {svg.number(points[-1].y)}")
    return "".join(d)


def _length(a: Point, b: Point) -> float:
    return abs(a.x - b.x) + abs(a.y - b.y)


def _toward(a: Point, b: Point, reach: float) -> Point:
    length = _length(a, b)
    return a if not length else Point(a.x + (b.x - a.x) * reach / length, a.y + (b.y - a.y) * reach / length)
