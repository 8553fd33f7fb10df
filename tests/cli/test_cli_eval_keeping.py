"""What a model is called that `watari eval run` is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny_llama import make_folder
from watari.cli.evaluation.keeping import model_artifact


def test_a_model_is_called_as_its_folder_is_not_as_its_key_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = make_folder(tmp_path / "store" / "45efb522")
    stage = tmp_path / "stages" / "dpo"
    stage.parent.mkdir()
    stage.symlink_to(stored)
    assert model_artifact(stage).name == "dpo"
    assert model_artifact(stored).name == "45efb522"
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(stored)
    assert model_artifact(Path()).name == "45efb522"
    assert model_artifact(Path("..") / "45efb522").name == "45efb522"
