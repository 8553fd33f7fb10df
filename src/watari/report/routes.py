"""The ways of the graph's edges: channels between columns, corridors between bands, and a lane for each source in both.

Edges of one source share a lane, so that they read as one line that forks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from watari.report.drawing import Box, Measure, Point, Wire

LANE = 7.0
MARGIN = 8.0
Lanes = dict[tuple[int, int], int]
"""(corridor or channel, source) → lane."""


@dataclass
class Route:
    """The abstract way of an edge: into channel `leave`, along `row` or corridor `gap`, from channel `enter` in."""

    start: int
    end: int
    leave: int | None
    enter: int | None
    row: float | None = None
    gap: int | None = None
    port: float = 0.0


def routes_of(boxes: list[Box], edges: Sequence[tuple[int, int]], measure: Measure) -> list[Route]:
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
            b == band and first <= to and since <= last and abs(y - row) < 6 and owner != start
            for b, since, to, row, owner in taken
        )
        return not through_box and not beside

    routes = []
    for start, end in sorted(edges, key=lambda e: (boxes[e[1]].level - boxes[e[0]].level, e)):
        a, b = boxes[start], boxes[end]
        exit_y, port = a.y + middle, ports[(start, end)]
        route = Route(start, end, a.column + 1, b.column, port=port)
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


def _spread(extents: dict[tuple[int, int], tuple[float, float]], room: float) -> Lanes:
    """Give each (corridor, source) a lane so that no two in one corridor touch (greedy interval colouring)."""
    lanes: Lanes = {}
    for key, (low, high) in sorted(extents.items(), key=lambda item: (item[0][0], item[1], item[0][1])):
        used = {
            lanes[other]
            for other, (a, b) in extents.items()
            if other[0] == key[0] and other in lanes and a <= high + room and low <= b + room
        }
        lanes[key] = next(lane for lane in range(len(extents) + 1) if lane not in used)
    return lanes


def corridor_lanes(routes: Sequence[Route], bands: int) -> Lanes:
    extents: dict[tuple[int, int], tuple[float, float]] = {}
    for route in routes:
        if route.gap is not None and route.leave is not None and route.enter is not None:
            low, high = sorted((float(route.leave), float(route.enter)))
            old = extents.get((route.gap, route.start), (low, high))
            extents[(route.gap, route.start)] = (min(low, old[0]), max(high, old[1]))
    return _spread(extents, 0.0)


def corridor_height(corridors: Lanes, gap: int) -> float:
    lanes = [lane for (place, _), lane in corridors.items() if place == gap]
    inner = 22.0 if gap else 0.0
    return max(inner, 20 + LANE * max(lanes)) if lanes else inner


def channel_lanes(
    boxes: list[Box], routes: Sequence[Route], corridor_y: Callable[[Route], float], measure: Measure
) -> Lanes:
    extents: dict[tuple[int, int], tuple[float, float]] = {}

    def use(channel: int, start: int, one: float, two: float) -> None:
        low, high = sorted((one, two))
        old = extents.get((channel, start), (low, high))
        extents[(channel, start)] = (min(low, old[0]), max(high, old[1]))

    for route in routes:
        exit_y = boxes[route.start].y + measure.height / 2
        between = corridor_y(route) if route.row is None else route.row
        if route.leave is not None:
            use(route.leave, route.start, exit_y, between)
        if route.enter is not None:
            use(route.enter, route.start, between, route.port)
    return _spread(extents, 4.0)


def place_columns(boxes: list[Box], channels: Lanes, columns: int, measure: Measure) -> float:
    """Give every box its x and return the drawing's width; a channel is as wide as its lanes need."""
    x = MARGIN
    starts = []
    for column in range(columns + 1):
        lanes = [lane for (channel, _), lane in channels.items() if channel == column]
        used = 26 + LANE * max(lanes) if lanes else 0.0
        x += max(used, 34.0) if 0 < column < columns else used
        starts.append(x)
        x += measure.width if column < columns else 0.0
    for box in boxes:
        box.x = starts[box.column]
    return x + MARGIN


def wire_of(
    boxes: list[Box],
    route: Route,
    channels: Lanes,
    corridor_y: Callable[[Route], float],
    measure: Measure,
) -> Wire:
    a, b = boxes[route.start], boxes[route.end]
    lefts = {box.column: box.x for box in boxes}

    def channel_x(channel: int) -> float:
        lane = channels[(channel, route.start)]
        # Lanes are counted from the right column's edge leftwards, or from the left column's for the last channel.
        if channel in lefts:
            return lefts[channel] - 14 - LANE * lane
        return lefts[channel - 1] + measure.width + 12 + LANE * lane

    exit_y = a.y + measure.height / 2
    between = corridor_y(route) if route.row is None else route.row
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
