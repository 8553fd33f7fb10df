"""Runs of the toy stages, as commands."""

import importlib.util
from pathlib import Path

import pytest

_FLOW = Path(__file__).parent.parent / "flow" / "conftest.py"
_spec = importlib.util.spec_from_file_location("toy_world", _FLOW)
assert _spec is not None
assert _spec.loader is not None
_toys = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_toys)

STAGES = {
    "a": {"uses": "toy.source", "path": "a.txt"},
    "b": {"uses": "toy.source", "path": "b.txt"},
    "both": {"uses": "toy.join", "documents": ["a", "b"]},
    "count": {"uses": "toy.slow", "documents": "a", "steps": 5},
}


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A world with a recipe of toy stages in recipe.yaml."""
    monkeypatch.delenv("WATARI_STORE", raising=False)
    world = _toys.World(tmp_path)
    world.write({name: dict(body) for name, body in STAGES.items()}, language="ja")
    return world
