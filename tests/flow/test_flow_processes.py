"""How the processes of stages begin, and what is told of one that ended without a word."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import watari
from watari.flow.processes import ended

ASKED = """
import json, signal, sys
from pathlib import Path
known = {name: name in sys.modules for name in ("watari.flow.worker", "pyarrow", "pandas")}
Path(PATH).write_text(json.dumps([known, signal.getsignal(signal.SIGINT) == signal.SIG_IGN]))
"""


BEGUN = f"""
import signal
from watari.flow.processes import server

if __name__ == "__main__":
    before = signal.getsignal(signal.SIGINT)
    process = server(["toy.source"]).Process(target=exec, args=({ASKED!r}, {{"PATH": "said"}}))
    process.start()
    process.join(timeout=60)
    assert process.exitcode == 0
    assert signal.getsignal(signal.SIGINT) is before
"""


def test_a_process_begins_with_what_writes_rows_and_deaf_to_ctrl_c(tmp_path):
    # In a Python of its own: there is one server of forks in a process, and other tests may have started this one's.
    environment = {**os.environ, "PYTHONPATH": str(Path(watari.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", BEGUN], cwd=tmp_path, env=environment, check=True, timeout=120)
    known, deaf = json.loads((tmp_path / "said").read_text())
    assert known == {"watari.flow.worker": True, "pyarrow": True, "pandas": True}
    assert deaf


@pytest.mark.parametrize(
    ("code", "message", "mend"),
    [
        (7, "its process ended with exit code 7", "what it printed is in x.log"),
        (0, "its process ended with exit code 0", "what it printed is in x.log"),
        (
            -9,
            "its process was ended by signal 9 (SIGKILL); out of memory?",
            "run again to go on; its log is x.log",
        ),
        (
            -7,
            "its process was ended by signal 7 (SIGBUS); no space left on the disk?",
            "run again to go on; its log is x.log",
        ),
        (-15, "its process was ended by signal 15 (SIGTERM)", "run again to go on; its log is x.log"),
        (-99, "its process was ended by signal 99 (unknown)", "run again to go on; its log is x.log"),
    ],
)
def test_an_end_without_a_word_is_told(code, message, mend):
    error = ended(code, Path("x.log"))
    assert (error.message, error.mend) == (message, mend)
