"""How the processes of stages begin, and what is told of one that ended without a word."""

import json
import signal
from pathlib import Path

import pytest

from watari.flow.processes import ended, server

ASKED = """
import json, signal, sys
from pathlib import Path
known = {name: name in sys.modules for name in ("watari.flow.worker", "pyarrow", "pandas")}
Path(PATH).write_text(json.dumps([known, signal.getsignal(signal.SIGINT) == signal.SIG_IGN]))
"""


def test_a_process_begins_with_what_writes_rows_and_deaf_to_ctrl_c(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    process = server(["toy.source"]).Process(target=exec, args=(ASKED, {"PATH": str(tmp_path / "said")}))
    process.start()
    process.join(timeout=60)
    assert process.exitcode == 0
    known, deaf = json.loads((tmp_path / "said").read_text())
    assert known == {"watari.flow.worker": True, "pyarrow": True, "pandas": True}
    assert deaf
    assert signal.getsignal(signal.SIGINT) is before


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
