"""What a drawing of the graph is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from watari.report.stages import ReportStage


class Point(NamedTuple):
    """A place on the drawing, in user units."""

    x: float
    y: float


@dataclass(frozen=True)
class Measure:
    """Sizes of a drawing: how many columns in a band, and how large a box is."""

    columns: int
    width: float
    height: float = 60.0


@dataclass
class Box:
    """A stage's box; x and y are its upper left corner."""

    stage: ReportStage
    level: int
    band: int = 0
    column: int = 0
    x: float = 0.0
    y: float = 0.0


@dataclass
class Wire:
    """An edge from box `start` to box `end` (positions in `Drawing.boxes`), as the corners of its way."""

    start: int
    end: int
    points: list[Point] = field(default_factory=list)


@dataclass
class Drawing:
    """A finished layout."""

    boxes: list[Box]
    wires: list[Wire]
    width: float
    height: float
    measure: Measure
