"""The reference of stage kinds, written from their parameter models, so that it cannot fall behind them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from watari.artifact.params import RuntimeMark, edge_fields, marked_fields
from watari.artifact.stage import Stage

_HEAD = """# Stage kinds

Written by `watari recipe stages`. A parameter marked *edge* takes the name of a stage or dataset, or a selection; one marked
*runtime* changes how a stage runs but not what it makes, and does not count in its key.
"""


def reference(table: Mapping[str, Stage]) -> str:
    """Return the reference of all stage kinds as Markdown."""
    return _HEAD + "".join(_stage(kind, stage) for kind, stage in table.items())


def _stage(kind: str, stage: Stage) -> str:
    model = stage.params
    edges = edge_fields(model)
    runtime = set(marked_fields(model, RuntimeMark))
    makes = stage.output.value if not callable(stage.output) else "what its format holds"
    lines = [f"\n## {kind}\n", f"Makes: {makes}.{' Resumes inside.' if stage.resumes else ''}\n"]
    lines += ["| parameter | default | what it is |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        marks = []
        if name in edges:
            kinds = "any" if len(edges[name]) > 4 else " or ".join(found.value for found in edges[name])
            marks.append(f"*edge: {kinds}*")
        if name in runtime:
            marks.append("*runtime*")
        told = " ".join([*marks, (field.description or "").replace("|", "\\|")])
        lines.append(f"| `{name}` | {_default(field)} | {told} |")
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined:
        return "none"
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    return f"`{json.dumps(value, ensure_ascii=False, default=str)}`"
