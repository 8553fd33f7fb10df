"""What a spec of the family shaberi says: benchmarks of single questions that a judge rates, and how they are averaged."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from watari.evals.spec import SpecHead

OVERALL = "average"
"""The figure that the family calls its result: the mean of the benchmarks' means."""


class RatingRule(BaseModel):
    """One way in which a judge's text says its rating; the first rule of a spec that finds something is the one.

    Args:
        pattern: A regular expression with one group, the number; None: the whole text is the number.
        take: Which occurrence counts; `mean`: all of them, averaged.
        datasets: Short names that it holds for; empty: all, and also a text of which nobody says what it rates.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    pattern: str | None = None
    take: Literal["first", "last", "mean"] = "last"
    datasets: tuple[str, ...] = ()

    @field_validator("pattern")
    @classmethod
    def _one_group(cls, pattern: str | None) -> str | None:
        if pattern is not None and re.compile(pattern).groups != 1:
            raise ValueError("one group is wanted: the number")
        return pattern


class Benchmark(BaseModel):
    """One benchmark of a spec.

    Args:
        id: Its name on the hub.
        short: What tables call it.
        items: How many questions it has.
        scale: Lowest and highest rating that its judge is asked for.
        factor: What a rating is multiplied with, so that all stand on one scale.
        excluded: Numbers (from 1) of questions that are left out.
        also: Other names of it, in older files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    short: str
    items: int = Field(ge=1)
    scale: tuple[float, float]
    factor: float = Field(default=1.0, gt=0)
    excluded: tuple[int, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Its name as a folder: what files of scores call it."""
        return self.id.replace("/", "__")


class Published(BaseModel):
    """The form of upstream's own table, which also averages over judges.

    Args:
        judges: Judge to the name of its columns, in the order of the table's columns.
        apart: What the name of a judge's average holds that is left out of `Average (ex-...)`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    judges: dict[str, str]
    apart: str


class ShaberiSpec(SpecHead):
    """A spec of the family shaberi.

    Args:
        datasets: Its benchmarks, in the order in which their means are averaged.
        rating: How ratings are read out of texts, in order.
        published: Upstream's table.
        judge_temperature, judge_max_tokens: How the judge is asked.
        temperature, max_tokens: How answers are generated.
    """

    datasets: tuple[Benchmark, ...] = Field(min_length=1)
    rating: tuple[RatingRule, ...] = Field(min_length=1)
    published: Published
    temperature: float = 0.2
    max_tokens: int = 2048
    judge_temperature: float = 0.0
    judge_max_tokens: int = 1024

    @model_validator(mode="after")
    def _names_are_known(self) -> ShaberiSpec:
        shorts = [dataset.short for dataset in self.datasets]
        if len(set(shorts)) != len(shorts):
            raise ValueError("datasets: two with the same short name")
        for rule in self.rating:
            if unknown := set(rule.datasets) - set(shorts):
                raise ValueError(f"rating: no dataset is called {sorted(unknown)[0]}")
        return self

    @cached_property
    def by_name(self) -> dict[str, Benchmark]:
        """Benchmarks by every name that files use: hub id, folder, short name, in any case."""
        names: dict[str, Benchmark] = {}
        for dataset in self.datasets:
            for name in (dataset.id, dataset.folder, dataset.short, *dataset.also):
                names[name.casefold()] = dataset
                names[name.replace("/", "__").casefold()] = dataset
        return names

    def dataset(self, name: str) -> Benchmark | None:
        """Return the benchmark of that name, or None."""
        return self.by_name.get(name.casefold())
