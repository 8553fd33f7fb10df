"""Trackers: what is sent, that nothing is sent twice, that none of them can stop training.

The trackers here are stand-ins: small modules on a path of their own that have the documented functions that Watari calls
(trackio.init / log / finish; wandb.init / Settings / api.api_key, run.log / run.finish; SummaryWriter of
torch.utils.tensorboard) and write down what they are given. The real ones (trackio, wandb offline, tensorboard) were run
by hand; docs/training.md says with which versions.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.errors import Interrupted, UserError
from watari.train import dpo, pretrain, sft, trackers

WRITE = """
import json, os, pathlib
def note(*what):
    with open(os.environ["TRACKED"], "a") as file:
        file.write(json.dumps(what, default=str) + "\\n")
    if os.environ.get("BROKEN") == what[0] + "." + what[1]:
        raise RuntimeError("the server\\nis away")
"""
WANDB = (
    WRITE
    + """
class api: api_key = os.environ.get("WANDB_API_KEY")
def Settings(**given): return given
class Run:
    def log(self, figures, step): print("noise"); note("wandb", "log", step, figures)
    def finish(self): note("wandb", "finish")
def init(**given):
    note("wandb", "init", given)
    return Run()
"""
)
TRACKIO = (
    WRITE
    + """
def init(**given): note("trackio", "init", given)
def log(figures, step): note("trackio", "log", step, figures)
def finish(): note("trackio", "finish")
"""
)
TENSORBOARD = (
    WRITE
    + """
class SummaryWriter:
    def __init__(self, log_dir, purge_step): note("tensorboard", "init", {"log_dir": log_dir, "purge_step": purge_step})
    def add_text(self, name, text, step): note("tensorboard", "text", step, {name: text})
    def add_scalar(self, name, value, step): note("tensorboard", "log", step, {name: value})
    def close(self): note("tensorboard", "finish")
"""
)


@pytest.fixture
def tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[Any]]]:
    """Put the stand-ins on the path; return a function that reads what they were given."""
    place = tmp_path / "site"
    place.mkdir()
    for name, text in (("wandb", WANDB), ("trackio", TRACKIO), ("tensorboard", "")):
        (place / f"{name}.py").write_text(text, "utf-8")
    (place / "board_stand_in.py").write_text(TENSORBOARD, "utf-8")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("TRACKED", str(tmp_path / "tracked.jsonl"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    gone = ("wandb", "trackio", "tensorboard", "board_stand_in", "torch.utils.tensorboard")
    for name in gone:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import board_stand_in  # type: ignore[import-not-found]

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board_stand_in)

    def read() -> list[Any]:
        path = tmp_path / "tracked.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    yield read
    for name in gone:
        sys.modules.pop(name, None)


PARAMS = sft.Params(
    model="secret-model",
    data=["secret-data"],
    template_file="/home/me/secret.jinja",
    lora={"rank": 4},
    seed=9,
)


def start(out: Path, *names: Any, told: list[str] | None = None) -> trackers.Trackers:
    lines = told if told is not None else []
    found = trackers.start(names, "train.sft", PARAMS, out, lines.append)
    assert found is not None
    return found


def steps(sent: list[Any], name: str, figure: str = "loss") -> list[int]:
    return [line[2] for line in sent if line[:2] == [name, "log"] and figure in line[3]]


def test_none_asked_for_is_none(tmp_path: Path) -> None:
    assert trackers.start([], "train.sft", PARAMS, tmp_path, print) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["wandb", "trackio", "tensorboard"])
def test_figures_reach_each(name: Any, tmp_path: Path, tracked: Callable[[], list[Any]], capsys: Any) -> None:
    run = start(tmp_path / "out", name)
    assert tracked() == []
    run.log({"step": 1, "loss": 2.5, "lr": 1e-4, "spike": "loss", "grad_norm": None, "skipped": True})
    run.log({"step": 1, "bits_per_character/ja": 3.0})
    run.log({"step": 2, "loss": 2.0, "lr": float("nan")})
    run.close()
    sent = tracked()
    assert sent[0][:2] == [name, "init"]
    assert sent[-1] == [name, "finish"]
    figures: dict[int, dict[str, float]] = {}
    for line in sent:
        if line[1] == "log":
            figures.setdefault(line[2], {}).update(line[3])
    assert figures == {
        1: {"loss": 2.5, "lr": 1e-4, "skipped": 1.0, "bits_per_character/ja": 3.0},
        2: {"loss": 2.0},
    }
    # Standard output belongs to the command's own result.
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["wandb", "trackio", "tensorboard"])
def test_no_path_and_no_name_of_data_is_sent(
    name: Any, tmp_path: Path, tracked: Callable[[], list[Any]]
) -> None:
    run = start(tmp_path / "out", name)
    run.log({"step": 1, "loss": 2.5})
    run.close()
    # Where the files lie is told to the library, which keeps it here.
    words = json.dumps(tracked()).replace(str(tmp_path), "")
    for secret in ("secret", "/home/me", "jinja"):
        assert secret not in words
    assert "lora.rank" in words
    assert "cosine" in words


def test_only_fixed_words_and_numbers_are_sendable() -> None:
    found = trackers.sendable(PARAMS)
    assert found["lora.rank"] == 4
    assert found["schedule"] == "cosine"
    assert found["packing"] is False
    assert found["seed"] == 9
    assert {"model", "data", "template_file", "evaluate", "lora.targets"} & set(found) == {"lora.targets"}
    for model in (pretrain.Params(model="m", data="d"), dpo.Params(model="m", data="d", reference="ref")):
        assert not {"model", "data", "reference"} & set(trackers.sendable(model))


def test_targets_named_by_the_user_are_left_out() -> None:
    params = sft.Params(model="m", data="d", lora={"targets": ["my_layer"]})
    assert "lora.targets" not in trackers.sendable(params)


def test_wandb_is_told_to_collect_nothing_else(tmp_path: Path, tracked: Callable[[], list[Any]]) -> None:
    run = start(tmp_path / "out", "wandb")
    run.log({"step": 1, "loss": 2.5})
    given = tracked()[0][2]
    assert given["settings"]["console"] == "off"
    switches = ("disable_code", "disable_git", "disable_job_creation")
    machine = ("x_disable_meta", "x_disable_stats", "x_disable_machine_info")
    assert all(given["settings"][name] is True for name in (*switches, *machine))
    assert given["settings"]["x_save_requirements"] is False
    assert given["dir"] == str(tmp_path / "out/logs")


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_resumed_run_sends_no_step_twice(
    name: Any, tmp_path: Path, tracked: Callable[[], list[Any]]
) -> None:
    first = start(tmp_path / "out", name)
    for step in range(1, 7):
        first.log({"step": step, "loss": 1.0 / step})
    # Killed here: no close. The checkpoint was of step 3, and step 6 was measured only later.
    again = start(tmp_path / "out", name)
    for step in range(4, 9):
        again.log({"step": step, "loss": 1.0 / step})
        if step % 3 == 0:
            again.log({"step": step, "bits_per_character/ja": 2.0})
    again.close()
    sent = tracked()
    assert steps(sent, name) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert steps(sent, name, "bits_per_character/ja") == [6]
    begun = [line[2] for line in sent if line[1] == "init"]
    assert len(begun) == 2
    assert begun[0]["name"] == begun[1]["name"]
    assert begun[0]["resume"] == "allow"
    assert begun[0].get("id") == begun[1].get("id")


def test_tensorboard_purges_what_comes_again(tmp_path: Path, tracked: Callable[[], list[Any]]) -> None:
    for steps_done in (range(1, 7), range(4, 9)):
        run = start(tmp_path / "out", "tensorboard")
        for step in steps_done:
            run.log({"step": step, "loss": 1.0})
    begun = [line[2]["purge_step"] for line in tracked() if line[1] == "init"]
    assert begun == [1, 4]
    assert steps(tracked(), "tensorboard") == [1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("broken", ["wandb.init", "wandb.log", "wandb.finish"])
def test_what_fails_is_told_once_and_the_others_go_on(
    broken: str, tmp_path: Path, tracked: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKEN", broken)
    told: list[str] = []
    run = start(tmp_path / "out", "wandb", "trackio", told=told)
    for step in (1, 2, 3):
        run.log({"step": step, "loss": 1.0})
    run.close()
    assert told == ["wandb failed and is left out from here on: the server"]
    assert steps(tracked(), "trackio") == [1, 2, 3]


def test_a_state_cut_off_by_a_crash_is_begun_anew(tmp_path: Path, tracked: Callable[[], list[Any]]) -> None:
    run = start(tmp_path / "out", "trackio")
    run.log({"step": 1, "loss": 1.0})
    state = tmp_path / "out/logs/trackers.json"
    state.write_text(state.read_text("utf-8")[:9], "utf-8")
    start(tmp_path / "out", "trackio").log({"step": 1, "loss": 1.0})
    assert steps(tracked(), "trackio") == [1, 1]


@pytest.mark.parametrize("name", ["wandb", "trackio", "tensorboard"])
def test_one_that_is_missing_is_refused_with_the_mend(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda wanted: None)
    with pytest.raises(UserError, match=f"{name} is not installed") as refused:
        trackers.check([name])
    assert refused.value.mend == f"pip install {name}"


def test_wandb_without_a_login_is_refused(
    tracked: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    trackers.check(["wandb"])
    monkeypatch.delenv("WANDB_MODE")
    with pytest.raises(UserError, match="nobody is logged in") as refused:
        trackers.check(["wandb"])
    assert "WANDB_MODE=offline" in str(refused.value.mend)
    monkeypatch.setattr(sys.modules["wandb"].api, "api_key", "k" * 40)
    trackers.check(["wandb"])


class StopAfter(Silent):
    """Ask to stop once so many steps are done."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0.0

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        self._done = done if unit == "steps" else 0.0

    def stop_requested(self) -> bool:
        return self._done >= self._steps


def test_a_whole_run_is_tracked_and_goes_on(
    tmp_path: Path,
    tiny: InputArtifact,
    rows_of: Callable[..., InputArtifact],
    talks: list[dict[str, Any]],
    tracked: Callable[[], list[Any]],
) -> None:
    inputs = Inputs({"model": [tiny], "data": [rows_of("d", Kind.CONVERSATIONS, talks)]})
    params = sft.Params(
        model="m", data="d", epochs=1, batch=6, sequence=200, threads=1, trackers=["wandb", "tensorboard"]
    )
    (tmp_path / "out").mkdir()
    with pytest.raises(Interrupted):
        sft.run(params, inputs, tmp_path / "out", StopAfter(2))
    sft.run(params, inputs, tmp_path / "out", Silent())
    lines = [json.loads(line) for line in (tmp_path / "out/train_log.jsonl").read_text().splitlines()]
    sent = tracked()
    assert steps(sent, "wandb") == [line["step"] for line in lines]
    assert {line[2]: line[3]["loss"] for line in sent if line[:2] == ["wandb", "log"]} == {
        line["step"]: line["loss"] for line in lines
    }
    assert sum(line == ["wandb", "finish"] for line in sent) == 2


def test_a_missing_tracker_is_told_before_the_model_is_read(
    tmp_path: Path,
    tiny: InputArtifact,
    rows_of: Callable[..., InputArtifact],
    talks: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda wanted: None)
    from watari.train import session

    monkeypatch.setattr(session, "load_model", lambda *given, **named: pytest.fail("the model was read"))
    inputs = Inputs({"model": [tiny], "data": [rows_of("d", Kind.CONVERSATIONS, talks)]})
    params = sft.Params(model="m", data="d", sequence=200, threads=1, trackers=["trackio"])
    with pytest.raises(UserError, match="trackio is not installed"):
        sft.run(params, inputs, tmp_path, Silent())


def test_no_tracker_is_imported_unasked() -> None:
    code = (
        "import sys; import watari.train.session\n"
        "assert not {'wandb', 'trackio', 'tensorboard'} & {name.split('.')[0] for name in sys.modules}"
    )
    source = str(Path(trackers.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": source, "PATH": ""}, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
