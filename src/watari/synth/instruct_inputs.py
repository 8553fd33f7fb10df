"""What `synth.instruct` reads beside its parameters: seeds, conversations to keep away from, evaluation sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from watari.artifact.hashing import hash_text
from watari.artifact.reading import ReadOptions, read_records
from watari.artifact.records import Fault, Record
from watari.artifact.rows import select_rows
from watari.artifact.stage import Inputs
from watari.errors import UserError
from watari.synth.diversity import Contamination, Diversity
from watari.synth.instruct_params import KIND, Params
from watari.synth.instruct_rows import Seed

_FIELDS = ("instruction", "prompt", "text", "question")


def read_seeds(path: str) -> list[Seed]:
    """Return the example instructions of a file, each text once.

    Raises:
        UserError: naming the file and the row, if one cannot be read or holds no instruction.
    """
    found: dict[str, Seed] = {}
    for item in read_records(path, ReadOptions()):
        if isinstance(item, Fault):
            raise UserError(str(item), "mend the row")
        text = _instruction(item)
        if not text:
            raise UserError(
                f"{item.place}: no instruction",
                f"give one of {', '.join(_FIELDS)}, or `messages` with a user turn",
            )
        category = item.row.get("category")
        identity = item.row.get("id")
        name = str(identity) if identity not in (None, "") else hash_text(text)
        found.setdefault(text, Seed(name, text, category if isinstance(category, str) else ""))
    if not found:
        raise UserError(f"{path}: holds no rows", "give example instructions, or leave `seeds` out")
    return list(found.values())


def _instruction(record: Record) -> str:
    row = record.row
    for name in _FIELDS:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            more = row.get("input")
            return "\n\n".join(
                [value.strip(), *([more.strip()] if isinstance(more, str) and more.strip() else [])]
            )
    messages = row.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if (
            isinstance(message, dict)
            and message.get("role") == "user"
            and isinstance(message.get("content"), str)
        ):
            return str(message["content"]).strip()
    return ""


def known_texts(params: Params, inputs: Inputs, seeds: list[Seed]) -> Diversity:
    """Return the texts that no row may be like: seeds, and what users say first in `against`."""
    diversity = Diversity(params.near)
    diversity.know([(seed.id, seed.text) for seed in seeds], "seed")
    for artifact in inputs.many("against"):
        rows = select_rows(artifact, seed=params.seed, stage=KIND)
        diversity.know(
            (
                (str(row["id"]), message["content"])
                for row in rows
                for message in [m for m in row["messages"] if m["role"] == "user"][:1]
            ),
            "against",
        )
    return diversity


def evaluation_texts(params: Params) -> Contamination:
    """Return the texts of the evaluation sets.

    Raises:
        UserError: naming the file and the row that cannot be read.
    """

    def texts() -> Iterator[tuple[str, str]]:
        for path in params.contamination:
            for item in read_records(path, ReadOptions()):
                if isinstance(item, Fault):
                    raise UserError(str(item), "mend the row")
                for text in _strings(item.row):
                    yield f"{Path(path).name}: {item.place.inside}", text

    return Contamination(texts(), params.contained)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
