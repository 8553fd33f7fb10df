"""A table of stage kinds that are only declared, and recipes written from text."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from watari.artifact.kinds import Kind
from watari.artifact.params import (
    OUTSIDE,
    RUNTIME,
    AnyArtifact,
    Conversations,
    Count,
    Documents,
    Model,
    OneOrMore,
    OutsidePath,
    StageParams,
    Tokenizer,
)
from watari.artifact.problems import RecipeError
from watari.artifact.stage import Stage, StageResult
from watari.recipe import graph
from watari.recipe.files import parse_set


class Load(StageParams):
    """A base model."""

    path: OutsidePath


class Import(StageParams):
    """Conversations from outside."""

    path: OutsidePath
    format: str = "auto"
    language: str


class Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    path: Annotated[str, OUTSIDE]
    license: str | None = None


class Build(StageParams):
    """Documents."""

    sources: Annotated[list[Source], OneOrMore] = Field(min_length=1)
    mix: dict[str, float] = Field(default_factory=dict)


class Extend(StageParams):
    """A tokenizer."""

    base: Tokenizer
    text: Annotated[list[Documents], OneOrMore]
    add: Count = Field(default=0, ge=0)


class Sft(StageParams):
    """Fine-tuning."""

    model: Model
    data: Annotated[list[Conversations], OneOrMore]
    tokenizer: Tokenizer | None = None
    lr: float = Field(default=2e-5, gt=0)
    epochs: int = Field(default=3, ge=1)
    tokens: Count | None = None
    note: str = ""
    workers: Annotated[int, RUNTIME] = 1


class Translate(StageParams):
    """Conversations in another language."""

    data: Conversations
    language: str


class Report(StageParams):
    """Everything."""

    stages: Annotated[list[AnyArtifact], OneOrMore] = Field(default_factory=list)


def nothing(params: Any, inputs: Any, out: Path, progress: Any) -> StageResult:
    return StageResult()


def stage(kind: str, output: Kind, params: type[StageParams], **more: Any) -> Stage:
    return Stage(kind=kind, version=1, output=output, params=params, run=nothing, **more)


TABLE = {
    made.kind: made
    for made in (
        stage("model.load", Kind.MODEL, Load),
        stage("data.import", Kind.CONVERSATIONS, Import),
        stage("corpus.build", Kind.DOCUMENTS, Build),
        stage("tokenizer.extend", Kind.TOKENIZER, Extend),
        stage("synth.translate", Kind.CONVERSATIONS, Translate),
        stage("train.sft", Kind.MODEL, Sft),
        stage("report.run", Kind.CARD, Report, gathers=True),
    )
}


class Book:
    """Recipe files in a folder."""

    table = TABLE

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, text: str, name: str = "recipe.yaml") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), "utf-8")
        return path

    def load(self, *settings: str, name: str = "recipe.yaml", **more: Any) -> graph.Recipe:
        laid = [parse_set(text, self.root) for text in settings]
        return graph.load(name, TABLE, folder=self.root, settings=laid, **more)

    def problems(self, *settings: str, name: str = "recipe.yaml") -> list[str]:
        with pytest.raises(RecipeError) as caught:
            self.load(*settings, name=name)
        return str(caught.value).splitlines()


BASE = """
name: small
language: ja
datasets:
  talk: {path: talk.jsonl}
stages:
  base: {uses: model.load, path: base}
  web: {uses: corpus.build, sources: [{path: web.jsonl}]}
  tokenizer: {uses: tokenizer.extend, base: base, text: web, add: 8k}
  translated: {uses: synth.translate, data: talk}
  sft: {uses: train.sft, model: base, data: [translated, talk], tokenizer: tokenizer}
"""


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


@pytest.fixture
def base(book: Book) -> Callable[..., Book]:
    """A book whose recipe.yaml is the base recipe, with text after it."""

    def make(more: str = "") -> Book:
        book.write(BASE + (dedent(more) if more.startswith("\n") else more))
        return book

    return make
