"""`leakage.mine`, `watari leakage mine` and `mass`: every response is accounted for, and the rows can be trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from made_artifacts import as_input
from tiny_llama import make_folder
from watari.artifact.kinds import Kind
from watari.artifact.rows import write_rows
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.cli.main import app
from watari.endpoint.replay import Behaviour, Script, serve
from watari.endpoint.settings import Endpoint
from watari.leakage import mine_stage

SAID = {
    "clean": "The red ball was too high for her.",
    "one": "The red 高校生の ball was too high for her.",
    "again": "The red 高校生の ball was too high for her.",
    "two": "She asked the 女の子 and they played привет all day.",
    "nothing": "",
}


def rows() -> list[dict[str, Any]]:
    ask = "What did she see by the sea, and who played there?"
    return [
        {"id": name, "messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": text}]}
        for name, text in SAID.items()
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> InputArtifact:
    folder = make_folder(tmp_path_factory.mktemp("m") / "chat", initializer_range=0.05)
    return as_input("chat", folder, Kind.MODEL)


@pytest.fixture
def said(tmp_path: Path) -> InputArtifact:
    write_rows(tmp_path / "said" / "rows.parquet", Kind.CONVERSATIONS, rows())
    return as_input("said", tmp_path / "said", Kind.CONVERSATIONS)


def checked(out: Path, metrics: dict[str, Any]) -> list[dict[str, Any]]:
    made = pq.read_table(out / "rows.parquet").to_pylist()
    dropped = {row["id"]: row["reason"] for row in pq.read_table(out / "dropped.parquet").to_pylist()}
    assert metrics["rows_in"] == 5 == metrics["kept"] + metrics["dropped"]
    assert metrics["leaking"] == 3
    assert dropped == {
        "clean": "does not leak",
        "again": "the same as an earlier row",
        "nothing": "its language is not known",
    }
    assert [row["parents"] for row in made] == [["one"], ["two"]]
    assert metrics["leaks_mended"] == 3
    return made


def test_the_model_mends_itself(model: InputArtifact, said: InputArtifact, tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        out = tmp_path / name
        out.mkdir()
        params = mine_stage.Params(data="said", model="chat")
        metrics = mine_stage.run(params, Inputs({"data": [said], "model": [model]}), out, Silent()).metrics
        made.append(checked(out, metrics))
    assert made[0] == made[1]
    assert all(row["chosen"].isascii() and row["chosen_by"] == "chat, mended" for row in made[0])


def test_a_teacher_mends(said: InputArtifact, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with serve(Script(lambda body: "<words>small</words>", Behaviour(latency=0, sd=0))) as listening:
        params = mine_stage.Params(
            data="said",
            model=Endpoint(name="t", base_url=listening.base_url, model="teacher"),
            ledger=str(tmp_path / "ledger.sqlite"),
        )
        metrics = mine_stage.run(params, Inputs({"data": [said]}), out, Silent()).metrics
    made = checked(out, metrics)
    assert made[0]["chosen"] == "The red small ball was too high for her."
    assert made[1]["chosen"] == "She asked the small and they played small all day."
    assert json.loads(made[1]["spans"]) == {"rejected": [[14, 17], [34, 40]], "chosen": [[14, 19], [36, 41]]}


def test_from_the_command_line(model: InputArtifact, tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows()), "utf-8")
    run = CliRunner()
    chat = ["--model", str(model.path), "--device", "cpu"]
    mended = tmp_path / "mended.jsonl"
    found = run.invoke(app, ["leakage", "mine", str(file), *chat, "--out", str(mended), "--json"])
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout.splitlines()[-1])
    assert told["rows"] == 3
    assert told["left_out"] == {"does not leak": 1, "its language is not known": 1}
    again = run.invoke(
        app,
        [
            "train",
            "repair",
            "--model",
            str(model.path),
            "--data",
            str(mended),
            "--out",
            str(tmp_path / "repaired"),
            "--set",
            "sequence=200",
            "--set",
            "holdout=0",
            "--set",
            "threads=1",
            "--quiet",
            "--json",
        ],
    )
    assert again.exit_code == 0, again.output
    assert (tmp_path / "repaired" / "model.safetensors").is_file()
    bias = tmp_path / "bias.json"
    measured = run.invoke(
        app, ["leakage", "mass", str(file), *chat, "--expected", "en", "--bias", str(bias), "--json"]
    )
    assert measured.exit_code == 0, measured.output
    assert json.loads(measured.stdout.splitlines()[-1])["positions"] > 20
    assert json.loads(bias.read_text("utf-8"))["logit_bias"]
    shown = run.invoke(app, ["leakage", "mass", str(file), *chat, "--expected", "en"])
    assert "wrong-script mass" in shown.output
    assert max(map(len, shown.output.splitlines())) <= 100
    none = run.invoke(app, ["leakage", "mass", str(file), *chat, "--expected", "ko"])
    assert none.exit_code == 1
