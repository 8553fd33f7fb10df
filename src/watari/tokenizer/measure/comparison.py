"""Several tokenizers on several files, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from watari.errors import UserError
from watari.tokenizer.encoder import Encoder
from watari.tokenizer.measure.figures import CONTEXT, Figures
from watari.tokenizer.measure.measuring import Measurement, check_texts, describe, measure
from watari.tokenizer.texts import read_texts


@dataclass(frozen=True)
class Comparison:
    """Tokenizers on files; every tokenizer was given the same documents.

    Args:
        files: The files, as they were given.
        measurements: One a tokenizer, in the order given; a document's source is its file.
        context: Tokens of the context window that a page is compared with.
        seed: Of the bootstrap.
    """

    files: list[str]
    measurements: list[Measurement]
    context: int = CONTEXT
    seed: int = 0

    def figures(self, file: str | None = None, language: str | None = None) -> list[Figures]:
        """Return the figures of every tokenizer on a file (None: on all of them together) and language."""
        first = self.measurements[0]
        return [
            measurement.figures(file, language, first=first, context=self.context, seed=self.seed)
            for measurement in self.measurements
        ]

    def languages(self, file: str | None = None) -> list[str]:
        """Return the languages of a file's documents, sorted."""
        documents = self.measurements[0].documents
        return sorted(
            {
                language
                for source, language in zip(documents.sources, documents.languages, strict=True)
                if file in (None, source)
            }
        )

    def share(self, file: str, language: str) -> float:
        """Return the share of a file's characters that stand in documents of a language."""
        documents = self.measurements[0].documents
        part, whole = (documents.chars[documents.where(file, spoken)].sum() for spoken in (language, None))
        return float(part / whole) if whole else 0.0

    def to_json(self) -> list[dict[str, Any]]:
        """Return one object a tokenizer and file, and nothing else.

        Each holds the fields of `Figures`, and `languages`: the same of each language by itself, where the file holds
        several.
        """
        whole = {file: self.figures(file) for file in self.files}
        parts = {
            file: {language: self.figures(file, language) for language in spoken}
            for file in self.files
            if len(spoken := self.languages(file)) > 1
        }
        return [
            whole[file][place].model_dump(mode="json")
            | {
                "languages": {
                    language: figures[place].model_dump(
                        mode="json", exclude={"tokenizer", "file", "language"}
                    )
                    for language, figures in parts.get(file, {}).items()
                }
            }
            for place in range(len(self.measurements))
            for file in self.files
        ]


def compare_files(
    tokenizers: Sequence[str | Encoder],
    files: Sequence[str],
    *,
    field: str = "text",
    unit: str = "document",
    pattern: str | None = None,
    reach: bool = False,
    round_trip: bool = True,
    context: int = CONTEXT,
    seed: int = 0,
) -> Comparison:
    """Return what tokenizers make of files.

    Args:
        tokenizers: What `watari.tokenizer.opening.open_encoder` opens, or encoders; the first is what the others' number
            of tokens is compared with.
        files: Texts of any common form (`watari.tokenizer.texts.read_texts`).
        field: The column that holds the text.
        unit: What one document of a .txt file is: "document", "paragraph" or "line".
        pattern: How rank files of tiktoken's form cut a text (`watari.tokenizer.ranks.PATTERNS`).
        reach: Look for entries that cannot come out.
        round_trip: Decode every document again.
        context: Tokens of the context window that a page is compared with.
        seed: Of the bootstrap.

    Raises:
        UserError: naming the tokenizer or file that cannot be read.
    """
    from watari.tokenizer.opening import open_encoder

    if not tokenizers or not files:
        raise UserError("measure: at least one tokenizer and one file are wanted")
    if context < 1:
        raise UserError(f"context: {context} is no size of a window")
    for what, names in (("tokenizer", [n for n in tokenizers if isinstance(n, str)]), ("file", files)):
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"{twice}: this {what} is named twice")
    encoders = [open_encoder(item, pattern=pattern) if isinstance(item, str) else item for item in tokenizers]
    texts = [
        replace(text, source=file) for file in files for text in read_texts([file], field=field, unit=unit)
    ]
    check_texts(texts)
    documents = describe(texts)
    return Comparison(
        list(files),
        [
            measure(encoder, texts, documents=documents, round_trip=round_trip, reach=reach)
            for encoder in encoders
        ],
        context,
        seed,
    )
