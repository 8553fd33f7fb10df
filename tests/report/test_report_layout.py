"""The graph's layout and the charts: properties over any graph and any series."""

from __future__ import annotations

from itertools import pairwise
from math import isclose
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.artifact.kinds import Kind
from watari.artifact.manifest import Manifest
from watari.artifact.stage import InputArtifact
from watari.report.drawing import Drawing, Measure, Point
from watari.report.graph import NARROW, WIDE, rounded
from watari.report.layout import lay_out
from watari.report.stages import ReportStage, Source, read_stages
from watari.report.thinning import smoothed, strided, thinned


def crossings(drawing: Drawing) -> list[tuple[int, int]]:
    """Return (wire, box) wherever a wire runs through the inside of a box."""
    width, height = drawing.measure.width, drawing.measure.height
    return [
        (number, place)
        for number, wire in enumerate(drawing.wires)
        for one, two in pairwise(wire.points)
        for place, box in enumerate(drawing.boxes)
        if min(one.x, two.x) < box.x + width - 0.5
        and max(one.x, two.x) > box.x + 0.5
        and min(one.y, two.y) < box.y + height - 0.5
        and max(one.y, two.y) > box.y + 0.5
    ]


def overlaps(drawing: Drawing) -> list[tuple[int, int]]:
    """Return the pairs of boxes that touch."""
    width, height = drawing.measure.width, drawing.measure.height
    return [
        (i, j)
        for i, a in enumerate(drawing.boxes)
        for j, b in enumerate(drawing.boxes)
        if i < j and abs(a.x - b.x) < width and abs(a.y - b.y) < height
    ]


def check(drawing: Drawing) -> None:
    """Assert what every drawing must keep."""
    assert crossings(drawing) == []
    assert overlaps(drawing) == []
    for box in drawing.boxes:
        assert box.x >= 0
        assert box.x + drawing.measure.width <= drawing.width
        assert box.y + drawing.measure.height <= drawing.height
    for wire in drawing.wires:
        a, b = drawing.boxes[wire.start], drawing.boxes[wire.end]
        assert wire.points[0] == Point(a.x + drawing.measure.width, a.y + drawing.measure.height / 2)
        assert wire.points[-1].x == b.x
        assert b.y <= wire.points[-1].y <= b.y + drawing.measure.height
        assert wire.points[-2].x < wire.points[-1].x
        for one, two in pairwise(wire.points):
            assert one.x == two.x or one.y == two.y
        for point in wire.points:
            assert 0 <= point.x <= drawing.width
            assert 0 <= point.y <= drawing.height


def graph_of(parents: list[list[int]]) -> list[ReportStage]:
    """Return stages in which stage i is made from the stages `parents[i]`, all of them earlier ones."""
    manifest = Manifest(
        kind=Kind.MODEL,
        uses="model.load",
        stage_version=1,
        key="k",
        digest="d" * 32,
        parameters={},
        files=[],
        started="",
        finished="",
        seconds=0,
    )
    stages: list[ReportStage] = []
    for place, sources in enumerate(parents):
        found = [
            Source("model", stages[i].name, Kind.MODEL, "k", "d", None, stages[i])
            for i in sorted(set(sources))
        ]
        level = max((stages[i].level + 1 for i in sources), default=0)
        stages.append(
            ReportStage(f"s{place}", f"stage-s{place}", Path(), manifest, tuple(found), level, place)
        )
    return stages


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    size = draw(st.integers(1, 16))
    return [draw(st.lists(st.integers(0, place - 1), max_size=3)) if place else [] for place in range(size)]


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(1, 6))
def test_no_wire_crosses_a_box(parents: list[list[int]], columns: int) -> None:
    drawing = lay_out(graph_of(parents), Measure(columns, 150))
    check(drawing)
    assert len(drawing.wires) == sum(len(set(sources)) for sources in parents)


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_wires_of_different_sources_do_not_lie_on_one_another(parents: list[list[int]]) -> None:
    """Two wires that run along the same line belong to the same source, so that each can be followed."""
    drawing = lay_out(graph_of(parents), Measure(4, 150))
    runs = [
        (wire.start, one, two)
        for wire in drawing.wires
        for one, two in pairwise(wire.points)
        if one.x == two.x
    ]
    for start, one, two in runs:
        for other, a, b in runs:
            if start != other and one.x == a.x:
                low, high = sorted((one.y, two.y))
                assert max(a.y, b.y) <= low or min(a.y, b.y) >= high


@pytest.mark.parametrize("which", ["artifacts", "variants"])
def test_real_graphs(which: str, request: pytest.FixtureRequest) -> None:
    artifacts: list[InputArtifact] = request.getfixturevalue(which)
    for measure in (WIDE, NARROW):
        drawing = lay_out(read_stages(artifacts), measure)
        check(drawing)
        assert drawing.width <= measure.columns * (measure.width + 150)


def test_left_to_right_within_a_band(artifacts: list[InputArtifact]) -> None:
    drawing = lay_out(read_stages(artifacts), WIDE)
    for wire in drawing.wires:
        a, b = drawing.boxes[wire.start], drawing.boxes[wire.end]
        assert (a.band, a.column) < (b.band, b.column)


def test_variants_of_a_stage_are_neighbours(variants: list[InputArtifact]) -> None:
    drawing = lay_out(read_stages(variants), WIDE)
    columns: dict[tuple[int, int], list[tuple[float, str]]] = {}
    for box in drawing.boxes:
        columns.setdefault((box.band, box.column), []).append((box.y, box.stage.base))
    for column in columns.values():
        names = [name for _, name in sorted(column)]
        changes = sum(one != two for one, two in pairwise(names))
        assert changes == len(set(names)) - 1


def test_an_input_is_placed_beside_its_reader() -> None:
    drawing = lay_out(graph_of([[], [0], [1], [], [2, 3]]), WIDE)
    assert [box.level for box in drawing.boxes] == [0, 1, 2, 2, 3]


def test_no_stages_no_boxes() -> None:
    drawing = lay_out([], WIDE)
    assert drawing.boxes == []
    assert drawing.width > 0


def test_corners_are_rounded() -> None:
    assert rounded([Point(0, 0), Point(20, 0), Point(20, 20)]) == "M0 0L14 0Q20 0 20 6L20 20"


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300))
def test_smoothing_stays_within_the_values(values: list[float]) -> None:
    soft = smoothed(values)
    assert len(soft) == len(values)
    assert min(values) - 1e-3 <= min(soft)
    assert max(soft) <= max(values) + 1e-3
    assert isclose(soft[0], values[0], abs_tol=1e-3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=2000), st.integers(4, 100))
def test_thinning_keeps_ends_and_extremes(values: list[float], most: int) -> None:
    kept = thinned(values, most)
    assert kept == sorted(set(kept))
    assert {0, len(values) - 1} <= set(kept)
    assert len(kept) <= max(most + 2, 2)
    assert min(values[place] for place in kept) == min(values)
    assert max(values[place] for place in kept) == max(values)


def test_strides_reach_both_ends() -> None:
    assert strided(5, 10) == [0, 1, 2, 3, 4]
    assert strided(100, 3) == [0, 50, 99]


def test_charts_share_pre_training(page_charts: list[str]) -> None:
    assert page_charts == ["base+pretrained", "sft", "sft_ja", "dpo"]


@pytest.fixture
def page_charts(artifacts: list[InputArtifact]) -> list[str]:
    from watari.report.curves import charts_of
    from watari.report.figures import Figures
    from watari.report.logs import read_logs

    charts = charts_of(read_logs(read_stages(artifacts)), Figures())
    return ["+".join(line["name"] for line in chart.data["lines"]) for chart in charts]


def test_a_log_of_one_step_is_a_chart(fakes: ModuleType, tmp_path: Path) -> None:
    from watari.report.page import build

    run = fakes.FakeRun(tmp_path)
    log = '{"step": 1, "loss": 2.5, "lr": 0.0, "tokens": 10}\n'
    run.stage("t", "train.pretrain", Kind.MODEL, files={"train_log.jsonl": log})
    assert 'data-chart="chart1"' in build(run.all()).html
