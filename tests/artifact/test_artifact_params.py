"""Counts, selections, edges, marks, and what of the parameters counts in a key."""

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from watari.artifact.kinds import Kind
from watari.artifact.params import (
    OUTSIDE,
    RUNTIME,
    Conversations,
    Count,
    Model,
    OneOrMore,
    OutsidePath,
    Selection,
    StageParams,
    Tokenizer,
    edge_fields,
    edges,
    key_parameters,
    marked_fields,
    outside_paths,
    parse_count,
    runtime_parameters,
)


class Source(BaseModel):
    path: Annotated[str, OUTSIDE]
    weight: float = 1.0


class Params(StageParams):
    model: Model
    data: Annotated[list[Conversations], OneOrMore]
    tokenizer: Tokenizer | None = None
    sources: list[Source] = Field(default_factory=list)
    named: dict[str, Source] = Field(default_factory=dict)
    template: OutsidePath | None = None
    files: Annotated[list[str], OUTSIDE] = Field(default_factory=list)
    workers: Annotated[int, RUNTIME] = 1
    device: Annotated[str, RUNTIME] = Field(default="auto")
    lr: float = 1e-4


def made(**more) -> Params:
    return Params.model_validate({"model": "base", "data": "chat", **more})


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("8B", 8 * 10**9),
        ("1.5M", 1_500_000),
        ("120k", 120_000),
        ("2K", 2000),
        (" 3 T ", 3 * 10**12),
        ("1_000", 1000),
        ("5", 5),
        (7, 7),
    ],
)
def test_counts(written, number):
    assert TypeAdapter(Count).validate_python(written) == number


@pytest.mark.parametrize("written", ["", "k", "-5k", "1.2.3M", "5 kB", "1e3", "8G", "１k", "0.0001k"])
def test_what_is_no_count(written):
    with pytest.raises(ValueError, match=r"is not a (count|whole number)"):
        parse_count(written)


@given(st.integers(0, 10**6), st.sampled_from(["", "k", "M", "B"]))
def test_every_whole_number_with_a_suffix_is_a_count(number, suffix):
    assert parse_count(f"{number}{suffix}") == number * {"": 1, "k": 10**3, "M": 10**6, "B": 10**9}[suffix]


def test_edges_are_found_in_order_with_their_kinds():
    params = made(data=["a", {"from": "b", "limit": "2k"}], tokenizer="t")
    found = [(edge.parameter, edge.selection.source, edge.kinds) for edge in edges(params)]
    assert found == [
        ("model", "base", (Kind.MODEL,)),
        ("data", "a", (Kind.CONVERSATIONS,)),
        ("data", "b", (Kind.CONVERSATIONS,)),
        ("tokenizer", "t", (Kind.TOKENIZER, Kind.MODEL)),
    ]
    assert list(edge_fields(Params)) == ["model", "data", "tokenizer"]
    assert marked_fields(Params, type(RUNTIME)) == ["workers", "device"]


def test_selections_are_written_back_as_they_were():
    params = made(data=["a", {"from": "b", "where": {"language": "ja"}, "limit": 5}])
    dumped = params.model_dump(mode="json")
    assert dumped["model"] == "base"
    assert dumped["data"] == ["a", {"from": "b", "where": {"language": "ja"}, "limit": 5}]
    assert Params.model_validate(dumped) == params


@pytest.mark.parametrize(
    "bad",
    [
        {"model": 5},
        {"model": ["a"]},
        {"model": None},
        {"data": {"from": "a", "limits": 3}},
        {"data": {"from": "a", "limit": -1}},
        {"data": {"from": "a", "ratio": float("nan")}},
        {"data": {"from": "a", "where": {"x": {"mni": 3}}}},
        {"lr": float("inf")},
        {"lr": "nan"},
        {"seed": -1},
        {"unknown": 1},
    ],
)
def test_bad_parameters_are_refused(bad):
    with pytest.raises(ValidationError):
        made(**bad)


def test_parameters_are_fixed_once_read():
    with pytest.raises(ValidationError, match="frozen"):
        made().lr = 2.0


def test_the_key_leaves_out_runtime_and_names_and_holds_selections():
    base = key_parameters(made(), {})
    assert key_parameters(made(workers=8, device="cuda"), {}) == base
    assert key_parameters(made(model="other", data="more"), {}) == base
    assert key_parameters(made(lr=2e-4), {}) != base
    assert key_parameters(made(data={"from": "chat", "limit": 5}), {}) != base
    assert key_parameters(made(data={"from": "chat", "where": {"language": "ja"}}), {})["data"] == [
        {"edge": {"where": {"language": "ja"}}}
    ]
    assert "workers" not in base
    assert runtime_parameters(made(workers=8)) == {"workers": 8, "device": "auto"}


def test_outside_content_counts_and_its_place_does_not():
    params = made(
        sources=[{"path": "/a"}, {"path": "/b", "weight": 2.0}],
        named={"x": {"path": "/c"}},
        template="/d",
        files=["/e", "/a"],
    )
    assert outside_paths(params) == ["/a", "/b", "/c", "/d", "/e"]
    prints = {"/a": "1", "/b": "2", "/c": "3", "/d": "4", "/e": "5"}
    key = key_parameters(params, prints)
    assert key["sources"] == [
        {"path": {"outside": "1"}, "weight": 1.0},
        {"path": {"outside": "2"}, "weight": 2.0},
    ]
    assert key["named"] == {"x": {"path": {"outside": "3"}, "weight": 1.0}}
    assert key["template"] == {"outside": "4"}
    assert key["files"] == [{"outside": "5"}, {"outside": "1"}]
    assert key_parameters(params, {**prints, "/c": "9"}) != key


def test_selection_says_whether_it_narrows():
    assert not Selection.model_validate({"from": "a"}).narrowed
    assert Selection.model_validate({"from": "a"}).narrowing() is None
    assert Selection.model_validate({"from": "a", "limit": 0}).narrowing() == {"limit": 0, "where": {}}
