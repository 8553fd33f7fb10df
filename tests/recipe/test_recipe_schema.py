"""The JSON schema of recipe files accepts what the program accepts, and refuses what it refuses."""

import json

import jsonschema
import pytest
import yaml

from watari.recipe.files import packaged
from watari.recipe.schema import recipe_schema


@pytest.fixture(scope="module")
def schema():
    from watari.flow.stages import TABLE

    made = recipe_schema(TABLE)
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(json.loads(json.dumps(made)))


@pytest.fixture
def toy_schema(base):
    return jsonschema.Draft202012Validator(recipe_schema(base().table))


GOOD = """
name: small
language: ja
seed: 3
endpoints: {fast: {base_url: http://x/v1, model: y, key_env: KEY, limits: {tokens_per_minute: 90k}}}
datasets: {talk: {path: talk.jsonl}}
defaults: {train.*: {lr: 0.1}}
matrix: {sft.lr: [1.0, 2.0]}
override: {sft.epochs: 2}
stages:
  base: {uses: model.load, path: base}
  web: {uses: corpus.build, sources: {path: web.jsonl}}
  translated: {uses: synth.translate, data: talk}
  sft: {uses: train.sft, model: base, data: {from: translated, where: {language: ja, n: {min: 1}}, limit: 5k}, tokens: 8B}
  two: {uses: train.sft, model: base, data: [translated, {from: talk, ratio: 0.5}]}
"""


def test_a_good_recipe_is_valid(toy_schema, book):
    toy_schema.validate(yaml.safe_load(GOOD))
    book.write(GOOD)
    assert book.load()


@pytest.mark.parametrize(
    "change",
    [
        {"stagess": {}},
        {"name": None},
        {"seed": -1},
        {"stages": {}},
        {"stages": {"Base": {"uses": "model.load", "path": "x"}}},
        {"stages": {"base": {"uses": "model.laod", "path": "x"}}},
        {"stages": {"base": {"uses": "model.load"}}},
        {"stages": {"base": {"path": "x"}}},
        {"stages": {"base": {"uses": "model.load", "path": "x", "pth": 1}}},
        {"stages": {"base": {"uses": "model.load", "path": 5}}},
        {"stages": {"base": {"uses": "train.sft", "model": 5, "data": "x"}}},
        {"stages": {"base": {"uses": "train.sft", "model": "a", "data": "x", "tokens": "many"}}},
        {"stages": {"base": {"uses": "train.sft", "model": "a", "data": {"frm": "x"}}}},
        {"datasets": {"talk": {"pth": "x"}}},
        {"endpoints": {"fast": {"base_url": "x"}}},
    ],
)
def test_a_bad_recipe_is_not(toy_schema, book, change):
    value = {**yaml.safe_load(GOOD), **change}
    assert not toy_schema.is_valid(value)
    book.write(yaml.safe_dump(value))
    assert book.problems()


def test_a_recipe_that_extends_may_leave_out_and_delete(toy_schema):
    toy_schema.validate(yaml.safe_load("{extends: demo}"))
    toy_schema.validate(
        yaml.safe_load("{extends: demo, stages: {sft: {lr: 1}, dpo: null}, datasets: {x: null}}")
    )
    assert not toy_schema.is_valid({"extends": "demo", "stages": {"sft": {"uses": "nothing"}}})


def test_every_field_says_what_it_is(schema):
    """DESIGN: every field documented. Editors show these."""
    missing = [
        f"{name}.{field}"
        for name, body in schema.schema["$defs"].items()
        if name.startswith("stage:")
        for field, value in body["properties"].items()
        if field != "uses" and "description" not in value
    ]
    assert missing == []


def test_every_reference_leads_somewhere(schema):
    def references(value):
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    found = set(references(schema.schema))
    assert found
    assert all(ref.removeprefix("#/$defs/") in schema.schema["$defs"] for ref in found)


@pytest.mark.parametrize("name", sorted(packaged()))
def test_packaged_recipes_are_valid(schema, name):
    from watari.artifact.yaml_tree import read_tree

    path = packaged()[name]
    value = read_tree(path.read_text("utf-8"), name, path.parent).value
    errors = [f"{list(error.absolute_path)}: {error.message[:200]}" for error in schema.iter_errors(value)]
    assert errors == []


@pytest.mark.parametrize("name", sorted(packaged()))
def test_packaged_recipes_are_sound(name, tmp_path):
    from watari.flow.stages import TABLE
    from watari.recipe.graph import load

    assert load(name, TABLE, folder=tmp_path, data=tmp_path).nodes
