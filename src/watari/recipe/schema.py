"""The JSON schema of recipe files, for editors that complete and check while one types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watari.artifact.stage import Stage
from watari.recipe.declare import IMPORT
from watari.recipe.model import RecipeFile


def recipe_schema(table: Mapping[str, Stage]) -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12): the top level, and for each `uses` the parameters of that stage."""
    schema = RecipeFile.model_json_schema(mode="validation")
    definitions: dict[str, Any] = schema.setdefault("$defs", {})
    branches = []
    for kind, stage in sorted(table.items()):
        params = stage.params.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(params.pop("$defs", {}))
        properties = {"uses": {"const": kind}, **params["properties"]}
        required = ["uses", *(name for name in params.get("required", []) if name != "language")]
        body = {
            "title": kind,
            "description": (stage.params.__doc__ or "").strip().splitlines()[0]
            if stage.params.__doc__
            else kind,
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
        definitions[f"stage:{kind}"] = body
        branches.append(
            {
                "if": {"properties": {"uses": {"const": kind}}, "required": ["uses"]},
                "then": {"$ref": f"#/$defs/stage:{kind}"},
            }
        )
    definitions["stage"] = {
        "type": "object",
        "properties": {"uses": {"enum": sorted(table)}},
        "required": ["uses"],
        "allOf": branches,
    }
    definitions["partial_stage"] = {
        "type": ["object", "null"],
        "description": "fields laid on the stage of the recipe that this one extends; null deletes it",
        "properties": {"uses": {"enum": sorted(table)}},
    }
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Watari recipe"
    properties = schema["properties"]
    properties["stages"] = {
        "type": "object",
        "description": "the stages by name",
        "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"},
    }
    imported = table.get(IMPORT)
    if imported is not None:
        dataset = dict(definitions[f"stage:{IMPORT}"])
        dataset["properties"] = {k: v for k, v in dataset["properties"].items() if k != "uses"}
        dataset["required"] = [name for name in dataset["required"] if name != "uses"]
        definitions["dataset"] = dataset
        properties["datasets"] = {"type": "object"}
    # A recipe that extends another may leave out, and delete, what the other gives.
    schema["required"] = []
    schema["if"] = {"required": ["extends"]}
    schema["then"] = {
        "properties": {"stages": {"additionalProperties": {"$ref": "#/$defs/partial_stage"}}},
    }
    schema["else"] = {
        "required": ["name", "stages"],
        "properties": {
            "stages": {"minProperties": 1, "additionalProperties": {"$ref": "#/$defs/stage"}},
            **({"datasets": {"additionalProperties": {"$ref": "#/$defs/dataset"}}} if imported else {}),
        },
    }
    return schema
