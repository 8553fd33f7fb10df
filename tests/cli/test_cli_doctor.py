"""`watari doctor` from the outside: the table, the JSON form, the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tiny_llama import TEMPLATE, make_folder
from watari.cli.doctor import doctor
from watari.errors import CheckFailed, UserError

app = typer.Typer()
app.command()(doctor)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("doctor"))


def test_a_sound_model(sound: Path) -> None:
    result = CliRunner().invoke(app, [str(sound)], catch_exceptions=False)
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "template.bos" in result.stdout
    assert "mend" not in result.stdout
    assert "warn 0 · fail 0" in result.stdout


def test_the_json_form(sound: Path) -> None:
    result = CliRunner().invoke(app, [str(sound), "--json"], catch_exceptions=False)
    body = json.loads(result.stdout)
    assert body["model"] == str(sound)
    assert body["ok"] is True
    assert {check["status"] for check in body["checks"]} == {"ok"}


def test_a_fault_is_exit_code_3_with_its_mend(tmp_path: Path) -> None:
    sick = make_folder(tmp_path, template="{{ bos_token }}" + TEMPLATE)
    with pytest.raises(CheckFailed, match=r"1 of \d+ checks failed: template\.bos") as failed:
        CliRunner().invoke(app, [str(sick)], catch_exceptions=False)
    assert failed.value.exit_code == 3
    result = CliRunner().invoke(app, [str(sick)])
    assert "mend: write {{ bos_token }} once" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    result = CliRunner().invoke(app, [str(sick), "--json"])
    assert json.loads(result.stdout)["ok"] is False


def test_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json"):
        CliRunner().invoke(app, [str(tmp_path)], catch_exceptions=False)
