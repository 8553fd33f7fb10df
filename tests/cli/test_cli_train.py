"""`watari train ...` as a user runs it: files in, a model folder out; dry runs, resuming, words for mistakes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.cells import cell_len
from typer.testing import CliRunner

import watari
from tiny_llama import TEXT, make_folder
from watari.artifact.manifest import digest_of, list_files
from watari.cli import training
from watari.cli.main import app
from watari.errors import WatariError

torch.set_num_threads(1)
DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def documented(name: str) -> Any:
    found = re.search(rf"<!-- json: {name} -->\n```json\n(.*?)```", DOCS.read_text("utf-8"), re.S)
    assert found is not None
    return json.loads(found[1])


def run(*words: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, WatariError):
        assert done.exception.exit_code == code, done.exception
        return f"{done.stdout}\n{done.exception}"
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model and rows of every kind, as files."""
    root = tmp_path_factory.mktemp("cli-train")
    make_folder(root / "base", initializer_range=0.05)
    talks = [
        {
            "id": f"t{index}",
            "messages": [
                {"role": "user", "content": TEXT[index % 4][: 10 + 2 * index]},
                {"role": "assistant", "content": TEXT[(index + 1) % 4][: 8 + index]},
            ],
        }
        for index in range(24)
    ]
    pairs = [
        {
            "id": f"p{i}",
            "prompt": TEXT[i % 4][: 9 + i],
            "chosen": f"The red ball {i}.",
            "rejected": f"I do not {i}",
        }
        for i in range(16)
    ]
    web = [{"id": f"w{i}", "text": TEXT[i % 4] * (1 + i % 3) + str(i)} for i in range(40)]
    for name, rows in (("talks", talks), ("pairs", pairs), ("web", web)):
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        (root / f"{name}.jsonl").write_text("".join(lines), "utf-8")
    return root


SFT = [
    "--set",
    "sequence=200",
    "--set",
    "batch=6",
    "--set",
    "epochs=2",
    "--set",
    "lr=3e-3",
    "--set",
    "threads=1",
]


def same_shape(ours: Any, theirs: Any, at: str = "") -> None:
    """Fail unless both have the same keys; where the documentation shows `{}` or a free mapping, any will do."""
    if isinstance(theirs, dict) and theirs and at not in (".dropped", ".percentiles"):
        assert list(ours) == list(theirs), at
        for key in theirs:
            same_shape(ours[key], theirs[key], f".{key}")
    elif isinstance(theirs, list) and theirs and ours:
        same_shape(ours[0], theirs[0], at)


def test_sft_from_files_to_a_model(world: Path, tmp_path: Path) -> None:
    told = run(
        "train",
        "sft",
        "--model",
        world / "base",
        "--data",
        world / "talks.jsonl",
        "--out",
        tmp_path / "o",
        *SFT,
    )
    assert re.search(r"^8 steps, [\d,]+ tokens in ", told, re.M)
    assert f"written: {tmp_path / 'o'}" in told
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tmp_path / "o")
    assert len(AutoTokenizer.from_pretrained(tmp_path / "o")) == model.config.vocab_size
    assert not (tmp_path / "o/work").exists()
    summary = json.loads((tmp_path / "o/logs/training.json").read_text())
    assert summary["parameters"]["lr"] == 3e-3
    refused = run(
        *(
            "train",
            "sft",
            "--model",
            world / "base",
            "--data",
            world / "talks.jsonl",
            "--out",
            tmp_path / "o",
        ),
        code=1,
    )
    assert "is there already" in refused


@pytest.mark.slow
def test_sft_is_the_stage_on_imported_rows(world: Path, tmp_path: Path) -> None:
    """The command's model is the one that the stage makes of the same rows in a recipe."""
    run(
        "train",
        "sft",
        "--model",
        world / "base",
        "--data",
        world / "talks.jsonl",
        "--out",
        tmp_path / "o",
        *SFT,
    )
    recipe = {
        "name": "same",
        "language": "ja",
        "datasets": {"talks": {"path": str(world / "talks.jsonl"), "format": "messages"}},
        "stages": {
            "base": {"uses": "model.load", "path": str(world / "base")},
            "sft": {
                "uses": "train.sft",
                "model": "base",
                "data": "talks",
                "sequence": 200,
                "batch": 6,
                "epochs": 2,
                "lr": 3e-3,
                "threads": 1,
            },
        },
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
    run("run", tmp_path / "recipe.yaml", "--out", tmp_path / "run", "--quiet")
    ours = (tmp_path / "o/model.safetensors").read_bytes()
    assert ours == (tmp_path / "run/stages/sft/model.safetensors").read_bytes()
    # Its preflight, now that the inputs are in the store; and what is missing without them.
    told = run("train", "preflight", tmp_path / "recipe.yaml", "sft", "--out", tmp_path / "run")
    assert "24 read, 24 kept" in told
    assert "Trial pass" in told
    found = json.loads(
        run("train", "preflight", tmp_path / "recipe.yaml", "sft", "--out", tmp_path / "run", "--json")
    )
    assert found["report"] == json.loads((tmp_path / "o/preflight.json").read_text("utf-8"))
    missing = run(
        "train", "preflight", tmp_path / "recipe.yaml", "sft", "--store", tmp_path / "empty", code=1
    )
    assert "'sft' needs 'base', 'talks', which are not made yet" in missing
    assert "--until base --until talks" in missing
    other = run("train", "preflight", tmp_path / "recipe.yaml", "base", "--out", tmp_path / "run", code=1)
    assert "'base' is model.load, no training stage" in other
    assert not list((tmp_path / "run").parent.glob("**/.watari-dry-run-*"))


def test_pretrain_packs_documents_first(world: Path, tmp_path: Path) -> None:
    settings = ["--set", "sequence=32", "--set", "batch=16", "--set", "epochs=1", "--set", "threads=1"]
    told = run(
        *(
            "train",
            "pretrain",
            "--model",
            world / "base",
            "--data",
            world / "web.jsonl",
            "--out",
            tmp_path / "o",
        ),
        *("--replay", world / "web.jsonl", "--evaluate", world / "web.jsonl", *settings, "--json"),
    )
    found = json.loads(told)
    assert found["stage"] == "train.pretrain"
    assert found["metrics"]["source_epochs"][0] == 1.0
    assert len(found["metrics"]["source_tokens"]) == 2
    same_shape({**found, "metrics": {}, "performance": {}}, documented("train"))
    assert (tmp_path / "o/eval_log.jsonl").is_file()


def test_dpo_against_a_reference(world: Path, tmp_path: Path) -> None:
    told = run(
        *(
            "train",
            "dpo",
            "--model",
            world / "base",
            "--reference",
            world / "base",
            "--data",
            world / "pairs.jsonl",
        ),
        *("--out", tmp_path / "o", "--set", "sequence=200", "--set", "threads=1", "--json", "--quiet"),
    )
    assert json.loads(told)["metrics"]["first_loss"] == pytest.approx(0.693147, abs=1e-5)


def test_several_files_after_one_option(world: Path, tmp_path: Path) -> None:
    told = run(
        *("train", "sft", "--model", world / "base", "--data", world / "talks.jsonl", world / "talks.jsonl"),
        *("--out", tmp_path / "o", *SFT, "--json", "--quiet"),
    )
    assert json.loads(told)["metrics"]["rows_in"] == 48


def test_a_dry_run_shows_the_preflight_and_keeps_nothing(world: Path, tmp_path: Path) -> None:
    words = ["train", "sft", "--model", world / "base", "--data", world / "talks.jsonl", *SFT, "--dry-run"]
    told = run(*words, "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists()
    assert list(tmp_path.iterdir()) == []
    for words_of_it in (
        "24 read, 24 kept",
        "begins all 24 sequences",
        "8 of 6 rows",
        "ln(vocabulary) is 6.04",
        "all trained",
        "⟦",
        "Nothing speaks against this run.",
    ):
        assert words_of_it in told
    assert max(cell_len(line) for line in told.splitlines()) <= 80
    found = json.loads(run(*words, "--json"))
    same_shape(found, documented("train preflight"))


def test_a_warning_is_in_the_report(world: Path) -> None:
    told = run(
        *("train", "sft", "--model", world / "base", "--data", world / "talks.jsonl", "--dry-run"),
        *(*SFT, "--set", "sequence=40"),
    )
    assert "warning: " in told
    assert "are not trained on" in told
    assert "Nothing speaks" not in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "epocs=3"], r"--set epocs: train.sft has no such parameter \(did you mean 'epochs'\?\)"),
        (["--set", "lr=-1"], "--set lr: Input should be greater than 0"),
        (["--set", "lora.rank=0"], "--set lora.rank: Input should be greater"),
        (["--set", "lr"], "write --set name=value"),
        (["--set", "model=x"], "inputs are files here"),
        (["--data", "pairs.jsonl"], "holds preferences, not conversations"),
        (["--data", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["--model", "nowhere"], "nowhere: no such folder"),
        (["--set", "sequence=9000"], "more than the model's context of 256"),
    ],
)
def test_mistakes_are_told_in_one_line(
    words: list[str], said: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    given = {"--model": "base", "--data": "talks.jsonl"}
    if words[0] in given:
        given[words[0]] = words[1]
        words = []
    plain = [part for pair in given.items() for part in pair]
    told = run("train", "sft", *plain, *words, "--out", str(tmp_path / "o"), code=1)
    assert re.search(said, told)
    # The next attempt finds no half-made folder in its way.
    assert not (tmp_path / "o").exists() or not list((tmp_path / "o").iterdir())


def test_unknown_rows_are_told_with_their_columns(world: Path, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"question": "a", "answer": "b"}\n', "utf-8")
    told = run("train", "sft", "--model", world / "base", "--data", tmp_path / "x.jsonl", "--dry-run", code=1)
    assert "its columns: question, answer" in told


def test_where_to_write_is_asked_for(world: Path) -> None:
    told = run("train", "sft", "--model", world / "base", "--data", world / "talks.jsonl", code=1)
    assert "give --out FOLDER, or --dry-run" in told


def command(world: Path, out: Path, *more: str) -> list[str]:
    words = [
        "train",
        "sft",
        "--model",
        str(world / "base"),
        "--data",
        str(world / "talks.jsonl"),
        "--out",
        str(out),
    ]
    return [*words, *SFT, "--set", "epochs=12", "--set", "checkpoint_steps=2", *more]


def test_a_run_that_is_asked_to_stop_goes_on(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def after_three(self: Any) -> bool:
        asked.append(1)
        return len(asked) > 3

    with monkeypatch.context() as patched:
        patched.setattr(training.StoppableProgress, "stop_requested", after_three)
        assert "run the same command to go on" in run(*command(world, tmp_path / "cut"), code=130)
    told = run(*command(world, tmp_path / "cut", "--set", "lr=1e-3"), code=1)
    assert "holds an unfinished run with another lr" in told
    # What only says how to run does not count.
    found = json.loads(run(*command(world, tmp_path / "cut", "--set", "checkpoint_keep=1", "--json")))
    assert found["resumed"] is True
    run(*command(world, tmp_path / "whole"))
    whole, cut = (digest_of(list_files(tmp_path / name)) for name in ("whole", "cut"))
    assert whole == cut


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on_to_the_same_bytes(
    how: signal.Signals, world: Path, tmp_path: Path
) -> None:
    run(*command(world, tmp_path / "whole"))
    source = str(Path(watari.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "watari", *command(world, tmp_path / "cut")],
        env={**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "cut").glob("work/checkpoint-*")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(how)
    _, errors = process.communicate(timeout=120)
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert "run the same command to go on" in errors
    # Other parameters are no reason to go on with these.
    told = run(*command(world, tmp_path / "cut", "--set", "lr=1e-3"), code=1)
    assert "holds an unfinished run with another lr" in told
    found = json.loads(run(*command(world, tmp_path / "cut", "--json", "--quiet")))
    assert found["resumed"] is True
    whole, cut = (digest_of(list_files(tmp_path / name)) for name in ("whole", "cut"))
    assert whole == cut


def test_show_mask_shows_and_says(world: Path) -> None:
    told = run("train", "show-mask", world / "base", world / "talks.jsonl", "--limit", "2")
    assert "t0: " in told
    assert "t1: " in told
    assert "t2: " not in told
    assert "⟦" in told
    found = json.loads(
        run(
            "train",
            "show-mask",
            world / "base",
            world / "pairs.jsonl",
            "--id",
            "p3",
            "--json",
            "--sequence",
            "99",
        )
    )
    assert [(row["id"], row["part"]) for row in found] == [("p3", "chosen"), ("p3", "rejected")]
    same_shape(found, documented("train show-mask"))
    told = run("train", "show-mask", world / "base", world / "talks.jsonl", "--loss-on", "some", code=1)
    assert "--loss-on: 'some' is none of assistant, last" in told
