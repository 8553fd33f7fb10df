"""Layered layout of the graph of stages, left to right, wrapped into bands like lines of text.

Columns are levels by longest path (Sugiyama et al. 1981, without its dummy vertices: an edge that skips columns takes
a free row, or the corridor between two bands). Every vertical runs in a channel between columns and every long
horizontal in a corridor between bands (`routes.py`), so that no edge ever crosses a box. Deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from watari.report.drawing import Box, Drawing, Measure
from watari.report.routes import (
    LANE,
    MARGIN,
    Route,
    channel_lanes,
    corridor_height,
    corridor_lanes,
    place_columns,
    routes_of,
    wire_of,
)
from watari.report.stages import ReportStage

_ROW_GAP = 16.0


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
    routes = routes_of(boxes, edges, measure)

    corridors = corridor_lanes(routes, bands)
    top = MARGIN
    tops = []
    for band in range(bands):
        top += corridor_height(corridors, band)
        tops.append(top)
        top += heights[band]
    height = top + corridor_height(corridors, bands) + MARGIN
    for box in boxes:
        box.y += tops[box.band]
    for route in routes:
        route.port += tops[boxes[route.end].band]
        if route.row is not None:
            route.row += tops[boxes[route.start].band]

    def corridor_y(route: Route) -> float:
        gap = route.gap or 0
        bottom = tops[gap] if gap < bands else height - MARGIN
        return bottom - 10 - LANE * corridors[(gap, route.start)]

    channels = channel_lanes(boxes, routes, corridor_y, measure)
    width = place_columns(boxes, channels, columns, measure)
    wires = [wire_of(boxes, route, channels, corridor_y, measure) for route in routes]
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
            index: (place + 0.5) / len(column)
            for column in grid.values()
            for place, index in enumerate(column)
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
    most = [
        max((len(column) for (b, _), column in grid.items() if b == band), default=1) for band in range(bands)
    ]
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
