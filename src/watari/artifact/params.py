"""What the parameters of a stage are made of: inputs, selections, counts, outside files, runtime-only fields.

A stage's `Params` is a frozen pydantic model. The flow reads from its annotations which fields are edges of the
graph, which name files outside, and which do not count in the key:

    class Params(StageParams):
        model: Model                                                    # an edge: the stage that makes a model
        data: Annotated[list[Conversations], OneOrMore]                 # one or several, by name or selection
        lr: float = Field(2e-5, gt=0, description="...")
        workers: Annotated[int, RUNTIME] = Field(1, description="...")  # not in the key
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import core_schema

from watari.artifact.kinds import Kind
from watari.artifact.outside import dataset_location

_COUNT = re.compile(r"^\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([kKMBT]?)\s*$")
_SUFFIX = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def parse_count(value: Any) -> Any:
    """Return `8B`, `1.5M`, `120k` as an integer; anything that is not such a string is given back as it is.

    Raises:
        ValueError: if the string is no count, or names a fraction of one.
    """
    if not isinstance(value, str):
        return value
    match = _COUNT.match(value)
    if match is None:
        raise ValueError(f"{value!r} is not a count: write 5000, 5k, 1.5M or 8B")
    number = float(match[1].replace("_", "")) * _SUFFIX[match[2]]
    if number != int(number):
        raise ValueError(f"{value!r} is not a whole number")
    return int(number)


Count = Annotated[
    int,
    BeforeValidator(parse_count),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer"},
                {"type": "string", "pattern": r"^\s*[0-9][0-9_]*(\.[0-9]+)?\s*[kKMBT]?\s*$"},
            ],
            "description": "a whole number; k, M and B suffixes are understood",
        }
    ),
]


class Range(BaseModel):
    """`{min:, max:}` in a selection: both ends belong to it; one may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    min: float | str | None = None
    max: float | str | None = None


Scalar = str | bool | int | float


class Selection(BaseModel):
    """`{from: stage, where: {column: value | [values] | {min:, max:}}, limit: N, ratio: x}`.

    `where` may name a column, or a field of the `meta` JSON as `meta.field`. `ratio` keeps that share of the rows
    (by a draw keyed by seed, stage and id); above 1 it repeats them. `limit` is applied after `where`, before `ratio`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)
    source: str = Field(alias="from", description="the stage or dataset to take rows from")
    where: dict[str, Scalar | list[Scalar] | Range] = Field(default_factory=dict)
    limit: Count | None = Field(default=None, ge=0)
    ratio: float | None = Field(default=None, ge=0)

    @property
    def narrowed(self) -> bool:
        """True if it takes anything but the whole artifact."""
        return bool(self.where) or self.limit is not None or self.ratio is not None

    def narrowing(self) -> dict[str, Any] | None:
        """Return where / limit / ratio as plain data for a key, or None if the whole artifact is taken."""
        if not self.narrowed:
            return None
        return self.model_dump(mode="json", exclude={"source"}, exclude_none=True)


def _to_selection(value: Any) -> Any:
    if isinstance(value, str):
        return {"from": value}
    if not isinstance(value, dict | Selection):
        raise ValueError("write the name of a stage, or {from: stage, where: ...}")
    return value


def _from_selection(value: Selection) -> Any:
    return (
        value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        if value.narrowed
        else value.source
    )


@dataclass(frozen=True)
class EdgeMark:
    """Marks a field as an edge of the graph, with the kinds of artifact that may be fed to it."""

    kinds: tuple[Kind, ...]


@dataclass(frozen=True)
class RuntimeMark:
    """Marks a field that changes how a stage runs but not what it makes; it is left out of the key."""


@dataclass(frozen=True)
class OutsideMark:
    """Marks a string that names something outside the store: a path, `demo://…`, `hf://…` or a hub id.

    In a key its content counts (`artifact.outside.fingerprint`), not its place.
    """


@dataclass(frozen=True)
class EndpointMark:
    """Marks a field that names one of the recipe's endpoints; the recipe puts its settings in the name's place."""


RUNTIME = RuntimeMark()
OUTSIDE = OutsideMark()

ModelPath = Annotated[str, OUTSIDE]
"""Where a model is: a path (relative ones are relative to the recipe file that holds them) or a hub id `org/name`."""
OutsidePath = Annotated[ModelPath, AfterValidator(dataset_location)]
"""Where a file is, or a dataset: a path, a URL, or a hub id `org/name`, which then stands as `hf://datasets/org/name`."""


class _NameOrSelection:
    """Says in the JSON schema that an edge may be written as a name."""

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        name = {"type": "string", "description": "the name of a stage or dataset"}
        return {"anyOf": [name, handler(schema)]}


_AsEdge = (BeforeValidator(_to_selection), PlainSerializer(_from_selection), _NameOrSelection())

Documents = Annotated[Selection, *_AsEdge, EdgeMark((Kind.DOCUMENTS,))]
Tokens = Annotated[Selection, *_AsEdge, EdgeMark((Kind.TOKENS,))]
Tokenizer = Annotated[Selection, *_AsEdge, EdgeMark((Kind.TOKENIZER, Kind.MODEL))]
"""A tokenizer, or a model whose own tokenizer is meant."""
Model = Annotated[Selection, *_AsEdge, EdgeMark((Kind.MODEL,))]
Conversations = Annotated[Selection, *_AsEdge, EdgeMark((Kind.CONVERSATIONS,))]
Preferences = Annotated[Selection, *_AsEdge, EdgeMark((Kind.PREFERENCES,))]
Scores = Annotated[Selection, *_AsEdge, EdgeMark((Kind.SCORES,))]
Responses = Annotated[Selection, *_AsEdge, EdgeMark((Kind.GENERATIONS, Kind.SCORES, Kind.CONVERSATIONS))]
"""Generations, an evaluation that holds them, or the answers in conversations."""
AnyArtifact = Annotated[Selection, *_AsEdge, EdgeMark(tuple(Kind))]


class _OneOrMore:
    """Reads one item as a list of one, and says in the JSON schema that it may be written so."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(_to_list, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        listed = handler(schema)
        forms = listed.get("anyOf", [listed])
        single = [form["items"] for form in forms if form.get("type") == "array" and "items" in form]
        return {"anyOf": [*single, *forms]}


def _to_list(value: Any) -> Any:
    return value if value is None or isinstance(value, list) else [value]


OneOrMore = _OneOrMore()
"""Lets a list parameter be written without brackets: `data: translated`."""


class StageParams(BaseModel):
    """Base of every stage's parameters. Unknown keys are errors; values are fixed once read.

    `seed` is filled from the recipe's when the stage does not give one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)
    seed: int = Field(
        default=0, ge=0, description="seed of every draw of this stage; the recipe's unless given"
    )


@dataclass(frozen=True)
class Edge:
    """One edge found in a stage's parameters."""

    parameter: str
    kinds: tuple[Kind, ...]
    selection: Selection


def edges(params: StageParams) -> Iterator[Edge]:
    """Yield every edge in `params`, fields in the order of declaration, list items in the order written."""
    for name, kinds in edge_fields(type(params)).items():
        value = getattr(params, name)
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, Selection):
                yield Edge(name, kinds, item)


def edge_fields(model: type[BaseModel]) -> Mapping[str, tuple[Kind, ...]]:
    """Return the fields of `model` that are edges, with the kinds that each of them takes."""
    found = {}
    for name, field in model.model_fields.items():
        mark = next(iter(_marks((field.annotation, *field.metadata), EdgeMark)), None)
        if isinstance(mark, EdgeMark):
            found[name] = mark.kinds
    return found


def marked_fields(model: type[BaseModel], mark: type[Any]) -> list[str]:
    """Return the names of the fields of `model` whose annotation carries `mark`."""
    return [
        name
        for name, field in model.model_fields.items()
        if any(True for _ in _marks((field.annotation, *field.metadata), mark))
    ]


def _marks(annotation: Any, mark: type[Any]) -> Iterator[Any]:
    if isinstance(annotation, mark):
        yield annotation
    elif isinstance(annotation, tuple):
        for part in annotation:
            yield from _marks(part, mark)
    elif get_origin(annotation) is not None:
        for part in get_args(annotation):
            yield from _marks(part, mark)


def key_parameters(params: StageParams, fingerprints: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters that count in the key, as plain JSON data.

    Edges become a placeholder (their artifacts' digests count beside the parameters), runtime-only fields are left
    out, and each outside path becomes its fingerprint, so that a moved file is the same file.

    Args:
        params: The validated parameters.
        fingerprints: Of every path that `outside_paths(params)` lists.
    """
    return {
        name: _plain(getattr(params, name), field, fingerprints)
        for name, field in type(params).model_fields.items()
        if not any(True for _ in _marks((field.annotation, *field.metadata), RuntimeMark))
    }


def runtime_parameters(params: StageParams) -> dict[str, Any]:
    """Return the parameters that do not count in the key, as plain JSON data."""
    return params.model_dump(mode="json", include=set(marked_fields(type(params), RuntimeMark)))


def outside_paths(params: BaseModel) -> list[str]:
    """Return every outside path that `params` names, those of nested models too, in order, each once."""
    found: dict[str, None] = {}
    for name, field in type(params).model_fields.items():
        marked = any(True for _ in _marks((field.annotation, *field.metadata), OutsideMark))
        value = getattr(params, name)
        values = value.values() if isinstance(value, dict) else value
        for item in values if isinstance(value, list | tuple | dict) else [value]:
            if isinstance(item, str) and marked:
                found[item] = None
            elif isinstance(item, BaseModel):
                found.update(dict.fromkeys(outside_paths(item)))
    return list(found)


def _plain(value: Any, field: Any, fingerprints: Mapping[str, str]) -> Any:
    if isinstance(value, Selection):
        return {"edge": value.narrowing()}
    if isinstance(value, BaseModel):
        return {
            name: _plain(getattr(value, name), inner, fingerprints)
            for name, inner in type(value).model_fields.items()
            if not any(True for _ in _marks((inner.annotation, *inner.metadata), RuntimeMark))
        }
    if isinstance(value, list | tuple):
        return [_plain(item, field, fingerprints) for item in value]
    if isinstance(value, str) and any(True for _ in _marks((field.annotation, *field.metadata), OutsideMark)):
        return {"outside": fingerprints[value]}
    if isinstance(value, dict):
        return {str(name): _plain(item, field, fingerprints) for name, item in value.items()}
    return value
