"""Documents for the commands of this room: text files of any common form, each document with its source and language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from watari.errors import UserError


@dataclass(frozen=True)
class Text:
    """One document, as far as a tokenizer is concerned.

    Args:
        id: Its own.
        text: The document.
        language: Its code; "und" where nobody said.
        source: Where it is from: the file's name, or the artifact's.
    """

    id: str
    text: str
    language: str = "und"
    source: str = ""


def read_texts(files: Sequence[str], *, field: str = "text", unit: str = "document") -> list[Text]:
    """Return every document of some files, in their order; language by script where the row does not say.

    Args:
        files: .txt, .jsonl, .json or .parquet, each also .gz or .zst; folders and globs too.
        field: The column that holds the text, in files that have columns; a list of strings (sentences) is joined by
            line breaks.
        unit: What one document of a .txt file is: "document" (the whole file), "paragraph" or "line".

    Raises:
        UserError: naming the file and row of the first one that cannot be read or has no such field.
    """
    from watari.artifact.reading import ReadOptions, read_records
    from watari.artifact.records import Fault
    from watari.text.scripts import guess_language

    found: list[Text] = []
    for name in files:
        source = Path(name).name
        before = len(found)
        for record in read_records(name, ReadOptions(unit=unit)):  # type: ignore[arg-type]
            if isinstance(record, Fault):
                raise UserError(str(record))
            plain = record.place.file.removesuffix(".gz").removesuffix(".zst").endswith(".txt")
            value = record.row.get("text" if plain else field)
            if isinstance(value, list) and all(isinstance(part, str) for part in value):
                value = "\n".join(value)
            if not isinstance(value, str):
                known = ", ".join(key for key, given in record.row.items() if isinstance(given, str | list))
                raise UserError(
                    f"{record.place}: no text in '{field}'", f"fields with text: {known or 'none'}"
                )
            identity = str(record.row.get("id") or f"{source}:{len(found) - before}")
            language = record.row.get("language")
            if not isinstance(language, str) or not language:
                language = guess_language(value)
            found.append(Text(identity, value, language, source))
        if len(found) == before:
            raise UserError(f"{name}: holds no document")
    return found
