"""Parameters of every stage that puts rows through the checks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watari.artifact.params import RUNTIME

CheckWorkers = Annotated[
    int, RUNTIME, Field(ge=0, description="processes for the checks; 0: in this process")
]
