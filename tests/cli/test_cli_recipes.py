"""watari recipe list, show, check, schema; `watari plan` of the packaged recipes."""

import json

from typer.testing import CliRunner

from watari.cli.recipes import recipe_app
from watari.errors import WatariError
from watari.recipe.files import packaged

runner = CliRunner()


def test_list_names_every_packaged_recipe():
    told = runner.invoke(recipe_app, ["list"])
    assert told.exit_code == 0
    assert [line.split()[0] for line in told.stdout.splitlines()] == sorted(packaged())
    assert all(len(line.split()) > 3 for line in told.stdout.splitlines())


def test_show_prints_the_file_to_copy():
    told = runner.invoke(recipe_app, ["show", "demo"])
    assert told.stdout == packaged()["demo"].read_text("utf-8")


def test_check_says_sound_or_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "stages, sound" in runner.invoke(recipe_app, ["check", "demo"]).stdout
    (tmp_path / "mine.yaml").write_text("extends: demo\nstages:\n  sft: {epoch: 2}\n", "utf-8")
    told = runner.invoke(recipe_app, ["check", "mine.yaml"])
    assert isinstance(told.exception, WatariError)
    assert str(told.exception).startswith("mine.yaml:3: stages.sft.epoch: no parameter 'epoch' for train.sft")


def test_schema_is_json_schema():
    import jsonschema

    told = runner.invoke(recipe_app, ["schema"])
    assert told.exit_code == 0
    schema = json.loads(told.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$defs"]["stage:train.sft"]["properties"]["lr"]["description"]


def test_plan_of_the_demo_reads_every_outside_file_and_writes_nothing(tmp_path, monkeypatch):
    from watari.cli.main import app

    monkeypatch.delenv("WATARI_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    told = runner.invoke(app, ["plan", "demo", "--json"])
    assert told.exit_code == 0, told.output
    plan = json.loads(told.stdout)
    assert plan["recipe"] == "demo"
    assert plan["run"] == len(plan["stages"])
    assert any(stage["uses"] == "report.run" for stage in plan["stages"])
    assert list(tmp_path.iterdir()) == []
