"""Every command of docs/leakage.md about scans and comparisons, run as it stands there, on the stored runs."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from watari.cli.main import app

PAGE = Path(__file__).parents[2] / "docs" / "leakage.md"


def lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    found = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in found if line.startswith("watari leakage ") and "--model" not in line]


@pytest.mark.slow
def test_every_command_of_the_page_works(
    test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stored = test_data / "shisa-generations"
    for name in ("generations.jsonl.gz", "prompts.jsonl"):
        shutil.copy(stored / name, tmp_path)
    assert len(lines()) >= 4
    for line in lines():
        done = CliRunner().invoke(app, shlex.split(line)[1:])
        assert done.exit_code == 0, (line, done.output[-500:], done.exception)
