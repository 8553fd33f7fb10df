"""Helper of tests/e2e. Running the command `watari` as a user would: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

WATARI = [sys.executable, "-m", "watari"]


class Command:
    """`watari` in one working folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; its output is kept."""
        return subprocess.Popen(
            [*WATARI, *arguments],
            cwd=self.folder,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *arguments: str, code: int = 0, timeout: float = 1800) -> str:
        """Run a command to its end and return what it printed."""
        process = self.start(*arguments)
        printed, _ = process.communicate(timeout=timeout)
        assert process.returncode == code, printed
        return printed

    def json(self, *arguments: str) -> Any:
        """Run a command with `--json` and return what it printed."""
        return json.loads(self(*arguments, "--json"))
