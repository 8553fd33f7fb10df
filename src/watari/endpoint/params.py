"""Parameters of stages that ask endpoints: `teacher: fast` names one of the recipe's `endpoints:`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from watari.artifact.params import RUNTIME, EndpointMark, Model, Selection, StageParams
from watari.endpoint.settings import Budget, Endpoint


@dataclass(frozen=True)
class _ByName:
    """Says in the JSON schema that an endpoint is written as its name; the recipe puts the settings in its place."""

    what: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return handler(source)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "description": self.what}, handler(schema)]}


EndpointRef = Annotated[Endpoint, EndpointMark(), _ByName("the name of an endpoint")]
"""An endpoint: by its name in a recipe, as an `Endpoint` from Python."""

ModelOrEndpoint = Annotated[
    Endpoint | Model, EndpointMark(), _ByName("the name of an endpoint, or of a stage that makes a model")
]
"""Whatever generates: an endpoint, or a model that a stage makes."""


class AskingParams(StageParams):
    """Parameters that every stage which asks endpoints has."""

    budget: Annotated[Budget, RUNTIME] = Field(
        default=Budget(),
        description="what this stage may spend at most: {money, tokens, requests}; nothing is limited by default",
    )
    run_budget: Annotated[Budget, RUNTIME] = Field(
        default=Budget(), description="what the whole run may spend; filled in from the recipe's `budget:`"
    )
    ledger: Annotated[str | None, RUNTIME] = Field(
        default=None,
        description="where every answer is recorded: a path, or postgresql://host/base; default: the run's ledger.sqlite",
    )
    label: Annotated[str, RUNTIME] = Field(
        default="", description="under what name the ledger counts this stage; default: the stage's name"
    )

    def endpoints(self) -> list[Endpoint]:
        """Return every endpoint among the parameters, in the order of the fields."""
        found: list[Endpoint] = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            found += [
                item
                for item in (value if isinstance(value, list | tuple) else [value])
                if isinstance(item, Endpoint)
            ]
        return found


__all__ = ["AskingParams", "Budget", "Endpoint", "EndpointRef", "ModelOrEndpoint", "Selection"]
