"""What a command says when something outside of it fails."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from watari.cli import main as entry
from watari.errors import no_space


def test_a_full_disk_is_one_line_whichever_library_meets_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write() -> None:
        try:
            with open("/dev/full", "wb", buffering=0) as full:
                full.write(b"x")
        except OSError as error:
            raise RuntimeError("could not save") from error

    monkeypatch.setattr(entry, "app", write)
    with pytest.raises(SystemExit) as left:
        entry.main()
    assert left.value.code == 3
    told = capsys.readouterr().err
    assert "no space left" in told
    assert "Traceback" not in told


def test_a_reader_that_has_had_enough_is_no_mistake_of_the_users() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    asked = [sys.executable, "-m", "watari.cli.main", "recipe", "schema"]
    done = subprocess.run(asked, stdout=writes, stderr=subprocess.PIPE, check=False)
    os.close(writes)
    assert (done.returncode, done.stderr) == (141, b"")


def test_defects_are_not_taken_for_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(entry, "app", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        entry.main()
    assert not no_space(OSError(13, "Permission denied"))
    assert no_space(RuntimeError("I/O error: No space left on device (os error 28)"))
