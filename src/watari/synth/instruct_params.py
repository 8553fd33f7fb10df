"""Parameters of `synth.instruct`."""

from __future__ import annotations

from math import ceil
from typing import Annotated

from pydantic import Field, model_validator

from watari.artifact.params import RUNTIME, Conversations, Count, OneOrMore, OutsidePath
from watari.endpoint.params import AskingParams, EndpointRef
from watari.synth.diversity import CONTAINED, THRESHOLD

KIND = "synth.instruct"


class Params(AskingParams):
    """Parameters of `synth.instruct`."""

    teacher: EndpointRef = Field(description="writes the instructions")
    responder: EndpointRef | None = Field(default=None, description="answers them; default: the teacher")
    strong: EndpointRef | None = Field(
        default=None, description="answers what the responder could not, its repairs included"
    )
    language: str = Field(
        pattern=r"^[a-z]{2,3}$", description="of the rows, ISO 639; the recipe's unless given"
    )
    rows: Count = Field(ge=1, description="rows wanted, accepted by every check")
    per_request: int = Field(default=5, ge=1, le=50, description="instructions that one request asks for")
    most_requests: Count | None = Field(
        default=None,
        ge=1,
        description="requests for instructions at most; then fewer rows come out, and the log says so; default: four times"
        " what would do if every instruction were accepted, and 20 more",
    )
    taxonomy: OutsidePath | None = Field(
        default=None,
        description="a YAML file of topics and categories with weights; default: the language's own (ja)",
    )
    categories: list[str] | None = Field(
        default=None, min_length=1, description="only these of the taxonomy; default: all"
    )
    seeds: OutsidePath | None = Field(
        default=None,
        description="example instructions, .jsonl with `instruction`, `prompt`, `text` or `messages` in each row, and perhaps"
        " `category`; shown to the teacher, and no row is like one",
    )
    examples: int = Field(
        default=2, ge=0, le=10, description="seeds shown with each request, if there are any"
    )
    against: Annotated[list[Conversations], OneOrMore] = Field(
        default_factory=list, description="conversations that no row may be like"
    )
    contamination: list[OutsidePath] = Field(
        default_factory=list, description="evaluation sets (files) whose texts may not stand in a row"
    )
    contained: float = Field(
        default=CONTAINED,
        gt=0,
        le=1,
        description="share of an evaluation text's 5-grams from which it counts as standing in a row",
    )
    near: float = Field(
        default=THRESHOLD,
        gt=0,
        description="Jaccard similarity of character 5-grams from which two instructions are the same; above 1: never",
    )
    repairs: int = Field(
        default=1, ge=0, le=5, description="times that an answer is mended, told what is wrong"
    )
    temperature: float = Field(
        default=0.9, ge=0, description="for instructions, unless the teacher's sampler says another"
    )
    max_tokens: Count = Field(
        default=2048,
        ge=16,
        description="of an answer, and for the instructions of a request; a cut-off answer is asked again with up to four"
        " times as many",
    )
    license: str | None = Field(
        default=None, description="of the rows; what the teacher's terms allow is for you to know"
    )
    source: str = Field(default="instruct", description="name of the source in the rows")
    check_workers: Annotated[int, RUNTIME] = Field(
        default=0, ge=0, description="processes for the checks; 0: this one"
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Params:
        if self.categories is not None and len(set(self.categories)) < len(self.categories):
            raise ValueError("categories: one is named twice")
        return self

    @property
    def ceiling(self) -> int:
        """Requests for instructions at most."""
        return self.most_requests or 4 * ceil(self.rows / self.per_request) + 20
