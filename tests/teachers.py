"""Endpoints for tests of the stages that ask: a scripted server on loopback, and what a stage is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from made_artifacts import as_input
from watari.artifact.kinds import Kind
from watari.artifact.params import Selection
from watari.artifact.rows import write_rows
from watari.artifact.stage import InputArtifact
from watari.endpoint.replay import Behaviour, Reply, Script, serve
from watari.endpoint.settings import Endpoint

Body = Mapping[str, Any]


@contextmanager
def teacher(
    answer: Callable[..., str | Reply],
    name: str = "teacher",
    *,
    behaviour: Behaviour | None = None,
    **settings: Any,
) -> Iterator[Endpoint]:
    """Serve `answer` and yield the endpoint that asks it."""
    with serve(Script(answer, behaviour or Behaviour(latency=0, sd=0))) as listening:
        yield Endpoint(name=name, base_url=listening.base_url, model=f"{name}-1", **settings)


def last(body: Body) -> str:
    """Return what the last message of a request says."""
    return str(body["messages"][-1]["content"])


def conversations(folder: Path, name: str, rows: list[dict[str, Any]], **selection: Any) -> InputArtifact:
    """Return rows as an artifact of conversations."""
    write_rows(folder / name / "rows.parquet", Kind.CONVERSATIONS, rows)
    made = as_input(name, folder / name, Kind.CONVERSATIONS)
    return InputArtifact(
        name, made.path, made.manifest, Selection.model_validate({"from": name, **selection})
    )


def talk(name: str, *texts: str, system: str = "", **more: Any) -> dict[str, Any]:
    """Return a conversation: user and assistant in turn."""
    messages = [{"role": "system", "content": system}] if system else []
    messages += [
        {"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)
    ]
    return {
        "id": name,
        "messages": messages,
        "language": "ja",
        "source": "made",
        "license": "CC0",
        "parents": [],
        "meta": None,
        **more,
    }
