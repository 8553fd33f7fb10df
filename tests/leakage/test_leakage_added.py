"""Which tokens a grown vocabulary has added, as the manifests of a store say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from watari.artifact.kinds import Kind
from watari.artifact.manifest import MANIFEST, InputEntry, Manifest
from watari.cli.leaking.mining import first_added

GRAFTED = {"vocabulary_before": 32000, "vocabulary": 32256}


def model(store: Path, key: str, parameter: str = "", before: str = "", **metrics: object) -> Path:
    folder = store / key
    folder.mkdir()
    inputs = (
        [InputEntry(parameter=parameter, name="x", kind=Kind.MODEL, key=before, digest="")] if before else []
    )
    made = Manifest(
        kind=Kind.MODEL, uses="test", stage_version=1, key=key, digest="", parameters={}, inputs=inputs, files=[],
        metrics=metrics, started="", finished="", seconds=0,
    )  # fmt: skip
    (folder / MANIFEST).write_text(made.sealed().model_dump_json(), "utf-8")
    return folder


def test_a_model_knows_it_from_the_graft_it_was_trained_from(tmp_path: Path) -> None:
    store = tmp_path / "model"
    store.mkdir()
    model(store, "graft", "base", "base", **GRAFTED)
    model(store, "sft", "model", "graft")
    model(store, "dpo", "model", "sft")
    (tmp_path / "dpo").symlink_to(store / "dpo")
    assert first_added(tmp_path / "dpo") == first_added(store / "graft") == 32000


@pytest.mark.parametrize("case", ["no manifest", "never grown", "not in the store", "cut down", "a circle"])
def test_where_nothing_says_it_that_is_so(tmp_path: Path, case: str) -> None:
    if case == "no manifest":
        (tmp_path / "dpo").mkdir()
    elif case == "never grown":
        model(tmp_path, "base", path="x")
        model(tmp_path, "dpo", "model", "base")
    elif case == "not in the store":
        model(tmp_path, "dpo", "model", "gone")
    elif case == "cut down":
        model(tmp_path, "graft", "base", "base", **GRAFTED)
        model(tmp_path, "dpo", "model", "graft", vocabulary_before=32256, vocabulary=20000)
    else:
        model(tmp_path, "sft", "model", "dpo")
        model(tmp_path, "dpo", "model", "sft")
    assert first_added(tmp_path / "dpo") is None
