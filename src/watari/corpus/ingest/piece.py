"""A piece: what one task reads."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from watari.artifact.files import FileFormat
from watari.artifact.params import Selection
from watari.corpus.sources import SourceFile


class Piece(BaseModel):
    """A file, or a part of one, that is read by one task; plain data, so that it can be written down and sent.

    `source`, `path` and a row's place make its key, so they name nothing of this machine; `file` says where the bytes
    are now.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    source: str = Field(description="name of the source")
    path: str = Field(description="the file below its location, or its name; told apart from its namesakes")
    file: str = Field(description="where to open it: a path, a URL, demo://…, or the folder of an artifact")
    format: FileFormat = Field(description="how it is read; never auto")
    form: SourceFile = Field(description="which columns are meant, and what rows are said to be")
    start: int = Field(default=0, description="first byte (jsonl), first row group (parquet)")
    stop: int | None = Field(
        default=None, description="where it ends, not itself in it; null: the end of the file"
    )
    line: int = Field(default=1, description="number of its first line (jsonl), or row (an artifact)")
    size: int = Field(default=0, description="bytes to read, as far as known; what tasks are weighed by")
    artifact: str = Field(default="", description="name of the stage whose rows these are; empty for files")
    selection: Selection | None = Field(default=None, description="which of them; null: all")
    seed: int = Field(default=0, description="of a selection's `ratio`, and of the demo world")
    stage: str = Field(default="", description="kind of the stage that reads, for the same")
