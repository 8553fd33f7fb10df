"""`watari eval score` reads pipes and standard input, packed or not, as it reads files."""

from __future__ import annotations

import gzip
import json
import os
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from watari.cli.main import app

ROWS = [
    {"question_id": number, "model": "m", "judge": ["gpt-4", "single-v1"], "turn": 1, "score": number % 9 + 1}
    for number in range(1, 5)
]
TEXT = "".join(json.dumps(row | {"judgment": f"[[{row['score']}]]"}) + "\n" for row in ROWS).encode()


def scores(*words: str, data: bytes | None = None) -> object:
    done = CliRunner().invoke(app, ["eval", "score", "fastchat-mt-bench", *words, "--json"], input=data)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["models"]["m"]["overall"]


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input(packed: bool) -> None:
    assert scores("-", data=gzip.compress(TEXT) if packed else TEXT) == 3.5


def test_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(TEXT,))
    writer.start()
    assert scores(str(pipe)) == 3.5
    writer.join()
