"""Conversations as inputs of `data.mix`, for its tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from made_artifacts import as_input
from watari.artifact.draws import generator
from watari.artifact.kinds import Kind
from watari.artifact.params import Selection
from watari.artifact.rows import read_rows, write_rows
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.data.mix import Params, run

Rows = list[dict[str, Any]]
WORDS = [
    "akane",
    "boat",
    "cedar",
    "drum",
    "echo",
    "fern",
    "glass",
    "harbour",
    "iron",
    "jade",
    "kite",
    "lamp",
    "moss",
    "night",
    "ocean",
    "pearl",
    "quill",
    "river",
]


def prose(key: str, words: int = 60) -> str:
    """Return text that no other key gives."""
    drawn = generator(7, "mix test", key)
    return " ".join(f"{WORDS[drawn.integers(len(WORDS))]}{drawn.integers(1000)}" for _ in range(words))


def row(name: str, answer: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "messages": [
            {"role": "user", "content": f"Tell me about {name}."},
            {"role": "assistant", "content": prose(name) if answer is None else answer},
        ],
        "language": "en",
        "source": "made",
        "license": "CC0",
        "parents": [],
        "meta": None,
        **more,
    }


def given(folder: Path, name: str, rows: Rows, **selection: Any) -> InputArtifact:
    write_rows(folder / name / "rows.parquet", Kind.CONVERSATIONS, rows)
    made = as_input(name, folder / name, Kind.CONVERSATIONS)
    chosen = Selection.model_validate({"from": name, **selection})
    return InputArtifact(name, made.path, made.manifest, chosen)


def mix(folder: Path, *inputs: InputArtifact, **params: Any) -> tuple[dict[str, Any], Rows]:
    edges = {name: params.pop(name) for name in ("pairs", "originals") if name in params}
    out = folder / "out"
    out.mkdir(exist_ok=True)
    named = {name: [item.name for item in items] for name, items in edges.items()}
    made = Params(data=[item.name for item in inputs], **named, **params)  # type: ignore[arg-type]
    metrics = run(made, Inputs({"data": list(inputs), **edges}), out, Silent()).metrics
    assert metrics["rows_in"] == metrics["kept"] + sum(metrics["dropped_by_reason"].values())
    assert not (out / "work").exists()
    rows = list(read_rows(out))
    assert len({item["id"] for item in rows}) == len(rows) == metrics["written"]
    return metrics, rows


def ledger(folder: Path, column: str = "reason") -> dict[str, str]:
    """Return what the ledger says of every dropped row."""
    rows = pq.read_table(folder / "out" / "dropped.parquet").to_pylist()
    return {item["id"]: item[column] for item in rows}


def many(name: str, count: int, **more: Any) -> Rows:
    return [row(f"{name}{number}", **more) for number in range(count)]
