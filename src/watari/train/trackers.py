"""Sending the training log to experiment trackers as well: trackio, Weights & Biases, TensorBoard.

The log itself (`train_log.jsonl`) is always written; a tracker is a copy of it for people who watch. So what a tracker
does wrong is told once and ends that tracker, never the training. Sent are numbers, and of the parameters only numbers,
switches and words from a fixed choice: no rows, no names of files, nothing from the environment. Only rank 0 sends.

A resumed run goes on with the same run of the tracker. Steps after the checkpoint are computed again; those that were
sent before are not sent again (TensorBoard: the old ones are purged), so no step is there twice.

Where: TensorBoard and W&B below `logs/` of the stage's folder; trackio where it always keeps its database (TRACKIO_DIR).
WANDB_MODE=offline is honoured, and WANDB_PROJECT; the project is `watari` otherwise.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, get_origin

from pydantic import BaseModel

from watari.artifact import atomic
from watari.artifact.manifest import LOGS
from watari.errors import UserError
from watari.train.settings import Tracker, TrainingParams

STATE = "trackers.json"
_PROJECT = "watari"
_PACKAGES: Mapping[str, str] = {"trackio": "trackio", "wandb": "wandb", "tensorboard": "tensorboard"}


class Sink(Protocol):
    """One tracker's run."""

    def send(self, step: int, figures: Mapping[str, float]) -> None:
        """Send the figures of a step."""

    def close(self) -> None:
        """End the run."""


class Trackers:
    """All trackers of a run.

    Args:
        open_sinks: Makes each tracker's run, by name, when the first line is sent: then the step is known from which it
            goes on.
        state: The file that keeps what a resumed run must know.
        tell: Told of a tracker that fails.
    """

    def __init__(
        self,
        open_sinks: Mapping[str, Callable[[int], Sink]],
        state: Path,
        tell: Callable[[str], None],
    ) -> None:
        self._openers = dict(open_sinks)
        self._sinks: dict[str, Sink] = {}
        self._state = state
        self._tell = tell
        self._sent: dict[str, dict[str, int]] = _read_state(state).get("sent", {})

    def log(self, line: Mapping[str, Any]) -> None:
        """Send a line of the log: {step, figure: number, ...}; what is no number is left out."""
        step = int(line["step"])
        figures = {
            name: float(value)
            for name, value in line.items()
            if name != "step" and isinstance(value, int | float) and math.isfinite(value)
        }
        changed = False
        for name, opener in list(self._openers.items()):
            sent = self._sent.setdefault(name, {})
            new = {
                key: value
                for key, value in figures.items()
                if name == "tensorboard" or sent.get(key, -1) < step
            }
            if not new:
                continue
            with self._guarded(name):
                if name not in self._sinks:
                    self._sinks[name] = opener(step)
                self._sinks[name].send(step, new)
                sent.update(dict.fromkeys(new, step))
                changed = True
        if changed:
            with suppress(OSError):
                kept = {**_read_state(self._state), "sent": self._sent}
                self._state.write_text(json.dumps(kept), "utf-8")

    def close(self) -> None:
        """End all runs."""
        for name in list(self._sinks):
            with self._guarded(name):
                self._sinks.pop(name).close()

    def _guarded(self, name: str) -> _Guarded:
        return _Guarded(name, self._fail)

    def _fail(self, name: str, error: BaseException) -> None:
        self._openers.pop(name, None)
        sink = self._sinks.pop(name, None)
        if sink is not None:
            with suppress(Exception), redirect_stdout(None):
                sink.close()
        first = str(error).strip().splitlines()
        self._tell(
            f"{name} failed and is left out from here on: {first[0] if first else type(error).__name__}"
        )


class _Guarded:
    """Turns what a tracker raises into a word, and keeps its chatter off standard output."""

    def __init__(self, name: str, fail: Callable[[str, BaseException], None]) -> None:
        self._name = name
        self._fail = fail
        self._quiet = redirect_stdout(None)

    def __enter__(self) -> None:
        self._quiet.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        self._quiet.__exit__(kind, error, trace)
        if not isinstance(error, Exception):
            return False
        self._fail(self._name, error)
        return True


def start(
    names: Sequence[Tracker],
    kind: str,
    params: TrainingParams,
    out: Path,
    tell: Callable[[str], None],
) -> Trackers | None:
    """Return the trackers that were asked for, or None if none were. Nothing is sent before the first line.

    Args:
        names: Which.
        kind: The stage's, for the run's name.
        params: Of which the numbers and switches are sent.
        out: The stage's folder.
        tell: Told of a tracker that fails.

    Raises:
        UserError: if one is not installed, or W&B is to send to its server and nobody is logged in.
    """
    if not names:
        return None
    check(names)
    state = out / LOGS / STATE
    (out / LOGS).mkdir(parents=True, exist_ok=True)
    run = str(_read_state(state).get("run") or uuid.uuid4().hex[:12])
    atomic.write_json(state, {**_read_state(state), "run": run})
    config = {"stage": kind, **sendable(params)}
    title = f"{kind} {run[:6]}"
    openers: dict[str, Callable[[int], Sink]] = {
        "tensorboard": lambda step: _TensorBoard(out / LOGS / "tensorboard", config, step),
        "wandb": lambda step: _Wandb(out / LOGS, run, title, config),
        "trackio": lambda step: _Trackio(title, config),
    }
    return Trackers({name: openers[name] for name in dict.fromkeys(names)}, state, tell)


def check(names: Sequence[Tracker]) -> None:
    """Make sure that trackers can be used; cheap enough to be asked before anything else is done.

    Raises:
        UserError: naming the first that cannot, with the command that mends it.
    """
    for name in names:
        if importlib.util.find_spec(_PACKAGES[name]) is None:
            raise UserError(f"trackers: {name} is not installed", f"pip install {_PACKAGES[name]}")
    sends = "wandb" in names and os.environ.get("WANDB_MODE", "online") == "online"
    if sends and not _library("wandb").api.api_key:
        raise UserError("trackers: wandb: nobody is logged in", "wandb login, or set WANDB_MODE=offline")


def sendable(params: BaseModel, above: str = "") -> dict[str, Any]:
    """Return the parameters that may leave the machine: numbers, switches, words from a fixed choice; never a path."""
    found: dict[str, Any] = {}
    for name, field in type(params).model_fields.items():
        value = getattr(params, name)
        if isinstance(value, bool | int | float) or (isinstance(value, str) and _chosen(field.annotation)):
            found[above + name] = value
        elif isinstance(value, BaseModel) and not hasattr(value, "source"):
            found.update(sendable(value, f"{above}{name}."))
    return found


def _chosen(annotation: Any) -> bool:
    """True for a Literal, alone or in a union."""
    return get_origin(annotation) is Literal or any(_chosen(part) for part in get_args(annotation) if part)


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        # None yet, or cut off by a crash: the tracker may then see some steps again.
        return {}
    return state


def _library(name: str) -> Any:
    """Return a module that may not be installed: typed as anything, whether it is or not."""
    return importlib.import_module(name)


class _TensorBoard:
    def __init__(self, folder: Path, config: Mapping[str, Any], step: int) -> None:
        board = _library("torch.utils.tensorboard")
        # A viewer drops what an interrupted run wrote from this step on.
        self._writer = board.SummaryWriter(log_dir=str(folder), purge_step=step)
        self._writer.add_text("parameters", f"```\n{json.dumps(config, indent=2)}\n```", step)

    def send(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    def __init__(self, folder: Path, run: str, title: str, config: Mapping[str, Any]) -> None:
        wandb = _library("wandb")
        # Without these it would send the machine's name, the command line, the git remote, the console and the packages.
        settings = wandb.Settings(
            console="off",
            disable_code=True,
            disable_git=True,
            disable_job_creation=True,
            host="",
            save_code=False,
            silent=True,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            id=run,
            name=title,
            resume="allow",
            dir=str(folder),
            config=dict(config),
            settings=settings,
        )

    def send(self, step: int, figures: Mapping[str, float]) -> None:
        self._run.log(dict(figures), step=step)

    def close(self) -> None:
        self._run.finish()


class _Trackio:
    def __init__(self, title: str, config: Mapping[str, Any]) -> None:
        self._trackio = _library("trackio")
        self._trackio.init(
            project=os.environ.get("TRACKIO_PROJECT", _PROJECT),
            name=title,
            config=dict(config),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def send(self, step: int, figures: Mapping[str, float]) -> None:
        self._trackio.log(dict(figures), step=step)

    def close(self) -> None:
        self._trackio.finish()
