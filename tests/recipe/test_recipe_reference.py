"""The reference of stage kinds in docs/ is the one that the code writes."""

from __future__ import annotations

from pathlib import Path

from watari.flow.stages import TABLE
from watari.recipe.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "stages.md"


def test_docs_are_what_the_code_says() -> None:
    assert PAGE.read_text("utf-8") == reference(TABLE), "run: watari recipe stages > docs/stages.md"


def test_every_parameter_of_every_kind_is_told() -> None:
    text = reference(TABLE)
    for kind, stage in TABLE.items():
        section = text.split(f"\n## {kind}\n")[1].split("\n## ")[0]
        for name, field in stage.params.model_fields.items():
            (row,) = [line for line in section.splitlines() if line.startswith(f"| `{name}` |")]
            assert row.split("|")[3].strip()
            assert ("required" in row.split("|")[2]) == field.is_required()
