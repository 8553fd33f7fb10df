"""The toy stages: a table of them, and recipes, runs and commands made of them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml

import in_process
import watari

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
# The server that stages are forked from, and the commands, import by this path where watari is not installed.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(watari.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
)

from toy_watari import TOYS  # noqa: E402
from watari.artifact.store import Store  # noqa: E402
from watari.flow.folder import RunFolder, default_store  # noqa: E402
from watari.flow.plan import Chosen  # noqa: E402
from watari.flow.runner import Outcome, Runner  # noqa: E402
from watari.flow.stages import StageTable  # noqa: E402
from watari.recipe import graph  # noqa: E402


class Recorder:
    """A display that keeps what it was shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ends: dict[str, tuple[str, str]] = {}
        self.closed = False

    def start(self, name: str, uses: str) -> None:
        self.lines.append(f"start {name}")

    def update(self, name: str, update: Any) -> None:
        pass

    def end(self, name: str, outcome: str, detail: str = "") -> None:
        self.ends[name] = (outcome, detail)
        self.lines.append(f"{outcome} {name}")

    def say(self, text: str) -> None:
        self.lines.append(text)

    def close(self) -> None:
        self.closed = True


class World:
    """A folder with input files, recipes of toy stages, runs of them in this process or as commands."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.table = StageTable(TOYS)
        self.display = Recorder()
        (root / "a.txt").write_text("alpha\nbeta\n", "utf-8")
        (root / "b.txt").write_text("gamma\ndelta\n", "utf-8")

    def write(self, stages: dict[str, Any], name: str = "recipe.yaml", **top: Any) -> Path:
        path = self.root / name
        path.write_text(yaml.safe_dump({"name": "toy", **top, "stages": stages}, sort_keys=False), "utf-8")
        return path

    def load(self, name: str = "recipe.yaml", *settings: str) -> graph.Recipe:
        from watari.recipe.files import parse_set

        laid = [parse_set(text, self.root) for text in settings]
        return graph.load(name, self.table, folder=self.root, settings=laid)

    def folder(self, out: str = "runs/toy", store: Path | None = None) -> RunFolder:
        root = self.root / out
        return RunFolder(root, Store(default_store(root, store)))

    def run(
        self,
        *settings: str,
        name: str = "recipe.yaml",
        out: str = "runs/toy",
        store: Path | None = None,
        jobs: int = 1,
        **chosen: Any,
    ) -> Outcome:
        self.display = Recorder()
        recipe = self.load(name, *settings)
        runner = Runner(recipe, self.folder(out, store), jobs=jobs, display=self.display, table=self.table)
        return runner.run(Chosen(**chosen))

    def digests(self, out: str = "runs/toy") -> dict[str, str]:
        from watari.flow.inspect import show

        return {stage.name: stage.digest or "" for stage in show(self.root / out)}

    def popen(self, *arguments: str) -> "subprocess.Popen[str]":
        environment = {k: v for k, v in os.environ.items() if k != "WATARI_STORE"}
        return subprocess.Popen(
            [sys.executable, str(HERE / "toy_watari.py"), *arguments],
            cwd=self.root,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        process = self.popen(*arguments)
        try:
            out, err = process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def here(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Do what `command` does in this process, which spares the start of an interpreter."""
        from watari.flow.stages import TABLE

        with contextlib.chdir(self.root), patch.dict(TABLE._modules, TOYS):
            return in_process.watari(*arguments, stdin=stdin)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.delenv("WATARI_STORE", raising=False)
    return World(tmp_path)


@pytest.fixture
def two_sources() -> Callable[..., dict[str, Any]]:
    """Two sources, a join of both, a counter on the first."""

    def make(**slow: Any) -> dict[str, Any]:
        return {
            "a": {"uses": "toy.source", "path": "a.txt"},
            "b": {"uses": "toy.source", "path": "b.txt"},
            "both": {"uses": "toy.join", "documents": ["a", "b"]},
            "count": {"uses": "toy.slow", "documents": "a", **slow},
        }

    return make
