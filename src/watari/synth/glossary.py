"""A glossary: terms of the source language and what must stand for them in the target.

YAML (`term: translation`), CSV or TSV (two columns; a first line `source,target` or the like is a heading), JSON (an object).
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from watari.errors import UserError

_HEADINGS = frozenset({"source", "term", "src", "target", "translation", "tgt", "from", "to"})


class Glossary:
    """Terms, found in texts.

    Args:
        terms: Term → translation.
    """

    def __init__(self, terms: Mapping[str, str]) -> None:
        self.terms = dict(terms)
        self._by_form = {_form(term): term for term in self.terms}
        # Longest first, so that `machine learning` is found before `machine`.
        forms = sorted((re.escape(term) for term in self.terms), key=lambda form: (-len(form), form))
        self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(forms)})(?:e?s)?(?!\w)", re.I) if forms else None

    def of(self, text: str) -> dict[str, str]:
        """Return the terms that stand in `text`, with their translations: only those are told to the model."""
        if self._pattern is None:
            return {}
        found: dict[str, str] = {}
        for match in self._pattern.finditer(text):
            for form in (match[0], match[0].removesuffix("s"), match[0].removesuffix("es")):
                if (term := self._by_form.get(_form(form))) is not None:
                    found[term] = self.terms[term]
                    break
        return dict(sorted(found.items()))


def read_glossary(given: str | Mapping[str, str] | None) -> Glossary:
    """Return the glossary that a recipe names or holds.

    Raises:
        UserError: naming the file and the entry that is no term with a translation.
    """
    if given is None:
        return Glossary({})
    if not isinstance(given, str):
        return Glossary(_checked("glossary", given))
    path = Path(given)
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"glossary: {given}: not UTF-8", "save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"glossary: {given}: cannot be read: {error.strerror}") from None
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return Glossary(_checked(given, _table(given, text, "\t" if suffix == ".tsv" else ",")))
    return Glossary(_checked(given, _mapping(given, text, suffix)))


def _mapping(name: str, text: str, suffix: str) -> Any:
    import yaml

    try:
        return json.loads(text) if suffix == ".json" else yaml.safe_load(text) or {}
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        line = str(error).strip().splitlines()[0]
        raise UserError(
            f"glossary: {name}: cannot be read: {line}", "write `term: translation` lines"
        ) from None


def _table(name: str, text: str, separator: str) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=separator))
    except csv.Error as error:
        raise UserError(f"glossary: {name}: cannot be read: {error}", "write term and translation") from None
    for number, cells in enumerate(lines, 1):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) < 2:
            raise UserError(f"glossary: {name}: line {number}: one column", "write term and translation")
        term, translation = cells[0].strip(), cells[1].strip()
        if number == 1 and {term.lower(), translation.lower()} <= _HEADINGS:
            continue
        if term in found and found[term] != translation:
            raise UserError(f"glossary: {name}: line {number}: '{term}' stands there twice, differently")
        found[term] = translation
    return found


def _checked(name: str, terms: Any) -> dict[str, str]:
    if not isinstance(terms, Mapping):
        raise UserError(f"glossary: {name}: no mapping of terms", "write `term: translation` lines")
    for term, translation in terms.items():
        if not (
            isinstance(term, str) and isinstance(translation, str) and term.strip() and translation.strip()
        ):
            raise UserError(
                f"glossary: {name}: '{term}' has no text for its translation", "put texts in quotes"
            )
    return {term.strip(): translation.strip() for term, translation in terms.items()}


def _form(text: str) -> str:
    return " ".join(text.lower().split())
