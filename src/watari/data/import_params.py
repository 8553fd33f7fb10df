"""Parameters of `data.import`."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field, model_validator

from watari.artifact.files import FileFormat, dataset_location
from watari.artifact.params import Count, OutsidePath, Range, Scalar, StageParams
from watari.artifact.reading import TextUnit
from watari.artifact.records import OnError, source_name
from watari.data.forms import Form, Make, demo_form
from watari.data.scored import Against, Measure


class Params(StageParams):
    """Parameters of `data.import`."""

    path: OutsidePath = Field(
        description="a file, folder or glob; demo://…, hf://datasets/org/name/path, a dataset's hub id, or a URL"
    )
    format: Literal["auto"] | Form = Field(
        default="auto",
        description="the form of the rows; auto is for demo:// only, elsewhere the kind of the artifact must be"
        " known before anything is read",
    )
    files: FileFormat = Field(default="auto", description="the format of the files; auto: by suffix")
    unit: TextUnit = Field(default="document", description="what one document of a plain text file is")
    encoding: str = Field(default="utf-8", description="of plain text files, e.g. shift_jis")
    fields: dict[str, str] = Field(
        default_factory=dict, description="columns by another name: {text: body} reads `text` from `body`"
    )
    language: str | None = Field(
        default=None, description="of rows that do not say theirs; left out: guessed by script"
    )
    license: str | None = Field(default=None, description="of rows that do not say theirs")
    source: str = Field(
        default="", description="name of the source, for rows without one; default: the location's name"
    )
    where: dict[str, Scalar | list[Scalar] | Range] = Field(
        default_factory=dict,
        description="rows that are taken, as in a selection: {language: ja, characters: {min: 20, max: 8k}}; beside the"
        " columns and `meta.field`: `characters` (of all texts), `answer_characters` (of the last), `turns`",
    )
    make: Make | None = Field(
        default=None,
        description="of `ultrafeedback`: conversations with the best answer, or preferences; default: preferences",
    )
    score: Measure = Field(
        default="overall",
        description="of `ultrafeedback` as openbmb publishes it: the overall score (1 to 10; Shisa's threshold counts"
        " these), or fine-grained, the mean of four ratings (1 to 5; argilla's choice)",
    )
    min_score: float | None = Field(
        default=None,
        description="of `ultrafeedback`: the best answer's score at least, in its source's scale; Shisa took 9."
        " Default: any",
    )
    against: Against = Field(
        default="worst",
        description="of `ultrafeedback`: the answer that is rejected: the one with the lowest score, random among the"
        " lower ones (Zephyr), or the next best",
    )
    min_margin: float = Field(
        default=0.0,
        ge=0,
        description="of `ultrafeedback`: by how much the chosen answer's score is higher at least; equal scores never"
        " make a pair",
    )
    benchmark: str = Field(
        default="",
        description="the benchmark of which these rows are a split, kept in `meta`; data.mix then wants to be allowed to"
        " use them, and the card says so",
    )
    limit: Count | None = Field(
        default=None, ge=1, description="stop reading after so many rows were kept; default: read all"
    )
    on_error: OnError = Field(
        default="stop", description="what a row that cannot be used does: stop, or drop with a reason"
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        # The name is a parameter, and so in the key: the file's place is not, but its name would stand in the rows.
        if isinstance(value, dict) and isinstance(value.get("path"), str):
            path = dataset_location(value["path"])
            return {**value, "path": path, "source": value.get("source") or source_name(path)}
        return value

    @model_validator(mode="after")
    def _form_is_known(self) -> Params:
        if self.format == "auto" and demo_form(self.path) is None:
            forms = ", ".join(get_args(Form))
            raise ValueError(f"format: say in which form the rows are: {forms}")
        scored = {"make", "score", "min_score", "against", "min_margin"} & self.model_fields_set
        if scored and self.form != "ultrafeedback":
            raise ValueError(f"{sorted(scored)[0]}: only `format: ultrafeedback` has scored answers")
        return self

    @property
    def form(self) -> Form:
        """The form of the rows, `auto` resolved."""
        if self.format != "auto":
            return self.format
        found = demo_form(self.path)
        assert found is not None  # the validator has seen to it
        return found
