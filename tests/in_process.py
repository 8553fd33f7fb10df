"""The command `watari` in this process: its own `main`, exit codes and all, without the start of an interpreter.

Some test of each command still runs in a process of its own; those that look at words and files need none.
"""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from watari.cli.main import main


def watari(*words: str | Path, stdin: str = "", columns: int = 80) -> subprocess.CompletedProcess[str]:
    """Run a command as `python -m watari` does and return what it printed and its exit code; `stdin` is what it is told."""
    arguments = ["watari", *map(str, words)]
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        patch.object(sys, "argv", arguments),
        patch.object(sys, "stdin", io.StringIO(stdin)),
        patch.dict("os.environ", {"COLUMNS": str(columns)}),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    assert code is None or isinstance(code, int)
    return subprocess.CompletedProcess(arguments, code or 0, out.getvalue(), err.getvalue())
