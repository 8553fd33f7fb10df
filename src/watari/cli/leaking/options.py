"""What the options of `watari leakage ...` say, checked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

from watari.artifact.records import Fault
from watari.errors import UserError
from watari.leakage.rows import LICENCES, Scalar
from watari.pages.noted import some
from watari.text.language_codes import is_language_code, language_code
from watari.text.leakage import Licensed

TELL = 250
"""After so many responses progress is told."""


def licence(value: str) -> Licensed:
    """Return `--licensed`.

    Raises:
        UserError: if it is none of the three.
    """
    if value not in LICENCES:
        raise UserError(f"--licensed {value}: not one of {', '.join(LICENCES)}")
    return cast("Licensed", value)


def language(value: str | None) -> str | None:
    """Return `--expected` as a short code.

    Raises:
        UserError: if it is no code.
    """
    if value is None:
        return None
    code = language_code(value)
    if not is_language_code(code):
        raise UserError(f"--expected {value}: no language code", "write ja, en, zh, ...")
    return code


def settings(values: Sequence[str], option: str) -> dict[str, list[Scalar]]:
    """Return `COLUMN=VALUE,...` options as {column: values}; a column named twice has the values of both.

    Raises:
        UserError: for one without a `=`.
    """
    found: dict[str, list[Scalar]] = {}
    for value in values:
        column, equals, listed = value.partition("=")
        if not equals or not column or not listed:
            raise UserError(f"{option} {value}: not COLUMN=VALUE", f"e.g. {option} temperature=0.7,1.0")
        found.setdefault(column, []).extend(part for part in listed.split(",") if part)
    return found


def stopping(on_error: str) -> bool:
    """Return whether `--on-error` says to stop.

    Raises:
        UserError: if it is neither stop nor drop.
    """
    if on_error not in ("stop", "drop"):
        raise UserError(f"--on-error {on_error}: not one of stop, drop")
    return on_error == "stop"


def once(files: Sequence[str]) -> Sequence[str]:
    """Return the files.

    Raises:
        UserError: if standard input is named twice: it can be read once.
    """
    if list(files).count("-") > 1:
        raise UserError("-: standard input can be read once", "save it to a file, and name that")
    return files


def check_columns(by: Sequence[str], there: Collection[str]) -> None:
    """Refuse a column that no row has.

    Raises:
        UserError: naming it, and those that there are.
    """
    for column in by:
        if column not in there:
            mend = f"there are {some(sorted(there))}" if there else "rows have nothing but their texts"
            raise UserError(f"--by {column}: no row has this column", mend)


class Settle:
    """What is done about a row that cannot be read."""

    def __init__(self, stop: bool) -> None:
        self._stop = stop

    def __call__(self, fault: Fault) -> None:
        """Raise, or let it be counted.

        Raises:
            UserError: naming file and row, if such rows stop the scan.
        """
        if self._stop:
            raise UserError(str(fault), "mend the row, or go on without such rows: --on-error drop")
