"""Manifests of folders that a command writes by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from watari.artifact.alone import identity_of, outside_of, put_in_place, write_manifest_alone
from watari.artifact.hashing import hash_json
from watari.artifact.kinds import Kind
from watari.artifact.manifest import MANIFEST, digest_of, list_files, now, read_manifest
from watari.artifact.params import OutsidePath, StageParams
from watari.artifact.stage import Inputs, Progress, Stage, StageResult


class Params(StageParams):
    """Of a stage that makes nothing."""

    sizes: tuple[int, ...] = (1, 2)


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    return StageResult()


class Reading(StageParams):
    """Of a stage that reads."""

    data: OutsidePath


READS = Stage(kind="toy.reading", version=1, output=Kind.SCORES, params=Reading, run=run)
STAGE = Stage(kind="toy.alone", version=3, output=Kind.SCORES, params=Params, run=run)


def test_the_identity_is_as_it_is_read_back_and_holds_what_counts() -> None:
    identity = identity_of(STAGE, Params(seed=5), {}, model="abc")
    assert identity["parameters"]["sizes"] == [1, 2]
    assert (identity["stage"], identity["version"], identity["model"]) == ("toy.alone", 3, "abc")
    for other in (
        identity_of(STAGE, Params(seed=6), {}, model="abc"),
        identity_of(STAGE, Params(seed=5), {}, model="abd"),
        identity_of(STAGE, Params(seed=5, sizes=(2, 1)), {}, model="abc"),
    ):
        assert other != identity


def test_files_count_by_what_stands_in_them(tmp_path: Path) -> None:
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    a.write_text("same")
    b.write_text("same")

    def identity(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
        params = Reading(data=str(path))
        outside = outside_of(params)
        return outside, identity_of(READS, params, outside)

    (named_a, of_a), (named_b, of_b) = identity(a), identity(b)
    assert (list(named_a), list(named_b)) == ([str(a)], [str(b)])
    assert of_a == of_b
    b.write_text("other")
    assert identity(b)[1] != of_a


def test_what_was_made_takes_its_place_and_the_manifest_is_last(tmp_path: Path) -> None:
    making, out = tmp_path / "out" / "work" / "made", tmp_path / "out"
    (making / "inner").mkdir(parents=True)
    (making / "a.txt").write_text("new")
    (making / "inner" / "b.txt").write_text("b")
    (out / "a.txt").write_text("old")
    (out / "mine.txt").write_text("stays")
    (out / MANIFEST).write_text("old")
    files = put_in_place(making, out)
    assert [entry.path for entry in files] == ["a.txt", "inner/b.txt"]
    assert not (out / MANIFEST).exists()
    assert (out / "a.txt").read_text() == "new"
    assert (out / "mine.txt").read_text() == "stays"
    assert list_files(making) == []
    params, identity = Params(seed=5), identity_of(STAGE, Params(seed=5), {})
    result = StageResult(metrics={"n": 2}, performance={"rate": 1.5})
    outside = {"q.jsonl": "ab"}
    digest = write_manifest_alone(
        out, STAGE, params, identity, files, result, outside=outside, started=now(), seconds=1.23456
    )
    manifest = read_manifest(out)  # whole: its seal is right
    assert manifest.digest == digest == digest_of(files)
    assert (manifest.kind, manifest.uses, manifest.stage_version) == (Kind.SCORES, "toy.alone", 3)
    assert manifest.key == hash_json(identity)
    assert manifest.outside == outside
    assert (manifest.seed, manifest.seconds) == (5, 1.235)
    assert (manifest.metrics, manifest.performance) == ({"n": 2}, {"rate": 1.5})


@pytest.mark.parametrize("held", [True, False])
def test_a_folder_is_written_by_one_at_a_time(tmp_path: Path, held: bool) -> None:
    from watari.cli import options
    from watari.errors import UserError

    with options.held(tmp_path / "out"):
        place = tmp_path / ("out" if held else "other")
        if held:
            with pytest.raises(UserError, match="is being written by another process"), options.held(place):
                pass
        else:
            with options.held(place):
                assert (place / "work").is_dir()
