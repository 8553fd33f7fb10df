"""Processes of their own that need not import Watari again: forked from one that has imported all but the hub's library.

The library reads its settings when it is imported, so that tests of other settings run in other processes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

_NURSERY = """
import json, os, runpy, signal, sys, traceback
import pydantic, requests, tqdm, yaml, pyarrow.parquet, rich.console, typer.testing
import watari.cli.main, watari.cli.evaluation.running, watari.artifact.reading, watari.artifact.hub_files
import watari.evals.jaster.stage, watari.evals.mtbench.stage, watari.evals.shaberi.stage
import watari.evals.jaster.datasets, watari.evals.mtbench.questions, watari.evals.shaberi.questions

def run(asked):
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.path.join(asked["said"], stream.name.strip("<>")), os.O_WRONLY | os.O_CREAT), stream.fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    how, what, *sys.argv[1:] = asked["arguments"]
    if how == "-c":
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    else:
        runpy.run_module(what, run_name="__main__", alter_sys=True)

for line in sys.stdin:
    assert "huggingface_hub" not in sys.modules
    child = os.fork()
    if not child:
        signal.alarm(120)
        code = 1
        try:
            run(json.loads(line))
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Nursery:
    """Runs Python in processes of their own that need not import Watari again: each forked from one that has not met the hub."""

    def __init__(self, asked: IO[str], told: IO[str]) -> None:
        self._asked, self._told = asked, told

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Do what `run_python` does, for `-c CODE` and `-m MODULE`."""
        with TemporaryDirectory() as said:
            asked = {
                "arguments": arguments,
                "environment": environment,
                "cwd": str(cwd or said),
                "said": said,
            }
            print(json.dumps(asked), file=self._asked, flush=True)
            code = int(self._told.readline())
            out, err = ((Path(said) / name).read_text("utf-8") for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess(arguments, code, out, err)


@contextmanager
def nursery() -> Iterator[Nursery]:
    """Keep a nursery for some tests."""
    import watari

    environment = {**os.environ, "PYTHONPATH": str(Path(watari.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", _NURSERY], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        yield Nursery(process.stdin, process.stdout)
