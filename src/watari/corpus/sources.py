"""Where documents come from: a stage's documents, or files outside; each read into one form."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from watari.artifact.files import FileFormat, dataset_location
from watari.artifact.hashing import hash_text
from watari.artifact.params import Documents, OutsidePath, Selection
from watari.artifact.reading import ReadOptions, TextUnit, read_records
from watari.artifact.records import Fault, Place, Record, meta_of, source_name, text_of
from watari.artifact.rows import select_rows
from watari.artifact.stage import InputArtifact
from watari.text.normalise import normalise
from watari.text.scripts import guess_language

_COLUMNS = ("id", "text", "source", "language", "license", "url", "date")


class SourceFile(BaseModel):
    """Files outside the store that hold documents."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: OutsidePath = Field(
        description="a file, folder or glob; demo://…, hf://datasets/org/name/path, or a URL for fsspec"
    )
    format: FileFormat = Field(default="auto", description="of the files; auto: by suffix")
    unit: TextUnit = Field(default="document", description="what one document of a plain text file is")
    encoding: str = Field(default="utf-8", description="of plain text files, e.g. shift_jis")
    text: str = Field(
        default="text", description="column of the text; a list of sentences is joined by newlines"
    )
    id: str = Field(
        default="id", description="column of the id; where it is missing, the id is the xxh128 of the text"
    )
    keep: list[str] | None = Field(
        default=None,
        description="further columns to keep in `meta`. Default: each that holds one value; lists and mappings, often"
        " the same text in another form, are left out",
    )
    language: str | None = Field(
        default=None, description="of rows that do not say theirs; left out: guessed by script"
    )
    license: str | None = Field(default=None, description="of rows that do not say theirs")
    source: str = Field(
        default="", description="name of the source, for rows without one; default: the file's name"
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        # The name is a parameter, and so in the key: the file's place is not, but its name would stand in the rows.
        if isinstance(value, dict) and isinstance(value.get("path"), str):
            path = dataset_location(value["path"])
            return {**value, "path": path, "source": value.get("source") or source_name(path)}
        return value

    @property
    def options(self) -> ReadOptions:
        """How its files are read."""
        return ReadOptions(format=self.format, unit=self.unit, encoding=self.encoding)


def _form(value: Any) -> str | None:
    if isinstance(value, str | Selection) or (isinstance(value, dict) and "from" in value):
        return "stage"
    if isinstance(value, SourceFile) or (isinstance(value, dict) and "path" in value):
        return "files"
    return None


Source = Annotated[
    Annotated[Documents, Tag("stage")] | Annotated[SourceFile, Tag("files")],
    Discriminator(
        _form,
        custom_error_type="source",
        custom_error_message="a source is the name of a stage, {from: stage, where: …} or {path: file, …}",
    ),
]
"""Documents of another stage, or files outside."""


@dataclass(slots=True)
class Document:
    """One document, in the order of the schema; `place` is where it was read, for the ledger."""

    id: str
    text: str
    source: str
    language: str
    license: str | None
    url: str | None
    date: str | None
    meta: str | None
    place: Place

    def row(self) -> dict[str, Any]:
        """Return it as a row of documents."""
        return {name: getattr(self, name) for name in (*_COLUMNS, "meta")}


def read_source(
    source: Selection | SourceFile, artifact: InputArtifact | None, *, seed: int, stage: str
) -> Iterator[Document | Fault]:
    """Yield every document of a source with its text in normal form, or the fault of a row that has none.

    Args:
        source: As the recipe gives it.
        artifact: The artifact of a `Selection`.
        seed: Of the demo world, and of a selection's `ratio`.
        stage: The stage's kind, for the same.

    Raises:
        UserError: if the source cannot be read at all.
    """
    if isinstance(source, SourceFile):
        for item in read_records(source.path, source.options, seed=seed):
            yield item if isinstance(item, Fault) else _document(item, source)
    elif artifact is not None:
        form = SourceFile(path=artifact.name, source=artifact.name)
        for number, row in enumerate(select_rows(artifact, seed=seed, stage=stage), 1):
            yield _document(Record(Place(artifact.name, "", f"row {number}"), row), form)


def _document(record: Record, source: SourceFile) -> Document | Fault:
    row = record.row
    text = text_of(record, source.text)
    if isinstance(text, Fault):
        return text
    given = row.get(source.id)
    if given is not None and (isinstance(given, bool) or not isinstance(given, str | int) or given == ""):
        return record.fault(f"field '{source.id}' is not an id", "a text or a whole number is wanted")
    for name in ("source", "language", "license", "url", "date"):
        if name != source.text and row.get(name) is not None and not isinstance(row[name], str):
            return record.fault(f"field '{name}' is not a text")
    clean = normalise(text)
    return Document(
        id=hash_text(unicodedata.normalize("NFC", text)) if given is None else str(given),
        text=clean,
        source=_own(row, "source", source) or source.source,
        language=_own(row, "language", source) or source.language or guess_language(clean),
        license=_own(row, "license", source) or source.license,
        url=_own(row, "url", source),
        date=_own(row, "date", source),
        meta=meta_of(_kept(row, source), (*_COLUMNS, source.text, source.id)),
        place=record.place,
    )


def _kept(row: dict[str, Any], source: SourceFile) -> dict[str, Any]:
    if source.keep is not None:
        return {name: row[name] for name in ("meta", *source.keep) if name in row}
    return {
        name: value for name, value in row.items() if name == "meta" or not isinstance(value, list | dict)
    }


def _own(row: dict[str, Any], name: str, source: SourceFile) -> str | None:
    return None if name == source.text else row.get(name)
