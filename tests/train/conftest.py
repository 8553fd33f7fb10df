"""A tiny model and made-up rows, as inputs of training stages."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from made_artifacts import as_input
from tiny_llama import TEXT, make_folder
from watari.artifact.kinds import Kind
from watari.artifact.params import Selection
from watari.artifact.rows import write_rows
from watari.artifact.stage import InputArtifact
from watari.artifact.tokens import TokensInfo, TokenWriter

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> InputArtifact:
    """A Llama of 45k parameters with BOS and a template of its own."""
    folder = make_folder(tmp_path_factory.mktemp("tiny"), initializer_range=0.05)
    return as_input("base", folder, Kind.MODEL)


@pytest.fixture
def rows_of(tmp_path: Path) -> Callable[..., InputArtifact]:
    """Return a function that makes an input of rows: (name, kind, rows, **selection)."""

    def make(name: str, kind: Kind, rows: Sequence[dict[str, Any]], **selection: Any) -> InputArtifact:
        write_rows(tmp_path / name / "rows.parquet", kind, rows)
        made = as_input(name, tmp_path / name, kind)
        return InputArtifact(name, made.path, made.manifest, Selection(**{"from": name, **selection}))

    return make


@pytest.fixture
def shard_of(tmp_path: Path) -> Callable[..., InputArtifact]:
    """Return a function that makes an input of tokens: (name, documents, **selection)."""

    def make(
        name: str,
        documents: Sequence[Sequence[int]],
        *,
        info: TokensInfo | None = None,
        languages: Sequence[str] = ("ja",),
        **selection: Any,
    ) -> InputArtifact:
        with TokenWriter(tmp_path / name, info or TokensInfo(420, "t", 1, 2)) as writer:
            for index, ids in enumerate(documents):
                language = languages[index % len(languages)]
                writer.add(f"{name}-{index}", ids, language=language, source=name, characters=len(ids))
        made = as_input(name, tmp_path / name, Kind.TOKENS)
        return InputArtifact(name, made.path, made.manifest, Selection(**{"from": name, **selection}))

    return make


@pytest.fixture(scope="session")
def talks() -> list[dict[str, Any]]:
    """24 conversations of one to three turns and of many lengths."""
    rows = []
    for index in range(24):
        messages = []
        for turn in range(1 + index % 3):
            messages += [
                {"role": "user", "content": f"{TEXT[(index + turn) % 4][: 5 + 3 * index]}?"},
                {"role": "assistant", "content": TEXT[index % 4][: 8 + index]},
            ]
        rows.append({"id": f"t{index}", "messages": messages, "language": "en", "source": "made"})
    return rows


@pytest.fixture(scope="session")
def choices() -> list[dict[str, Any]]:
    """24 preferences: to be told of the red ball is better than not to know."""
    return [
        {
            "id": f"p{index}",
            "prompt": [{"role": "user", "content": f"{TEXT[index % 4][: 6 + index]}?"}],
            "chosen": f"The red ball {index % 5}.",
            "rejected": f"I do not know {index % 3}",
            "source": "made",
        }
        for index in range(24)
    ]


@pytest.fixture(scope="session")
def leaks() -> list[dict[str, Any]]:
    """24 replies with a Japanese word in them, and what mends each: another word, or nothing."""
    rows = []
    for index in range(24):
        foreign, own = [("ボール", "ball"), ("高校生の", ""), ("女の子", "girl"), ("钩", "hook")][index % 4]
        begin, end = TEXT[index % 3][: 12 + index], f" and played {index % 5}."
        rows.append(
            {
                "id": f"l{index}",
                "prompt": [{"role": "user", "content": f"{TEXT[index % 4][: 6 + index]}?"}],
                "chosen": f"{begin} {own}{end}",
                "rejected": f"{begin} {foreign}{end}",
                "spans": json.dumps({"rejected": [[len(begin) + 1, len(begin) + 1 + len(foreign)]]}),
                "language": "en",
                "source": "made",
            }
        )
    return rows


@pytest.fixture(scope="session")
def stories() -> list[list[int]]:
    """60 documents of learnable ids, BOS and EOS in place."""
    draw = np.random.Generator(np.random.PCG64(1))
    return [
        [1, *((3 + (start + 7 * np.arange(length)) % 60).tolist()), 2]
        for start, length in zip(draw.integers(0, 60, 60), draw.integers(3, 40, 60), strict=True)
    ]
