"""The stage `leakage.scan`: generations, evaluations and conversations in, scores and leaking responses out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from made_artifacts import as_input
from watari.artifact.kinds import Kind
from watari.artifact.params import Selection
from watari.artifact.rows import write_rows
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.errors import UserError
from watari.flow.stages import TABLE
from watari.leakage.stage import STAGE, Params, run

CLEAN = "今日はとても良い天気だったので、友達と公園へ散歩に行きました。"
LEAKY = "今日はとても良い天気だったので、友達と공원へ散歩に行きました。"
PROMPT = "昨日の出来事を教えてください。"


def generations(
    folder: Path, responses: list[str], kind: Kind = Kind.GENERATIONS, **more: Any
) -> InputArtifact:
    rows = [
        {
            "id": str(n),
            "item_id": f"q{n}",
            "model": "m",
            "run": 0,
            "rendered_prompt": PROMPT,
            "response": said,
            **more,
        }
        for n, said in enumerate(responses)
    ]
    write_rows(folder / "rows.parquet", Kind.GENERATIONS, rows)
    return as_input("said", folder, kind)


def scanned(artifact: InputArtifact, out: Path, **params: Any) -> dict[str, Any]:
    out.mkdir()
    return run(Params(data=["said"], **params), Inputs({"data": [artifact]}), out, Silent()).metrics


def test_figures_leaks_and_an_account(tmp_path: Path) -> None:
    artifact = generations(tmp_path / "in", [CLEAN, LEAKY, CLEAN, ""])
    metrics = scanned(artifact, tmp_path / "out")
    assert {name: metrics[name] for name in ("rows_in", "kept", "dropped", "events", "leaking", "prompts")} == {
        "rows_in": 4, "kept": 3, "dropped": 1, "events": 1, "leaking": 1, "prompts": 3,
    }  # fmt: skip
    assert metrics["dropped_by_reason"] == {"no answer": 1}
    assert metrics["responses_with_any"]["value"] == pytest.approx(1 / 3, abs=1e-6)
    (leak,) = [
        json.loads(line) for line in (tmp_path / "out" / "events.jsonl").read_text("utf-8").splitlines()
    ]
    assert (leak["id"], leak["model"], leak["response"]) == ("1", "m", LEAKY)
    assert leak["messages"] == [{"role": "user", "content": PROMPT}]
    scores = pq.read_table(tmp_path / "out" / "rows.parquet").to_pylist()
    assert {row["group"] for row in scores} >= {"all", "glyph", "switch", "token", "leaked ko", "expected ja"}
    assert {row["spec"] for row in scores} == {"leakage/1"}


def test_the_same_again_is_the_same_bytes(tmp_path: Path) -> None:
    artifact = generations(tmp_path / "in", [CLEAN, LEAKY] * 5)
    scanned(artifact, tmp_path / "a")
    scanned(artifact, tmp_path / "b")
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["dropped.parquet", "events.jsonl", "index.html", "rows.parquet", "summary.json"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def test_only_what_the_recipe_selects(tmp_path: Path) -> None:
    artifact = generations(tmp_path / "in", [CLEAN, LEAKY, CLEAN, LEAKY])
    some = Selection.model_validate({"from": "said", "where": {"id": ["1", "2", "3"]}, "limit": 2})
    metrics = scanned(InputArtifact(artifact.name, artifact.path, artifact.manifest, some), tmp_path / "out")
    assert (metrics["rows_in"], metrics["events"]) == (2, 1)


def test_training_data_is_scanned_too(tmp_path: Path) -> None:
    rows = [
        {
            "id": "1",
            "messages": [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": LEAKY}],
        },
        {
            "id": "2",
            "messages": [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": CLEAN}],
        },
    ]
    write_rows(tmp_path / "in" / "rows.parquet", Kind.CONVERSATIONS, rows)
    metrics = scanned(as_input("said", tmp_path / "in", Kind.CONVERSATIONS), tmp_path / "out")
    assert (metrics["kept"], metrics["leaking"], metrics["prompts"]) == (2, 1, 1)


def test_a_row_that_cannot_be_read(tmp_path: Path) -> None:
    artifact = generations(tmp_path / "in", [CLEAN, LEAKY], expected_lang="Japanese")
    with pytest.raises(UserError, match="is no language code"):
        scanned(artifact, tmp_path / "a")
    with pytest.raises(UserError, match="no response to judge"):
        scanned(artifact, tmp_path / "b", on_error="drop")


def test_parameters_are_checked() -> None:
    assert STAGE is TABLE["leakage.scan"]
    with pytest.raises(ValidationError, match="no language code"):
        Params(data=["said"], expected="Japanese")
    with pytest.raises(ValidationError):
        Params(data=["said"], licensed="some")
    with pytest.raises(ValidationError):
        Params(data=[])
