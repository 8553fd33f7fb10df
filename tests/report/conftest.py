"""Fixtures of the report's tests: a made-up run, and a page built from it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from watari.artifact.stage import InputArtifact
from watari.report.page import Page, build


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fakes() -> ModuleType:
    """The module that makes runs up."""
    return _load("fake_run")


@pytest.fixture(scope="session")
def artifacts(fakes: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[InputArtifact]:
    """A run of 23 stages."""
    made: list[InputArtifact] = fakes.full_run(tmp_path_factory.mktemp("run"))
    return made


@pytest.fixture(scope="session")
def variants(fakes: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[InputArtifact]:
    """The same run over three variants of the vocabulary."""
    made: list[InputArtifact] = fakes.full_run(tmp_path_factory.mktemp("matrix"), matrix=True)
    return made


@pytest.fixture(scope="session")
def page(artifacts: list[InputArtifact]) -> Page:
    """The report of the run."""
    return build(artifacts)


@pytest.fixture(scope="session")
def leaking(fakes: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[InputArtifact]:
    """A run that looks at leaks and mends them."""
    made: list[InputArtifact] = _load("fake_leakage").leaking_run(fakes, tmp_path_factory.mktemp("leaking"))
    return made
