"""Layered layout of the graph of stages, left to right, wrapped into bands like lines of text.

Columns are levels by longest path (Sugiyama et al. 1981, without its dummy vertices: an edge that skips columns takes
a free row, or the corridor between two bands). Every vertical runs in a channel between columns and every long
horizontal in a corridor between bands, so that no edge ever crosses a box. Deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import NamedTuple

from watari.report.stages import ReportStage

LANE = 7.0
_ROW_GAP = 16.0
_MARGIN = 8.0


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


@dataclass
class _Route:
    """The abstract way of an edge: into channel `leave`, along `row` or corridor `gap`, from channel `enter` in."""

    start: int
    end: int
    leave: int | None
    enter: int | None
    row: float | None = None
    gap: int | None = None
    port: float = 0.0


def lay_out(stages: Sequence[ReportStage], measure: Measure) -> Drawing:
    """Return the layout of `stages` and of the edges between them."""
    place = {id(stage): index for index, stage in enumerate(stages)}
    edges = sorted(
        {
            (place[id(source.stage)], place[id(stage)])
            for stage in stages
            for source in stage.sources
            if source.stage is not None and id(source.stage) in place
        }
    )
    boxes = [Box(stage, level) for stage, level in zip(stages, _levels(stages, edges), strict=True)]
    depth = max((box.level for box in boxes), default=-1) + 1
    bands = max(1, ceil(depth / measure.columns))
    columns = max(1, ceil(depth / bands))
    for box in boxes:
        box.band, box.column = divmod(box.level, columns)
    grid = _order(boxes, edges)
    heights = _rows(boxes, grid, edges, bands, measure)
    routes = _routes(boxes, edges, measure)

    corridors = _corridor_lanes(routes, bands)
    top = _MARGIN
    tops = []
    for band in range(bands):
        top += _corridor_height(corridors, band)
        tops.append(top)
        top += heights[band]
    height = top + _corridor_height(corridors, bands) + _MARGIN
    for box in boxes:
        box.y += tops[box.band]
    for route in routes:
        route.port += tops[boxes[route.end].band]
        if route.row is not None:
            route.row += tops[boxes[route.start].band]

    def corridor_y(route: _Route) -> float:
        gap = route.gap or 0
        bottom = tops[gap] if gap < bands else height - _MARGIN
        return bottom - 10 - LANE * corridors[(gap, route.start)]

    channels = _channel_lanes(boxes, routes, corridor_y, measure)
    width = _columns(boxes, channels, columns, measure)
    wires = [_wire(boxes, route, channels, corridor_y, measure) for route in routes]
    return Drawing(boxes, wires, width, height, measure)


def _levels(stages: Sequence[ReportStage], edges: Sequence[tuple[int, int]]) -> list[int]:
    """Longest path from the left; a stage without inputs moves right, to just before its first reader."""
    levels = [stage.level for stage in stages]
    fed = {end for _, end in edges}
    for index in range(len(stages)):
        readers = [levels[end] for start, end in edges if start == index]
        if index not in fed and readers:
            levels[index] = min(readers) - 1
    lowest = min(levels, default=0)
    return [level - lowest for level in levels]


def _order(boxes: list[Box], edges: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[int]]:
    """Order each column by the mean place of its neighbours; variants of one stage stay side by side."""
    grid: dict[tuple[int, int], list[int]] = {}
    for index, box in enumerate(boxes):
        grid.setdefault((box.band, box.column), []).append(index)
    keys = sorted(grid)
    for sweep in range(8):
        spot = {
            index: (place + 0.5) / len(column) for column in grid.values() for place, index in enumerate(column)
        }
        for key in keys if sweep % 2 == 0 else reversed(keys):
            families: dict[str, list[int]] = {}
            for index in grid[key]:
                families.setdefault(boxes[index].stage.base, []).append(index)

            def pull(family: list[int], spot: dict[int, float] = spot) -> tuple[float, int]:
                near = [
                    spot[a if b == index else b] for index in family for a, b in edges if index in (a, b)
                ] or [spot[index] for index in family]
                return round(sum(near) / len(near), 9), family[0]

            ordered = sorted(families.values(), key=pull)
            grid[key] = [index for family in ordered for index in sorted(family)]
            spot |= {index: (place + 0.5) / len(grid[key]) for place, index in enumerate(grid[key])}
    return grid


def _rows(
    boxes: list[Box],
    grid: dict[tuple[int, int], list[int]],
    edges: Sequence[tuple[int, int]],
    bands: int,
    measure: Measure,
) -> list[float]:
    """Give every box its y within its band, near its neighbours, and return each band's height."""
    step = measure.height + _ROW_GAP
    most = [max((len(column) for (b, _), column in grid.items() if b == band), default=1) for band in range(bands)]
    for (band, _), column in grid.items():
        for place, index in enumerate(column):
            boxes[index].y = (most[band] - len(column)) * step / 2 + place * step
    for _ in range(6):
        for key in sorted(grid):
            column, limit = grid[key], (most[key[0]] - 1) * step
            wanted = []
            for index in column:
                near = [
                    boxes[other].y
                    for a, b in edges
                    if index in (a, b) and boxes[other := a if b == index else b].band == key[0]
                ]
                wanted.append(sum(near) / len(near) if near else boxes[index].y)
            # Push down where two would overlap, then back up from the lower end of the band.
            for place in range(len(column)):
                floor = wanted[place - 1] + step if place else 0.0
                wanted[place] = max(round(wanted[place] / 2) * 2, floor)
            for place in reversed(range(len(column))):
                ceiling = wanted[place + 1] - step if place + 1 < len(column) else limit
                wanted[place] = min(wanted[place], ceiling)
            for place, index in enumerate(column):
                boxes[index].y = wanted[place]
    return [count * step - _ROW_GAP for count in most]


def _routes(boxes: list[Box], edges: Sequence[tuple[int, int]], measure: Measure) -> list[_Route]:
    """Choose each edge's way. y values are within the band still."""
    middle = measure.height / 2
    ports: dict[tuple[int, int], float] = {}
    for end in range(len(boxes)):
        coming = sorted(
            (start for start, to in edges if to == end),
            key=lambda start: (boxes[start].band, boxes[start].y, start),
        )
        spread = min(9.0, (measure.height - 20) / max(1, len(coming) - 1))
        for place, start in enumerate(coming):
            offset = (place - (len(coming) - 1) / 2) * spread
            ports[(start, end)] = boxes[end].y + middle + offset

    taken: list[tuple[int, int, int, float, int]] = []

    def is_free(band: int, first: int, last: int, y: float, start: int) -> bool:
        through_box = any(
            box.band == band and first <= box.column <= last and box.y - 5 < y < box.y + measure.height + 5
            for box in boxes
        )
        beside = any(
            b == band and first <= l and f <= last and abs(y - row) < 6 and owner != start
            for b, f, l, row, owner in taken
        )
        return not through_box and not beside

    routes = []
    for start, end in sorted(edges, key=lambda e: (boxes[e[1]].level - boxes[e[0]].level, e)):
        a, b = boxes[start], boxes[end]
        exit_y, port = a.y + middle, ports[(start, end)]
        route = _Route(start, end, a.column + 1, b.column, port=port)
        if a.band == b.band and b.column == a.column + 1:
            route.leave = None
            route.row = exit_y
        elif a.band == b.band and is_free(a.band, a.column + 1, b.column - 1, exit_y, start):
            route.leave = None
            route.row = exit_y
            taken.append((a.band, a.column + 1, b.column - 1, exit_y, start))
        elif a.band == b.band and is_free(a.band, a.column + 1, b.column - 1, port, start):
            route.enter = None
            route.row = port
            taken.append((a.band, a.column + 1, b.column - 1, port, start))
        else:
            above = a.band == b.band and exit_y + port < max(box.y for box in boxes if box.band == a.band)
            route.gap = b.band if a.band != b.band or above else b.band + 1
        routes.append(route)
    return routes


def _spread(extents: dict[tuple[int, int], tuple[float, float]], room: float) -> dict[tuple[int, int], int]:
    """Give each (corridor, source) a lane so that no two in one corridor touch (greedy interval colouring)."""
    lanes: dict[tuple[int, int], int] = {}
    for key, (low, high) in sorted(extents.items(), key=lambda item: (item[0][0], item[1], item[0][1])):
        used = {
            lanes[other]
            for other, (a, b) in extents.items()
            if other[0] == key[0] and other in lanes and a <= high + room and low <= b + room
        }
        lanes[key] = next(lane for lane in range(len(extents) + 1) if lane not in used)
    return lanes


def _corridor_lanes(routes: Sequence[_Route], bands: int) -> dict[tuple[int, int], int]:
    extents: dict[tuple[int, int], tuple[float, float]] = {}
    for route in routes:
        if route.gap is not None and route.leave is not None and route.enter is not None:
            low, high = sorted((float(route.leave), float(route.enter)))
            old = extents.get((route.gap, route.start), (low, high))
            extents[(route.gap, route.start)] = (min(low, old[0]), max(high, old[1]))
    return _spread(extents, 0.0)


def _corridor_height(corridors: dict[tuple[int, int], int], gap: int) -> float:
    lanes = [lane for (place, _), lane in corridors.items() if place == gap]
    inner = 22.0 if gap else 0.0
    return max(inner, 20 + LANE * max(lanes)) if lanes else inner


def _channel_lanes(
    boxes: list[Box], routes: Sequence[_Route], corridor_y: object, measure: Measure
) -> dict[tuple[int, int], int]:
    extents: dict[tuple[int, int], tuple[float, float]] = {}

    def use(channel: int, start: int, one: float, two: float) -> None:
        low, high = sorted((one, two))
        old = extents.get((channel, start), (low, high))
        extents[(channel, start)] = (min(low, old[0]), max(high, old[1]))

    assert callable(corridor_y)
    for route in routes:
        exit_y = boxes[route.start].y + measure.height / 2
        between = corridor_y(route) if route.gap is not None else route.row
        assert between is not None
        if route.leave is not None:
            use(route.leave, route.start, exit_y, between)
        if route.enter is not None:
            use(route.enter, route.start, between, route.port)
    return _spread(extents, 4.0)


def _columns(
    boxes: list[Box], channels: dict[tuple[int, int], int], columns: int, measure: Measure
) -> float:
    """Give every box its x and return the drawing's width; a channel is as wide as its lanes need."""
    x = _MARGIN
    starts = []
    for column in range(columns + 1):
        lanes = [lane for (channel, _), lane in channels.items() if channel == column]
        used = 26 + LANE * max(lanes) if lanes else 0.0
        x += max(used, 34.0) if 0 < column < columns else used
        starts.append(x)
        x += measure.width if column < columns else 0.0
    for box in boxes:
        box.x = starts[box.column]
    return x + _MARGIN


def _wire(
    boxes: list[Box],
    route: _Route,
    channels: dict[tuple[int, int], int],
    corridor_y: object,
    measure: Measure,
) -> Wire:
    a, b = boxes[route.start], boxes[route.end]
    lefts = {box.column: box.x for box in boxes}
    assert callable(corridor_y)

    def channel_x(channel: int) -> float:
        lane = channels[(channel, route.start)]
        # Lanes are counted from the right column's edge leftwards, or from the left column's for the last channel.
        if channel in lefts:
            return lefts[channel] - 14 - LANE * lane
        return lefts[channel - 1] + measure.width + 12 + LANE * lane

    exit_y = a.y + measure.height / 2
    between = corridor_y(route) if route.gap is not None else route.row
    points = [Point(a.x + measure.width, exit_y)]
    if route.leave is not None:
        x = channel_x(route.leave)
        points += [Point(x, exit_y), Point(x, between)]
    if route.enter is not None:
        x = channel_x(route.enter)
        points += [Point(x, between), Point(x, route.port)]
    points.append(Point(b.x, route.port))
    return Wire(route.start, route.end, _simplified(points))


def _simplified(points: list[Point]) -> list[Point]:
    """Drop repeated points and those in the middle of a straight line."""
    kept: list[Point] = []
    for point in points:
        if kept and point == kept[-1]:
            continue
        if len(kept) > 1 and (kept[-2].x == kept[-1].x == point.x or kept[-2].y == kept[-1].y == point.y):
            kept.pop()
        kept.append(point)
    return kept


def crosses_box(drawing: Drawing) -> list[tuple[int, int]]:
    """Return the wires (start, end) that run through the inside of a box: none, if the layout keeps its word."""
    found = []
    for wire in drawing.wires:
        for one, two in pairwise(wire.points):
            x0, x1 = sorted((one.x, two.x))
            y0, y1 = sorted((one.y, two.y))
            if any(
                x0 < box.x + drawing.measure.width - 1
                and box.x + 1 < x1
                and y0 < box.y + drawing.measure.height - 1
                and box.y + 1 < y1
                or (x0 == x1 and box.x + 1 < x0 < box.x + drawing.measure.width - 1 and y0 < box.y + drawing.measure.height - 1 and box.y + 1 < y1)
                or (y0 == y1 and box.y + 1 < y0 < box.y + drawing.measure.height - 1 and x0 < box.x + drawing.measure.width - 1 and box.x + 1 < x1)
                for box in drawing.boxes
            ):
                found.append((wire.start, wire.end))
                break
    return found
