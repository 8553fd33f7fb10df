"""Specs: a named, versioned way to evaluate. Who quotes a score names its spec, and anybody can compute it again.

A spec is a YAML file in `evals/specs/`. What it says is part of every score; its `digest` changes with any word of it.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from watari.artifact.hashing import hash_json
from watari.errors import UserError

Family = Literal["jaster", "mtbench", "shaberi", "harness"]


class SpecHead(BaseModel):
    """What every spec says of itself; each family's model adds its own fields.

    Args:
        name: As it is called on the command line: the file's name.
        family: Which scorer reads it.
        version: Counts up when a score may come out differently.
        title: For people, by language.
        sources: Where the rules come from: repositories, commits, pages.
        scale: Lowest and highest value of its overall figure.
        digest: Hash of everything that the file says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    family: Family
    version: int = Field(ge=1)
    title: dict[str, str]
    sources: list[str] = Field(min_length=1)
    scale: tuple[float, float]
    digest: str

    @property
    def label(self) -> str:
        """What a row of scores is marked with: name/version."""
        return f"{self.name}/{self.version}"


@cache
def spec_names() -> tuple[str, ...]:
    """Return the names of all specs, sorted."""
    folder = resources.files("watari.evals") / "specs"
    return tuple(
        sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))
    )


@cache
def load_spec(name: str) -> SpecHead:
    """Return a spec, as the model of its family.

    Raises:
        UserError: for a name that there is not.
    """
    content = _content(name)
    family = content.get("family")
    model: type[SpecHead]
    if family == "jaster":
        from watari.evals.jaster.spec import JasterSpec as model
    elif family == "mtbench":
        from watari.evals.mtbench.spec import MTBenchSpec as model
    elif family == "shaberi":
        from watari.evals.shaberi.spec import ShaberiSpec as model
    elif family == "harness":
        from watari.evals.harness.spec import HarnessSpec as model
    else:
        raise ValueError(f"evals/specs/{name}.yaml: family: {family!r}")
    return model(**content, name=name, digest=hash_json(content))


def _content(name: str) -> dict[str, Any]:
    import yaml

    if name not in spec_names():
        raise UserError(f"{name}: no such spec", "one of " + ", ".join(spec_names()))
    file = resources.files("watari.evals") / "specs" / f"{name}.yaml"
    content: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return content
